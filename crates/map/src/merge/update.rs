//! Updating a map with another one (map-model §5.5).

use indexmap::IndexMap;

use super::replace_origins;
use crate::model::Map;

/// Returns `map` with everything replaced by what `other` has: a full overwrite, in which unset and
/// empty values of `other` replace too. The name stays that of `map`.
///
/// Configurations, volumes, networks and host paths that only `map` has stay; `clients`, `groups` and
/// the host root are those of `other`. To replace only what a document mentions, for example to
/// clear a list with `uses: []`, use [`crate::load::update`].
#[must_use]
pub fn update(map: &Map, other: &Map) -> Map {
    let mut updated = other.clone();
    updated.name.clone_from(&map.name);
    updated.containers = overwritten(&map.containers, &other.containers);
    updated.volumes = overwritten(&map.volumes, &other.volumes);
    updated.networks = overwritten(&map.networks, &other.networks);
    updated.host = overwritten(&map.host, &other.host);
    for alias in map.host.keys().filter(|alias| !other.host.contains_key(*alias)) {
        replace_origins(&mut updated.origins, &map.origins, &format!("host.{alias}"));
    }
    updated
}

/// The known entries in their order, with the values of the new ones, then the other new ones.
fn overwritten<K, V>(known: &IndexMap<K, V>, new: &IndexMap<K, V>) -> IndexMap<K, V>
where
    K: Clone + Eq + std::hash::Hash,
    V: Clone,
{
    let mut entries = known.clone();
    entries.extend(new.iter().map(|(name, value)| (name.clone(), value.clone())));
    entries
}
