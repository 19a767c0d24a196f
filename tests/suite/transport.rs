//! One SSH connection for a run, whichever way leads to the socket, and no port on this side.

use std::collections::HashSet;
use std::fs;

use dfab_tests::{Host, Project, lab_or_skip};

fn call<'a>(project: &Project, host: &Host<'a>, more: &[&str]) -> dfab_tests::Dfab {
    let words =
        [&["-H", &host.name], more, &["--output=json", "actions.update", "example_map", "web_server"]]
            .concat();
    project.dfab_in(host.lab, &words)
}

#[test]
fn each_way_to_the_socket_uses_one_connection_and_leaves_nothing() {
    let lab = lab_or_skip!();
    for (number, way) in [(1, "streamlocal"), (2, "socat"), (3, "dial-stdio"), (1, "auto")] {
        let (project, host) = (Project::example(), lab.take(number.min(lab.host_count())));
        host.install_site();
        let way = format!("docker_tunnel={way}");
        for _ in 0..2 {
            let logins = host.logins();
            let outcome = call(&project, &host, &["--set", &way]).run().expect_code(0);
            host.expect_no_leftovers();
            assert_eq!(
                (logins.connections(), logins.accepted()),
                (1, 1),
                "{way}: {:?}\n{outcome}",
                logins.lines()
            );
        }
    }
}

#[test]
fn where_sshd_forwards_no_sockets_another_way_is_found() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    let logins = host.logins();
    let target = format!("deploy@{}:2222", host.address);
    let words = ["-H", &target, "--output=json", "actions.update", "example_map", "web_server"];
    let outcome = project.dfab_in(&lab, &words).run().expect_code(0);
    // It says so, and shows the command only where that is asked for.
    let said = "`/var/run/docker.sock` is reached by socat: ";
    assert!(
        outcome.stderr.contains(said) && outcome.stderr.contains("AllowStreamLocalForwarding"),
        "{outcome}"
    );
    let command = "run: socat STDIO UNIX-CONNECT:/var/run/docker.sock";
    assert!(!outcome.stderr.contains(command), "{outcome}");
    assert!(host.ask().contains("version 1"));
    host.expect_no_leftovers();
    assert_eq!(logins.accepted(), 1, "{:?}", logins.lines());
    assert_eq!(project.dfab_in(&lab, &words).run().expect_code(0).plan(), [""; 0]);

    let shown = ["--set", "socat_quiet=no", "-H", &target, "docker.version"];
    let outcome = project.dfab_in(&lab, &shown).run().expect_code(0);
    assert!(outcome.stderr.contains(&format!("[{target}] {command}")), "{outcome}");
    let outcome =
        project.dfab_in(&lab, &["--set", "socat_quiet=no", "-H", &host.name, "docker.version"]).run();
    assert!(outcome.expect_code(0).stderr.contains("no command runs for streams"), "it is silent");

    let refused =
        project.dfab_in(&lab, &[&["--set", "docker_tunnel=streamlocal"], &words[..]].concat()).run();
    refused.expect_code(1);
}

#[test]
fn no_port_is_opened_on_this_side() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    let mut running = call(&project, &host, &[]).start();
    let mut looks = 0;
    while !running.has_ended() {
        let listening = listening_sockets_of(running.pid());
        assert!(listening.is_empty(), "dfab listens: {listening:?}");
        looks += 1;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.end().expect_code(0);
    assert!(looks > 10, "the run was too short to be looked at ({looks} looks)");
}

/// Returns the lines of the kernel's tables for TCP and Unix sockets in which a process listens.
fn listening_sockets_of(pid: u32) -> Vec<String> {
    let open: HashSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut listening = Vec::new();
    for table in ["tcp", "tcp6"] {
        for line in fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default().lines().skip(1)
        {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // State 0A is LISTEN; the tenth field is the socket's inode.
            if fields[3] == "0A" && open.contains(fields[9]) {
                listening.push(format!("{table} {}", fields[1]));
            }
        }
    }
    listening
}

#[test]
fn a_listener_for_other_programs_is_bound_to_the_loopback_when_asked_for() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::example(), lab.take(1));
    host.install_site();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let setting = format!("docker_tunnel_local_port={port}");
    let mut running = call(&project, &host, &["--set", &setting]).start();
    let mut seen = HashSet::new();
    while !running.has_ended() {
        seen.extend(listening_sockets_of(running.pid()));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.end().expect_code(0);
    assert_eq!(seen, HashSet::from([format!("tcp 0100007F:{port:04X}")]));
}
