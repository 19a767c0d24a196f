//! Map defaults: values that a command's context gives to every map (map-model §1.6).

use super::{Lists, merge};
use crate::model::Map;

/// Returns `map` (extended) with what it does not set taken from `defaults`.
///
/// Single values where the map has none, `clients` and `groups` where they are empty; entries of the
/// mappings are merged with the map's values winning. The map's own configurations keep their place in
/// front of those that only the defaults have. `abstract` configurations of the defaults are left out.
#[must_use]
pub fn with_defaults(map: &Map, defaults: &Map) -> Map {
    let mut base = defaults.clone();
    base.name.clone_from(&map.name);
    if !map.clients.is_empty() {
        base.clients.clear();
    }
    if !map.groups.is_empty() {
        base.groups.clear();
    }
    base.containers.retain(|_, container| !container.is_abstract);
    let mut merged = merge(&base, map, Lists::AndScalars);
    // Document order is that of the map; `merge` put the defaults first.
    macro_rules! map_first {
        ($($mapping:ident),*) => {$(
            for (at, name) in map.$mapping.keys().enumerate() {
                let from = merged.$mapping.get_index_of(name).expect("merging keeps every entry");
                merged.$mapping.move_index(from, at);
            }
        )*};
    }
    map_first!(containers, volumes, networks, host);
    merged
}
