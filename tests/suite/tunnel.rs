//! Local ports that lead to the engines of hosts, used by the real `docker` client: those that `docker.tunnel` holds,
//! and those that stand during a run.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use dfab_tests::{Project, Running, lab_or_skip};
use rustix::process::Signal;

/// Returns the first of `count` ports in a row that were free a moment ago, below those that the system gives out.
pub fn free_ports(count: u16) -> u16 {
    let begin = 20_000 + u16::try_from(std::process::id() % 10_000).expect("it is small");
    let is_free =
        |port: &u16| (*port..port + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (begin..32_000).step_by(usize::from(count)).find(is_free).expect("some ports are free")
}

fn docker(port: u16, words: &[&str]) -> Output {
    let mut command = Command::new("/usr/bin/docker");
    command.args(["-H", &format!("tcp://127.0.0.1:{port}")]).args(words).output().expect("`docker` starts")
}

/// Waits until `docker` gets an answer at a port, and returns the name of the engine's host.
#[track_caller]
fn name_behind(port: u16, running: &mut Running) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = docker(port, &["info", "--format", "{{.Name}}"]);
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !name.is_empty() {
            return name;
        }
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!running.has_ended(), "the tunnel has ended; docker said: {words}");
        assert!(Instant::now() < deadline, "no answer at port {port}: {words}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn ports_count_up_by_host_and_pass_over_busy_ones_until_ctrl_c() {
    let lab = lab_or_skip!();
    if lab.host_count() < 2 {
        return dfab_tests::skipped("tunnel (a lab of two hosts)");
    }
    let _hosts = (lab.take(1), lab.take(2));
    let project = Project::new(&[]);
    let first = free_ports(3);
    let _busy = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let setting = format!("docker_tunnel_local_port={first}");
    let mut running = project
        .dfab_in(&lab, &["--set", &setting, "--output=json", "docker.tunnel", "host1", "host2"])
        .start();
    assert_eq!(name_behind(first + 1, &mut running), "host1");
    assert_eq!(name_behind(first + 2, &mut running), "host2");
    // A container's streams need more of a connection than a question and an answer: each side ends by itself.
    let output = docker(first + 1, &["run", "--rm", "busybox", "echo", "through the tunnel"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "through the tunnel\n", "{output:?}");
    running.signal(Signal::INT);
    let outcome = running.end().expect_code(130);
    outcome.expect_error(&[&format!("[host1] note: local port {first} is in use")]);
}

#[test]
fn the_document_names_the_ports_while_they_stand() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let port = free_ports(1);
    let setting = format!("docker_tunnel_local_port={port}");
    let mut running =
        project.dfab_in(&lab, &["--set", &setting, "--output=json", "-H", "host1", "docker.tunnel"]).start();
    assert_eq!(name_behind(port, &mut running), "host1");
    running.signal(Signal::INT);
    let outcome = running.end().expect_code(130);
    // A document that was made at the end would tell of the interruption.
    let json = outcome.json();
    assert_eq!((&json["ok"], json.get("error")), (&true.into(), None), "{outcome}");
    let row = &json["rows"][0];
    assert_eq!((&row["host"], &row["port"]), (&"host1".into(), &port.into()), "{outcome}");
    assert_eq!(row["docker_host"], format!("tcp://127.0.0.1:{port}"), "{outcome}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is closed");
    host.expect_no_leftovers();
}

#[test]
fn a_host_that_cannot_be_reached_is_named_and_the_others_stay() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let first = free_ports(2);
    let setting = format!("docker_tunnel_local_port={first}");
    let dead = format!("deploy@{}.250", host.address.rsplit_once('.').unwrap().0);
    let words = ["-t", "2", "--set", &setting, "docker.tunnel", &dead, "host1"];
    let mut running = project.dfab_in(&lab, &words).start();
    // The dead host keeps its number, so that a port does not depend on who answers.
    assert_eq!(name_behind(first + 1, &mut running), "host1");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(name_behind(first + 1, &mut running), "host1");
    running.signal(Signal::INT);
    let outcome =
        running.end().expect_code(1).expect_error(&[&format!("[{dead}] warning: "), "error: no port leads"]);
    assert_eq!(outcome.stdout, format!("[host1] DOCKER_HOST=tcp://127.0.0.1:{}\n", first + 1));

    // With nobody left there is nothing to hold.
    let outcome = project.dfab_in(&lab, &["-t", "2", "docker.tunnel", &dead]).run();
    outcome.expect_code(1).expect_error(&[".250"]).expect_within(Duration::from_secs(60));
}

#[test]
fn a_port_outlives_the_connection_behind_it() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let port = free_ports(1);
    let setting = format!("docker_tunnel_local_port={port}");
    let mut running = project.dfab_in(&lab, &["--set", &setting, "docker.tunnel", "host1"]).start();
    assert_eq!(name_behind(port, &mut running), "host1");
    // The processes of sshd that serve `deploy`; the one that listens stays.
    host.run("pgrep -f '[s]shd: deploy' | xargs -r kill -KILL");
    assert_eq!(name_behind(port, &mut running), "host1");
    running.signal(Signal::INT);
    running.end().expect_code(130);
    host.expect_no_leftovers();
}

/// clients-tasks §2.5: with `docker_tunnel_local_port` the port stands as soon as a task has used the engine.
#[test]
fn a_port_that_was_asked_for_stands_during_any_run() {
    let lab = lab_or_skip!();
    let _host = lab.take(1);
    let port = free_ports(1);
    let file = format!(
        "env:\n  docker_tunnel_local_port: {port}\ntasks:\n  both:\n    - docker.version\n    \
         - local: /usr/bin/docker -H tcp://127.0.0.1:{port} run --rm busybox echo 'beside the run'\n"
    );
    let project = Project::new(&[("dfab.yaml", &file)]);
    let outcome = project.dfab_in(&lab, &["-H", "host1", "both"]).run().expect_code(0);
    assert!(outcome.stdout.contains("[localhost] out: beside the run"), "{outcome}");
}
