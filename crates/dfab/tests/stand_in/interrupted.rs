//! Ctrl-C, once and twice, while the engine does not answer (cli §6).

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
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

/// A log of gigabytes was held in memory, and nothing of it printed before its last byte.
#[test]
fn a_log_is_printed_while_it_is_read_and_ctrl_c_ends_that() {
    let bench = Bench::new();
    let mut command = bench.command(&["docker.logs", "endless"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut block) {
            shared.lock().unwrap().extend_from_slice(&block[..length]);
        }
    });
    wait_until("the first line", || said.lock().unwrap().windows(6).any(|part| part == b"first\n"));
    press_ctrl_c(&child);
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// At a terminal, which `script` of util-linux makes: Ctrl-C reaches the program as it does in life.
#[test]
fn ctrl_c_at_a_question_is_no_answer() {
    let bench = Bench::new();
    for (task, question) in [
        ("docker.remove_all_containers", "[y/N] "),
        (
            "docker.login registry.example.com --username deploy --set docker_registry_password=",
            "Password of deploy",
        ),
    ] {
        let program = bench.command(&[]);
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--flush", "--command"])
            .arg(format!("exec {} {task}", program.get_program().to_string_lossy()))
            .arg("/dev/null")
            .current_dir(program.get_current_dir().unwrap())
            .env_clear()
            .env("SHELL", "/bin/sh")
            .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&said);
        let reading = std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut block) {
                shared.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..length]));
            }
        });
        wait_until("the question", || said.lock().unwrap().contains(question));
        // A password's question stands on the screen before the program takes keys for itself.
        wait_until("it ends", || {
            // It may have ended this moment.
            let _ = keys.write_all(b"\x03");
            std::thread::sleep(Duration::from_millis(500));
            child.try_wait().unwrap().is_some()
        });
        reading.join().unwrap();
        let said = said.lock().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    }
    let requests = bench.requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.starts_with("GET ")), "{requests:?}");
}
