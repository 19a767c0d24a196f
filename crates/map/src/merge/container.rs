//! Merging one container configuration into another (map-model §5.2).

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;

use indexmap::IndexMap;

use super::Lists;
use crate::model::{Container, Keyed, Options, Setting};
use crate::position::Origins;
use crate::value::Late;

/// Merges `other` into `target`: what `other` gives wins, lists are united, keyed elements replaced.
///
/// `abstract` and `extends` of `target` stay as they are. Late values are compared by their source,
/// never looked up (D43).
pub(crate) fn merge(target: &mut Container, other: &Container, lists: Lists) {
    // Two halves of one value each, so that positions can be recorded while values are changed.
    let mut origins = std::mem::take(&mut target.origins);
    values(target, other, lists, &mut origins, &other.origins);
    origins.adopt_missing("", &other.origins);
    target.origins = origins;
}

/// Merges `heir` into `target`, which is a copy of its parents; its positions are those of `heir`, then
/// those of the parents.
pub(crate) fn inherit(target: &mut Container, heir: &Container) {
    let origins = heir.origins.inheriting(&target.origins);
    let none = Origins::default();
    values(target, heir, Lists::AndScalars, &mut Origins::default(), &none);
    target.origins = origins;
}

fn values(target: &mut Container, other: &Container, lists: Lists, origins: &mut Origins, others: &Origins) {
    macro_rules! each {
        ($merge:ident: $($property:ident),*) => {
            $($merge(&mut target.$property, &other.$property, stringify!($property), origins, others);)*
        };
    }
    each!(union: instances, clients, shares, links, exec_commands);
    each!(keyed: binds, attaches, uses, networks, exposes);
    if lists == Lists::AndScalars {
        each!(setting: image, user, permissions, stop_timeout, stop_signal, start_delay, network_mode, persistent);
        each!(setting: healthcheck);
        each!(options: create_options, host_config);
    }
}

/// A later value replaces, if it is written at all.
pub(super) fn setting<T: Clone>(
    target: &mut Setting<T>,
    other: &Setting<T>,
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    if !other.is_unset() {
        target.clone_from(other);
        origins.forget(name);
        origins.adopt(name, others);
    }
}

/// Existing order, then new elements; compared as a whole.
pub(super) fn union<T: Clone + Eq + Hash + Keyed>(
    target: &mut Vec<T>,
    other: &[T],
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    if target.is_empty() {
        first(target, other, name, origins, others);
        return;
    }
    let mut known: HashSet<&T> = target.iter().collect();
    let new: Vec<T> = other.iter().filter(|element| known.insert(element)).cloned().collect();
    for element in &new {
        origins.adopt(&format!("{name}.{}", element.key()), others);
    }
    if !new.is_empty() {
        origins.adopt_missing(name, others);
    }
    target.extend(new);
}

/// The first list of a property is taken as it is.
fn first<T: Clone>(target: &mut Vec<T>, other: &[T], name: &str, origins: &mut Origins, others: &Origins) {
    if !other.is_empty() {
        // Most lists have one element or two, and a growing one makes room for four.
        target.reserve_exact(other.len());
        target.extend_from_slice(other);
        origins.adopt(name, others);
    }
}

/// Elements of one key replace the known ones of that key, at the place of the first of them; others
/// are appended.
///
/// `exposes` may have several elements of one key (D27). The other keyed lists normally have one; where
/// a map repeats one, all that one layer gives stay together.
fn keyed<T: Clone + Keyed>(
    target: &mut Vec<T>,
    other: &[T],
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    if target.is_empty() || other.is_empty() {
        first(target, other, name, origins, others);
        return;
    }
    let mut groups: IndexMap<Cow<'_, str>, Vec<&T>> = IndexMap::new();
    for element in other {
        groups.entry(element.key()).or_default().push(element);
    }
    let mut placed = HashSet::new();
    let mut merged = Vec::with_capacity(target.len() + other.len());
    for element in target.iter() {
        match groups.get_full(&element.key()) {
            None => merged.push(element.clone()),
            Some((at, _, group)) if placed.insert(at) => {
                merged.extend(group.iter().map(|element| (*element).clone()))
            }
            Some(_) => {}
        }
    }
    for element in other {
        if groups.get_index_of(&element.key()).is_none_or(|at| !placed.contains(&at)) {
            merged.push(element.clone());
        }
    }
    for key in groups.keys() {
        let path = format!("{name}.{key}");
        origins.forget(&path);
        origins.adopt(&path, others);
    }
    origins.adopt_missing(name, others);
    *target = merged;
}

/// Key by key, one level deep. A late mapping cannot be looked into yet: it stays a layer of its own.
pub(super) fn options(
    target: &mut Options,
    other: &Options,
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    for layer in other.layers() {
        if let Late::Known(new) = layer {
            for key in new.keys() {
                let path = format!("{name}.{key}");
                origins.forget(&path);
                origins.adopt(&path, others);
            }
        }
        origins.adopt_missing(name, others);
    }
    target.update(other);
}
