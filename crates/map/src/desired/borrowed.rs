//! Containers in the network of one that they name as the engine calls it: `network_mode: "container:c.vpn"`.
//!
//! To the map such a container is unmanaged, and no selection of the user's reaches it (map-model §2.11). Where it
//! is part of the run all the same, by another map or by its own reference, the run's order has to be that of a
//! need: it is made first, and what is in its network follows when it is made anew.

use std::collections::HashMap;

use super::{BindingKind, Desired, Entry, Object};
use crate::graph::Graph;

/// Adds these needs to the entries, and puts the entries back into an order in which each comes after what it needs.
pub(super) fn tie(desired: &mut Desired) {
    let entries = &mut desired.entries;
    let mut users = ties(entries);
    // A circle is the engine's to refuse: it cannot start any of them, and which of the ties is wrong is not known.
    users.retain(|(user, owner)| {
        let closes = reaches(entries, *owner, *user);
        if !closes {
            entries[*user].needs.push(*owner);
        }
        !closes
    });
    for (user, _) in &users {
        entries[*user].needs.sort_unstable();
    }
    if users.iter().all(|(user, owner)| owner < user) {
        return;
    }
    let order = order(entries);
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, index)| places[*index] = place);
    let mut moved: Vec<Entry> = std::mem::take(entries);
    moved.iter_mut().for_each(|entry| {
        entry.needs.iter_mut().for_each(|need| *need = places[*need]);
        entry.needs.sort_unstable();
    });
    let mut placed: Vec<(usize, Entry)> = places.into_iter().zip(moved).collect();
    placed.sort_by_key(|(place, _)| *place);
    *entries = placed.into_iter().map(|(_, entry)| entry).collect();
}

/// Returns the pairs of a container and the owner of its network that are not needs yet.
fn ties(entries: &[Entry]) -> Vec<(usize, usize)> {
    let mut tied = Vec::new();
    let containers = || {
        entries.iter().enumerate().filter_map(|(index, entry)| match &entry.object {
            Object::Container(container) => Some((index, entry, container)),
            _ => None,
        })
    };
    for (index, _, container) in containers() {
        let shared = container.bound_to.iter().filter(|binding| binding.kind == BindingKind::NetworkMode);
        tied.extend(shared.map(|binding| (index, binding.container.as_str())));
    }
    if tied.is_empty() {
        return Vec::new();
    }
    let known: HashMap<(&str, &str), usize> =
        containers().map(|(index, entry, _)| ((entry.client.as_str(), entry.name.as_str()), index)).collect();
    let owner = |(user, name): (usize, &str)| {
        let owner = *known.get(&(entries[user].client.as_str(), name))?;
        (owner != user && !entries[user].needs.contains(&owner)).then_some((user, owner))
    };
    tied.into_iter().filter_map(owner).collect()
}

/// Tells whether an entry needs another one, directly or not.
fn reaches(entries: &[Entry], from: usize, to: usize) -> bool {
    let mut seen = vec![false; entries.len()];
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if index == to {
            return true;
        }
        if !std::mem::replace(&mut seen[index], true) {
            open.extend(&entries[index].needs);
        }
    }
    false
}

/// Returns the entries in their order, but for those that another one needs before.
fn order(entries: &[Entry]) -> Vec<usize> {
    let mut graph = Graph::with_capacity(entries.len(), 0);
    entries.iter().for_each(|entry| graph.push(entry.needs.iter().copied()));
    let all: Vec<usize> = (0..entries.len()).collect();
    graph.forward(&all).expect("ties that would close a circle are left out")
}
