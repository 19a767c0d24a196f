//! Selection: which items a command's words mean (map-model §6; engine §1.3; cli §1.1).

mod reference;

use std::collections::BTreeMap;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Finding, FindingKind, Findings, nearest};
use crate::item::{Item, ItemId, Kind};
use crate::model::Map;
use crate::names::{ALL, ConfigName, InstanceName, MapName};

pub use reference::{Reference, map_and_rest};

/// The maps of a run, by name, each in its extended form.
pub type Maps = IndexMap<MapName, Map>;

/// Returns the items that `references` stand for.
///
/// A reference without a map means `default_map`, else the only map; one without instances takes
/// `default_instances`, and when there are none, all that the configuration declares. The result is
/// sorted by kind, map and configuration, not in the order of the references (K12); instances keep
/// the order in which they are named or declared. Nothing comes twice.
///
/// # Errors
///
/// Every map, configuration, group, network, volume and instance that does not exist
/// ([`FindingKind::UnknownReference`]), each with the nearest name.
pub fn select(
    maps: &Maps,
    references: &[Reference],
    default_map: Option<&str>,
    default_instances: &[String],
) -> Result<Vec<ItemId>, Findings> {
    let mut selection = Selection { maps, chosen: BTreeMap::new(), findings: Vec::new() };
    for reference in references {
        let instances = if reference.instances.is_empty() { default_instances } else { &reference.instances };
        for map in selection.maps_of(reference, default_map) {
            selection.add(map, reference, instances);
        }
    }
    if selection.findings.is_empty() { Ok(selection.items()) } else { Err(Findings(selection.findings)) }
}

/// What was chosen so far, in the order of the result.
struct Selection<'a> {
    maps: &'a Maps,
    chosen: BTreeMap<(Kind, &'a MapName, &'a str), Instances<'a>>,
    findings: Vec<Finding>,
}

/// The instances (or the volume aliases) of one configuration.
#[derive(Default)]
struct Instances<'a> {
    /// Some reference named none, which means all.
    all: bool,
    named: IndexSet<&'a str>,
}

impl<'a> Selection<'a> {
    fn maps_of(&mut self, reference: &Reference, default_map: Option<&str>) -> Vec<&'a Map> {
        let name = match (&reference.map, default_map) {
            (Some(name), _) => name.as_str(),
            (None, Some(name)) => name,
            (None, None) if self.maps.len() == 1 => self.maps.keys().next().expect("there is one"),
            (None, None) => {
                self.findings.push(self.no_map(reference));
                return Vec::new();
            }
        };
        if name == ALL {
            return self.maps.values().collect();
        }
        match self.maps.get(name) {
            Some(map) => vec![map],
            None => {
                self.findings.push(self.unknown_map(reference, name));
                Vec::new()
            }
        }
    }

    fn add(&mut self, map: &'a Map, reference: &Reference, instances: &[String]) {
        let config = reference.config.as_str();
        match reference.kind {
            Kind::Container if config == ALL => {
                for name in map.containers.keys() {
                    self.add_configuration(map, Kind::Container, name, instances);
                }
            }
            Kind::Container | Kind::Volume => {
                if let Some(members) = map.groups.get(config) {
                    for member in members {
                        // A group of an unchecked map may name what does not exist.
                        match (map.containers.get_key_value(&member.config), &member.instance) {
                            (None, _) => self.findings.push(unknown_configuration(map, &member.config)),
                            (Some((name, _)), None) => {
                                self.add_configuration(map, reference.kind, name, instances)
                            }
                            (Some((name, _)), Some(instance)) => {
                                // Volumes belong to all instances of a configuration.
                                let own = [instance.to_string()];
                                let instances = if reference.kind == Kind::Volume { instances } else { &own };
                                self.add_configuration(map, reference.kind, name, instances);
                            }
                        }
                    }
                } else if let Some((name, _)) = map.containers.get_key_value(config) {
                    self.add_configuration(map, reference.kind, name, instances);
                } else {
                    self.findings.push(unknown_configuration(map, config));
                }
            }
            Kind::Network => match map.networks.get_key_value(config) {
                Some((name, _)) => drop(self.chosen.entry((Kind::Network, &map.name, name)).or_default()),
                None => {
                    let known = map.networks.keys().map(|name| name.as_str());
                    self.findings.push(unknown(
                        format!("map `{}` has no network `{config}`", map.name),
                        config,
                        known,
                    ));
                }
            },
            Kind::Image => {
                let message =
                    format!("`{config}`: an image cannot be selected; select a configuration that needs it");
                self.findings.push(Finding::error(FindingKind::UnknownReference, message));
            }
        }
    }

    fn add_configuration(&mut self, map: &'a Map, kind: Kind, name: &'a ConfigName, instances: &[String]) {
        let container = &map.containers[name];
        let declared: IndexSet<&'a str> = match kind {
            Kind::Volume => container.attaches.iter().map(|attach| attach.name.as_str()).collect(),
            _ => container.instances.iter().map(InstanceName::as_str).collect(),
        };
        let chosen = self.chosen.entry((kind, &map.name, name)).or_default();
        chosen.all |= instances.is_empty();
        for instance in instances {
            match declared.get(instance.as_str()) {
                Some(instance) => drop(chosen.named.insert(instance)),
                None => self.findings.push(unknown_instance(map, kind, name, instance, &declared)),
            }
        }
    }

    fn items(self) -> Vec<ItemId> {
        let mut items = Vec::new();
        for ((kind, map, name), instances) in self.chosen {
            let map = &self.maps[map];
            let mut push = |item| items.push(ItemId { map: map.name.clone(), item });
            let is_chosen = |name: &str| instances.all || instances.named.contains(name);
            if let Some((network, _)) = map.networks.get_key_value(name).filter(|_| kind == Kind::Network) {
                push(Item::Network(network.clone()));
            } else if let Some((config, container)) = map.containers.get_key_value(name) {
                let config = || config.clone();
                if kind == Kind::Volume {
                    let aliases = container.attaches.iter().filter(|attach| is_chosen(&attach.name));
                    aliases.for_each(|attach| {
                        push(Item::Volume { config: config(), alias: attach.name.clone() })
                    });
                } else if container.instances.is_empty() {
                    push(Item::Container { config: config(), instance: None });
                } else if instances.all {
                    let all = container.instances.iter();
                    all.for_each(|instance| {
                        push(Item::Container { config: config(), instance: Some(instance.clone()) })
                    });
                } else {
                    let declared: IndexMap<&str, &InstanceName> =
                        container.instances.iter().map(|instance| (instance.as_str(), instance)).collect();
                    for instance in &instances.named {
                        push(Item::Container {
                            config: config(),
                            instance: Some(declared[instance].clone()),
                        });
                    }
                }
            }
        }
        items
    }

    fn no_map(&self, reference: &Reference) -> Finding {
        let config = &reference.config;
        if self.maps.is_empty() {
            return Finding::error(
                FindingKind::UnknownReference,
                format!("`{config}`: no map is configured"),
            );
        }
        if let Some(map) = self.maps.get(config.as_str()) {
            return no_configuration(map);
        }
        let message = format!("`{config}` names no map, and {} maps are configured", self.maps.len());
        let having = self.maps.values().filter(|map| map.containers.contains_key(config.as_str()));
        let written: Vec<String> = having.take(5).map(|map| format!("`{}.{config}`", map.name)).collect();
        let finding = Finding::error(FindingKind::UnknownReference, message);
        if written.is_empty() {
            let known: Vec<String> = self.maps.keys().take(5).map(|name| format!("`{name}`")).collect();
            finding.hint(format!("write `map.configuration`; maps are {}", known.join(", ")))
        } else {
            finding.hint(format!("write {}", written.join(" or ")))
        }
    }

    fn unknown_map(&self, reference: &Reference, name: &str) -> Finding {
        let finding = unknown(
            format!("no map `{name}` is configured"),
            name,
            self.maps.keys().map(|name| name.as_str()),
        );
        // `config.instance` is what one writes inside a map; in a command it is map and configuration (K11).
        let config = &reference.config;
        let meant = self.maps.values().find(|map| {
            map.containers
                .get(name)
                .is_some_and(|container| container.instances.iter().any(|instance| **instance == **config))
        });
        match meant {
            Some(map) => finding.hint(format!(
                "for instance `{config}` of configuration `{name}` write `{}.{name}.{config}`",
                map.name
            )),
            None => finding,
        }
    }
}

/// Returns a finding for a name that does not exist, with the nearest of the known ones.
fn unknown<'a>(message: String, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Finding {
    let finding = Finding::error(FindingKind::UnknownReference, message);
    if let Some(near) = nearest(name, known.clone()) {
        return finding.hint(format!("did you mean `{near}`?"));
    }
    let few: Vec<String> = known.clone().take(10).map(|name| format!("`{name}`")).collect();
    match few.len() {
        0 => finding,
        10 if known.count() > 10 => finding,
        _ => finding.hint(format!("known are {}", few.join(", "))),
    }
}

fn unknown_configuration(map: &Map, name: &str) -> Finding {
    if *name == *map.name {
        return no_configuration(map);
    }
    let known = map.containers.keys().chain(map.groups.keys()).map(|name| name.as_str());
    let message = match name {
        "" => format!("the name of a configuration of map `{}` is empty", map.name),
        _ => format!("map `{}` has no configuration or group `{name}`", map.name),
    };
    unknown(message, name, known)
}

/// A word is a map's name, and no configuration follows it.
fn no_configuration(map: &Map) -> Finding {
    let message = format!("`{}` is a map, and it has no configuration of this name", map.name);
    let known: Vec<String> = map.containers.keys().take(5).map(|name| format!("`{name}`")).collect();
    let hint = format!("name a configuration of the map too, or `{ALL}`");
    Finding::error(FindingKind::UnknownReference, message).hint(match known.as_slice() {
        [] => hint,
        [..] if map.containers.len() > known.len() => format!("{hint}; it has {}, …", known.join(", ")),
        [..] => format!("{hint}; it has {}", known.join(", ")),
    })
}

fn unknown_instance(map: &Map, kind: Kind, config: &str, name: &str, declared: &IndexSet<&str>) -> Finding {
    let word = if kind == Kind::Volume { "volume" } else { "instance" };
    let message = format!("configuration `{config}` of map `{}` has no {word} `{name}`", map.name);
    let finding = unknown(message, name, declared.iter().copied());
    if declared.is_empty() {
        finding.hint(format!("it has no {word}s; name the configuration alone"))
    } else {
        finding
    }
}

#[cfg(test)]
mod tests;
