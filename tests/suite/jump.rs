//! Hosts behind hosts: a jump over two hops, by the SSH configuration and by `--gateway`.

use std::fs;

use dfab_tests::{Logins, Project, lab_or_skip};

#[test]
fn an_engine_behind_two_jump_hosts_is_reached_either_way() {
    let lab = lab_or_skip!();
    if lab.host_count() < 3 {
        return dfab_tests::skipped("jump (a lab of three hosts)");
    }
    let hosts = [lab.take(1), lab.take(2), lab.take(3)];
    let project = Project::example();
    hosts[2].install_site();
    let config = fs::read_to_string(lab.ssh_config()).unwrap();
    let jump = config.replacen("\nHost host3 ", "\nHost host3 behind ", 1);
    let jump = jump.replace("\nHost *\n", "\nHost behind\n    ProxyJump host1,host2\n\nHost *\n");
    assert_ne!(jump, config);
    fs::write(project.path().join("ssh_config"), &jump).unwrap();
    let update = ["actions.update", "example_map", "web_server"];

    for way in [
        &["-H", "behind"][..],
        &["-H", "host3", "-g", "host1,host2"],
        &["-H", "host3", "--gateway=host1,host2"],
    ] {
        let words = [&["--ssh-config-path", "ssh_config"], way, &update[..]].concat();
        let logins: Vec<Logins> = hosts.iter().map(|host| host.logins()).collect();
        let outcome = project.dfab(&words).run().expect_code(0);
        // Each host is logged in to once, and each from the one before it.
        let came_from: Vec<String> = logins
            .iter()
            .map(|logins| {
                let lines = logins.lines();
                let from: Vec<&str> = lines
                    .iter()
                    .filter_map(|line| line.strip_prefix("Connection from ")?.split(' ').next())
                    .collect();
                assert_eq!((from.len(), logins.accepted()), (1, 1), "{way:?}: {lines:?}\n{outcome}");
                from[0].to_owned()
            })
            .collect();
        assert_eq!(came_from[1..], [hosts[0].address.clone(), hosts[1].address.clone()], "{way:?}");
        assert!(hosts[2].ask().contains("version 1"));
    }
    assert_eq!(hosts[0].containers(), [""; 0]);
    for host in &hosts {
        host.expect_no_leftovers();
    }

    // A hop that refuses is the one that is named.
    let words =
        [&["--ssh-config-path", "ssh_config", "-H", "host3", "-g", "host1,nobody-known@host2"], &update[..]]
            .concat();
    project.dfab(&words).run().expect_code(1).expect_error(&["nobody-known", "refused the login"]);
}
