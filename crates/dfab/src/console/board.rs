//! One line for each host: how many of its steps are done, and what is under way. Eight steps at once on each of many
//! hosts would fill the screen with lines that nobody can read.

use dfab_map::names::ClientName;
use dfab_map::plan::{Action, Plan, StepId};
use indexmap::IndexMap;

use super::Console;
use super::plan::place;
use super::progress::Activity;
use super::transfer::bar;

/// The lines of a stage.
#[derive(Debug, Default)]
pub struct Board {
    hosts: IndexMap<ClientName, Line>,
}

#[derive(Debug)]
struct Line {
    activity: Option<Activity>,
    /// What is under way, in the order in which it began.
    under_way: IndexMap<StepId, String>,
    done: usize,
    all: usize,
}

impl Board {
    /// Makes the lines of a plan; each is drawn when something begins on its host. Pulls have bars of their own.
    pub fn new(plan: &Plan) -> Self {
        let mut hosts: IndexMap<ClientName, Line> = IndexMap::new();
        for step in plan.steps.iter().filter(|step| step.action != Action::Pull) {
            let line = hosts.entry(step.client.clone()).or_insert_with(|| Line {
                activity: None,
                under_way: IndexMap::new(),
                done: 0,
                all: 0,
            });
            line.all += 1;
        }
        Self { hosts }
    }

    /// A step has begun, or its next call.
    pub fn doing(&mut self, console: &Console, client: &ClientName, step: StepId, text: &str) {
        if let Some(line) = self.hosts.get_mut(client) {
            line.under_way.insert(step, text.to_owned());
            line.draw(console, client);
        }
    }

    /// A step has ended.
    pub fn ended(&mut self, console: &Console, client: &ClientName, step: StepId) {
        if let Some(line) = self.hosts.get_mut(client) {
            line.under_way.shift_remove(&step);
            line.done += 1;
            line.draw(console, client);
        }
    }
}

impl Line {
    fn draw(&mut self, console: &Console, client: &ClientName) {
        // What waits for a pull is not under way.
        if self.done >= self.all || self.under_way.is_empty() {
            self.activity = None;
            return;
        }
        let host = place(client);
        let text = self.text(console.bar_width());
        let activity = self.activity.get_or_insert_with(|| console.progress.start(host, &text));
        activity.say(host, &text);
    }

    fn text(&self, width: usize) -> String {
        let mut text =
            format!("{} {}/{}", bar(self.done as u64, self.all as u64, width), self.done, self.all);
        if let Some(first) = self.under_way.values().next() {
            text.push_str(&format!(" {first}"));
        }
        if self.under_way.len() > 1 {
            text.push_str(&format!(", and {} more", self.under_way.len() - 1));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_a_host_is_and_what_is_under_way() {
        let mut line = Line { activity: None, under_way: IndexMap::new(), done: 1, all: 4 };
        assert_eq!(line.text(4), "━╌╌╌ 1/4");
        line.under_way.insert(StepId(2), "create container m.a".to_owned());
        assert_eq!(line.text(4), "━╌╌╌ 1/4 create container m.a");
        line.under_way.insert(StepId(3), "create container m.b".to_owned());
        line.under_way.insert(StepId(4), "create container m.c".to_owned());
        assert_eq!(line.text(4), "━╌╌╌ 1/4 create container m.a, and 2 more");
    }
}
