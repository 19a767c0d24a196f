//! Calling the real `dfab` binary in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::Lab;

/// How long a call may take before the test fails. Far above what is expected: it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder with map and project files, which is also the home of the user who calls.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// Makes a folder with these files.
    pub fn new(files: &[(&str, &str)]) -> Project {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file can be written");
        }
        Project { folder }
    }

    /// Makes a folder with a copy of the documentation's example.
    pub fn example() -> Project {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/example_map");
        let project = Project::new(&[]);
        for name in ["dfab.yaml", "example_map.yaml", "example_hosts.yaml", "example_clients.yaml"] {
            fs::copy(example.join(name), project.path().join(name)).expect("a file can be copied");
        }
        project
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces a text that occurs once in a file.
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).expect("the file exists");
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {file}");
        fs::write(&path, text.replace(old, new)).expect("the file can be written");
    }

    /// Returns a call of `dfab` in this folder, without a lab.
    pub fn dfab<S: AsRef<str>>(&self, arguments: &[S]) -> Dfab {
        let mut command = Command::new(binary());
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1")
            .args(arguments.iter().map(AsRef::as_ref));
        Dfab { command }
    }

    /// Returns a call of `dfab` with the lab's SSH configuration.
    pub fn dfab_in<S: AsRef<str>>(&self, lab: &Lab, arguments: &[S]) -> Dfab {
        let mut dfab = self.dfab(&["--ssh-config-path", &lab.ssh_config().to_string_lossy()]);
        dfab.command.args(arguments.iter().map(AsRef::as_ref));
        dfab
    }
}

/// Returns the binary that `DFAB_BIN` names, else the one beside the test binary.
pub fn binary() -> PathBuf {
    std::env::var_os("DFAB_BIN").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test has a path");
        // target/debug/deps/suite-… -> target/debug/dfab
        let binary = test.parent().and_then(Path::parent).expect("cargo's folders").join("dfab");
        assert!(binary.exists(), "`{}` is missing: `cargo build -p dfab`, or set DFAB_BIN", binary.display());
        binary
    })
}

/// A call that has not started.
pub struct Dfab {
    command: Command,
}

impl Dfab {
    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Dfab {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let line = format!("{:?}", self.command);
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`dfab` starts");
        Running { child: Some(child), line, started: Instant::now() }
    }

    /// Starts it with its standard output in a file, which can be read meanwhile.
    pub fn start_into(mut self, file: &Path) -> Running {
        let line = format!("{:?}", self.command);
        let file = fs::File::create(file).expect("a file can be made");
        let command = self.command.stdin(Stdio::null()).stdout(file).stderr(Stdio::piped());
        let child = command.spawn().expect("`dfab` starts");
        Running { child: Some(child), line, started: Instant::now() }
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.start().end()
    }
}

/// A call on its way.
pub struct Running {
    /// None once it is waited for.
    child: Option<Child>,
    line: String,
    started: Instant,
}

/// A test that fails leaves nothing running: `docker.tunnel` would go on to connect to the hosts of later tests.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended this moment.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("only the end takes it").id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process ID");
        kill_process(pid, signal).expect("the call still runs");
    }

    /// Presses Ctrl-C until it ends: two signals that come together count as one.
    pub fn interrupt_until_it_ends(mut self) -> Outcome {
        let deadline = Instant::now() + LIMIT;
        while !self.has_ended() && Instant::now() < deadline {
            self.signal(Signal::INT);
            std::thread::sleep(Duration::from_millis(300));
        }
        self.end()
    }

    /// Returns whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("only the end takes it");
        child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it takes longer than two minutes.
    pub fn end(mut self) -> Outcome {
        let (line, started) = (std::mem::take(&mut self.line), self.started);
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process ID");
        let (sender, receiver) = std::sync::mpsc::channel();
        let child = self.child.take().expect("only the end takes it");
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(LIMIT) else {
            // It may have ended this moment; the test fails in any case.
            let _ = kill_process(pid, Signal::KILL);
            panic!("{line} did not end within {LIMIT:?}");
        };
        let output = output.expect("the output can be read");
        Outcome {
            line,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: started.elapsed(),
        }
    }
}

/// How a call ended.
pub struct Outcome {
    line: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Wall time.
    pub took: Duration,
}

impl Outcome {
    /// Checks the exit code (cli §6), and returns the outcome for more.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Outcome {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// Checks that each of these texts stands in standard error.
    #[track_caller]
    pub fn expect_error(self, texts: &[&str]) -> Outcome {
        for text in texts {
            assert!(self.stderr.contains(text), "standard error lacks `{text}`:\n{self}");
        }
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// Checks that it ended in time.
    #[track_caller]
    pub fn expect_within(self, limit: Duration) -> Outcome {
        assert!(self.took < limit, "it took {:?}, not {limit:?}:\n{self}", self.took);
        self
    }

    /// Reads standard output as the one JSON document of `--output json` (cli §5.1).
    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document ({error}):\n{self}"));
        assert_eq!(value["format"], 1, "{self}");
        value
    }

    /// Returns the plan of the JSON document as `ACTION KIND NAME` lines.
    #[track_caller]
    pub fn plan(&self) -> Vec<String> {
        let json = self.json();
        let steps = json["plan"].as_array().unwrap_or_else(|| panic!("no plan:\n{self}"));
        let text = |step: &Value, field: &str| step[field].as_str().unwrap_or("?").to_owned();
        steps
            .iter()
            .map(|step| format!("{} {} {}", text(step, "action"), text(step, "kind"), text(step, "name")))
            .collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n{} after {:?}\n--- stdout\n{}--- stderr\n{}",
            self.line, self.status, self.took, self.stdout, self.stderr
        )
    }
}
