//! Ctrl-C, once and twice, while the engine does not answer (cli §6).

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::Bench;

/// How long anything may take before the test fails. Far above what is expected: it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Temporary folders with a file of this name.
fn folders_with(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.to_string_lossy().starts_with("/tmp/dfab-") && path.join(name).exists())
        .collect()
}

fn press_ctrl_c(child: &Child) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
}

#[test]
fn the_second_ctrl_c_leaves_no_script_behind() {
    let bench = Bench::new();
    let name = format!("script-{}.sh", std::process::id());
    std::fs::write(bench.folder.path().join(&name), "exit 0\n").unwrap();
    let mut command = bench.command(&["actions.script", "m", "new", &name]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the engine is to change something", || {
        bench.requests.lock().unwrap().iter().any(|request| request.starts_with("POST "))
    });
    assert_eq!(folders_with(&name).len(), 1, "the script was uploaded");
    // Two that come together count as one.
    wait_until("it ends", || {
        press_ctrl_c(&child);
        std::thread::sleep(Duration::from_millis(300));
        child.try_wait().unwrap().is_some()
    });
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("stopped at once"), "{said}");
    assert_eq!(folders_with(&name), Vec::<PathBuf>::new(), "{said}");
}
