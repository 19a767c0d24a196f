//! Each action does what its name says, and no more.

use dfab_tests::{Host, Outcome, Project, lab_or_skip};

const WEB: &str = "example_map.web_server";
const APP: &str = "example_map.app_server.instance1";

fn act(project: &Project, host: &Host<'_>, action: &str, config: &str) -> Outcome {
    let task = format!("actions.{action}");
    project.dfab_in(host.lab, &["-H", &host.name, &task, "example_map", config]).run().expect_code(0)
}

fn state(host: &Host<'_>, name: &str) -> Option<String> {
    host.container(name, "{{.State.Status}}")
}

#[test]
fn create_start_stop_and_remove_are_four_steps() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    for (action, app, web) in [
        ("create", Some("created"), Some("created")),
        ("start", Some("running"), Some("running")),
        ("stop", Some("running"), Some("exited")),
        ("remove", Some("running"), None),
    ] {
        let outcome = act(&project, &host, action, "web_server");
        assert_eq!(
            (state(&host, APP).as_deref(), state(&host, WEB).as_deref()),
            (app, web),
            "{action}: {outcome}"
        );
        host.expect_no_leftovers();
    }
}

#[test]
fn startup_brings_up_and_shutdown_takes_away() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(2.min(lab.host_count())));
    host.install_site();
    act(&project, &host, "startup", "web_server");
    assert!(host.ask().contains("version 1"));

    let volumes = host.run("docker volume ls -q | sort");
    let outcome = act(&project, &host, "shutdown", "app_server");
    assert_eq!(host.containers(), [""; 0], "what depends on it goes first: {outcome}");
    assert_eq!(host.run("docker volume ls -q | sort"), volumes, "shutdown keeps volumes");
    act(&project, &host, "startup", "web_server");
    assert!(host.ask().contains("request"), "the service is back");
}

#[test]
fn the_colon_form_means_the_same() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    act(&project, &host, "update", "web_server");
    let colon = project
        .dfab_in(&lab, &["-H", "host1", "--output=json", "actions.update:example_map,web_server"])
        .run()
        .expect_code(0);
    assert_eq!(colon.plan(), [""; 0], "{colon}");
}

#[test]
fn a_single_instance_can_be_named() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    act(&project, &host, "startup", "app_server.instance2");
    assert_eq!(host.containers(), ["example_map.app_server.instance2"]);
}

#[test]
fn the_local_socket_serves_without_ssh() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    let logins = host.logins();
    let local = || {
        project
            .dfab(&["--output=json", "actions.update", "example_map", "web_server"])
            .env("DOCKER_HOST", &host.docker_host())
    };
    local().run().expect_code(0);
    assert!(host.ask().contains("version 1"));
    assert_eq!(local().run().expect_code(0).plan(), [""; 0]);
    assert_eq!(logins.connections(), 0);
}

#[test]
fn listing_containers_shows_the_hosts_own() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    act(&project, &host, "startup", "app_server");
    let list = project.dfab_in(&lab, &["-H", "host1", "docker.list_containers"]).run().expect_code(0);
    for name in host.containers() {
        assert!(list.stdout.contains(&name), "{list}");
    }
}

/// clients-tasks D-43: the source uploads to the current host, wherever the container runs.
#[test]
fn a_script_goes_with_its_folder_to_the_host_where_its_container_runs() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[
        ("dfab.yaml", "maps: {task_map: map.yaml}\nclients: {there: {fabric_host: host1}}\n"),
        (
            "map.yaml",
            "name: task_map\nclients: [there]\nhost_root: /srv\napp:\n  image: busybox\n  create_options: {entrypoint: /bin/sh}\n",
        ),
    ]);
    std::fs::create_dir(project.path().join("job")).unwrap();
    std::fs::write(project.path().join("job/run.sh"), ". $(dirname $0)/words\necho $WORDS; exit 3\n")
        .unwrap();
    std::fs::write(project.path().join("job/words"), "WORDS='it is here'\n").unwrap();
    let script = ["task_map", "app", "job/run.sh", "--upload-dir=true", "--command-format={script_path}"];
    let run = project.dfab_in(&lab, &[&["actions.script"], &script[..]].concat()).run().expect_code(0);
    assert!(run.stdout.contains("it is here"), "{run}");
    let failing = [&["actions.script"], &script[..], &["--fail-nonzero=true"]].concat();
    project.dfab_in(&lab, &failing).run().expect_code(1);
    assert_eq!(host.containers(), [""; 0]);
    host.expect_no_leftovers();
}
