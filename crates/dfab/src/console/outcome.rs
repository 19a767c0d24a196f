//! What an action came to: its plan, results and counts for the document, and whether it succeeded.

use dfab_client::apply::StepResult;
use dfab_map::plan::{Reason, Step};
use dfab_tasks::outcome::{Outcome, Stage};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::reason::{because_text, done_word};
use super::summary::ALWAYS;
use crate::failure::{Failure, Kind, chain};
use crate::report::Report;
use crate::run::Run;
use crate::text::count;

/// Makes the report of an outcome: plan, results, counts. It is not judged yet, see [`judge`].
pub fn report(outcome: &Outcome, task: &str, dry_run: bool) -> Report {
    let mut counts: IndexMap<&'static str, usize> = ALWAYS.into_iter().map(|key| (key, 0)).collect();
    let mut results = Vec::new();
    for stage in &outcome.stages {
        count_stage(stage, &mut counts);
        results.extend(stage_results(stage));
    }
    let notices = outcome.notices.iter().chain(outcome.stages.iter().flat_map(|stage| &stage.plan.notices));
    let steps = outcome.steps().count();
    Report {
        dry_run,
        plan: Some(outcome.steps().map(|(stage, step)| step_json(stage, step)).collect()),
        results: Some(results),
        summary: Some(counts),
        notices: notices.cloned().collect(),
        requests: Some(outcome.requests),
        seconds: Some(rounded(outcome.time.as_secs_f64())),
        would_change: dry_run && steps > 0,
        ..Report::done(task)
    }
}

fn count_stage(stage: &Stage, counts: &mut IndexMap<&'static str, usize>) {
    *counts.entry("unchanged").or_default() += stage.plan.unchanged.len();
    match &stage.report {
        None => {
            for step in &stage.plan.steps {
                *counts.entry(done_word(step.action)).or_default() += 1;
            }
        }
        Some(report) => {
            for (step, result) in stage.plan.steps.iter().zip(&report.steps) {
                let key = match result.result {
                    StepResult::Done => done_word(step.action),
                    StepResult::Failed(_) => "failed",
                    StepResult::Skipped(_) => "skipped",
                };
                *counts.entry(key).or_default() += 1;
            }
        }
    }
}

fn step_json(stage: &Stage, step: &Step) -> Value {
    let reason = |reason: &Reason| {
        json!({
            "field": reason.field,
            "current": reason.current,
            "desired": reason.desired,
            "source": reason.source.as_ref().map(ToString::to_string),
            "text": reason.text,
        })
    };
    json!({
        "id": step.id.0 + stage.offset,
        "client": step.client.as_str(),
        "kind": step.kind.as_str(),
        "name": step.name,
        "action": step.action.as_str(),
        "reasons": step.reasons.iter().map(reason).collect::<Vec<_>>(),
        "after": step.after.iter().map(|id| id.0 + stage.offset).collect::<Vec<_>>(),
    })
}

fn stage_results(stage: &Stage) -> Vec<Value> {
    let Some(report) = &stage.report else { return Vec::new() };
    let result = |step: &dfab_client::apply::StepReport| {
        let mut value = json!({"id": step.step.0 + stage.offset});
        match &step.result {
            StepResult::Done => value["status"] = json!("done"),
            StepResult::Failed(error) => {
                value["status"] = json!("failed");
                value["error"] = crate::report::error(&crate::tasks::engine_failure(error));
            }
            StepResult::Skipped(because) => {
                value["status"] = json!("skipped");
                value["because"] = json!(because_text(*because, &stage.plan));
            }
        }
        value["seconds"] = json!(rounded(step.time.as_secs_f64()));
        value
    };
    report.steps.iter().map(result).collect()
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Tells whether `--skip-bad-hosts` leaves the engine with this error out.
pub(super) fn is_bad_host(error: &dfab_client::Error) -> bool {
    crate::tasks::engine_failure(error).kind == Kind::Connection
}

/// Decides whether the action succeeded, and says why not.
pub fn judge(mut report: Report, outcome: &Outcome, run: &Run) -> Report {
    for (client, error) in &outcome.unreachable {
        let failure = crate::tasks::engine_failure(error);
        report.hosts_failed.push(json!({"client": client.as_str(), "error": crate::report::error(&failure)}));
    }
    let what = report.map.as_ref().map_or("the maps".to_owned(), |map| format!("map `{map}`"));
    let failures: Vec<&dfab_client::Error> = outcome
        .stages
        .iter()
        .filter_map(|stage| stage.report.as_ref())
        .flat_map(|report| report.failures().map(|(_, error)| error))
        .collect();
    if outcome.cancelled {
        return report.failed(
            Failure::new(Kind::Interrupted, "interrupted")
                .hint("run the command again to complete it: what is done stays"),
        );
    }
    if let Some(first) = failures.first() {
        let inner = crate::tasks::engine_failure(first);
        let mut failure = Failure::new(inner.kind, format!("failed to apply {what}"));
        failure.causes.push(inner.message);
        failure.causes.extend(inner.causes);
        failure.hints = inner.hints;
        if failures.len() > 1 {
            failure
                .hints
                .push(format!("{} failed in all; each is shown above", count(failures.len(), "step")));
        }
        return report.failed(failure);
    }
    if let [first, ..] = outcome.refused.as_slice() {
        let mut failure =
            Failure::new(Kind::Engine, format!("failed to apply {what}: there is no plan after the pull"));
        failure.causes = outcome.refused.iter().map(ToString::to_string).collect();
        failure.hints.push(first.hint());
        return report.failed(failure);
    }
    // What is left out with `--skip-bad-hosts` was said when it happened. An engine that answers, and
    // refuses, is no bad host.
    let counts = |error: &dfab_client::Error| !(run.options.skip_bad_hosts && is_bad_host(error));
    let bad: Vec<_> = outcome.unreachable.iter().filter(|(_, error)| counts(error)).collect();
    match bad.as_slice() {
        [] => report,
        [(_, error)] => report.failed(crate::tasks::engine_failure(error)),
        many => {
            let mut failure = Failure::new(
                Kind::Connection,
                format!("{} could not be worked on", count(many.len(), "host")),
            );
            failure.causes = many.iter().map(|(_, error)| chain(error.as_ref()).join(": ")).collect();
            failure.hints = crate::tasks::engine_failure(&many[0].1).hints;
            report.failed(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_refuses_is_no_bad_host() {
        let error = |cause| {
            let (operation, host) = ("ask".to_owned(), "web1".to_owned());
            dfab_client::Error { operation, host, cause }
        };
        use dfab_client::error::Cause;
        assert!(!is_bad_host(&error(Cause::Refused { status: 500, message: "no".to_owned() })));
        assert!(is_bad_host(&error(Cause::Unreachable("gone".into()))));
    }
}
