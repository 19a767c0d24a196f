//! Plans and what becomes of them: lines for people while they are carried out.

use std::collections::HashMap;
use std::sync::Arc;

use dfab_client::apply::{Because, Event, StepResult};
use dfab_map::names::ClientName;
use dfab_map::plan::{Action, Plan, Step, StepId};
use dfab_tasks::actions::Happening;
use dfab_tasks::outcome::Outcome;
use indexmap::IndexMap;
use owo_colors::Style;

use super::Console;
use super::board::Board;
use super::outcome::is_bad_host;
use super::progress::Activity;
use super::reason::{because_text, done_word, inline, is_short, reason_text};
use super::summary::summary_text;
use super::transfer::Transfer;
use crate::failure::chain;
use crate::report::Report;
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
                if self.skip_bad_hosts && is_bad_host(&error) {
                    self.console.warn(place(&client), &format!("left out: {}", brief(&error)));
                } else if self.clients > 1 {
                    // The one engine of a run that cannot be reached is said once, at the end.
                    self.console.warn(place(&client), &brief(&error));
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
        let bad = outcome.unreachable.iter().filter(|(_, error)| is_bad_host(error)).count();
        let left_out = if self.skip_bad_hosts { bad } else { 0 };
        let text = summary_text(counts, self.dry_run, outcome, left_out);
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

/// Why a client was given up, in the one line that comes while the others go on: what was asked first does not matter
/// where nothing answers, and the whole story comes at the end.
fn brief(error: &dfab_client::Error) -> String {
    let why = chain(error);
    match why.as_slice() {
        [_, what, .., cause] if error.is_unreachable() => format!("{what}: {cause}"),
        why => why.join(": "),
    }
}

fn step_of(plan: &Plan, id: StepId) -> Option<&Step> {
    plan.steps.iter().find(|step| step.id == id)
}

/// Returns the client for the prefix of a line; the default client has none.
pub(super) fn place(client: &ClientName) -> Option<&str> {
    (!client.is_default()).then_some(client.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::step;
    use super::*;

    #[test]
    fn a_client_that_is_given_up_takes_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot connect to `web1` on port 22 (tried 3 times)")]
        struct Connect(#[source] std::io::Error);

        let error = |cause| {
            let (operation, host) = ("ask for the version".to_owned(), "web1".to_owned());
            dfab_client::Error { operation, host, cause }
        };
        use dfab_client::error::Cause;
        let refused = Connect(std::io::Error::other("10.0.0.1: no route to host"));
        for (cause, expected) in [
            (
                Cause::Unreachable(Box::new(refused)),
                "the engine cannot be reached: 10.0.0.1: no route to host",
            ),
            (Cause::Unreachable("gone".into()), "the engine cannot be reached: gone"),
            (
                Cause::Refused { status: 500, message: "no".to_owned() },
                "failed to ask for the version on `web1`: the engine refused (500): no",
            ),
        ] {
            assert_eq!(brief(&error(cause)), expected);
        }
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
}
