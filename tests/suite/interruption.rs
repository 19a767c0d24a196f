//! Ctrl-C and `kill -9` in the middle of an update: nothing temporary stays, and the next run completes the job.

use std::time::{Duration, Instant};

use dfab_tests::{Host, Outcome, Project, lab_or_skip};
use rustix::process::Signal;

const UPDATE: [&str; 3] = ["actions.update", "example_map", "web_server"];

/// Starts an update and sends `signal` as soon as `sign` prints something on the host.
fn interrupted(project: &Project, host: &Host<'_>, signal: Signal, sign: &str) -> Outcome {
    let mut running = project.dfab_in(host.lab, &[&["-H", &host.name], &UPDATE[..]].concat()).start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.run(sign).is_empty() {
        assert!(Instant::now() < deadline, "`{sign}` never showed anything");
        assert!(!running.has_ended(), "the update ended before it could be interrupted:\n{}", running.end());
        std::thread::sleep(Duration::from_millis(2));
    }
    running.signal(signal);
    running.end()
}

/// Moments in an update: (what is being done, a script that prints something from then on).
const MOMENTS: [(&str, &str); 3] = [
    ("pulling", "docker images -q registry.example.com/app"),
    ("preparing volumes", "docker volume ls -q"),
    ("creating containers", "docker ps -aq --filter name=example_map"),
];

fn completes(project: &Project, host: &Host<'_>) {
    project.dfab_in(host.lab, &[&["-H", &host.name], &UPDATE[..]].concat()).run().expect_code(0);
    assert!(host.ask().contains("version 1"));
    let again = [&["-H", &host.name, "--output=json"], &UPDATE[..]].concat();
    assert_eq!(project.dfab_in(host.lab, &again).run().expect_code(0).plan(), [""; 0]);
    assert_eq!(
        host.containers(),
        ["example_map.app_server.instance1", "example_map.app_server.instance2", "example_map.web_server"]
    );
    for volume in ["example_map.app_log", "example_map.app_server_socket"] {
        let place = host.run(&format!("docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}"));
        assert_eq!(host.run(&format!("stat -c '%u:%g %a' {place}")), "2000:2000 750", "{volume}");
    }
    host.expect_no_leftovers();
}

#[test]
fn ctrl_c_ends_with_130_and_leaves_nothing_temporary() {
    let lab = lab_or_skip!();
    let project = Project::example();
    for (moment, sign) in MOMENTS {
        let host = lab.take(4.min(lab.host_count()));
        host.install_site();
        let outcome = interrupted(&project, &host, Signal::INT, sign);
        assert_eq!(outcome.status.code(), Some(130), "while {moment}: {outcome}");
        host.expect_no_leftovers();
        completes(&project, &host);
    }
}

#[test]
fn kill_9_leaves_nothing_temporary_and_the_next_run_completes() {
    let lab = lab_or_skip!();
    let project = Project::example();
    for (_moment, sign) in MOMENTS {
        let host = lab.take(4.min(lab.host_count()));
        host.install_site();
        interrupted(&project, &host, Signal::KILL, sign);
        completes(&project, &host);
    }
}

/// The task that uploaded it can do nothing any more.
#[test]
fn the_second_ctrl_c_leaves_no_script_on_the_host() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[
        ("task_map.yaml", "job: {image: busybox}\n"),
        ("run.sh", "#!/bin/sh\necho begun\nexec sleep 600\n"),
    ]);
    let line = ["-H", &host.name, "actions.script", "task_map", "job", "run.sh", "--entrypoint=/bin/sh"];
    let line = [&line[..], &["--command-format={script_path}"]].concat();
    let mut running = project.dfab_in(host.lab, &line).start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !host.run("docker logs task_map.job 2>/dev/null || true").contains("begun") {
        assert!(
            Instant::now() < deadline && !running.has_ended(),
            "the script never began:\n{}",
            running.end()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_ne!(host.run("ls /tmp"), "", "the script is there while it runs");
    let outcome = running.interrupt_until_it_ends().expect_code(130);
    host.run("docker rm -f task_map.job");
    assert_eq!(host.run("ls /tmp"), "", "{outcome}");
}
