//! What has happened in the action under way. It outlives the action, which is dropped when the run is stopped at once:
//! the document then still has the plan, and how far it came (cli §5.1, §6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfab_client::Error;
use dfab_client::apply::{Because, Event, Report as Applied, StepReport, StepResult};
use dfab_client::error::Cause;
use dfab_map::names::ClientName;
use dfab_map::plan::{Plan, Step, StepId};
use dfab_tasks::actions::Happening;
use dfab_tasks::outcome::{Outcome, Stage};

/// The record of a run's action under way, where there is one; shared by all who work on the run.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Option<Record>>>);

/// What has happened in an action.
#[derive(Debug)]
pub struct Record {
    /// Full name of the task.
    pub task: String,
    /// Its map, where it is one.
    pub map: Option<String>,
    begun: Instant,
    stages: Vec<Recorded>,
    unreachable: Vec<(ClientName, Arc<Error>)>,
}

#[derive(Debug)]
struct Recorded {
    plan: Arc<Plan>,
    started: HashMap<StepId, Instant>,
    ended: HashMap<StepId, (StepResult, Duration)>,
}

impl Recorder {
    /// Begins the record of an action.
    pub fn begin(&self, task: &str, map: Option<String>) {
        let begun = Instant::now();
        let record =
            Record { task: task.to_owned(), map, begun, stages: Vec::new(), unreachable: Vec::new() };
        *self.lock() = Some(record);
    }

    /// Keeps what happened.
    pub fn happening(&self, happening: &Happening) {
        if let Some(record) = self.lock().as_mut() {
            record.happening(happening);
        }
    }

    /// Takes the record; the action has ended, or is given up.
    pub fn take(&self) -> Option<Record> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn happening(&mut self, happening: &Happening) {
        match happening {
            Happening::Observing(_) => {}
            Happening::Unreachable(client, error) => {
                self.unreachable.push((client.clone(), Arc::clone(error)))
            }
            Happening::Planned { plan, .. } => self.stages.push(Recorded {
                plan: Arc::clone(plan),
                started: HashMap::new(),
                ended: HashMap::new(),
            }),
            Happening::Step(event) => {
                let Some(stage) = self.stages.last_mut() else { return };
                match event {
                    Event::StepStarted { step } => drop(stage.started.insert(*step, Instant::now())),
                    Event::StepFinished { step, result } => {
                        let time = stage.started.get(step).map(Instant::elapsed).unwrap_or_default();
                        stage.ended.insert(*step, (result.clone(), time));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns what became of the action that is given up now. Steps under way have failed as far as anybody knows;
    /// the others were not begun.
    pub fn given_up(self, requests: u64) -> Outcome {
        let mut offset = 0;
        let mut stages = Vec::new();
        for stage in self.stages {
            let reports = stage.plan.steps.iter().map(|step| stage.given_up(step)).collect();
            let next = offset + stage.plan.steps.iter().map(|step| step.id.0).max().unwrap_or(0);
            let applied = Applied { steps: reports, scripts: Vec::new(), time: self.begun.elapsed() };
            stages.push(Stage { plan: Plan::clone(&stage.plan), report: Some(applied), offset });
            offset = next;
        }
        Outcome {
            stages,
            unreachable: self.unreachable,
            requests,
            time: self.begun.elapsed(),
            cancelled: true,
            ..Outcome::default()
        }
    }
}

impl Recorded {
    fn given_up(&self, step: &Step) -> StepReport {
        let (result, time) = match (self.ended.get(&step.id), self.started.get(&step.id)) {
            (Some(ended), _) => ended.clone(),
            (None, Some(started)) => {
                let operation = format!("{} {} `{}`", step.action, step.kind, step.name);
                let host = step.client.to_string();
                let error = Error { operation, host, cause: Cause::Cancelled };
                (StepResult::Failed(Arc::new(error)), started.elapsed())
            }
            (None, None) => (StepResult::Skipped(Because::Cancelled), Duration::ZERO),
        };
        StepReport { step: step.id, result, time }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use dfab_map::plan::Action;

    use super::*;

    /// A step that creates the container `m.NUMBER`.
    pub(in super::super) fn step(number: u32) -> Step {
        Step {
            id: StepId(number),
            client: ClientName::default_client(),
            kind: dfab_map::item::Kind::Container,
            name: format!("m.{number}"),
            action: Action::Create,
            reasons: Vec::new(),
            after: Vec::new(),
            calls: Vec::new(),
        }
    }

    #[test]
    fn an_action_that_is_given_up_has_its_plan_and_how_far_it_came() {
        let plan = |numbers: &[u32]| {
            let steps = numbers.iter().map(|number| step(*number)).collect();
            Happening::Planned { plan: Arc::new(Plan { steps, ..Plan::default() }), pulls_first: false }
        };
        let recorder = Recorder::default();
        recorder.happening(&plan(&[1]));
        assert!(recorder.take().is_none(), "nothing had begun");
        recorder.begin("actions.update", Some("m".to_owned()));
        for happening in [
            plan(&[1]),
            Happening::Step(Event::StepStarted { step: StepId(1) }),
            Happening::Step(Event::StepFinished { step: StepId(1), result: StepResult::Done }),
            plan(&[1, 2, 3]),
            Happening::Step(Event::StepStarted { step: StepId(1) }),
            Happening::Step(Event::StepStarted { step: StepId(2) }),
            Happening::Step(Event::StepFinished { step: StepId(1), result: StepResult::Done }),
        ] {
            recorder.happening(&happening);
        }
        let outcome = recorder.take().unwrap().given_up(7);
        let report = crate::console::outcome::report(&outcome, "actions.update", false);
        let results = report.results.unwrap();
        let shown: Vec<String> =
            results.iter().map(|result| format!("{} {}", result["id"], result["status"])).collect();
        assert_eq!(shown, [r#"1 "done""#, r#"2 "done""#, r#"3 "failed""#, r#"4 "skipped""#]);
        assert_eq!(results[2]["error"]["kind"], "interrupted");
        assert_eq!((report.plan.unwrap().len(), report.requests), (4, Some(7)));
        assert_eq!(report.summary.unwrap().get("created"), Some(&2));
    }
}
