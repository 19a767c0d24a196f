//! Plans and what becomes of them: lines for people while they are carried out, and the document.

use std::collections::HashMap;
use std::sync::Arc;

use dfab_client::apply::{Because, Event, StepResult};
use dfab_map::names::ClientName;
use dfab_map::plan::{Action, Plan, Reason, Step, StepId};
use dfab_tasks::actions::Happening;
use dfab_tasks::outcome::{Outcome, Stage};
use indexmap::IndexMap;
use owo_colors::Style;
use serde_json::{Value, json};

use super::Console;
use super::board::Board;
use super::progress::Activity;
use super::summary::{ALWAYS, summary_text};
use super::transfer::Transfer;
use crate::failure::{Failure, Kind, chain};
use crate::report::Report;
use crate::run::Run;
use crate::text::{count, seconds};

/// Prints a run as it happens.
pub struct PlanPrinter<'a> {
    console: &'a Console,
    dry_run: bool,
    plan: Arc<Plan>,
    started: HashMap<StepId, std::time::Instant>,
    board: Board,
    /// Steps that were not begun because the run was interrupted, by client.
    not_begun: IndexMap<ClientName, usize>,
    pulls: HashMap<StepId, Transfer<'a>>,
    observing: Option<Activity>,
    clients: usize,
    skip_bad_hosts: bool,
}

impl<'a> PlanPrinter<'a> {
    /// Makes a printer without a plan.
    pub fn new(console: &'a Console, dry_run: bool, skip_bad_hosts: bool) -> Self {
        Self {
            console,
            dry_run,
            plan: Arc::default(),
            started: HashMap::new(),
            board: Board::default(),
            not_begun: IndexMap::new(),
            pulls: HashMap::new(),
            observing: None,
            clients: 0,
            skip_bad_hosts,
        }
    }

    /// Prints what happened.
    pub fn happening(&mut self, happening: Happening) {
        match happening {
            Happening::Observing(clients) => {
                self.clients = self.clients.max(clients.len());
                let text = match clients.as_slice() {
                    [client] => format!("looking at {}", place(client).unwrap_or("the local engine")),
                    many => format!("looking at {}", count(many.len(), "engine")),
                };
                self.observing = Some(self.console.progress.start(None, &text));
            }
            Happening::Unreachable(client, error) => {
                let mut why = chain(error.as_ref());
                // The line begins with the host; what was asked first does not matter where nothing answers.
                if error.is_unreachable() && why.len() > 1 {
                    why.remove(0);
                }
                let why = why.join(": ");
                if self.skip_bad_hosts && is_bad_host(&error) {
                    self.console.warn(place(&client), &format!("left out: {why}"));
                } else if self.clients > 1 {
                    // The one engine of a run that cannot be reached is said once, at the end.
                    self.console.warn(place(&client), &why);
                }
            }
            Happening::Planned { plan, pulls_first } => {
                self.observing = None;
                self.plan = plan;
                for notice in &self.plan.notices {
                    self.console.note(None, notice);
                }
                self.pulls.clear();
                if self.dry_run {
                    self.print_plan(pulls_first);
                } else {
                    self.board = Board::new(&self.plan);
                }
            }
            Happening::Step(event) => self.event(event),
        }
    }

    fn print_plan(&self, pulls_first: bool) {
        for step in &self.plan.steps {
            let line = self.step_line(step, step.action.as_str(), None);
            self.console.line(place(&step.client), &line);
            self.print_reasons(step);
        }
        if pulls_first {
            self.console.note(None, "images are pulled first; what depends on them is compared again then");
        }
        self.print_unchanged();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::StepStarted { step: id } => {
                self.started.insert(id, std::time::Instant::now());
                let plan = Arc::clone(&self.plan);
                if let Some(step) = step_of(&plan, id) {
                    let text = format!("{} {} {}", step.action, step.kind, step.name);
                    if step.action == Action::Pull {
                        let text = format!("pull {}", step.name);
                        let pull = Transfer::new(self.console, place(&step.client), &text);
                        self.pulls.insert(id, pull);
                    } else {
                        self.board.doing(self.console, &step.client, id, &text);
                    }
                }
            }
            Event::CallStarted { step: id, call } => {
                let plan = Arc::clone(&self.plan);
                let Some(step) = step_of(&plan, id) else { return };
                let text = format!("{} {}: {call}", step.kind, step.name);
                let text = if call.contains(&step.name) { call.clone() } else { text };
                if step.action != Action::Pull {
                    self.board.doing(self.console, &step.client, id, &text.replace('`', ""));
                }
                if self.console.verbose > 1 {
                    self.console.progress_line(place(&step.client), &call);
                }
            }
            Event::Progress { step: id, progress } => {
                if let Some(pull) = self.pulls.get(&id) {
                    pull.pull(&progress);
                }
            }
            Event::Log { step: id, line } => {
                match self.step(id) {
                    // The output of a script is a result; its exit code is printed behind it.
                    Some(step) if step.action == Action::Script => {
                        self.console.line(place(&step.client), &line);
                    }
                    Some(step) => {
                        self.console.progress_line(place(&step.client), &format!("{}: {line}", step.name));
                    }
                    None => {}
                }
            }
            Event::StepFinished { step: id, result } => {
                let is_pull = self.pulls.remove(&id).is_some();
                let plan = Arc::clone(&self.plan);
                if let Some(step) = step_of(&plan, id).filter(|_| !is_pull) {
                    self.board.ended(self.console, &step.client, id);
                }
                self.finished(id, &result);
                self.started.remove(&id);
            }
        }
    }

    fn finished(&mut self, id: StepId, result: &StepResult) {
        let plan = Arc::clone(&self.plan);
        let Some(step) = step_of(&plan, id) else { return };
        let client = place(&step.client);
        match result {
            StepResult::Done => {
                let time = self.started.get(&id).map(|started| started.elapsed().as_secs_f64());
                let line = self.step_line(step, done_word(step.action), time);
                self.console.line(client, &line);
                self.print_reasons(step);
            }
            StepResult::Failed(error) => {
                let label = self.console.styled(self.console.color(), "failed", Style::new().red().bold());
                let cause = chain(error.as_ref()).join(": ");
                self.console.line(client, &format!("{label}  {} {}: {cause}", step.kind, step.name));
            }
            StepResult::Skipped(Because::Cancelled) if self.console.verbose == 0 => {
                let client = step.client.clone();
                *self.not_begun.entry(client).or_default() += 1;
            }
            StepResult::Skipped(because) => {
                let label = self.console.styled(self.console.color(), "skipped", Style::new().yellow());
                let why = because_text(*because, &self.plan);
                let line = format!("{label} {} of {} {}, {why}", step.action, step.kind, step.name);
                self.console.line(client, &line);
            }
        }
    }

    fn step_line(&self, step: &Step, word: &str, time: Option<f64>) -> String {
        let color = match step.action {
            Action::Create | Action::Start | Action::Pull => Style::new().green(),
            Action::Recreate | Action::Restart | Action::Stop => Style::new().yellow(),
            Action::Remove | Action::Kill => Style::new().red(),
            Action::Update | Action::Exec | Action::Script => Style::new().cyan(),
        };
        let word = self.console.styled(self.console.color(), &format!("{word:<9}"), color);
        let time = time.map_or(String::new(), |time| format!("  {}", seconds(time)));
        let start = format!("{:<9} {}", step.kind.as_str(), step.name);
        let room = match self.console.fits() {
            true => {
                let host = place(&step.client).map_or(0, |client| client.chars().count() + 3);
                self.console.width().saturating_sub(host + 10 + start.chars().count() + time.len())
            }
            false => usize::MAX,
        };
        let inline = match step.reasons.as_slice() {
            [reason] if is_short(reason) => inline(reason, room),
            _ => String::new(),
        };
        format!("{word} {start}{inline}{time}")
    }

    fn print_reasons(&self, step: &Step) {
        if matches!(step.reasons.as_slice(), [reason] if is_short(reason)) {
            return;
        }
        for reason in &step.reasons {
            self.console.line(place(&step.client), &format!("    {}", reason_text(reason)));
        }
    }

    fn print_unchanged(&self) {
        if self.console.verbose > 0 {
            for item in &self.plan.unchanged {
                let line = format!("{:<9} {:<9} {}", "unchanged", item.kind.as_str(), item.name);
                self.console.line(place(&item.client), &line);
            }
        }
    }

    fn step(&self, id: StepId) -> Option<&Step> {
        step_of(&self.plan, id)
    }

    /// Prints what changed, in one line.
    pub fn summary(&mut self, outcome: &Outcome, report: &Report) {
        self.clear();
        for notice in &outcome.notices {
            self.console.note(None, notice);
        }
        if !self.dry_run {
            self.print_unchanged();
        }
        for (client, number) in std::mem::take(&mut self.not_begun) {
            let label = self.console.styled(self.console.color(), "skipped", Style::new().yellow());
            let text = format!("{label}   {}, because the run was interrupted", count(number, "step"));
            self.console.line(place(&client), &text);
        }
        let Some(counts) = &report.summary else { return };
        let text = summary_text(counts, self.dry_run, outcome);
        self.console.line(None, &text);
    }
}

impl PlanPrinter<'_> {
    /// Takes everything away that is drawn.
    fn clear(&mut self) {
        self.observing = None;
        self.pulls.clear();
        self.board = Board::default();
    }

    /// Returns the steps that have begun and not ended.
    fn under_way(&self) -> Vec<&Step> {
        self.plan.steps.iter().filter(|step| self.started.contains_key(&step.id)).collect()
    }
}

/// A run that is stopped at once is dropped with its printer: the steps under way are named, since nobody
/// has seen how they ended (cli §6).
impl Drop for PlanPrinter<'_> {
    fn drop(&mut self) {
        self.clear();
        for step in self.under_way() {
            let text = format!("given up: {} of {} {}", step.action, step.kind, step.name);
            self.console.warn(place(&step.client), &text);
        }
    }
}

fn step_of(plan: &Plan, id: StepId) -> Option<&Step> {
    plan.steps.iter().find(|step| step.id == id)
}

/// Returns the client for the prefix of a line; the default client has none.
pub(super) fn place(client: &ClientName) -> Option<&str> {
    (!client.is_default()).then_some(client.as_str())
}

/// Tells whether a reason fits behind the name.
fn is_short(reason: &Reason) -> bool {
    // "not found: nothing -> present" says no more than "not found".
    let says_all = reason.text == "not found" || reason.text.starts_with("asked for");
    reason.current.is_none() && (reason.desired.is_none() || reason.field == "state" || says_all)
}

/// Returns a short reason as it stands behind a name, as far as there is room for it: first the place goes, then what
/// the line says anyway.
fn inline(reason: &Reason, room: usize) -> String {
    let full = match &reason.source {
        Some(source) => format!(" ({}, {source})", reason.text),
        None => format!(" ({})", reason.text),
    };
    let text = format!(" ({})", reason.text);
    if full.chars().count() <= room {
        full
    } else if text.chars().count() <= room || reason.text != "not found" {
        text
    } else {
        String::new()
    }
}

/// Returns a reason as people read it: what, from what to what, and where that is written.
pub fn reason_text(reason: &Reason) -> String {
    let mut text = reason.text.clone();
    let value = |value: &Option<String>| value.as_deref().map_or("nothing".to_owned(), shortened);
    if reason.current.is_some() || reason.desired.is_some() {
        text.push_str(&format!(": {} -> {}", value(&reason.current), value(&reason.desired)));
    }
    if let Some(source) = &reason.source {
        text.push_str(&format!("  ({source})"));
    }
    text
}

/// Shortens IDs and overlong values; the document has them in full.
fn shortened(value: &str) -> String {
    if let Some(hash) = value.strip_prefix("sha256:")
        && hash.len() == 64
        && hash.chars().all(|c| c.is_ascii_hexdigit())
    {
        return hash[..12].to_owned();
    }
    if value.chars().count() <= 100 {
        return value.to_owned();
    }
    let start: String = value.chars().take(97).collect();
    format!("{start}...")
}

fn done_word(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Start => "started",
        Action::Restart => "restarted",
        Action::Stop => "stopped",
        Action::Remove => "removed",
        Action::Recreate => "recreated",
        Action::Update => "updated",
        Action::Exec => "executed",
        Action::Kill => "killed",
        Action::Pull => "pulled",
        Action::Script => "ran",
    }
}

fn because_text(because: Because, plan: &Plan) -> String {
    let name = |id: StepId| {
        let step = plan.steps.iter().find(|step| step.id == id);
        step.map_or_else(|| id.to_string(), |step| format!("{} {}", step.kind, step.name))
    };
    match because {
        Because::Failed(id) => format!("because {} failed", name(id)),
        Because::FailFast(id) => {
            format!("because {} failed and the run stops at the first failure", name(id))
        }
        Because::Cancelled => "because the run was interrupted".to_owned(),
    }
}

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
fn is_bad_host(error: &dfab_client::Error) -> bool {
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
    use super::super::record::tests::step;
    use super::*;

    #[test]
    fn a_reason_says_what_from_what_to_what_and_where() {
        let hash = format!("sha256:{}", "0123456789ab".repeat(6).get(..64).unwrap());
        let reason = Reason {
            field: "image".into(),
            current: Some(hash),
            desired: Some("x".into()),
            source: Some(dfab_map::position::Position::new("m.yaml", 12, 3)),
            text: "image differs".into(),
        };
        assert_eq!(reason_text(&reason), "image differs: 0123456789ab -> x  (m.yaml:12:3)");
        let gone = Reason { desired: None, source: None, ..reason };
        assert_eq!(reason_text(&gone), "image differs: 0123456789ab -> nothing");
    }

    #[test]
    fn a_short_reason_takes_the_room_there_is() {
        let reason = |text: &str| Reason {
            field: "state".into(),
            current: None,
            desired: None,
            source: Some(dfab_map::position::Position::new("m.yaml", 12, 3)),
            text: text.into(),
        };
        let absent = reason("not found");
        assert_eq!(inline(&absent, usize::MAX), " (not found, m.yaml:12:3)");
        assert_eq!(inline(&absent, 20), " (not found)");
        assert_eq!(inline(&absent, 11), "");
        assert_eq!(inline(&reason("asked for by force_update"), 11), " (asked for by force_update)");
    }

    #[test]
    fn a_reason_that_says_all_stands_behind_the_name() {
        let reason = |text: &str, current: Option<&str>| Reason {
            field: "image".into(),
            current: current.map(str::to_owned),
            desired: Some("x".into()),
            source: None,
            text: text.into(),
        };
        assert!(is_short(&reason("asked for by pull_images", None)));
        assert!(is_short(&reason("not found", None)));
        assert!(!is_short(&reason("image differs", None)));
        assert!(!is_short(&reason("image differs", Some("y"))));
    }

    #[test]
    fn steps_that_have_not_ended_are_under_way() {
        let options = crate::cli::options::Options { hide: vec!["everything".into()], ..Default::default() };
        let console = Console::new(&options);
        let mut printer = PlanPrinter::new(&console, false, false);
        let plan = Arc::new(Plan { steps: vec![step(1), step(2), step(3)], ..Plan::default() });
        printer.happening(Happening::Planned { plan, pulls_first: false });
        for event in [
            Event::StepStarted { step: StepId(1) },
            Event::StepStarted { step: StepId(2) },
            Event::StepFinished { step: StepId(1), result: StepResult::Done },
        ] {
            printer.happening(Happening::Step(event));
        }
        let names: Vec<&str> = printer.under_way().iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["m.2"]);
    }

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
