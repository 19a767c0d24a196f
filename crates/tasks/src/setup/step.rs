//! What a set-up task does on a host: steps, each with its reason.

use std::fmt;
use std::path::PathBuf;

use super::Family;

/// What is left to do on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is there already, and what a person should know.
    pub notes: Vec<String>,
    /// The steps, in order. A failing one ends the plan, but those that undo one that was done follow.
    pub steps: Vec<Step>,
    /// Whether a step takes effect only in a new login.
    pub reconnect: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done on the host.
    pub action: Action,
    /// Why it is needed.
    pub why: String,
    /// The position of the step whose doing it undoes: it is done after a later failure too.
    pub undoes: Option<usize>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Has a POSIX shell run a line.
    Run {
        /// The line.
        line: String,
        /// As root, else as the login user.
        root: bool,
    },
    /// Uploads a file.
    Put {
        /// The file on this machine.
        local: PathBuf,
        /// Its path on the host.
        remote: String,
        /// Its permission bits.
        mode: u32,
        /// As root, else as the login user.
        root: bool,
    },
}

impl Plan {
    /// Adds a step that root does; a login as root needs no `sudo` for it.
    pub(super) fn root(&mut self, line: impl Into<String>, why: impl Into<String>) {
        let action = Action::Run { line: line.into(), root: true };
        self.steps.push(Step { action, why: why.into(), undoes: None });
    }

    /// Adds a step that the login user does.
    pub(super) fn user(&mut self, line: impl Into<String>, why: impl Into<String>) {
        let action = Action::Run { line: line.into(), root: false };
        self.steps.push(Step { action, why: why.into(), undoes: None });
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { line, root: true } => write!(f, "sudo: {line}"),
            Self::Run { line, root: false } => write!(f, "run: {line}"),
            Self::Put { local, remote, mode, .. } => {
                write!(f, "put: {} -> {remote} (mode {mode:04o})", local.display())
            }
        }
    }
}

/// The step as a line that a shell could read: the reason is its comment.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  # {}", self.action, self.why)
    }
}

/// Notes, then steps, a line each.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

/// Why there is no plan for a host. Nothing was changed on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What the host told cannot be read.
    #[error("the host's answer about itself is cut off or no answer: `{0}`")]
    NoAnswer(String),
    /// Its package manager is none that we know.
    #[error("there are no set-up steps for `{0}`: it is neither of the Debian nor of the Red Hat family")]
    UnknownSystem(String),
    /// The task is for another family.
    #[error("the host runs `{system}`, which is not of the {expected} family")]
    OtherFamily {
        /// What the host runs.
        system: String,
        /// What the task is for.
        expected: Family,
    },
    /// Root is needed and cannot be had.
    #[error("root is needed, but the user `{0}` is not root, and the host has no `sudo`")]
    NoRoot(String),
    /// The distribution has no such package.
    #[error("`{system}` has no package with {what}")]
    NoPackage {
        /// What the host runs.
        system: String,
        /// What is looked for.
        what: &'static str,
    },
    /// A word that would be run as a command.
    #[error("`{value}` is no {what}")]
    Word {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
    },
}

impl Refusal {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoAnswer(_) => "the login shell of the host may print something, or end at once".to_owned(),
            Self::UnknownSystem(_) => {
                "install Docker or socat with the host's own tools; nothing else is needed".to_owned()
            }
            Self::OtherFamily { expected: Family::Debian, .. } => "use `docker.install_docker_centos` or \
                `docker.build_socat_centos`, or the tasks without a family, which look at the host"
                .to_owned(),
            Self::OtherFamily { expected: Family::RedHat, .. } => "use `docker.install_docker_debian` or \
                `docker.build_socat_ubuntu`, or the tasks without a family, which look at the host"
                .to_owned(),
            Self::NoRoot(_) => "log in as root, or install `sudo` on the host".to_owned(),
            Self::NoPackage { .. } => "`--source docker` takes Docker's own repository".to_owned(),
            Self::Word { .. } => return None,
        })
    }
}
