//! Applying a plan: walking its graph with as many steps at once as prerequisites allow.
//!
//! This module knows how to do each call, and never whether: every decision is in the plan. A failed
//! step skips what depends on it; independent branches go on, unless the options say otherwise.

mod call;
mod contended;
mod health;
mod prepare;
mod report;
mod schedule;
mod script;
mod stale;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::names::ClientName;
use dfab_map::plan::{Plan, Step, StepId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedSender;
pub use tokio_util::sync::CancellationToken;

pub use self::call::describe;
pub use self::prepare::HELPER_LABEL;
pub use self::report::{Because, Event, Report, ScriptOutcome, ScriptResult, StepReport, StepResult};
use self::schedule::{Next, Schedule};
use crate::backend::Backend;
use crate::error::{Cause, Error};

/// The backends of a run, by the client name that the plan uses.
pub type Backends = BTreeMap<ClientName, Arc<dyn Backend>>;

/// How a plan is applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Steps at a time on each client.
    pub jobs: usize,
    /// Start no further step after the first failure.
    pub fail_fast: bool,
    /// When it is cancelled, no further step starts; steps under way finish, except that waiting for
    /// a script or for health is given up.
    pub cancel: CancellationToken,
    /// Registry logins by client and registry host, already looked up.
    pub logins: BTreeMap<ClientName, BTreeMap<String, Auth>>,
    /// How long to wait for the helper container of a volume; `None` is without limit
    /// (`wait_timeout` of the client).
    pub wait_timeout: Option<Duration>,
}

impl Default for ApplyOptions {
    /// 8 steps at a time on each client, independent branches go on after a failure.
    fn default() -> Self {
        Self {
            jobs: 8,
            fail_fast: false,
            cancel: CancellationToken::new(),
            logins: BTreeMap::new(),
            wait_timeout: None,
        }
    }
}

/// Applies `plan` and reports what became of each step, in the order of the plan.
///
/// Events tell what happens while it happens; a receiver that is gone is no error. Dropping the
/// returned future gives up all steps under way where they are: a later run plans anew from what it
/// finds, and removes helper containers that were left.
///
/// A prerequisite that is not in the plan counts as done (a stage of a plan is a plan).
pub async fn apply(
    plan: &Plan,
    backends: &Backends,
    options: &ApplyOptions,
    events: &UnboundedSender<Event>,
) -> Report {
    let started = Instant::now();
    let run = Run { backends, options, events, unpullable: Mutex::default(), scripts: Mutex::default() };
    let mut schedule = Schedule::new(plan, options.jobs.max(1));
    let mut reports: Vec<Option<StepReport>> = vec![None; plan.steps.len()];
    let mut under_way = FuturesUnordered::new();
    loop {
        if options.cancel.is_cancelled() {
            schedule.stop(Because::Cancelled);
        }
        while let Next::Step(index) = schedule.next() {
            let step = &plan.steps[index];
            under_way.push(run.step(index, step));
        }
        let finished = tokio::select! {
            finished = under_way.next() => finished,
            // Only to notice it at once: the skipped steps are reported without waiting for the others.
            () = options.cancel.cancelled(), if !schedule.is_stopped() => {
                schedule.stop(Because::Cancelled);
                continue;
            }
        };
        let Some((index, report)) = finished else { break };
        match &report.result {
            StepResult::Failed(_) => {
                schedule.failed(index);
                if options.fail_fast {
                    schedule.stop(Because::FailFast(report.step));
                }
            }
            _ => schedule.done(index),
        }
        reports[index] = Some(report);
    }
    let skipped = schedule.into_skipped();
    let steps = plan.steps.iter().zip(reports).enumerate().map(|(index, (step, report))| {
        report.unwrap_or_else(|| {
            let because = skipped.get(&index).copied().unwrap_or(Because::Cancelled);
            let result = StepResult::Skipped(because);
            run.tell(Event::StepFinished { step: step.id, result: result.clone() });
            StepReport { step: step.id, result, time: Duration::ZERO }
        })
    });
    let steps = steps.collect();
    drop(under_way);
    let scripts = run.scripts.into_inner().expect("no step panicked while it held the lock");
    Report { steps, scripts, time: started.elapsed() }
}

/// What all steps of a run share.
struct Run<'a> {
    backends: &'a Backends,
    options: &'a ApplyOptions,
    events: &'a UnboundedSender<Event>,
    /// Images that were tried for helper containers and cannot be pulled: asked once a run.
    unpullable: Mutex<BTreeSet<(ClientName, ImageName)>>,
    scripts: Mutex<Vec<ScriptResult>>,
}

impl Run<'_> {
    async fn step(&self, index: usize, step: &Step) -> (usize, StepReport) {
        let started = Instant::now();
        self.tell(Event::StepStarted { step: step.id });
        let result = match self.calls(step).await {
            Ok(()) => StepResult::Done,
            Err(error) => StepResult::Failed(Arc::new(error)),
        };
        self.tell(Event::StepFinished { step: step.id, result: result.clone() });
        (index, StepReport { step: step.id, result, time: started.elapsed() })
    }

    fn backend(&self, step: &Step) -> Result<&Arc<dyn Backend>, Error> {
        self.backends.get(&step.client).ok_or_else(|| Error {
            operation: format!("{} {} `{}`", step.action, step.kind, step.name),
            host: step.client.to_string(),
            cause: Cause::Input("there is no connection to this client".into()),
        })
    }

    fn tell(&self, event: Event) {
        // Whoever stopped listening does not want to know.
        let _ = self.events.send(event);
    }

    fn log(&self, step: StepId, line: impl Into<String>) {
        self.tell(Event::Log { step, line: line.into() });
    }
}
