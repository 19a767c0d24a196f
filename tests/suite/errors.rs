//! What a user meets when something is wrong: its own clear message, the right exit code, and in time.

use std::net::TcpListener;
use std::time::Duration;

use dfab_tests::{Project, lab_or_skip};

/// The connection timeout of clients-tasks (`-t`, default 10 s), and what a loaded machine needs on top.
const IN_TIME: Duration = Duration::from_secs(15);

const UPDATE: [&str; 3] = ["actions.update", "example_map", "web_server"];

#[test]
fn wrong_calls_contact_no_one() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    let logins = host.logins();
    for (call, expected) in [
        (["actions.update", "exmple_map", "web_server"], ["exmple_map", "example_map"]),
        (["actions.update", "example_map", "web_sever"], ["web_sever", "web_server"]),
        (["actions.update", "example_map", "app_server.instance3"], ["instance3", "instance"]),
        (["actions.updat", "example_map", "web_server"], ["actions.updat", "actions.update"]),
    ] {
        let outcome = project.dfab_in(&lab, &[&["-H", "host1"], &call[..]].concat()).run();
        outcome.expect_code(2).expect_error(&expected).expect_within(Duration::from_secs(5));
    }
    assert_eq!(logins.connections(), 0, "{:?}", logins.lines());
}

#[test]
fn a_broken_map_is_shown_where_it_is_broken() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let logins = host.logins();
    for (old, new, expected) in [
        // A tab and a missing bracket: no YAML at all.
        ("  attaches: web_log\n", "  attaches: [web_log\n", "example_map.yaml:"),
        // YAML, but no map.
        ("  image: nginx\n", "  imgae: nginx\n", "example_map.yaml:6:3"),
        ("!env nginx_config_path", "!env nginx_config_pth", "nginx_config_pth"),
    ] {
        let project = Project::example();
        project.edit("example_map.yaml", old, new);
        let outcome = project.dfab_in(&lab, &[&["-H", "host1"], &UPDATE[..]].concat()).run();
        outcome.expect_code(2).expect_error(&[expected, "example_map.yaml:"]);
    }
    assert_eq!(logins.connections(), 0);
}

#[test]
fn json_output_is_one_document_also_on_errors() {
    let lab = lab_or_skip!();
    let project = Project::example();
    for (call, code) in [
        (["-H", "host1", "actions.update", "example_map", "web_sever"], 2),
        (["-H", "root@127.0.0.1:1", "actions.update", "example_map", "web_server"], 1),
    ] {
        let outcome =
            project.dfab_in(&lab, &[&["--output=json"], &call[..]].concat()).run().expect_code(code);
        let json = outcome.json();
        assert_eq!(json["ok"], false, "{outcome}");
        assert!(json["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{outcome}");
        assert!(json["error"]["kind"].is_string() && json["error"]["causes"].is_array(), "{outcome}");
    }
}

#[test]
fn a_dead_host_fails_within_the_connection_timeout() {
    let lab = lab_or_skip!();
    let project = Project::example();
    // An address of the lab's range that no host has: packets get no answer, or "no route".
    let nobody = lab.address(1).rsplit_once('.').unwrap().0.to_owned() + ".250";
    let target = format!("deploy@{nobody}");
    let outcome = project.dfab_in(&lab, &[&["-H", &target], &UPDATE[..]].concat()).run();
    outcome.expect_code(1).expect_error(&[&nobody]).expect_within(IN_TIME);

    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = format!("deploy@{refused}");
    let outcome = project.dfab_in(&lab, &[&["-H", &target], &UPDATE[..]].concat()).run();
    outcome.expect_code(1).expect_error(&["127.0.0.1", "refused"]).expect_within(Duration::from_secs(5));
}

#[test]
fn a_host_that_accepts_and_says_nothing_fails_within_the_connection_timeout() {
    let lab = lab_or_skip!();
    let project = Project::example();
    // The kernel takes the connection; no one ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("deploy@{}", silent.local_addr().unwrap());
    let outcome = project.dfab_in(&lab, &[&["-t", "3", "-H", &target], &UPDATE[..]].concat()).run();
    outcome.expect_code(1).expect_error(&["127.0.0.1"]).expect_within(Duration::from_secs(8));
}

#[test]
fn an_unknown_host_key_is_refused() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    let config = std::fs::read_to_string(lab.ssh_config()).unwrap();
    let known = lab.folder.join("known_hosts").display().to_string();
    std::fs::write(project.path().join("known_hosts"), "").unwrap();
    let own = project.path().join("known_hosts").display().to_string();
    std::fs::write(project.path().join("ssh_config"), config.replace(&known, &own)).unwrap();
    let call = [&["--ssh-config-path", "ssh_config", "-H", "host1"], &UPDATE[..]].concat();
    let outcome = project.dfab(&call).run();
    outcome.expect_code(1).expect_error(&["host1", "host key", "known_hosts"]).expect_within(IN_TIME);

    // A key that changed is worse than an unknown one, and says so.
    let other = std::fs::read_to_string(lab.folder.join("id_ed25519.pub")).unwrap();
    let other = other.rsplit_once(' ').unwrap().0;
    std::fs::write(project.path().join("known_hosts"), format!("{} {other}\n", host.address)).unwrap();
    let outcome = project.dfab(&call).run();
    outcome.expect_code(1).expect_error(&["host1", "host key"]).expect_within(IN_TIME);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn a_refused_login_names_user_and_host() {
    let lab = lab_or_skip!();
    let (project, _host) = (Project::example(), lab.take(1));
    let call = [&["-H", "nobody@host1"], &UPDATE[..]].concat();
    let outcome = project.dfab_in(&lab, &call).run();
    outcome.expect_code(1).expect_error(&["nobody", "host1"]).expect_within(IN_TIME);
}

#[test]
fn a_host_without_a_docker_socket_is_told_apart() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.run("mv /run/docker.sock /run/docker.sock.away");
    let outcome = project.dfab_in(&lab, &[&["-H", "host1"], &UPDATE[..]].concat()).run();
    host.run("mv /run/docker.sock.away /run/docker.sock");
    outcome.expect_code(1).expect_error(&["host1", "/var/run/docker.sock"]).expect_within(IN_TIME);
    host.expect_no_leftovers();
}

#[test]
fn a_user_outside_the_docker_group_is_told_so() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    let outcome = project.dfab_in(&lab, &[&["-H", "guest@host1"], &UPDATE[..]].concat()).run();
    outcome
        .expect_code(1)
        .expect_error(&["host1", "/var/run/docker.sock", "user `guest` is not in group `docker`"])
        .expect_within(IN_TIME);
    host.expect_no_leftovers();
}

#[test]
fn an_image_that_no_registry_has_fails_with_its_name() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    project.edit("example_map.yaml", "image: nginx", "image: nginx:no-such-tag");
    let outcome = project.dfab_in(&lab, &[&["-H", "host1"], &UPDATE[..]].concat()).run();
    outcome.expect_code(1).expect_error(&["registry.example.com/nginx:no-such-tag", "host1"]);
}
