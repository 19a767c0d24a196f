//! Inheritance: the extended map, which commands work on (map-model §1.7, §5.1–§5.4).

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::diagnostic::{Finding, FindingKind, Findings, nearest};
use crate::graph::{Cycle, Graph};
use crate::merge::{Lists, container};
use crate::model::{Container, Map};
use crate::names::ConfigName;
use crate::place::{in_configuration, place_of, written_at};

/// Returns a copy of `map` in which every configuration has its inherited values merged in, and
/// abstract configurations are dropped.
///
/// Parents are merged in the order of `extends`, each with its own parents first; then the
/// configuration itself. Extending an extended map changes nothing. Takes time in proportion to the
/// configurations and what they inherit, and no stack for chains of parents.
///
/// # Errors
///
/// Every missing parent ([`FindingKind::Integrity`]) and every circle of parents
/// ([`FindingKind::Cycle`], with its path): check 3 of map-model §9.
pub fn extended(map: &Map) -> Result<Map, Findings> {
    let extension = extend(map);
    match extension.map {
        Some(map) if extension.findings.is_empty() => Ok(map),
        _ => Err(Findings(extension.findings)),
    }
}

/// What could be extended, and what is wrong with the rest.
pub(crate) struct Extension {
    /// The extended map; missing parents are left out of it. `None` when parents form a circle.
    pub map: Option<Map>,
    /// Configurations that lack a parent, directly or through another parent: what else is wrong
    /// with them may only echo that.
    pub incomplete: HashSet<ConfigName>,
    /// Missing parents and circles.
    pub findings: Vec<Finding>,
}

/// Extends `map` as far as that is possible.
pub(crate) fn extend(map: &Map) -> Extension {
    let mut parents = Graph::with_capacity(map.containers.len(), map.containers.len());
    for written in map.containers.values() {
        parents.push(written.extends.iter().filter_map(|parent| map.containers.get_index_of(parent)));
    }
    let mut findings = missing_parents(map);
    let named = |at: usize| map.containers.get_index(at).expect("it is a number of a configuration").0;
    for cycle in parents.cycles() {
        let cycle = Cycle(cycle.0.into_iter().map(named).collect());
        let (first, parent) = (cycle.0[0], cycle.0[1]);
        let message = if first == parent {
            format!("configuration `{first}` extends itself (check 3)")
        } else {
            format!("circular inheritance: {cycle} (check 3)")
        };
        let place = |name: &ConfigName, parent: &ConfigName| {
            place_of(&map.containers[name].origins, &format!("extends.{parent}"), parent)
        };
        let mut finding = Finding::error(FindingKind::Cycle, message);
        finding.subject = in_configuration(&map.name, first, "extends");
        finding.place = place(first, parent);
        for pair in cycle.0[1..].windows(2) {
            let text = format!("`{}` extends `{}`", pair[0], pair[1]);
            finding.related.extend(place(pair[0], pair[1]).map(|place| (place, text)));
        }
        findings.push(finding);
    }
    let Ok(order) = parents.forward(&(0..map.containers.len()).collect::<Vec<_>>()) else {
        return Extension { map: None, incomplete: HashSet::new(), findings };
    };

    let mut incomplete = HashSet::new();
    let mut done: Vec<Option<Box<Container>>> = vec![None; map.containers.len()];
    for at in order {
        let (name, written) = map.containers.get_index(at).expect("it is a number of a configuration");
        let is_missing =
            |parent: &ConfigName| incomplete.contains(parent) || !map.containers.contains_key(parent);
        if written.extends.iter().any(is_missing) {
            incomplete.insert(name.clone());
        }
        let mut known = parents.neighbours(at).iter().map(|at| *at as usize);
        let parent = |at: usize| done[at].as_ref().expect("parents come first");
        let extended = match known.next() {
            None => written.clone(),
            Some(first) => {
                let mut extended = parent(first).clone();
                extended.is_abstract = false;
                for next in known {
                    container::merge(&mut extended, parent(next), Lists::AndScalars);
                }
                container::inherit(&mut extended, written);
                extended
            }
        };
        done[at] = Some(extended);
    }
    let mut containers = IndexMap::with_capacity(map.containers.len());
    for ((name, written), extended) in map.containers.iter().zip(done) {
        if let Some(mut extended) = extended.filter(|_| !written.is_abstract) {
            extended.extends.clear();
            containers.insert(name.clone(), extended);
        }
    }
    Extension { map: Some(with_containers(map, containers)), incomplete, findings }
}

/// Returns a copy of `map` with other configurations.
fn with_containers(map: &Map, containers: IndexMap<ConfigName, Box<Container>>) -> Map {
    Map {
        containers,
        name: map.name.clone(),
        volumes: map.volumes.clone(),
        host: map.host.clone(),
        host_root: map.host_root.clone(),
        networks: map.networks.clone(),
        groups: map.groups.clone(),
        clients: map.clients.clone(),
        repository: map.repository.clone(),
        default_tag: map.default_tag.clone(),
        default_domain: map.default_domain.clone(),
        set_hostname: map.set_hostname,
        use_attached_parent_name: map.use_attached_parent_name,
        origins: map.origins.clone(),
    }
}

fn missing_parents(map: &Map) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, container) in &map.containers {
        for parent in container.extends.iter().filter(|parent| !map.containers.contains_key(*parent)) {
            let message = format!("`{parent}` is no configuration of the map (check 3)");
            let mut finding = Finding::error(FindingKind::Integrity, message);
            finding.subject = in_configuration(&map.name, name, "extends");
            if let Some(near) =
                nearest(parent, map.containers.keys().map(|name| &**name).filter(|known| *known != &**name))
            {
                finding = finding.hint(format!("did you mean `{near}`?"));
            }
            findings.push(written_at(finding, &container.origins, &format!("extends.{parent}"), parent));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
