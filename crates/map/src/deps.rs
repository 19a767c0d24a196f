//! The dependencies of an extended map's items (map-model §8).
//!
//! An edge reads "needs": a container needs its networks, the containers it uses or links to, its own
//! volumes and its image. Volumes, networks and images need nothing.

use std::collections::HashMap;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Finding, FindingKind, Findings};
use crate::graph;
use crate::image::{self, ImageDefaults, ImageName};
use crate::item::Item;
use crate::model::{Container, Map, NetworkMode, Reference};
use crate::names::{ConfigName, InstanceName, NetworkName, PRESET_NETWORKS};
use crate::place::{in_configuration, place_of};
use crate::value::Lookup;
use crate::volumes::{Used, Volumes};

/// The dependency graph of a map.
///
/// Orders are deterministic: document order of configurations, element order of lists. Items that
/// the map does not have are handed through; they need nothing and nothing needs them.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// Containers first, in document and instance order; then the others as they are first needed.
    items: IndexSet<Item>,
    /// By item; all instances of a configuration have an equal list.
    edges: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
}

/// Why one configuration needs something: a property, and the key of its element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The property that says so.
    pub property: NeedProperty,
    /// The path below the configuration's [`crate::position::Origins`], for example `uses.app.one`.
    pub path: String,
    /// What is needed, as far as the map has it.
    pub targets: Target,
}

/// The properties that make edges, in the order of map-model §8.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NeedProperty {
    /// `network_mode` naming a configuration.
    NetworkMode,
    /// An endpoint in `networks`.
    Networks,
    /// `links` of an endpoint.
    EndpointLinks,
    /// `uses`
    Uses,
    /// `links`
    Links,
}

/// The target of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A network that the map may or may not configure; never a preset one.
    Network(NetworkName),
    /// One instance, or all of a configuration (which may be the one unnamed).
    Containers {
        /// The configuration.
        config: ConfigName,
        /// The instance; `None` is all of them.
        instance: Option<InstanceName>,
    },
}

impl Dependencies {
    /// Builds the graph of an extended map. `lookup` is asked for late `repository` and `default_tag`
    /// values only, which image names are made of.
    ///
    /// # Errors
    ///
    /// All of: late values that cannot be looked up ([`FindingKind::Unresolved`]), images that are no
    /// references ([`FindingKind::InvalidInput`]), and circles ([`FindingKind::Cycle`]).
    pub fn new(map: &Map, lookup: &dyn Lookup) -> Result<Self, Findings> {
        let mut findings = Vec::new();
        let images = match images(map, lookup) {
            Ok(images) => images,
            Err(problems) => {
                findings.extend(problems);
                IndexMap::new()
            }
        };
        let volumes = Volumes::new(map);
        findings.extend(cycles(map, &volumes));
        if findings.is_empty() { Ok(Self::of(map, &volumes, &images)) } else { Err(Findings(findings)) }
    }

    fn of(map: &Map, volumes: &Volumes<'_>, images: &IndexMap<&ConfigName, ImageName>) -> Self {
        let mut items: IndexSet<Item> =
            map.containers.iter().flat_map(|(name, container)| instances(name, container)).collect();
        let mut edges = Vec::with_capacity(items.len());
        for (name, container) in &map.containers {
            let mut targets = IndexSet::new();
            for need in needs(map, volumes, name) {
                match need.targets {
                    Target::Network(network) => {
                        targets.insert(items.insert_full(Item::Network(network)).0);
                    }
                    Target::Containers { config, instance: Some(instance) } => {
                        targets.insert(
                            items.insert_full(Item::Container { config, instance: Some(instance) }).0,
                        );
                    }
                    Target::Containers { config, instance: None } => {
                        let all = instances(&config, &map.containers[&config]);
                        targets.extend(all.map(|item| items.insert_full(item).0));
                    }
                }
            }
            for attach in &container.attaches {
                let volume = Item::Volume { config: name.clone(), alias: attach.name.clone() };
                targets.insert(items.insert_full(volume).0);
            }
            if let Some(image) = images.get(name) {
                targets.insert(items.insert_full(Item::Image(image.clone())).0);
            }
            let targets: Vec<usize> = targets.into_iter().collect();
            edges.extend(std::iter::repeat_n(targets, container.instances.len().max(1)));
        }
        let containers = edges.len();
        edges.resize(items.len(), Vec::new());
        let mut dependents = vec![Vec::new(); items.len()];
        for (target, needed_by) in graph::reversed(0..containers, |item| edges[*item].iter().copied()) {
            dependents[target] = needed_by;
        }
        Self { items, edges, dependents }
    }

    /// Returns what the item needs directly, in the order of map-model §8.2.
    pub fn edges(&self, item: &Item) -> impl Iterator<Item = &Item> {
        self.neighbours(&self.edges, item)
    }

    /// Returns the containers that need the item directly, in document and instance order.
    pub fn dependents(&self, item: &Item) -> impl Iterator<Item = &Item> {
        self.neighbours(&self.dependents, item)
    }

    /// Returns the selected items and all they need, each once and after what it needs: the order of
    /// starting (map-model §8.3, §8.5).
    pub fn forward(&self, selected: &[Item]) -> Vec<Item> {
        self.order(selected, &self.edges)
    }

    /// Returns the selected items and all containers that need them, each once and before what it
    /// needs: the order of stopping (map-model §8.4, §8.5).
    pub fn reverse(&self, selected: &[Item]) -> Vec<Item> {
        self.order(selected, &self.dependents)
    }

    /// Returns every item of the graph: containers in document and instance order, then what they
    /// need in the order of its first mention.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    fn neighbours<'a>(&'a self, edges: &'a [Vec<usize>], item: &Item) -> impl Iterator<Item = &'a Item> {
        let targets = self.items.get_index_of(item).map_or(&[][..], |at| &edges[at]);
        targets.iter().map(|at| &self.items[*at])
    }

    fn order(&self, selected: &[Item], edges: &[Vec<usize>]) -> Vec<Item> {
        // Items that the graph does not have get numbers after those that it has.
        let mut unknown: IndexSet<&Item> = IndexSet::new();
        let selected: Vec<usize> = selected
            .iter()
            .map(|item| {
                self.items.get_index_of(item).unwrap_or_else(|| edges.len() + unknown.insert_full(item).0)
            })
            .collect();
        let order = graph::forward(selected, |at| edges.get(*at).into_iter().flatten().copied())
            .expect("`new` refuses maps with circles, and reversing an acyclic graph makes no circle");
        order
            .into_iter()
            .map(|at| self.items.get_index(at).unwrap_or_else(|| unknown[at - edges.len()]).clone())
            .collect()
    }
}

/// Returns what a configuration needs of others, in the order of map-model §8.2 rows 1 to 4, and why.
///
/// References that name nothing in the map are left out: the checks of map-model §9 report them. A
/// configuration that uses a volume it attaches itself needs nothing for it (D37).
pub fn needs(map: &Map, volumes: &Volumes<'_>, name: &ConfigName) -> Vec<Need> {
    let Some(container) = map.containers.get(name) else { return Vec::new() };
    let mut needs = Vec::new();
    let mut add = |property, path, targets: Option<Target>| {
        needs.extend(targets.map(|targets| Need { property, path, targets }));
    };
    if let Some(NetworkMode::Container(reference)) = container.network_mode.value() {
        // An instance that is not declared means all of them here, unlike in `links` (§8.2).
        let known =
            reference.instance.as_ref().filter(|instance| volumes.has_instance(&reference.config, instance));
        let reference = Reference { config: reference.config.clone(), instance: known.cloned() };
        add(NeedProperty::NetworkMode, "network_mode".to_owned(), containers(map, volumes, &reference));
    }
    for endpoint in &container.networks {
        let path = format!("networks.{}", endpoint.network_name);
        if !PRESET_NETWORKS.contains(&&*endpoint.network_name) {
            add(NeedProperty::Networks, path.clone(), Some(Target::Network(endpoint.network_name.clone())));
        }
        for link in &endpoint.links {
            let path = format!("{path}.links.{}", link.container);
            add(NeedProperty::EndpointLinks, path, containers(map, volumes, &link.container));
        }
    }
    for used in &container.uses {
        let target = match volumes.used(name, &used.name) {
            Some(Used::Attached { owner, .. }) if owner == *name => None,
            Some(Used::Attached { owner, .. }) => Some(Target::Containers { config: owner, instance: None }),
            Some(Used::Container(reference)) => containers(map, volumes, &reference),
            None => None,
        };
        add(NeedProperty::Uses, format!("uses.{}", used.name), target);
    }
    for link in &container.links {
        let path = format!("links.{}", crate::model::Keyed::key(link));
        add(NeedProperty::Links, path, containers(map, volumes, &link.container));
    }
    needs
}

/// Returns one finding for each knot of configurations that need each other: check 13 of map-model §9.
///
/// All instances of a configuration share one list of edges, so that a circle of instances is always
/// one of configurations too, and the other way round.
pub(crate) fn cycles(map: &Map, volumes: &Volumes<'_>) -> Vec<Finding> {
    let needs: HashMap<&ConfigName, Vec<Need>> =
        map.containers.keys().map(|name| (name, needs(map, volumes, name))).collect();
    let neighbours = |name: &&ConfigName| -> Vec<&ConfigName> {
        needs[*name]
            .iter()
            .filter_map(|need| match &need.targets {
                Target::Containers { config, .. } => {
                    map.containers.get_key_value(config).map(|(name, _)| name)
                }
                Target::Network(_) => None,
            })
            .collect()
    };
    let hop = |from: &ConfigName, to: &ConfigName| {
        let leads = |need: &&Need| matches!(&need.targets, Target::Containers { config, .. } if config == to);
        let need = needs[from].iter().find(leads).expect("the circle was found along these edges");
        (need.property, place_of(&map.containers[from].origins, &need.path, to))
    };
    let finding = |cycle: graph::Cycle<&ConfigName>| {
        let (first, second) = (cycle.0[0], cycle.0[1]);
        let (property, place) = hop(first, second);
        let message = match cycle.0.len() {
            2 => format!("configuration `{first}` depends on itself (check 13)"),
            _ => format!("circular dependency: {cycle} (check 13)"),
        };
        let mut finding = Finding::error(FindingKind::Cycle, message);
        finding.subject = in_configuration(&map.name, first, property.as_str());
        finding.place = place;
        for pair in cycle.0[1..].windows(2) {
            if let (property, Some(place)) = hop(pair[0], pair[1]) {
                let text = format!("`{}` needs `{}` through `{property}`", pair[0], pair[1]);
                finding.related.push((place, text));
            }
        }
        finding
    };
    graph::cycles(map.containers.keys(), neighbours).into_iter().map(finding).collect()
}

impl NeedProperty {
    /// Returns the property's name in a map.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetworkMode => "network_mode",
            Self::Networks => "networks",
            Self::EndpointLinks => "networks.links",
            Self::Uses => "uses",
            Self::Links => "links",
        }
    }
}

impl std::fmt::Display for NeedProperty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the container items of a configuration: its instances, or the one without a name.
pub fn instances<'a>(name: &'a ConfigName, container: &'a Container) -> impl Iterator<Item = Item> + 'a {
    let unnamed = container.instances.is_empty().then_some(None);
    let instances = unnamed.into_iter().chain(container.instances.iter().cloned().map(Some));
    instances.map(|instance| Item::Container { config: name.clone(), instance })
}

fn images<'a>(
    map: &'a Map,
    lookup: &dyn Lookup,
) -> Result<IndexMap<&'a ConfigName, ImageName>, Vec<Finding>> {
    let defaults = ImageDefaults::of(map, lookup)?;
    let mut findings = Vec::new();
    let mut images = IndexMap::with_capacity(map.containers.len());
    for name in map.containers.keys() {
        match image::of_configuration(map, name, &defaults) {
            Ok(image) => drop(images.insert(name, image)),
            Err(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() { Ok(images) } else { Err(findings) }
}

/// Returns the target that a reference stands for, if the map has it.
fn containers(map: &Map, volumes: &Volumes<'_>, reference: &Reference) -> Option<Target> {
    let (config, _) = map.containers.get_key_value(&reference.config)?;
    let config = config.clone();
    match &reference.instance {
        None => Some(Target::Containers { config, instance: None }),
        Some(instance) if volumes.has_instance(&config, instance) => {
            Some(Target::Containers { config, instance: Some(instance.clone()) })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
