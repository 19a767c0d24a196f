//! Networks, created and made anew (engine §5.1, §5.6, §5.8; K-02).

use std::collections::{BTreeMap, BTreeSet};

use super::builder::Builder;
use super::{Action, ActionKind, Call, PlanOptions, Reason, calls};
use crate::compare;
use crate::desired::{Desired, Entry, Network, Object, Role};
use crate::names::ClientName;
use crate::observed::Observed;
use crate::spec::EndpointSpec;

pub(super) fn forward(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    network: &Network,
    observed: &Observed,
) {
    let create = Call::CreateNetwork(network.spec.clone());
    let Some(current) = observed.networks.get(&entry.name) else {
        let reason = Reason::not_found(network.origins.get(""));
        builder.step(index, Action::Create, vec![reason], vec![create]);
        return;
    };
    if builder.desired.action != ActionKind::Update {
        return builder.unchanged(index);
    }
    let reasons = match builder.options.force_update.contains(&entry.id) {
        true => vec![Reason::forced()],
        false => compare::network(network, current),
    };
    if reasons.is_empty() {
        return builder.unchanged(index);
    }
    let renewed = builder.renewed(&entry.client);
    let gone: BTreeSet<String> = renewed.removed.union(&renewed.containers).cloned().collect();
    let connected: BTreeSet<&String> = current.containers.difference(&gone).collect();
    let mut all: Vec<Call> =
        connected.iter().map(|container| calls::disconnect(container, &entry.name)).collect();
    all.push(Call::RemoveNetwork { name: entry.name.clone() });
    all.push(create);
    all.extend(strangers(builder, entry, &connected, observed));
    let mut after = builder.prerequisites(index);
    after.extend(builder.orphan_steps(&entry.client, &current.containers));
    // What is connected now and is changed by a step of its own, without needing this network: an engine
    // refuses to disconnect a container that is being removed.
    after.extend(builder.steps_of_containers(&entry.client, &current.containers));
    // They are connected again by their own steps, which wait for their images.
    let is_member = |other: &Entry| {
        other.client == entry.client
            && other.role != Role::Follower
            && current.containers.contains(&other.name)
    };
    let entries = builder.desired.entries.iter().enumerate();
    let members = entries.filter(|(_, other)| other.lifecycle().is_some() && is_member(other));
    after.extend(builder.pulls(members.map(|(at, _)| at)));
    if builder.step_after(index, Action::Recreate, reasons, all, after).is_some() {
        builder.renewed(&entry.client).networks.insert(entry.name.clone());
    }
}

/// Returns the containers of each client that have to be inspected before the plan is made, beside those of
/// [`Desired::wanted`]: they are connected to a network that is made anew, and neither the run nor the map says how.
pub fn unseen(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> BTreeMap<ClientName, BTreeSet<String>> {
    let mut unseen: BTreeMap<ClientName, BTreeSet<String>> = BTreeMap::new();
    if desired.action != ActionKind::Update {
        return unseen;
    }
    for entry in &desired.entries {
        let Object::Network(network) = &entry.object else { continue };
        let Some(observed) = observed.get(&entry.client) else { continue };
        let Some(current) = observed.networks.get(&entry.name) else { continue };
        if !options.force_update.contains(&entry.id) && compare::network(network, current).is_empty() {
            continue;
        }
        let peers = desired.peers.get(&(entry.client.clone(), entry.name.clone()));
        let unknown = current.containers.iter().filter(|name| {
            let container = observed.containers.get(*name);
            container.is_some_and(|container| container.detail.is_none())
                && !peers.is_some_and(|peers| peers.contains_key(*name))
        });
        unseen.entry(entry.client.clone()).or_default().extend(unknown.cloned());
    }
    unseen.retain(|_, names| !names.is_empty());
    unseen
}

/// Connects the containers again that are not part of this run, with the settings that they had or, where
/// they were not inspected, that the map gives them.
/// Those of this run are connected by steps of their own, unless they are left out.
fn strangers(
    builder: &mut Builder<'_>,
    entry: &Entry,
    connected: &BTreeSet<&String>,
    observed: &Observed,
) -> Vec<Call> {
    let known = |name: &String| {
        let entries = builder.desired.entries.iter().enumerate();
        entries
            .filter(|(_, other)| other.client == entry.client && other.name == *name)
            .filter(|(at, _)| !builder.is_blocked(*at))
            .any(|(_, other)| other.lifecycle().is_some() && other.role != Role::Follower)
    };
    let strangers: Vec<&String> = connected.iter().copied().filter(|name| !known(name)).collect();
    let mut all = Vec::new();
    let peers = builder.desired.peers.get(&(entry.client.clone(), entry.name.clone()));
    for name in strangers {
        let detail = observed.containers.get(name).and_then(|container| container.detail.as_ref());
        let as_it_was = detail.and_then(|detail| detail.endpoints.get(&entry.name));
        let endpoint = as_it_was.or_else(|| peers?.get(name)).cloned();
        let bare = endpoint.is_none();
        let endpoint = endpoint
            .unwrap_or_else(|| EndpointSpec { network: entry.name.clone(), ..EndpointSpec::default() });
        all.push(calls::connect(name, &endpoint));
        if bare {
            builder.notice(format!(
                "container {name} is not part of this run and is connected to {} again without aliases and addresses",
                entry.name
            ));
        }
    }
    all
}
