//! Combining maps: update, merge and map defaults (map-model §1.6, §5.5).
//!
//! Nothing here changes its inputs (§5.6); every function returns a new map. Positions follow the
//! values: a value that was taken over keeps the place it was written at.

pub(crate) mod container;
mod defaults;
mod update;

use std::hash::Hash;

use indexmap::IndexMap;

use crate::model::{Map, Network, Volume};
use crate::position::Origins;
use crate::value::Value;

pub use defaults::with_defaults;
pub use update::{Patch, update};

/// How much a merge touches of what exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    /// Everything that the other side gives.
    #[default]
    AndScalars,
    /// Only list and tuple-list properties of configurations, and the map's clients.
    Only,
}

/// Merges `other` into `map`: what `other` gives wins, lists are united, and nothing is ever unset.
///
/// The name stays that of `map`. `abstract` and `extends` of configurations that exist in both stay
/// as they are in `map`. Merging is associative: `merge(merge(a, b), c)` equals
/// `merge(a, merge(b, c))`.
#[must_use]
pub fn merge(map: &Map, other: &Map, lists: Lists) -> Map {
    let mut merged = map.clone();
    let (origins, others) = (&mut merged.origins, &other.origins);
    container::union(&mut merged.clients, &other.clients, "clients", origins, others);
    if lists == Lists::AndScalars {
        scalars(&mut merged, other);
        for (name, members) in &other.groups {
            merged.groups.insert(name.clone(), members.clone());
            replace_origins(&mut merged.origins, &other.origins, &format!("groups.{name}"));
        }
    }
    for (alias, path) in &other.host {
        merged.host.insert(alias.clone(), path.clone());
        replace_origins(&mut merged.origins, &other.origins, &format!("host.{alias}"));
    }
    each(&mut merged.containers, &other.containers, |known, new| container::merge(known, new, lists));
    // An existing volume or network has no lists: nothing of it is merged then.
    let scalars = lists == Lists::AndScalars;
    each(&mut merged.volumes, &other.volumes, |known, new| {
        if scalars {
            volume(known, new)
        }
    });
    each(&mut merged.networks, &other.networks, |known, new| {
        if scalars {
            network(known, new)
        }
    });
    merged
}

/// Merges entries of one name and adds the others.
fn each<K: Clone + Eq + Hash, V: Clone>(
    known: &mut IndexMap<K, V>,
    new: &IndexMap<K, V>,
    merge: impl Fn(&mut V, &V),
) {
    for (name, value) in new {
        match known.get_mut(name) {
            Some(known) => merge(known, value),
            None => drop(known.insert(name.clone(), value.clone())),
        }
    }
}

/// The map's own single values: replaced where `other` sets them (D46: a root is never cleared).
fn scalars(map: &mut Map, other: &Map) {
    macro_rules! each {
        ($($property:ident),*) => {$(
            if other.$property.is_some() {
                map.$property.clone_from(&other.$property);
                replace_origins(&mut map.origins, &other.origins, stringify!($property));
            }
        )*};
    }
    each!(host_root, repository, default_tag, default_domain, set_hostname, use_attached_parent_name);
}

/// Keys are merged, mappings key by key. A volume written as a text gives its path only.
fn volume(known: &mut Volume, new: &Volume) {
    let Volume { default_path, driver, driver_options, create_options, user, permissions, origins } = known;
    option(default_path, &new.default_path, "default_path", origins, &new.origins);
    option(driver, &new.driver, "driver", origins, &new.origins);
    values(driver_options, &new.driver_options, "driver_options", origins, &new.origins);
    values(create_options, &new.create_options, "create_options", origins, &new.origins);
    container::setting(user, &new.user, "user", origins, &new.origins);
    container::setting(permissions, &new.permissions, "permissions", origins, &new.origins);
}

fn network(known: &mut Network, new: &Network) {
    let Network { driver, driver_options, internal, create_options, origins } = known;
    option(driver, &new.driver, "driver", origins, &new.origins);
    values(driver_options, &new.driver_options, "driver_options", origins, &new.origins);
    option(internal, &new.internal, "internal", origins, &new.origins);
    values(create_options, &new.create_options, "create_options", origins, &new.origins);
}

fn option<T: Clone>(
    known: &mut Option<T>,
    new: &Option<T>,
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    // A given `false` or `local` counts: `None` is "not given" (D31).
    if new.is_some() {
        known.clone_from(new);
        replace_origins(origins, others, name);
    }
}

fn values(
    known: &mut IndexMap<String, Value>,
    new: &IndexMap<String, Value>,
    name: &str,
    origins: &mut Origins,
    others: &Origins,
) {
    for (key, value) in new {
        known.insert(key.clone(), value.clone());
        replace_origins(origins, others, &format!("{name}.{key}"));
    }
    if !new.is_empty() {
        origins.adopt_missing(name, others);
    }
}

fn replace_origins(origins: &mut Origins, others: &Origins, path: &str) {
    origins.forget(path);
    origins.adopt(path, others);
}

#[cfg(test)]
mod tests;
