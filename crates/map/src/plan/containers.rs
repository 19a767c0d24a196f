//! Containers: create, start, startup and the resume rules (engine §5.1, §5.2, §5.6, §5.9; O-04, O-05).

use std::collections::{BTreeMap, BTreeSet};

use super::builder::{Builder, existing};
use super::calls::{Marks, Started};
use super::marker::Unfinished;
use super::{Action, Call, PlanError, Reason, StepId, calls};
use crate::compare::{self, EndpointChanges, missing_endpoints};
use crate::desired::{BindingKind, Container, Entry, Role, Unclear};
use crate::names::ClientName;
use crate::observed::{ContainerState, Observed, ObservedContainer, image_key};

/// A container entry, and the engine that it is on.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) index: usize,
    pub(super) entry: &'a Entry,
    pub(super) container: &'a Container,
    pub(super) observed: &'a Observed,
}

/// What happens to a container that has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exited {
    /// It is started (O-04).
    Start,
    /// It is started, unless it is persistent and has run before.
    StayIfPersistent,
}

impl<'a> Item<'a> {
    /// Returns the container as the plan so far leaves it.
    pub(super) fn current(&self, builder: &Builder<'_>) -> Option<&'a ObservedContainer> {
        existing(self.observed, builder.renewed.get(&self.entry.client), &self.entry.name)
    }

    /// Tells whether its first start is still to come, or was interrupted.
    pub(super) fn is_initial(&self, current: &ObservedContainer) -> bool {
        current.state == ContainerState::Created || self.marks().initialisation
    }

    /// Tells whether it was not started to the end, so that it is started whether persistent or not.
    pub(super) fn is_unstarted(&self, current: &ObservedContainer) -> bool {
        self.is_initial(current) || self.marks().commands
    }

    /// Returns what earlier starts have left unfinished.
    pub(super) fn marks(&self) -> Marks {
        let marked = |mark: Unfinished| mark.is_marked(self.observed, &self.entry.name);
        Marks { initialisation: marked(Unfinished::Initialisation), commands: marked(Unfinished::Commands) }
    }

    /// Returns the calls that start it.
    pub(super) fn start_calls(&self, builder: &Builder<'_>, first: bool) -> Vec<Call> {
        let started = Started { first, awaited: builder.is_needed(self.index), left: self.marks() };
        calls::start(self.container, started, builder.options)
    }

    /// Finds the networks that have to be connected before a start.
    pub(super) fn missing_endpoints(
        &self,
        builder: &Builder<'_>,
        current: &ObservedContainer,
    ) -> EndpointChanges {
        let none = BTreeSet::new();
        let renewed = builder.renewed.get(&self.entry.client).map_or(&none, |renewed| &renewed.networks);
        let detail = current.detail.as_ref();
        detail
            .map(|detail| missing_endpoints(self.container, detail, self.observed, renewed))
            .unwrap_or_default()
    }
}

/// §5.1: makes an absent container; finishes one whose creation was interrupted.
pub(super) fn create(builder: &mut Builder<'_>, item: Item<'_>) {
    match item.current(builder) {
        None => make(builder, item, Start::Never),
        Some(current) if current.state == ContainerState::Created => {
            let changes = item.missing_endpoints(builder, current);
            if changes.is_empty() {
                return builder.unchanged(item.index);
            }
            let all = calls::endpoints(&item.entry.name, &changes);
            builder.step(item.index, Action::Update, endpoint_reasons(&changes), all);
        }
        Some(_) => builder.unchanged(item.index),
    }
}

/// §5.2: starts what exists.
pub(super) fn start(builder: &mut Builder<'_>, item: Item<'_>) {
    match item.current(builder) {
        None => builder.notice(format!(
            "container {} on {} does not exist; `startup` creates and starts it",
            item.entry.name, item.entry.client
        )),
        Some(current) if current.state.is_running() => keep_running(builder, item),
        Some(current) => begin(builder, item, current),
    }
}

/// §5.6 and §5.9: makes what is absent, makes anew what cannot be recovered, starts the rest.
pub(super) fn resume(builder: &mut Builder<'_>, item: Item<'_>, exited: Exited) {
    let Some(current) = item.current(builder) else { return make(builder, item, Start::Now) };
    let mut reasons = unusable(builder, current);
    reasons.extend(forced_by_others(builder, item));
    if !reasons.is_empty() {
        recreate(builder, item, current, reasons);
    } else if current.state.is_running() {
        keep_running(builder, item);
    } else if exited == Exited::Start || item.is_unstarted(current) || !item.container.lifecycle.persistent {
        begin(builder, item, current);
    } else {
        builder.unchanged(item.index);
    }
}

/// Whether a new container is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    Never,
}

/// Creates a container.
pub(super) fn make(builder: &mut Builder<'_>, item: Item<'_>, start: Start) {
    let source = item.container.origins.get("");
    let removed = builder.renewed(&item.entry.client).removed.contains(&item.entry.name);
    let reason = match removed {
        true => compare::because("dependency", "created again because its volume is made anew", source),
        false => Reason::not_found(source),
    };
    let mut all = calls::create(item.container, item.observed);
    if start == Start::Now {
        all.extend(item.start_calls(builder, true));
    }
    builder.step(item.index, Action::Create, vec![reason], all);
    builder.renewed(&item.entry.client).containers.insert(item.entry.name.clone());
}

/// Starts a container that exists.
fn begin(builder: &mut Builder<'_>, item: Item<'_>, current: &ObservedContainer) {
    let changes = item.missing_endpoints(builder, current);
    let mut reasons = vec![not_running(current)];
    reasons.extend(endpoint_reasons(&changes));
    let mut all = calls::endpoints(&item.entry.name, &changes);
    all.extend(item.start_calls(builder, item.is_initial(current)));
    builder.step(item.index, Action::Start, reasons, all);
}

/// A running container needs nothing, unless the run that started it was interrupted.
fn keep_running(builder: &mut Builder<'_>, item: Item<'_>) {
    let left = item.marks();
    if left.any() {
        let all = calls::finish_start(&item.entry.name, &item.container.lifecycle, left);
        builder.step(item.index, Action::Exec, vec![unfinished(item.container, left)], all);
    } else {
        builder.unchanged(item.index);
    }
}

/// Removes a container and makes it anew. Containers that share its network are stopped before: they
/// would go on in the network of a container that is no longer there, and nothing would show it.
pub(super) fn recreate(
    builder: &mut Builder<'_>,
    item: Item<'_>,
    current: &ObservedContainer,
    reasons: Vec<Reason>,
) {
    let (name, client) = (&item.entry.name, &item.entry.client);
    let mut after: Vec<StepId> = builder.prerequisites(item.index);
    for (index, user) in builder.bound_by(client, name, BindingKind::NetworkMode) {
        let user_name = &user.spec.name;
        let running = existing(item.observed, builder.renewed.get(client), user_name)
            .is_some_and(|container| container.state.is_running());
        if running && !builder.renewed(client).stopped.contains(user_name) {
            let text = format!("stopped because {name}, whose network it shares, is recreated");
            let reason = compare::because("dependency", text, user.origins.get("network_mode"));
            let mut all = mark(builder, index, item.observed);
            all.push(calls::stop(user_name, &user.lifecycle.stop));
            // It is started again with what it needs, or not stopped at all.
            after.extend(builder.step(index, Action::Stop, vec![reason], all));
            builder.renewed(client).stopped.insert(user_name.clone());
        }
    }
    let stopped = builder.renewed(client).stopped.contains(name);
    let mut all = Vec::new();
    let image = &item.container.spec.image;
    if item.entry.role == Role::Follower && !item.observed.images.contains_key(&image_key(&image.to_string()))
    {
        // The images of the run are pulled by steps of their own.
        all.push(Call::PullImage { image: image.clone(), then_compare: false });
    }
    if !stopped {
        all.extend(mark(builder, item.index, item.observed));
    }
    if current.state.is_running() && !stopped {
        all.push(calls::stop_own(name, &item.container.lifecycle.stop, current));
    }
    all.push(Call::RemoveContainer {
        name: name.clone(),
        volumes: false,
        force: current.state == ContainerState::Dead,
    });
    all.extend(calls::create(item.container, item.observed));
    all.extend(item.start_calls(builder, true));
    builder.step_after(item.index, Action::Recreate, reasons, all, after);
    builder.renewed(client).containers.insert(name.clone());
}

/// A container outside of the run is made anew when one that it cannot outlive is, or was by a run that
/// was interrupted. One that does not exist is nobody's concern here.
pub(super) fn follow(builder: &mut Builder<'_>, item: Item<'_>) {
    let name = &item.entry.name;
    let marked = Unfinished::Following.is_marked(item.observed, name);
    let Some(before) = item.observed.containers.get(name) else {
        if marked {
            make(builder, item, Start::Now);
        }
        return;
    };
    let mut reasons = forced_by_others(builder, item);
    reasons.extend(compare::broken_ties(item.container, before, item.observed));
    if !reasons.is_empty() {
        builder.notice(format!(
            "container {name} on {} was not asked for; it is made anew because it cannot go on as it is",
            item.entry.client
        ));
        recreate(builder, item, before, reasons);
    } else if marked && !before.state.is_running() {
        begin(builder, item, before);
    } else if marked {
        keep_running(builder, item);
    }
}

/// Takes the marker of a container away that followed another one.
pub(super) fn followed(builder: &mut Builder<'_>, item: Item<'_>) {
    let name = &item.entry.name;
    let is_follower = item.entry.role == Role::Follower;
    let marked = Unfinished::Following.is_marked(item.observed, name);
    let step = builder.last_step(item.index);
    let removal = Unfinished::Following.removal(name);
    match step {
        Some(step) if marked || is_follower => builder.extend_step(step, removal),
        None if marked => {
            let reason = compare::because("state", "an earlier run was interrupted", None);
            builder.step(item.index, Action::Update, vec![reason], vec![removal]);
        }
        _ => {}
    }
}

/// What has to follow and cannot be made anew is left broken by this plan: it is refused.
pub(super) fn unclear(builder: &mut Builder<'_>, observed: &BTreeMap<ClientName, Observed>) {
    let desired = builder.desired;
    for Unclear { client, name, tied_to, findings } in &desired.unclear {
        let exists = observed.get(client).is_some_and(|engine| engine.containers.contains_key(name));
        let renewed = builder.renewed.get(client);
        let gone =
            tied_to.iter().find(|other| renewed.is_some_and(|renewed| renewed.containers.contains(*other)));
        if let (true, Some(other)) = (exists, gone) {
            let (client, name, other) = (client.clone(), name.clone(), other.clone());
            let problems = findings.0.iter().map(ToString::to_string).collect();
            builder.error(PlanError::CannotFollow { client, name, other, problems });
        }
    }
}

/// Marks a container outside of the run, before it is touched.
fn mark(builder: &Builder<'_>, index: usize, observed: &Observed) -> Vec<Call> {
    let entry = &builder.desired.entries[index];
    let marked = Unfinished::Following.is_marked(observed, &entry.name);
    let needed = entry.role == Role::Follower && !marked;
    needed.then(|| Unfinished::Following.creation(&entry.name)).into_iter().collect()
}

/// Why a container cannot go on as it is, whatever the map says (engine §2.3).
pub(super) fn unusable(builder: &Builder<'_>, current: &ObservedContainer) -> Vec<Reason> {
    let reason = |text: String| {
        let (current, desired) = (Some(current.state.to_string()), Some("running".to_owned()));
        vec![Reason { current, desired, ..compare::because("state", text, None) }]
    };
    match current.state {
        ContainerState::Exited(code) if builder.options.nonrecoverable_exit_codes.contains(&code) => {
            reason(format!("ended with exit code {code}, which is not recoverable"))
        }
        ContainerState::Dead => reason("dead".to_owned()),
        _ => Vec::new(),
    }
}

/// Why a container has to follow others that this plan makes anew.
pub(super) fn forced_by_others(builder: &Builder<'_>, item: Item<'_>) -> Vec<Reason> {
    let Some(renewed) = builder.renewed.get(&item.entry.client) else { return Vec::new() };
    let container = item.container;
    let mut reasons = Vec::new();
    for binding in container.bound_to.iter().filter(|binding| renewed.containers.contains(&binding.container))
    {
        let other = &binding.container;
        let (what, property) = match binding.kind {
            BindingKind::Link => ("to which it is linked", "links"),
            BindingKind::NetworkMode => ("whose network it shares", "network_mode"),
            BindingKind::VolumesFrom => ("whose volumes it uses", "volumes_from"),
        };
        let text = format!("recreated because {other}, {what}, is made anew");
        reasons.push(compare::because("dependency", text, container.origins.get(property)));
    }
    for (path, mount) in &container.mounts {
        if mount.is_volume && renewed.volumes.contains(&mount.source) {
            let text = format!("recreated because its volume {} is made anew", mount.source);
            let source = container.origins.get(&format!("{}.{path}", crate::desired::MOUNTS));
            reasons.push(compare::because("dependency", text, source));
        }
    }
    reasons
}

pub(super) fn not_running(current: &ObservedContainer) -> Reason {
    let text = match current.state {
        ContainerState::Created => "never started".to_owned(),
        ContainerState::Exited(code) => format!("not running (exit code {code})"),
        _ => "not running".to_owned(),
    };
    Reason {
        field: "state".to_owned(),
        current: Some(current.state.to_string()),
        desired: Some("running".to_owned()),
        source: None,
        text,
    }
}

pub(super) fn unfinished(container: &Container, left: Marks) -> Reason {
    let text = match left.initialisation {
        true => "initial commands were not run: an earlier run was interrupted",
        false => "commands were not run after the start: an earlier run was interrupted",
    };
    compare::because("exec_commands", text, container.origins.get("exec_commands"))
}

pub(super) fn endpoint_reasons(changes: &EndpointChanges) -> Vec<Reason> {
    let connects = changes.connect.iter().chain(&changes.reconnect).map(|(_, reason)| reason);
    connects.chain(changes.disconnect.iter().map(|(_, reason)| reason)).cloned().collect()
}
