//! Inheritance: the extended map, which commands work on (map-model §1.7, §5.1–§5.4).

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Finding, FindingKind, Findings, nearest};
use crate::graph;
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
    let parents = |name: &&ConfigName| -> Vec<&ConfigName> {
        let known = |parent: &ConfigName| map.containers.get_key_value(parent).map(|(name, _)| name);
        map.containers[*name].extends.iter().filter_map(known).collect()
    };
    let mut findings = missing_parents(map);
    let cycles = graph::cycles(map.containers.keys(), parents);
    for cycle in &cycles {
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
    let Ok(order) = graph::forward(map.containers.keys(), parents) else {
        return Extension { map: None, incomplete: HashSet::new(), findings };
    };

    let mut incomplete = HashSet::new();
    let mut done: HashMap<&ConfigName, Container> = HashMap::with_capacity(order.len());
    for name in order {
        let written = &map.containers[name];
        if written
            .extends
            .iter()
            .any(|parent| incomplete.contains(parent) || !map.containers.contains_key(parent))
        {
            incomplete.insert(name.clone());
        }
        let mut parents = written.extends.iter().filter_map(|parent| done.get(parent));
        let extended = match parents.next() {
            None => written.clone(),
            Some(first) => {
                let mut extended = Container { is_abstract: false, ..first.clone() };
                for parent in parents {
                    container::merge(&mut extended, parent, Lists::AndScalars);
                }
                container::merge(&mut extended, written, Lists::AndScalars);
                // The object itself stands where the heir was written.
                extended.origins.adopt_own(&written.origins);
                extended
            }
        };
        done.insert(name, extended);
    }
    let mut extended = Map { containers: Default::default(), ..map.clone() };
    for (name, written) in map.containers.iter().filter(|(_, written)| !written.is_abstract) {
        let container = done.remove(name).unwrap_or_else(|| written.clone());
        extended.containers.insert(name.clone(), Container { extends: Vec::new(), ..container });
    }
    Extension { map: Some(extended), incomplete, findings }
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
