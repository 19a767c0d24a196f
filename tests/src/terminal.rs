//! A person at a terminal: keys go in, and the screen is looked at.
//!
//! The pseudo terminal is made by `script` of util-linux, so that the program has it as its controlling terminal and
//! Ctrl-C reaches it as it does in life. What is written to it goes through a terminal emulator.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long something may take to appear. Far above what is expected: it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// The Ctrl-C key.
pub const CTRL_C: &str = "\u{3}";

/// A program in a terminal.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts a shell command line in a terminal of this width.
    ///
    /// The environment is empty but for `PATH`, `HOME` and `TERM`, and what `variables` adds.
    pub fn start(line: &str, folder: &Path, columns: u16, variables: &[(&str, &str)]) -> Self {
        let rows = 50;
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--flush", "--command"])
            .arg(format!("stty cols {columns} rows {rows} && exec {line}"))
            .arg("/dev/null")
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("`script` starts");
        let keys = child.stdin.take().expect("standard input is a pipe");
        let mut output = child.stdout.take().expect("standard output is a pipe");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(rows), size(columns), 1000)));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut block) {
                lock(&shared).process(&block[..length]);
            }
        });
        Self { child, keys, screen }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("the terminal takes keys");
    }

    /// Returns what is on the screen, without blanks at the ends of lines.
    pub fn screen(&self) -> String {
        let text = lock(&self.screen).screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Returns the rows of the screen as a person sees them: a line that is too long takes several.
    pub fn rows(&self) -> String {
        let parser = lock(&self.screen);
        let (_, columns) = parser.screen().size();
        let rows: Vec<String> =
            parser.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Waits until the screen shows what is wanted, and returns it.
    ///
    /// # Panics
    ///
    /// When that never happens.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut shows: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            // The end is looked at first: what was written before it is on the screen a moment later.
            let ended = self.child.try_wait().expect("`script` can be waited for").is_some();
            let screen = self.screen();
            if shows(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the screen never shows {what}:\n{screen}");
            if ended {
                std::thread::sleep(Duration::from_millis(300));
                let screen = self.screen();
                assert!(shows(&screen), "the program ended without showing {what}:\n{screen}");
                return screen;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As [`Terminal::wait_until`], for a text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(&format!("`{text}`"), |screen| screen.contains(text))
    }

    /// Waits for the end, and returns the last screen and the exit code.
    #[track_caller]
    pub fn end(&mut self) -> (String, Option<i32>) {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("`script` can be waited for") {
                // The reading thread ends with the pipe; what it has read last is shown a moment later.
                std::thread::sleep(Duration::from_millis(300));
                return (self.screen(), status.code());
            }
            assert!(Instant::now() < deadline, "the program never ends:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has rows and columns")
}

fn lock(screen: &Mutex<vt100::Parser>) -> MutexGuard<'_, vt100::Parser> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
