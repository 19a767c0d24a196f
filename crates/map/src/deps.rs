//! The dependencies of an extended map's items (map-model §8).
//!
//! An edge reads "needs": a container needs its networks, the containers it uses or links to, its own
//! volumes and its image. Volumes, networks and images need nothing.

use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;

use crate::diagnostic::{Finding, FindingKind, Findings};
use crate::graph;
use crate::image::{self, ImageDefaults, ImageName};
use crate::item::Item;
use crate::model::{Container, Endpoint, Keyed, Link, Map, NetworkMode, Use};
use crate::names::{ConfigName, InstanceName, NetworkName, PRESET_NETWORKS};
use crate::place::{in_configuration, place_of};
use crate::value::Lookup;
use crate::volumes::{Declared, Found, Volumes};

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

/// Why one configuration needs something: a property, and the element of it that says so.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// The property that says so.
    pub property: NeedProperty,
    /// What is needed.
    pub target: Target<'a>,
    element: Element<'a>,
}

/// The element that a need comes from.
#[derive(Clone, Copy, Debug)]
enum Element<'a> {
    NetworkMode,
    Endpoint(&'a Endpoint),
    EndpointLink(&'a Endpoint, &'a Link),
    Use(&'a Use),
    Link(&'a Link),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A network that the map may or may not configure; never a preset one.
    Network(&'a NetworkName),
    /// One instance, or all of a configuration (which may be the one unnamed).
    Containers {
        /// The configuration.
        config: &'a ConfigName,
        /// Its number in document order.
        number: usize,
        /// The instance; `None` is all of them.
        instance: Option<&'a InstanceName>,
    },
}

impl<'a> From<Declared<'a>> for Target<'a> {
    fn from(Declared { number, config, instance }: Declared<'a>) -> Self {
        Self::Containers { config, number, instance }
    }
}

impl Need<'_> {
    /// Returns the path of the element below the configuration's [`crate::position::Origins`], for
    /// example `uses.app.one`.
    pub fn path(&self) -> String {
        match self.element {
            Element::NetworkMode => "network_mode".to_owned(),
            Element::Endpoint(endpoint) => format!("networks.{}", endpoint.network_name),
            Element::EndpointLink(endpoint, link) => {
                format!("networks.{}.links.{}", endpoint.network_name, link.key())
            }
            Element::Use(used) => format!("uses.{}", used.name),
            Element::Link(link) => format!("links.{}", link.key()),
        }
    }
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
                Vec::new()
            }
        };
        let volumes = Volumes::new(map);
        let needs = all_needs(map, &volumes);
        findings.extend(circles(map, &needs));
        if findings.is_empty() { Ok(Self::of(map, &needs, &images)) } else { Err(Findings(findings)) }
    }

    fn of(map: &Map, needs: &[Vec<Need<'_>>], images: &[ImageName]) -> Self {
        let mut items = IndexSet::with_capacity(3 * map.containers.len());
        // The first item of each configuration; its instances follow it.
        let mut first = Vec::with_capacity(map.containers.len());
        for (name, container) in &map.containers {
            first.push(items.len());
            items.extend(instances(name, container));
        }
        let mut declared = HashMap::new();
        for ((config, container), first) in map.containers.values().enumerate().zip(&first) {
            declared.extend(
                container.instances.iter().zip(*first..).map(|(instance, item)| ((config, instance), item)),
            );
        }
        let mut edges = Vec::with_capacity(items.len());
        for ((needs, image), (name, container)) in needs.iter().zip(images).zip(&map.containers) {
            let mut targets = Targets::default();
            for need in needs {
                match need.target {
                    Target::Network(network) => {
                        targets.add(items.insert_full(Item::Network(network.clone())).0);
                    }
                    Target::Containers { number, instance: Some(wanted), .. } => {
                        targets.add(declared[&(number, wanted)]);
                    }
                    Target::Containers { number, instance: None, .. } => {
                        let count = map.containers[number].instances.len().max(1);
                        (first[number]..first[number] + count).for_each(|item| targets.add(item));
                    }
                }
            }
            for attach in &container.attaches {
                let volume = Item::Volume { config: name.clone(), alias: attach.name.clone() };
                targets.add(items.insert_full(volume).0);
            }
            targets.add(items.insert_full(Item::Image(image.clone())).0);
            let targets = targets.list;
            edges.extend(std::iter::repeat_n(targets, container.instances.len().max(1)));
        }
        edges.resize(items.len(), Vec::new());
        let dependents = graph::reversed(items.len(), |item| edges[item].iter().copied());
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
pub fn needs<'a>(map: &'a Map, volumes: &Volumes<'a>, name: &str) -> Vec<Need<'a>> {
    let Some((name, container)) = map.containers.get_key_value(name) else { return Vec::new() };
    let mut needs =
        Vec::with_capacity(container.uses.len() + container.links.len() + container.networks.len());
    if let Some(NetworkMode::Container(reference)) = container.network_mode.value()
        && let Some((number, config, _)) = map.containers.get_full(&reference.config)
    {
        // An instance that is not declared means all of them here, unlike in `links` (§8.2).
        let instance = reference.instance.as_ref();
        let instance = instance.filter(|instance| volumes.has_instance(config, instance));
        let target = Target::Containers { config, number, instance };
        needs.push(Need { property: NeedProperty::NetworkMode, target, element: Element::NetworkMode });
    }
    for endpoint in &container.networks {
        if !PRESET_NETWORKS.contains(&&*endpoint.network_name) {
            let target = Target::Network(&endpoint.network_name);
            needs.push(Need {
                property: NeedProperty::Networks,
                target,
                element: Element::Endpoint(endpoint),
            });
        }
        for link in &endpoint.links {
            if let Some(target) = volumes.declared(&link.container).map(Target::from) {
                let element = Element::EndpointLink(endpoint, link);
                needs.push(Need { property: NeedProperty::EndpointLinks, target, element });
            }
        }
    }
    for used in &container.uses {
        let target = match volumes.find(name, &used.name) {
            Some(Found::Attached { owner, .. }) if owner == name => continue,
            Some(Found::Attached { owner, number, .. }) => {
                Target::Containers { config: owner, number, instance: None }
            }
            Some(Found::Container(declared)) => declared.into(),
            None => continue,
        };
        needs.push(Need { property: NeedProperty::Uses, target, element: Element::Use(used) });
    }
    for link in &container.links {
        if let Some(target) = volumes.declared(&link.container).map(Target::from) {
            needs.push(Need { property: NeedProperty::Links, target, element: Element::Link(link) });
        }
    }
    needs
}

fn all_needs<'a>(map: &'a Map, volumes: &Volumes<'a>) -> Vec<Vec<Need<'a>>> {
    map.containers.keys().map(|name| needs(map, volumes, name)).collect()
}

/// Returns one finding for each knot of configurations that need each other: check 13 of map-model §9.
pub(crate) fn cycles(map: &Map, volumes: &Volumes<'_>) -> Vec<Finding> {
    circles(map, &all_needs(map, volumes))
}

/// Does the work of [`cycles`], by the number of each configuration.
///
/// All instances of a configuration share one list of edges, so that a circle of instances is always
/// one of configurations too, and the other way round.
fn circles(map: &Map, needs: &[Vec<Need<'_>>]) -> Vec<Finding> {
    let target = |need: &Need<'_>| match need.target {
        Target::Containers { number, .. } => Some(number),
        Target::Network(_) => None,
    };
    let edges: Vec<Vec<usize>> =
        needs.iter().map(|needs| needs.iter().filter_map(target).collect()).collect();
    let named = |at: usize| map.containers.get_index(at).expect("it is a number of a configuration");
    let hop = |from: usize, to: usize| {
        let leads = |need: &&Need<'_>| target(need) == Some(to);
        let need = needs[from].iter().find(leads).expect("the circle was found along these edges");
        (need.property, place_of(&named(from).1.origins, &need.path(), named(to).0))
    };
    let finding = |graph::Cycle(path): graph::Cycle<usize>| {
        let first = named(path[0]).0;
        let (property, place) = hop(path[0], path[1]);
        let message = match path.len() {
            2 => format!("configuration `{first}` depends on itself (check 13)"),
            _ => {
                let cycle = graph::Cycle(path.iter().map(|at| named(*at).0).collect());
                format!("circular dependency: {cycle} (check 13)")
            }
        };
        let mut finding = Finding::error(FindingKind::Cycle, message);
        finding.subject = in_configuration(&map.name, first, property.as_str());
        finding.place = place;
        for pair in path[1..].windows(2) {
            if let (property, Some(place)) = hop(pair[0], pair[1]) {
                let text =
                    format!("`{}` needs `{}` through `{property}`", named(pair[0]).0, named(pair[1]).0);
                finding.related.push((place, text));
            }
        }
        finding
    };
    graph::cycles(0..edges.len(), |at| edges[*at].iter().copied()).into_iter().map(finding).collect()
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

/// Returns the image of each configuration, in document order.
fn images(map: &Map, lookup: &dyn Lookup) -> Result<Vec<ImageName>, Vec<Finding>> {
    let defaults = ImageDefaults::of(map, lookup)?;
    let mut findings = Vec::new();
    let mut images = Vec::with_capacity(map.containers.len());
    for name in map.containers.keys() {
        match image::of_configuration(map, name, &defaults) {
            Ok(image) => images.push(image),
            Err(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() { Ok(images) } else { Err(findings) }
}

/// A list of items without repetition.
#[derive(Default)]
struct Targets {
    list: Vec<usize>,
    /// Filled once the list is too long to be searched.
    known: HashSet<usize>,
}

impl Targets {
    fn add(&mut self, item: usize) {
        const SHORT: usize = 32;
        if self.list.len() < SHORT {
            if !self.list.contains(&item) {
                self.list.push(item);
            }
            return;
        }
        if self.known.is_empty() {
            self.known.extend(&self.list);
        }
        if self.known.insert(item) {
            self.list.push(item);
        }
    }
}

#[cfg(test)]
mod tests;
