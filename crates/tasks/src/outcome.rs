//! What became of an action.

use std::time::Duration;

use std::sync::Arc;

use dfab_client::Error;
use dfab_client::apply::Report;
use dfab_map::names::ClientName;
use dfab_map::plan::{Plan, PlanError, Step};

/// What an action has planned and done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The stages, in order. With a pull, there are two: the pull, and what followed from it. A dry
    /// run has one stage that was not applied.
    pub stages: Vec<Stage>,
    /// Why there was no plan for what follows from a pull; the stages before it are done.
    pub refused: Vec<PlanError>,
    /// Clients that could not be worked on, with the reason.
    pub unreachable: Vec<(ClientName, Arc<Error>)>,
    /// What the user should know before the plan.
    pub notices: Vec<String>,
    /// Requests sent to the engines.
    pub requests: u64,
    /// How long it took.
    pub time: Duration,
    /// The user asked to stop before everything was done.
    pub cancelled: bool,
}

/// A plan and what became of it.
#[derive(Debug)]
pub struct Stage {
    /// The plan.
    pub plan: Plan,
    /// What became of it; `None` for a dry run.
    pub report: Option<Report>,
    /// Added to the numbers of steps, so that they are unique over all stages.
    pub offset: u32,
}

impl Outcome {
    /// Tells whether everything was done, everywhere.
    pub fn is_success(&self) -> bool {
        let applied = |stage: &Stage| stage.report.as_ref().is_none_or(Report::is_success);
        let whole = self.unreachable.is_empty() && self.refused.is_empty() && !self.cancelled;
        whole && self.stages.iter().all(applied)
    }

    /// Returns every step with its stage.
    pub fn steps(&self) -> impl Iterator<Item = (&Stage, &Step)> {
        self.stages.iter().flat_map(|stage| stage.plan.steps.iter().map(move |step| (stage, step)))
    }
}
