//! `actions.single_cmd` and the folder for its results (clients-tasks §9.5).

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bench::Bench;

/// What it leaves would be lost.
#[test]
fn a_command_does_not_run_where_its_results_cannot_be_kept() {
    let bench = Bench::new();
    let line = "actions.single_cmd m new true --download-result run.sh/results";
    let (code, printed) = bench.run(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(code, 2, "{printed}");
    assert!(
        printed.contains("run.sh/results` cannot be made") && printed.contains("Not a directory"),
        "{printed}"
    );
    assert_eq!(*bench.requests.lock().unwrap(), [""; 0]);
}

/// As with every other action.
#[test]
fn a_script_runs_on_the_hosts_that_can_be_reached() {
    let bench = Bench::new();
    let mut command = bench.command(&["actions.script", "two", "new", "run.sh"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let has_begun = || bench.requests.lock().unwrap().iter().any(|request| request.starts_with("POST "));
    while !has_begun() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended because of the host that is down");
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    // The engine never answers; a kill would leave the folder.
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
}
