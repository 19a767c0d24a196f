//! A stand-in for the `docker` program: a small `sh` script that knows some command lines by heart,
//! replays what was recorded for them, and notes how it was called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::CliBackend;
use crate::options::CliOptions;
use crate::shell::LocalShell;

/// Compares its arguments with those of each reply; notes arguments, NUL-terminated, in a file of
/// its own, and its standard input where it was asked to read it.
const PROGRAM: &str = r#"#!/bin/sh
here=${0%/*}
call=$(mktemp "$here/calls/XXXXXXXX")
printf '%s\0' "$@" >"$call"
for reply in "$here"/replies/*; do
  args=$(cat "$reply/args"; echo x)
  if [ "$*x" = "$args" ]; then
    [ -f "$reply/input" ] && cat >"$reply/input"
    [ -f "$reply/script" ] && . "$reply/script"
    cat "$reply/stdout"
    cat "$reply/stderr" >&2
    exit "$(cat "$reply/status")"
  fi
done
echo "fake docker: not expected: $*" >&2
exit 99
"#;

/// A folder with the program, its replies and notes, and a folder for temporary files.
pub(crate) struct Fake {
    folder: tempfile::TempDir,
}

/// One command line and what it does.
#[derive(Default)]
pub(crate) struct Reply<'a> {
    pub(crate) args: &'a str,
    pub(crate) stdout: &'a [u8],
    pub(crate) stderr: &'a str,
    pub(crate) status: i32,
    pub(crate) reads_input: bool,
    /// Shell text that the program runs first.
    pub(crate) script: &'a str,
}

impl Fake {
    pub(crate) fn new(replies: &[Reply<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["replies", "calls", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let fake = Self { folder };
        fake.program("docker", PROGRAM);
        for (number, reply) in replies.iter().enumerate() {
            let folder = fake.path(&format!("replies/{number:03}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("args"), reply.args).unwrap();
            fs::write(folder.join("stdout"), reply.stdout).unwrap();
            fs::write(folder.join("stderr"), reply.stderr).unwrap();
            fs::write(folder.join("status"), reply.status.to_string()).unwrap();
            if reply.reads_input {
                fs::write(folder.join("input"), "").unwrap();
            }
            if !reply.script.is_empty() {
                fs::write(folder.join("script"), reply.script).unwrap();
            }
        }
        fake
    }

    /// Adds a program beside `docker`, in the folder that comes first in `PATH`.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn shell(&self) -> LocalShell {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap_or_default());
        LocalShell::new().with_variable("PATH", path).with_variable("TMPDIR", text(&self.path("tmp")))
    }

    pub(crate) fn backend(&self, options: CliOptions) -> CliBackend {
        CliBackend::new(Arc::new(self.shell()), options)
    }

    /// The arguments of every call, sorted.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        let files = fs::read_dir(self.path("calls")).unwrap();
        let mut calls: Vec<Vec<String>> = files
            .map(|file| {
                let text = String::from_utf8(fs::read(file.unwrap().path()).unwrap()).unwrap();
                text.split_terminator('\0').map(str::to_owned).collect()
            })
            .collect();
        calls.sort();
        calls
    }

    /// What reply `number` has read from its standard input.
    pub(crate) fn input(&self, number: usize) -> String {
        fs::read_to_string(self.path(&format!("replies/{number:03}/input"))).unwrap()
    }

    /// Asserts that no script leaves anything behind; results come before a script's end.
    pub(crate) fn assert_tidy(&self) {
        let left = || -> Vec<PathBuf> {
            fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        for _ in 0..100 {
            if left().is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        panic!("{:?}", left());
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
