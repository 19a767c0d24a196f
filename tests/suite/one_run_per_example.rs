//! The main job on one host, for each engine generation: create, nothing to do, a new image, drift.

use dfab_tests::{Host, Lab, Outcome, Project, lab_or_skip};

const CONTAINERS: [&str; 3] =
    ["example_map.app_server.instance1", "example_map.app_server.instance2", "example_map.web_server"];

fn update(project: &Project, host: &Host<'_>, more: &[&str]) -> Outcome {
    let call =
        [&["-H", &host.name, "--output=json", "actions.update", "example_map", "web_server"], more].concat();
    project.dfab_in(host.lab, &call).run()
}

/// Runs a test on one host of each generation that the lab has.
pub(crate) fn on_each_generation(lab: &Lab, test: impl Fn(&Host<'_>)) {
    for number in lab.generations() {
        test(&lab.take(number));
    }
}

#[test]
fn creates_what_is_missing_and_then_has_nothing_to_do() {
    let lab = lab_or_skip!();
    let project = Project::example();
    on_each_generation(&lab, |host| {
        host.install_site();
        let first = update(&project, host, &[]).expect_code(0);
        assert_eq!(host.containers(), CONTAINERS, "{first}");
        let json = first.json();
        assert_eq!(json["ok"], true);
        assert!(
            json["results"].as_array().unwrap().iter().all(|result| result["status"] == "done"),
            "{first}"
        );

        let answers = [host.ask(), host.ask(), host.ask(), host.ask()].join("\n");
        for instance in ["app app1 version 1 on", "app app2 version 1 on"] {
            assert!(answers.contains(instance), "`{instance}` did not answer:\n{answers}");
        }

        let ids = CONTAINERS.map(|name| host.container_id(name));
        let second = update(&project, host, &[]).expect_code(0);
        assert_eq!(second.plan(), [""; 0], "engine {}: {second}", host.engine);
        assert_eq!(CONTAINERS.map(|name| host.container_id(name)), ids);
        update(&project, host, &["--dry-run", "--detailed-exitcode"]).expect_code(0);
        host.expect_no_leftovers();
    });
}

#[test]
fn says_when_nothing_changed() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    update(&project, &host, &[]).expect_code(0);
    let again = project
        .dfab_in(&lab, &["-H", "host1", "actions.update", "example_map", "web_server"])
        .run()
        .expect_code(0);
    let text = format!("{}{}", again.stdout, again.stderr).to_lowercase();
    assert!(text.contains("nothing") || text.contains("unchanged"), "{again}");
}

#[test]
fn attached_volumes_are_prepared_for_their_user() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    update(&project, &host, &[]).expect_code(0);
    for volume in ["example_map.app_log", "example_map.app_server_socket"] {
        let place = host.run(&format!("docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}"));
        assert_eq!(host.run(&format!("stat -c '%u:%g %a' {place}")), "2000:2000 750", "{volume}");
    }
    assert_eq!(host.container("example_map.web_server", "{{.Config.User}}").unwrap_or_default(), "");
    assert_eq!(host.container(CONTAINERS[0], "{{.Config.User}}").unwrap(), "2000");
}

#[test]
fn a_new_image_recreates_the_containers_that_use_it() {
    let lab = lab_or_skip!();
    let project = Project::example();
    on_each_generation(&lab, |host| {
        host.install_site();
        update(&project, host, &[]).expect_code(0);
        let before = CONTAINERS.map(|name| host.container_id(name));
        host.import_app("2");

        let dry = update(&project, host, &["--dry-run", "--detailed-exitcode"]).expect_code(10);
        assert_eq!(
            CONTAINERS.map(|name| host.container_id(name)),
            before,
            "a dry run changes nothing: {dry}"
        );

        let run = update(&project, host, &[]).expect_code(0);
        assert_eq!(run.json()["plan"], dry.json()["plan"], "the dry run prints the very plan");
        let after = CONTAINERS.map(|name| host.container_id(name));
        assert_ne!(after[0], before[0]);
        assert_ne!(after[1], before[1]);
        assert_eq!(after[2], before[2], "the web server stays: {run}");
        let reasons = run.json()["plan"].to_string();
        assert!(reasons.contains("\"image\"") && reasons.contains("example_map.yaml:"), "{reasons}");
        assert!(host.ask().contains("version 2"));
        assert_eq!(update(&project, host, &[]).expect_code(0).plan(), [""; 0]);
    });
}

#[test]
fn a_container_that_was_removed_by_hand_comes_back_alone() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    update(&project, &host, &[]).expect_code(0);
    let web = host.container_id("example_map.web_server");
    host.run("docker rm -f example_map.app_server.instance2");
    update(&project, &host, &[]).expect_code(0);
    assert_eq!(host.containers(), CONTAINERS);
    assert_eq!(host.container_id("example_map.web_server"), web);
}

#[test]
fn a_changed_map_is_applied_and_the_reason_names_its_line() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    update(&project, &host, &[]).expect_code(0);
    let app = host.container_id(CONTAINERS[0]);
    project.edit("example_map.yaml", "    80: 80\n", "    80: 80\n    81: 8081\n");
    let run = update(&project, &host, &[]).expect_code(0);
    let ports = host.run("docker port example_map.web_server");
    assert!(ports.contains("81/tcp -> 0.0.0.0:8081"), "{ports}\n{run}");
    assert_eq!(host.container_id(CONTAINERS[0]), app, "{run}");
    // The line of the new port.
    assert!(run.json()["plan"].to_string().contains("example_map.yaml:15:5"), "{run}");
}
