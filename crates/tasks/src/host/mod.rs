//! Utilities on a host: temporary directories, users and groups, addresses (clients-tasks §7).
//!
//! What the source systems had as functions on the current host takes the host as a value here. Nothing is
//! printed, and nothing is left on a host that a function does not name in its result.

pub mod directories;
pub mod network;
pub mod users;

#[cfg(test)]
mod fake;

use async_trait::async_trait;
use dfab_client::error::Source;

use crate::setup;
use crate::setup::Finished;

/// A host that runs commands. Every [`setup::Host`] is one.
#[async_trait(?Send)]
pub trait Commands {
    /// Has a POSIX shell run a line, as root where that is said; the login may be root already.
    ///
    /// # Errors
    ///
    /// When it cannot be run. A failing command is no error here.
    async fn run(&self, line: &str, root: bool) -> Result<Finished, Source>;
}

#[async_trait(?Send)]
impl<H: setup::Host + ?Sized> Commands for H {
    async fn run(&self, line: &str, root: bool) -> Result<Finished, Source> {
        setup::Host::run(self, line, root).await
    }
}

/// Why a utility has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line cannot be run at all.
    #[error("failed to run `{0}`")]
    Broken(String, #[source] Source),
    /// A command has failed.
    #[error("`{line}` {how}")]
    Failed {
        /// The command.
        line: String,
        /// How it ended, and what it wrote to standard error.
        how: String,
    },
    /// A command has answered with something that is none.
    #[error("`{line}` answers `{answer}`, which is not {wanted}")]
    Answer {
        /// The command.
        line: String,
        /// What it wrote.
        answer: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A group has another number than the one that is asked for.
    #[error("Present group id '{present}' does not match the required id of the environment '{required}'.")]
    GroupId {
        /// Its number on the host.
        present: u32,
        /// The one that is asked for.
        required: u32,
    },
    /// A user has another number than the one that is asked for.
    #[error("Present user id '{present}' does not match the required id of the environment '{required}'.")]
    UserId {
        /// Its number on the host.
        present: u32,
        /// The one that is asked for.
        required: u32,
    },
    /// There is no such network interface.
    #[error("Network interface {0} not found.")]
    Interface(String),
    /// A directory of this machine cannot be made.
    #[error("failed to make a temporary directory on this machine")]
    Local(#[source] std::io::Error),
    /// The run was cancelled.
    #[error("interrupted")]
    Cancelled,
}

/// Runs a line that must succeed, and returns what it wrote to standard output.
async fn succeed(host: &dyn Commands, line: &str, root: bool) -> Result<String, Error> {
    let finished = run(host, line, root).await?;
    match finished.failed {
        None => Ok(finished.stdout),
        Some(_) => Err(failed(line, finished)),
    }
}

async fn run(host: &dyn Commands, line: &str, root: bool) -> Result<Finished, Error> {
    host.run(line, root).await.map_err(|source| Error::Broken(line.to_owned(), source))
}

fn failed(line: &str, finished: Finished) -> Error {
    let mut how = finished.failed.unwrap_or_default();
    let said = finished.stderr.trim();
    if !said.is_empty() {
        how = format!("{how}: {said}");
    }
    Error::Failed { line: line.to_owned(), how }
}
