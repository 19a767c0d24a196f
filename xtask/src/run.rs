//! The one way external programs are called: a failure names the command and shows its output.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::interrupt;

/// What this program does with a [`Command`].
pub trait Runs {
    /// Runs to the end with the terminal's own input and output.
    fn run(&mut self) -> Result<()>;

    /// Runs to the end and returns what it wrote to standard output.
    fn read(&mut self) -> Result<String>;

    /// Runs to the end with `input`, and returns what it wrote to standard output.
    fn read_with_input(&mut self, input: &[u8]) -> Result<String>;

    /// Runs to the end silently and tells whether it succeeded.
    fn succeeds(&mut self) -> bool;

    /// Returns the command as a person would type it.
    fn line(&self) -> String;
}

impl Runs for Command {
    fn run(&mut self) -> Result<()> {
        interrupt::check()?;
        let mut child = self.spawn().with_context(|| cannot_start(self))?;
        let status = wait(&mut child)?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.line());
        }
        Ok(())
    }

    fn read(&mut self) -> Result<String> {
        interrupt::check()?;
        let output = self.stdin(Stdio::null()).output().with_context(|| cannot_start(self))?;
        interrupt::check()?;
        text(self, &output)
    }

    fn read_with_input(&mut self, input: &[u8]) -> Result<String> {
        interrupt::check()?;
        let mut child = self
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| cannot_start(self))?;
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let output = std::thread::scope(|scope| {
            // A program that ends early closes its input; its status then tells more than our error.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output()
        })
        .with_context(|| format!("cannot read from `{}`", self.line()))?;
        interrupt::check()?;
        text(self, &output)
    }

    fn succeeds(&mut self) -> bool {
        self.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.get_program()).chain(self.get_args());
        words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }
}

/// Waits for a child, and ends it when this program is asked to end.
///
/// Ctrl-C reaches the child by itself; a signal to this program alone does not.
pub fn wait(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a program")? {
            interrupt::check()?;
            return Ok(status);
        }
        if interrupt::requested() {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::TERM);
            }
            child.wait().context("cannot wait for a program")?;
            bail!("interrupted");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(command: &Command, output: &Output) -> Result<String> {
    if !output.status.success() {
        let mut said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        if said.is_empty() {
            said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        }
        bail!("`{}` failed ({}):\n{said}", command.line(), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

/// Returns a command for a system program, also where a user's `PATH` leaves out the `sbin` folders.
pub fn tool(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| name.into()))
}

/// Returns the path of a system program, or `None` when it is not installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Quotes a word for a POSIX shell where it needs it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
