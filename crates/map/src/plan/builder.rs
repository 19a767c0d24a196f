//! The plan under construction: steps, what they wait for, and what they do to the items after them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Call, Plan, PlanError, PlanOptions, Reason, Step, StepId, Unchanged, ambiguous};
use crate::desired::{BindingKind, Container, Desired, Entry, Object};
use crate::item::Kind;
use crate::names::ClientName;
use crate::observed::{Observed, ObservedContainer};

/// Collects the steps of one plan.
pub(super) struct Builder<'a> {
    pub(super) desired: &'a Desired,
    observed: &'a BTreeMap<ClientName, Observed>,
    pub(super) options: &'a PlanOptions,
    steps: Vec<Step>,
    /// The steps of each entry, in order.
    of_entry: BTreeMap<usize, Vec<StepId>>,
    unchanged: Vec<Unchanged>,
    notices: Vec<String>,
    errors: Vec<PlanError>,
    /// Which way prerequisites go.
    order: Order,
    /// What this plan makes anew, on each client.
    pub(super) renewed: BTreeMap<ClientName, Renewed>,
    /// The removals of orphans, by client and name.
    pub(super) orphans: BTreeMap<(ClientName, String), StepId>,
    /// The steps that make volumes with data anew, by client and name.
    pub(super) resets: BTreeMap<(ClientName, String), StepId>,
    /// The entries that need each entry directly.
    needed_by: Vec<Vec<usize>>,
    /// Entries that cannot be planned because a host is down, with the reason for a notice.
    blocked: BTreeMap<usize, String>,
}

/// Which items a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// For what its item needs.
    Forward,
    /// For what needs its item.
    Reverse,
    /// For nothing: the items are independent.
    Free,
}

/// What a plan makes anew on one client, by Docker name.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewed {
    /// Containers that are created or made anew: what is bound to them has to follow.
    pub(super) containers: BTreeSet<String>,
    /// Networks that are removed and made again.
    pub(super) networks: BTreeSet<String>,
    /// Volumes that are created or made anew.
    pub(super) volumes: BTreeSet<String>,
    /// Containers that an earlier step has stopped.
    pub(super) stopped: BTreeSet<String>,
    /// Containers that an earlier step has removed.
    pub(super) removed: BTreeSet<String>,
    /// Images that are pulled, so that what they bring is not known yet.
    pub(super) pulled: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        desired: &'a Desired,
        observed: &'a BTreeMap<ClientName, Observed>,
        options: &'a PlanOptions,
        order: Order,
    ) -> Self {
        let mut builder = Self {
            desired,
            observed,
            options,
            steps: Vec::new(),
            of_entry: BTreeMap::new(),
            unchanged: Vec::new(),
            notices: desired.notices.clone(),
            errors: Vec::new(),
            order,
            renewed: BTreeMap::new(),
            orphans: BTreeMap::new(),
            resets: BTreeMap::new(),
            needed_by: vec![Vec::new(); desired.entries.len()],
            blocked: BTreeMap::new(),
        };
        for (index, entry) in desired.entries.iter().enumerate() {
            entry.needs.iter().for_each(|need| builder.needed_by[*need].push(index));
        }
        builder.block();
        builder
    }

    /// Finds the entries on hosts that are down, and those that wait for them.
    fn block(&mut self) {
        let entries = &self.desired.entries;
        let down = |entry: &Entry| !self.observed.contains_key(&entry.client);
        let mut blocked: BTreeMap<usize, String> = BTreeMap::new();
        let waits: Box<dyn Iterator<Item = usize>> = match self.order {
            Order::Reverse => Box::new((0..entries.len()).rev()),
            Order::Forward | Order::Free => Box::new(0..entries.len()),
        };
        for index in waits {
            let entry = &entries[index];
            if down(entry) {
                blocked.insert(index, String::new());
                continue;
            }
            let cause = self.waits_for(index).into_iter().find_map(|other| {
                let other_entry = &entries[other];
                blocked.get(&other).map(|_| format!("{} on {}", other_entry.name, other_entry.client))
            });
            if let Some(cause) = cause {
                let text = format!(
                    "{} {} on {} is left out: it waits for {cause}, which cannot be reached",
                    entry.id.item.kind(),
                    entry.name,
                    entry.client
                );
                blocked.insert(index, text);
            }
        }
        self.blocked = blocked;
    }

    /// Returns the entries that the entry's steps wait for directly.
    fn waits_for(&self, index: usize) -> Vec<usize> {
        match self.order {
            Order::Forward => self.desired.entries[index].needs.clone(),
            Order::Reverse => self.needed_by[index].clone(),
            Order::Free => Vec::new(),
        }
    }

    /// Returns the entries that can be planned, in the order of their steps, with the state of their
    /// engine.
    pub(super) fn entries(&self) -> Vec<(usize, &'a Entry, &'a Observed)> {
        let (desired, observed) = (self.desired, self.observed);
        let known = desired
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| Some((index, entry, observed.get(&entry.client)?)));
        let mut entries: Vec<_> = known.collect();
        if self.order == Order::Reverse {
            entries.reverse();
        }
        entries
    }

    /// Returns what is made anew on the entry's client.
    pub(super) fn renewed(&mut self, client: &ClientName) -> &mut Renewed {
        self.renewed.entry(client.clone()).or_default()
    }

    /// Adds a step for an entry. An entry that waits for a host that is down gets a notice instead.
    pub(super) fn step(
        &mut self,
        index: usize,
        action: Action,
        reasons: Vec<Reason>,
        calls: Vec<Call>,
    ) -> Option<StepId> {
        let after = self.prerequisites(index);
        self.step_after(index, action, reasons, calls, after)
    }

    /// As [`Builder::step`], with prerequisites of its own.
    pub(super) fn step_after(
        &mut self,
        index: usize,
        action: Action,
        reasons: Vec<Reason>,
        calls: Vec<Call>,
        mut after: Vec<StepId>,
    ) -> Option<StepId> {
        if let Some(cause) = self.blocked.get(&index) {
            if !cause.is_empty() && !self.notices.contains(cause) {
                self.notices.push(cause.clone());
            }
            return None;
        }
        let entry = &self.desired.entries[index];
        after.extend(self.of_entry.get(&index).into_iter().flatten().copied());
        after.extend(self.steps_of_renewed_networks(entry));
        after.extend(self.steps_of_resets(entry));
        after.extend(self.steps_of_orphans(entry));
        after.sort_unstable();
        after.dedup();
        let id =
            self.free_step(&entry.client, entry.id.item.kind(), &entry.name, action, reasons, calls, after);
        self.of_entry.entry(index).or_default().push(id);
        Some(id)
    }

    /// Adds a step for something that is no entry.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn free_step(
        &mut self,
        client: &ClientName,
        kind: Kind,
        name: &str,
        action: Action,
        reasons: Vec<Reason>,
        calls: Vec<Call>,
        after: Vec<StepId>,
    ) -> StepId {
        let id = StepId(
            u32::try_from(self.steps.len() + 1).expect("a plan has fewer steps than memory has bytes"),
        );
        let (client, name) = (client.clone(), name.to_owned());
        self.steps.push(Step { id, client, kind, name, action, reasons, after, calls });
        id
    }

    /// Returns the nearest steps that an entry waits for: those of its direct neighbours, or, where a
    /// neighbour needs nothing, of the neighbours behind it.
    pub(super) fn prerequisites(&self, index: usize) -> Vec<StepId> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = self.waits_for(index);
        while let Some(other) = open.pop() {
            if !seen.insert(other) {
                continue;
            }
            match self.of_entry.get(&other).and_then(|steps| steps.last()) {
                Some(step) => {
                    found.insert(*step);
                }
                None => open.extend(self.waits_for(other)),
            }
        }
        found.into_iter().collect()
    }

    /// Returns the pulls of the images of some entries, and of all that they need. Where one of them fails, what
    /// waits for the image is left out, so that nothing may be taken away that is to be restored with it.
    pub(super) fn pulls(&self, indexes: impl IntoIterator<Item = usize>) -> Vec<StepId> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = indexes.into_iter().collect();
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let entry = &self.desired.entries[index];
            match entry.object {
                Object::Image(_) => found.extend(self.last_step(index)),
                _ => open.extend(&entry.needs),
            }
        }
        found.into_iter().collect()
    }

    /// Tells whether an entry gets no steps, because it is on a host that is down or waits for one.
    pub(super) fn is_blocked(&self, index: usize) -> bool {
        self.blocked.contains_key(&index)
    }

    /// Tells whether another entry of the run needs this one.
    pub(super) fn is_needed(&self, index: usize) -> bool {
        !self.needed_by[index].is_empty()
    }

    /// Records that an entry needs nothing.
    pub(super) fn unchanged(&mut self, index: usize) {
        let entry = &self.desired.entries[index];
        let (client, kind, name) = (entry.client.clone(), entry.id.item.kind(), entry.name.clone());
        self.unchanged.push(Unchanged { client, kind, name });
    }

    pub(super) fn notice(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notices.contains(&text) {
            self.notices.push(text);
        }
    }

    pub(super) fn error(&mut self, error: PlanError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Returns the entries of containers on a client that are bound to one of the given containers.
    pub(super) fn bound_by(
        &self,
        client: &ClientName,
        target: &str,
        kind: BindingKind,
    ) -> Vec<(usize, &'a Container)> {
        let desired = self.desired;
        let bound = |container: &Container| {
            container.bound_to.iter().any(|binding| binding.kind == kind && binding.container == target)
        };
        desired
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.client == *client)
            .filter_map(|(index, entry)| match &entry.object {
                Object::Container(container) if bound(container) => Some((index, &**container)),
                _ => None,
            })
            .collect()
    }

    /// Adds a call to the end of a step.
    pub(super) fn extend_step(&mut self, step: StepId, call: Call) {
        let found = self.steps.iter_mut().find(|known| known.id == step);
        found.expect("it is a step of this plan").calls.push(call);
    }

    /// Returns the steps so far of those of the named containers that are part of the run.
    pub(super) fn steps_of_containers(&self, client: &ClientName, names: &BTreeSet<String>) -> Vec<StepId> {
        let is_meant = |step: &&Step| {
            step.client == *client && step.kind == Kind::Container && names.contains(&step.name)
        };
        self.steps.iter().filter(is_meant).map(|step| step.id).collect()
    }

    /// Returns the steps that make networks anew to which a container is connected now: they disconnect it,
    /// whether or not it is to be connected again.
    fn steps_of_renewed_networks(&self, entry: &Entry) -> Vec<StepId> {
        let networks = self.renewed.get(&entry.client).map(|renewed| &renewed.networks);
        let Some(networks) = networks.filter(|networks| !networks.is_empty()) else { return Vec::new() };
        let observed = self.observed.get(&entry.client).map(|observed| &observed.networks);
        let is_member = |network: &String| {
            let current = observed.and_then(|observed| observed.get(network));
            current.is_some_and(|current| current.containers.contains(&entry.name))
        };
        let is_meant = |step: &&Step| {
            step.client == entry.client
                && step.kind == Kind::Network
                && networks.contains(&step.name)
                && is_member(&step.name)
        };
        self.steps.iter().filter(is_meant).map(|step| step.id).collect()
    }

    /// Returns the steps that make volumes anew which a container holds now, or is to hold: created before them,
    /// it would hold the volume that is to be removed.
    fn steps_of_resets(&self, entry: &Entry) -> Vec<StepId> {
        let Object::Container(container) = &entry.object else { return Vec::new() };
        let observed = self.observed.get(&entry.client).map(|observed| &observed.volumes);
        let holds = |volume: &String| {
            let current = observed.and_then(|observed| observed.get(volume));
            current.is_some_and(|current| current.holders.contains(&entry.name))
                || container.mounts.values().any(|mount| mount.is_volume && mount.source == *volume)
        };
        let meant =
            self.resets.iter().filter(|((client, volume), _)| *client == entry.client && holds(volume));
        meant.map(|(_, step)| *step).collect()
    }

    /// Returns the removals of orphans on a container's client: they may hold the port, the address or the data
    /// that it is to have, and nothing tells which of them it replaces. That goes for its stop, too: it would not
    /// be made anew where the removal fails.
    fn steps_of_orphans(&self, entry: &Entry) -> Vec<StepId> {
        if self.order != Order::Forward || !matches!(entry.object, Object::Container(_)) {
            return Vec::new();
        }
        let here = self.orphans.iter().filter(|((client, _), _)| *client == entry.client);
        here.map(|(_, step)| *step).collect()
    }

    /// Returns the last step of an entry.
    pub(super) fn last_step(&self, index: usize) -> Option<StepId> {
        self.of_entry.get(&index)?.last().copied()
    }

    /// Returns the removals of those of the named containers that are orphans.
    pub(super) fn orphan_steps(&self, client: &ClientName, names: &BTreeSet<String>) -> Vec<StepId> {
        let step = |name: &String| self.orphans.get(&(client.clone(), name.clone())).copied();
        names.iter().filter_map(step).collect()
    }

    /// Returns the state of each engine.
    pub(super) fn observed(&self) -> &'a BTreeMap<ClientName, Observed> {
        self.observed
    }

    /// Returns the steps so far.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn finish(mut self) -> Result<Plan, Vec<PlanError>> {
        ambiguous::check(&mut self);
        if self.errors.is_empty() {
            Ok(Plan { steps: self.steps, unchanged: self.unchanged, notices: self.notices })
        } else {
            Err(self.errors)
        }
    }
}

/// Returns a container of the snapshot, unless an earlier step of the plan removes it.
pub(super) fn existing<'a>(
    observed: &'a Observed,
    renewed: Option<&Renewed>,
    name: &str,
) -> Option<&'a ObservedContainer> {
    let removed = renewed.is_some_and(|renewed| renewed.removed.contains(name));
    observed.containers.get(name).filter(|_| !removed)
}
