//! Which step may run next: a pure walk over the plan's graph.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::names::ClientName;
use dfab_map::plan::{Plan, StepId};

use super::Because;

/// The walk. Steps are known by their index in the plan.
pub(super) struct Schedule<'a> {
    plan: &'a Plan,
    jobs: usize,
    /// Prerequisites of each step that are not done yet.
    open: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// Steps whose prerequisites are done, in the order of the plan.
    ready: BTreeSet<usize>,
    running: BTreeMap<&'a ClientName, usize>,
    skipped: BTreeMap<usize, Because>,
    begun: BTreeSet<usize>,
    stopped: bool,
}

/// The answer to "what next".
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin this step.
    Step(usize),
    /// Nothing can begin before something under way ends; or nothing is left.
    Wait,
}

impl<'a> Schedule<'a> {
    /// At most `jobs` steps run at a time on each client.
    pub(super) fn new(plan: &'a Plan, jobs: usize) -> Self {
        let index: BTreeMap<StepId, usize> =
            plan.steps.iter().enumerate().map(|(index, step)| (step.id, index)).collect();
        let mut open = vec![0; plan.steps.len()];
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        for (step_index, step) in plan.steps.iter().enumerate() {
            let prerequisites: BTreeSet<usize> =
                step.after.iter().filter_map(|id| index.get(id).copied()).collect();
            open[step_index] = prerequisites.len();
            prerequisites.into_iter().for_each(|prerequisite| dependents[prerequisite].push(step_index));
        }
        let ready = (0..open.len()).filter(|index| open[*index] == 0).collect();
        Self {
            plan,
            jobs,
            open,
            dependents,
            ready,
            running: BTreeMap::new(),
            skipped: BTreeMap::new(),
            begun: BTreeSet::new(),
            stopped: false,
        }
    }

    /// Returns a step to begin now: the earliest in the plan whose client has a place.
    pub(super) fn next(&mut self) -> Next {
        if self.stopped {
            return Next::Wait;
        }
        let plan = self.plan;
        let places = |index: &&usize| {
            self.running.get(&plan.steps[**index].client).copied().unwrap_or_default() < self.jobs
        };
        let Some(&index) = self.ready.iter().find(places) else { return Next::Wait };
        self.ready.remove(&index);
        self.begun.insert(index);
        *self.running.entry(&plan.steps[index].client).or_default() += 1;
        Next::Step(index)
    }

    /// Records that a step is done, which may make others ready.
    pub(super) fn done(&mut self, index: usize) {
        self.leave(index);
        for dependent in std::mem::take(&mut self.dependents[index]) {
            self.open[dependent] -= 1;
            if self.open[dependent] == 0 && !self.skipped.contains_key(&dependent) {
                self.ready.insert(dependent);
            }
        }
    }

    /// Records that a step failed, and skips everything that needs it.
    pub(super) fn failed(&mut self, index: usize) {
        self.leave(index);
        let because = Because::Failed(self.plan.steps[index].id);
        let mut lost = self.dependents[index].clone();
        while let Some(dependent) = lost.pop() {
            // Where several failures reach a step, the first one is named.
            if let std::collections::btree_map::Entry::Vacant(entry) = self.skipped.entry(dependent) {
                entry.insert(because);
                lost.extend(&self.dependents[dependent]);
            }
        }
    }

    /// Begins nothing more; whatever has not begun is skipped.
    pub(super) fn stop(&mut self, because: Because) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        for index in 0..self.plan.steps.len() {
            if !self.begun.contains(&index) {
                self.skipped.entry(index).or_insert(because);
            }
        }
    }

    /// Tells whether [`Schedule::stop`] was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the skipped steps.
    pub(super) fn into_skipped(self) -> BTreeMap<usize, Because> {
        self.skipped
    }

    fn leave(&mut self, index: usize) {
        if let Some(count) = self.running.get_mut(&self.plan.steps[index].client) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use dfab_map::item::Kind;
    use dfab_map::plan::{Action, Step};

    use super::*;

    /// `1 <- 2 <- 3`, `1 <- 4`, `5` alone, as `[(client, prerequisites)]`.
    fn plan(steps: &[(&str, &[u32])]) -> Plan {
        let steps = steps.iter().zip(1..).map(|((client, after), id)| Step {
            id: StepId(id),
            client: ClientName::new(*client).unwrap(),
            kind: Kind::Container,
            name: format!("m.{id}"),
            action: Action::Create,
            reasons: Vec::new(),
            after: after.iter().map(|id| StepId(*id)).collect(),
            calls: Vec::new(),
        });
        Plan { steps: steps.collect(), ..Plan::default() }
    }

    fn begin(schedule: &mut Schedule<'_>) -> Vec<u32> {
        let mut begun = Vec::new();
        while let Next::Step(index) = schedule.next() {
            begun.push(schedule.plan.steps[index].id.0);
        }
        begun
    }

    #[test]
    fn a_step_begins_when_its_prerequisites_are_done() {
        let plan = plan(&[("a", &[]), ("a", &[1]), ("a", &[1, 2]), ("a", &[1]), ("a", &[])]);
        let mut schedule = Schedule::new(&plan, 8);
        assert_eq!(begin(&mut schedule), [1, 5]);
        schedule.done(0);
        assert_eq!(begin(&mut schedule), [2, 4]);
        schedule.done(3);
        assert!(begin(&mut schedule).is_empty());
        schedule.done(1);
        assert_eq!(begin(&mut schedule), [3]);
    }

    #[test]
    fn the_limit_holds_for_each_client_by_itself() {
        let plan = plan(&[("a", &[]), ("a", &[]), ("a", &[]), ("b", &[]), ("b", &[])]);
        let mut schedule = Schedule::new(&plan, 2);
        assert_eq!(begin(&mut schedule), [1, 2, 4, 5]);
        schedule.done(3);
        assert!(begin(&mut schedule).is_empty());
        schedule.done(0);
        assert_eq!(begin(&mut schedule), [3]);
    }

    #[test]
    fn a_failure_skips_what_needs_it_and_nothing_else() {
        let plan = plan(&[("a", &[]), ("a", &[1]), ("a", &[2]), ("a", &[]), ("a", &[3, 4])]);
        let mut schedule = Schedule::new(&plan, 8);
        assert_eq!(begin(&mut schedule), [1, 4]);
        schedule.failed(0);
        schedule.done(3);
        assert!(begin(&mut schedule).is_empty());
        let because = Because::Failed(StepId(1));
        assert_eq!(schedule.into_skipped(), BTreeMap::from([(1, because), (2, because), (4, because)]));
    }

    #[test]
    fn after_a_stop_nothing_begins_and_the_rest_is_skipped() {
        let plan = plan(&[("a", &[]), ("a", &[]), ("a", &[1])]);
        let mut schedule = Schedule::new(&plan, 1);
        assert_eq!(begin(&mut schedule), [1]);
        schedule.stop(Because::Cancelled);
        schedule.done(0);
        assert!(begin(&mut schedule).is_empty());
        assert_eq!(
            schedule.into_skipped(),
            BTreeMap::from([(1, Because::Cancelled), (2, Because::Cancelled)])
        );
    }

    #[test]
    fn a_prerequisite_outside_the_plan_counts_as_done() {
        let plan = plan(&[("a", &[77])]);
        assert_eq!(begin(&mut Schedule::new(&plan, 1)), [1]);
    }
}
