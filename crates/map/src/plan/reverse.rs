//! Actions that go from what needs something to what is needed: stop, remove, shutdown (engine §5.4,
//! §5.5, §5.7; D-07 to D-11, D-29, O-13).

use std::collections::{BTreeMap, BTreeSet};

use super::builder::{Builder, Order};
use super::marker::Unfinished;
use super::{Action, ActionKind, Call, Plan, PlanError, PlanOptions, Reason, calls, orphans};
use crate::compare;
use crate::desired::{Desired, Entry, Lifecycle};
use crate::item::Kind;
use crate::names::ClientName;
use crate::observed::{ContainerState, Observed, ObservedContainer};

pub(super) fn plan(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> Result<Plan, Vec<PlanError>> {
    let mut builder = Builder::new(desired, observed, options, Order::Reverse);
    let orphans = desired.action != ActionKind::Stop;
    if orphans {
        orphans::containers(&mut builder, observed);
    }
    for (index, entry, observed) in builder.entries() {
        match (entry.lifecycle(), entry.id.item.kind()) {
            (Some(lifecycle), _) => {
                if let Some(current) = observed.containers.get(&entry.name) {
                    container(&mut builder, index, entry, lifecycle, current, observed);
                }
            }
            (None, Kind::Volume) => volume(&mut builder, index, entry, observed),
            (None, Kind::Network) => network(&mut builder, index, entry, observed),
            (None, _) => {}
        }
    }
    if orphans {
        orphans::others(&mut builder, observed);
    }
    builder.finish()
}

const STOPPED: &str = "stopped";
const ABSENT: &str = "absent";

fn container(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    lifecycle: &Lifecycle,
    current: &ObservedContainer,
    observed: &Observed,
) {
    let options = builder.options;
    let running = current.state.is_running();
    let removable = options.remove_persistent || !lifecycle.persistent;
    let mut stop_spec = lifecycle.stop.clone();
    stop_spec.timeout = options.timeout.or(stop_spec.timeout);
    let stop = calls::stop(&entry.name, &stop_spec);
    let reason = |text: &str, desired: &str| {
        let (current, desired) = (Some(current.state.to_string()), Some(desired.to_owned()));
        Reason { current, desired, ..compare::because("state", text, None) }
    };
    let forced = options.force && entry.is_selected();
    let removal = Call::RemoveContainer {
        name: entry.name.clone(),
        volumes: options.remove_volumes && entry.is_selected(),
        force: current.state == ContainerState::Dead || forced && running,
    };
    let (action, reason, mut all) = match (builder.desired.action, running) {
        (ActionKind::Stop, true) => (Action::Stop, reason("running", STOPPED), vec![stop]),
        (ActionKind::Stop, false) => return builder.unchanged(index),
        (ActionKind::Shutdown, true) if removable => {
            (Action::Remove, reason("running", ABSENT), vec![stop, removal])
        }
        (ActionKind::Shutdown, true) => {
            (Action::Stop, reason("running; kept, for it is persistent", STOPPED), vec![stop])
        }
        (_, false) if removable => (Action::Remove, reason("exists", ABSENT), vec![removal]),
        (ActionKind::Remove, true) if forced && removable => {
            (Action::Remove, reason("running", ABSENT), vec![removal])
        }
        (ActionKind::Remove, true) => {
            builder.notice(format!("container {} on {} runs and is not removed", entry.name, entry.client));
            return builder.unchanged(index);
        }
        _ => return builder.unchanged(index),
    };
    if action == Action::Remove {
        all.extend(Unfinished::removals(observed, &entry.name));
        builder.renewed(&entry.client).removed.insert(entry.name.clone());
    }
    builder.step(index, action, vec![reason], all);
}

/// A volume goes when it was asked for and nothing holds it any longer.
fn volume(builder: &mut Builder<'_>, index: usize, entry: &Entry, observed: &Observed) {
    let Some(current) = observed.volumes.get(&entry.name) else { return };
    if builder.desired.action == ActionKind::Stop {
        return builder.unchanged(index);
    }
    if let Some(holders) = left(builder, entry, &current.holders) {
        builder.notice(format!("volume {} on {} is kept: it is held by {holders}", entry.name, entry.client));
        return builder.unchanged(index);
    }
    let mut all = vec![Call::RemoveVolume { name: entry.name.clone() }];
    if Unfinished::Preparation.is_marked(observed, &entry.name) {
        all.push(Unfinished::Preparation.removal(&entry.name));
    }
    let mut after = builder.prerequisites(index);
    after.extend(builder.orphan_steps(&entry.client, &current.holders));
    builder.step_after(index, Action::Remove, vec![asked_for(entry, "remove_attached")], all, after);
}

/// A network goes when it was asked for; other containers keep it, unless it was named itself.
fn network(builder: &mut Builder<'_>, index: usize, entry: &Entry, observed: &Observed) {
    let Some(current) = observed.networks.get(&entry.name) else { return };
    if builder.desired.action == ActionKind::Stop {
        return builder.unchanged(index);
    }
    let removed = builder.renewed(&entry.client).removed.clone();
    let others: Vec<&String> = current.containers.iter().filter(|name| !removed.contains(*name)).collect();
    if !others.is_empty() && !entry.is_selected() {
        let names = others.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        builder.notice(format!("network {} on {} is kept: {names} is connected", entry.name, entry.client));
        return builder.unchanged(index);
    }
    let mut all: Vec<Call> =
        others.iter().map(|container| calls::disconnect(container, &entry.name)).collect();
    all.push(Call::RemoveNetwork { name: entry.name.clone() });
    let mut after = builder.prerequisites(index);
    after.extend(builder.orphan_steps(&entry.client, &current.containers));
    builder.step_after(index, Action::Remove, vec![asked_for(entry, "remove_networks")], all, after);
}

/// Returns the holders that are not removed in this plan.
fn left(builder: &mut Builder<'_>, entry: &Entry, holders: &BTreeSet<String>) -> Option<String> {
    let removed = &builder.renewed(&entry.client).removed;
    let left: Vec<&str> =
        holders.iter().filter(|name| !removed.contains(*name)).map(String::as_str).collect();
    (!left.is_empty()).then(|| left.join(", "))
}

fn asked_for(entry: &Entry, option: &str) -> Reason {
    match entry.is_selected() {
        true => compare::because("requested", "asked for", None),
        false => compare::because(option, format!("asked for by {option}"), None),
    }
}
