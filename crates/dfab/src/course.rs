//! How far a run has come, and what is reported of one that the user stops (cli §6).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::console::outcome;
use crate::console::record::Recorder;
use crate::failure::{Failure, Kind};
use crate::report::Report;

/// How far a run has come. It outlives the calls, which are dropped when the run is stopped at once.
#[derive(Default)]
pub struct Course {
    dry_run: bool,
    /// The action under way.
    recorder: Recorder,
    reports: Mutex<Vec<Report>>,
    /// Task of the call that is under way.
    under_way: Mutex<Option<String>>,
}

impl Course {
    /// Makes the course of a run that has not begun.
    pub fn new(dry_run: bool, recorder: Recorder) -> Self {
        Self { dry_run, recorder, ..Self::default() }
    }

    /// A call begins.
    pub fn begin(&self, task: &str) {
        *lock(&self.under_way) = Some(task.to_owned());
    }

    /// The call that is under way has ended.
    pub fn end(&self, report: Report) {
        *lock(&self.under_way) = None;
        lock(&self.reports).push(report);
    }

    /// Tells whether all calls up to now succeeded.
    pub fn is_good(&self) -> bool {
        lock(&self.reports).iter().all(|report| report.ok)
    }

    /// Returns the reports of the calls.
    pub fn into_reports(self) -> Vec<Report> {
        self.reports.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the failure of a run that is stopped at once: that of the call under way, where there is one. Its report
    /// has the plan of its action, and how far that came.
    pub fn stop(&self, requests: u64) -> Option<Failure> {
        let failure = Failure::new(Kind::Interrupted, "stopped at once; steps under way were given up");
        let record = self.recorder.take();
        // A container of this name is never taken for the script's.
        let runs_script = |task: &str| ["actions.script", "actions.single_cmd"].contains(&task);
        let failure = failure.hint(match &record {
            Some(record) if runs_script(&record.task) => {
                "run the command again with `--remove-existing-before`: the container may still be there"
            }
            _ => "run the command again: it continues from what it finds",
        });
        let Some(task) = lock(&self.under_way).take() else { return Some(failure) };
        let record = record.map(|record| {
            let (action, map) = (record.task.clone(), record.map.clone());
            Report { map, ..outcome::report(&record.given_up(requests), &action, self.dry_run) }
        });
        let report = match record {
            Some(record) if record.task == task => record,
            // A task of the project: what its step came to is among its outputs, as it would be at its end.
            Some(record) => {
                let nested = serde_json::to_value(Report { ok: false, ..record });
                let outputs = vec![nested.expect("a report has only plain values and text keys")];
                Report { dry_run: self.dry_run, outputs: Some(outputs), ..Report::done(task) }
            }
            None => Report { dry_run: self.dry_run, ..Report::done(task) },
        };
        self.end(report.failed(failure));
        None
    }
}

/// Returns the failure of a run that was interrupted although all calls that were made have succeeded. `left` are the
/// tasks that were not begun.
pub fn interrupted(left: &[String]) -> Failure {
    match left {
        [] => Failure::new(Kind::Interrupted, "interrupted, but everything was done by then"),
        left => Failure::new(
            Kind::Interrupted,
            format!("interrupted before {} could begin", crate::text::list(left, 9)),
        )
        .hint("what is done stays; run the command again for the rest"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfab_map::plan::Plan;
    use dfab_tasks::actions::Happening;
    use std::sync::Arc;

    #[test]
    fn a_run_that_is_stopped_at_once_keeps_what_was_reported() {
        let course = Course::default();
        assert!(course.stop(0).is_some_and(|failure| failure.kind == Kind::Interrupted), "nothing had begun");
        course.begin("docker.version");
        course.end(Report::done("docker.version"));
        course.begin("actions.update");
        assert!(course.stop(0).is_none(), "it is the failure of the second call");
        let reports = course.into_reports();
        let document = crate::report::document(&reports, None);
        let shown: Vec<(&str, bool)> =
            reports.iter().map(|report| (report.task.as_str(), report.ok)).collect();
        assert_eq!(shown, [("docker.version", true), ("actions.update", false)]);
        assert_eq!(document["runs"][1]["error"]["kind"], "interrupted");
    }

    #[test]
    fn a_run_that_is_stopped_at_once_reports_the_plan_of_its_action() {
        for (outer, place) in [("actions.update", "/plan"), ("deploy", "/outputs/0/plan")] {
            let course = Course::default();
            course.begin(outer);
            course.recorder.begin("actions.update", Some("m".to_owned()));
            course
                .recorder
                .happening(&Happening::Planned { plan: Arc::new(Plan::default()), pulls_first: false });
            course.stop(3);
            let document = crate::report::document(&course.into_reports(), None);
            assert!(document.pointer(place).is_some(), "{outer}: {document:#}");
            assert_eq!(document["ok"], false, "{outer}");
        }
    }

    /// Its container is left, and the same command would only find that.
    #[test]
    fn a_script_that_is_stopped_at_once_is_repeated_with_an_option() {
        for (action, expected) in
            [("actions.script", true), ("actions.single_cmd", true), ("actions.update", false)]
        {
            let course = Course::default();
            course.begin("deploy");
            course.recorder.begin(action, Some("m".to_owned()));
            assert!(course.stop(0).is_none());
            let hints = course.into_reports().remove(0).failure.unwrap().hints;
            assert_eq!(hints[0].contains("`--remove-existing-before`"), expected, "{action}: {hints:?}");
        }
    }

    #[test]
    fn an_interruption_claims_no_more_than_is_true() {
        assert!(interrupted(&[]).hints.is_empty());
        let left = interrupted(&["docker.version".to_owned()]);
        assert_eq!(left.message, "interrupted before `docker.version` could begin");
    }
}
