//! What a run tells while it runs, and what it says at the end.

use std::sync::Arc;
use std::time::Duration;

use dfab_map::names::ClientName;
use dfab_map::plan::StepId;

use crate::backend::PullProgress;
use crate::error::Error;

/// Something that happened. Steps are named by their number; the plan has the rest.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step's prerequisites are done and it has begun.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// The next call of a step has begun.
    CallStarted {
        /// The step.
        step: StepId,
        /// The call in words: ``create container `m.web` ``.
        call: String,
    },
    /// A pull has moved on.
    Progress {
        /// The step.
        step: StepId,
        /// One line of the engine's.
        progress: PullProgress,
    },
    /// Something worth a line: a warning of the engine, output of a helper or a script.
    Log {
        /// The step.
        step: StepId,
        /// The line, without its end.
        line: String,
    },
    /// A step is over, or was skipped.
    StepFinished {
        /// The step.
        step: StepId,
        /// What became of it.
        result: StepResult,
    },
}

/// What became of a step.
#[derive(Clone, Debug)]
pub enum StepResult {
    /// All its calls succeeded.
    Done,
    /// A call failed; the calls after it were not made.
    Failed(Arc<Error>),
    /// It was not begun.
    Skipped(Because),
}

/// Why a step was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It needs, directly or through others, this step, which failed.
    Failed(StepId),
    /// This step failed, and the run was to stop at the first failure.
    FailFast(StepId),
    /// The run was cancelled.
    Cancelled,
}

/// A step's line in the report.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The step.
    pub step: StepId,
    /// What became of it.
    pub result: StepResult,
    /// How long it took; zero for skipped ones.
    pub time: Duration,
}

/// What became of a plan.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every step, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// Results of scripts, in the order in which they ended.
    pub scripts: Vec<ScriptResult>,
    /// How long the whole took.
    pub time: Duration,
}

impl Report {
    /// Tells whether every step was done.
    pub fn is_success(&self) -> bool {
        self.steps.iter().all(|report| matches!(report.result, StepResult::Done))
    }

    /// Tells whether something was left undone because the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        let step = |report: &StepReport| match &report.result {
            StepResult::Skipped(because) => *because == Because::Cancelled,
            StepResult::Failed(error) => matches!(error.cause, crate::error::Cause::Cancelled),
            StepResult::Done => false,
        };
        self.steps.iter().any(step)
            || self.scripts.iter().any(|script| script.outcome == ScriptOutcome::Cancelled)
    }

    /// Returns the steps that failed, with their errors.
    pub fn failures(&self) -> impl Iterator<Item = (StepId, &Error)> {
        self.steps.iter().filter_map(|report| match &report.result {
            StepResult::Failed(error) => Some((report.step, error.as_ref())),
            _ => None,
        })
    }

    /// Counts done, failed and skipped steps.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.steps.iter().fold((0, 0, 0), |(done, failed, skipped), report| match report.result {
            StepResult::Done => (done + 1, failed, skipped),
            StepResult::Failed(_) => (done, failed + 1, skipped),
            StepResult::Skipped(_) => (done, failed, skipped + 1),
        })
    }
}

/// The result of a script (engine §7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptResult {
    /// The step that ran it.
    pub step: StepId,
    /// Client it ran on.
    pub client: ClientName,
    /// Container name.
    pub container: String,
    /// How it ended.
    pub outcome: ScriptOutcome,
}

/// How a script ended. A code other than zero is a result, not an error (engine K-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptOutcome {
    /// It ended by itself.
    Ended {
        /// Exit code.
        exit_code: i64,
        /// Stdout and stderr, merged.
        log: Vec<u8>,
    },
    /// It was still running when its time was over.
    TimedOut,
    /// The run was cancelled while it ran.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_cancelled_when_something_was_left_undone() {
        let report = |results: Vec<StepResult>| Report {
            steps: (1..)
                .zip(results)
                .map(|(id, result)| StepReport { step: StepId(id), result, time: Duration::ZERO })
                .collect(),
            scripts: Vec::new(),
            time: Duration::ZERO,
        };
        let failed = StepResult::Failed(Arc::new(Error {
            operation: "wait".to_owned(),
            host: "h".to_owned(),
            cause: crate::error::Cause::Cancelled,
        }));
        let done = || StepResult::Done;
        assert!(!report(vec![done(), done()]).is_cancelled(), "all was done when it was cancelled");
        assert!(!report(vec![done(), StepResult::Skipped(Because::Failed(StepId(1)))]).is_cancelled());
        assert!(report(vec![done(), StepResult::Skipped(Because::Cancelled)]).is_cancelled());
        assert!(report(vec![failed]).is_cancelled());
    }
}
