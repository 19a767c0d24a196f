//! Doing the steps of a plan on a host, and looking whether they took effect.

use std::path::Path;

use async_trait::async_trait;
use dfab_client::error::Source;

use super::step::{Action, Plan, Refusal, Step};
use super::{Facts, PROBE};

/// A host that is set up.
#[async_trait(?Send)]
pub trait Host {
    /// Has a POSIX shell run a line, as root where that is said; the login may be root already.
    ///
    /// # Errors
    ///
    /// When it cannot be run. A failing command is no error here.
    async fn run(&self, line: &str, root: bool) -> Result<Finished, Source>;

    /// Uploads a file, with these permission bits.
    ///
    /// # Errors
    ///
    /// When it cannot be read here, or written there.
    async fn put(&self, local: &Path, remote: &str, mode: u32, root: bool) -> Result<(), Source>;
}

/// What a command has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Why it counts as failed, for example `ended with status 1`; `None` is success.
    pub failed: Option<String>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What is told while a plan is carried out.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins.
    Begins(&'a Step),
    /// It has written this.
    Output(&'a Finished),
}

/// Why a host is not set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no steps for it; nothing was changed.
    #[error("there is nothing that could be done on this host")]
    Refused(#[source] Refusal),
    /// It cannot be reached, or a line cannot be run at all.
    #[error("failed to {0}")]
    Broken(String, #[source] Source),
    /// A step has failed. Those after it were not done.
    #[error("the step `{step}` {how}")]
    Step {
        /// The step.
        step: String,
        /// How it ended.
        how: String,
        /// The end of what it has written.
        said: String,
    },
    /// All steps were done, and the host still needs some.
    #[error("all steps were done, and these are still needed: {0}")]
    NoEffect(String),
    /// The user has asked to stop; steps before were done.
    #[error("stopped before the step `{0}`")]
    Stopped(String),
}

/// Asks a host about itself.
///
/// # Errors
///
/// [`Error::Broken`], [`Error::Refused`]
pub async fn inspect(host: &dyn Host) -> Result<Facts, Error> {
    let broken = |error| Error::Broken("ask the host about itself".to_owned(), error);
    let finished = host.run(PROBE, false).await.map_err(broken)?;
    Facts::parse(&finished.stdout).map_err(Error::Refused)
}

/// Does the steps of a plan, one after the other, and then looks at the host again: `decide` must find
/// nothing left to do. `stop` is asked before each step.
///
/// # Errors
///
/// The first step that failed; what undoes one that was done was done nevertheless.
pub async fn run(
    host: &dyn Host,
    plan: &Plan,
    decide: &dyn Fn(&Facts) -> Result<Plan, Refusal>,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(), Error> {
    let mut failure = None;
    let mut done = vec![false; plan.steps.len()];
    for (position, step) in plan.steps.iter().enumerate() {
        let undoes = step.undoes.is_some_and(|other| done[other]);
        if failure.is_none() && !undoes && stop() {
            failure = Some(Error::Stopped(step.action.to_string()));
        }
        if failure.is_some() && !undoes {
            continue;
        }
        tell(Event::Begins(step));
        let problem = match perform(host, step).await {
            Ok(finished) => {
                tell(Event::Output(&finished));
                failed(step, &finished)
            }
            Err(error) => Some(Error::Broken(format!("do the step `{}`", step.action), error)),
        };
        done[position] = problem.is_none();
        failure = failure.or(problem);
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let left = decide(&inspect(host).await?).map_err(Error::Refused)?.steps;
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::NoEffect(left.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

async fn perform(host: &dyn Host, step: &Step) -> Result<Finished, Source> {
    match &step.action {
        Action::Run { line, root } => host.run(line, *root).await,
        Action::Put { local, remote, mode, root } => {
            host.put(local, remote, *mode, *root).await.map(|()| Finished::default())
        }
    }
}

fn failed(step: &Step, finished: &Finished) -> Option<Error> {
    let how = finished.failed.clone()?;
    // Package managers say on standard output what they could not do.
    let texts = [&finished.stderr, &finished.stdout];
    let text = texts.into_iter().find(|text| !text.trim().is_empty()).map_or("", |text| text.trim());
    let lines: Vec<&str> = text.lines().collect();
    let said = lines[lines.len().saturating_sub(8)..].join("\n");
    Some(Error::Step { step: step.action.to_string(), how, said })
}
