//! The dependencies of an extended map's items (map-model §8).
//!
//! An edge reads "needs": a container needs its networks, the containers it uses or links to, its own
//! volumes and its image. Volumes, networks and images need nothing.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use indexmap::IndexSet;

use crate::diagnostic::{Finding, FindingKind, Findings};
use crate::graph::{Cycle, Graph};
use crate::image::{self, ImageDefaults, ImageName};
use crate::item::Item;
use crate::model::{Container, Endpoint, Keyed, Link, Map, NetworkMode, Use};
use crate::names::{ConfigName, InstanceName, NetworkName, PRESET_NETWORKS};
use crate::place::{in_configuration, in_map, place_of};
use crate::value::Lookup;
use crate::volumes::{Declared, Found, Volumes};

/// The dependency graph of a map.
///
/// Orders are deterministic: document order of configurations, element order of lists. Items that
/// the map does not have are handed through; they need nothing and nothing needs them.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// Containers first, in document and instance order; then the others as they are first needed.
    items: Items,
    /// By item; all instances of a configuration have equal edges.
    edges: Graph,
    dependents: Graph,
}

type Items = IndexSet<Item, RandomState>;

/// The most dependencies that a map may have between its items. Instances multiply: a thousand that
/// need a thousand others are a million.
pub const MAX_EDGES: usize = 20_000_000;

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

impl<'a> Target<'a> {
    fn declared(volumes: &Volumes<'a>, Declared { number, instance }: Declared<'a>) -> Self {
        Self::Containers { config: volumes.configuration(number).0, number, instance }
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
        let images = match Images::of(map, lookup) {
            Ok(images) => images,
            Err(problems) => {
                findings.extend(problems);
                Images::default()
            }
        };
        let volumes = Volumes::new(map);
        let mut needs = Needs::new(map);
        (0..map.containers.len()).for_each(|_| needs.push(&volumes));
        findings.extend(needs.cycles(map, &volumes));
        findings.extend(needs.too_many(map, &volumes));
        if findings.is_empty() {
            Ok(Self::of(map, &volumes, &needs, images))
        } else {
            Err(Findings(findings))
        }
    }

    fn of(map: &Map, volumes: &Volumes<'_>, needs: &Needs<'_>, mut images: Images) -> Self {
        let count = map.containers.len();
        let mut items = Items::with_capacity_and_hasher(3 * count, RandomState::default());
        // The first item of each configuration; its instances follow it.
        let mut first = Vec::with_capacity(count);
        for (name, container) in &map.containers {
            first.push(items.len());
            items.extend(instances(name, container));
        }
        let mut edges = Graph::with_capacity(3 * count, 8 * count);
        let mut targets = Targets::default();
        for (at, (name, container)) in map.containers.iter().enumerate() {
            for target in needs.of(at) {
                match *target {
                    Needed::Network(network) => {
                        targets.add(items.insert_full(Item::Network(network.clone())).0);
                    }
                    Needed::Container(config, Some(instance)) => {
                        targets.add(first[config as usize] + instance as usize);
                    }
                    Needed::Container(config, None) => {
                        let first = first[config as usize];
                        let count = volumes.instance_count(config as usize).max(1);
                        (first..first + count).for_each(|item| targets.add(item));
                    }
                }
            }
            for attach in &container.attaches {
                let volume = Item::Volume { config: name.clone(), alias: attach.name.clone() };
                targets.add(items.insert_full(volume).0);
            }
            targets.add(images.item(at, &mut items));
            for _ in 0..container.instances.len().max(1) {
                edges.push(targets.list.iter().copied());
            }
            targets.clear();
        }
        (edges.len()..items.len()).for_each(|_| edges.push([]));
        let dependents = edges.reversed();
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

    /// Returns the graph's own copy of an item, if it has it.
    pub fn item(&self, item: &Item) -> Option<&Item> {
        self.items.get(item)
    }

    /// Returns every item of the graph: containers in document and instance order, then what they
    /// need in the order of its first mention.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    fn neighbours<'a>(&'a self, edges: &'a Graph, item: &Item) -> impl Iterator<Item = &'a Item> {
        let targets = self.items.get_index_of(item).map_or(&[][..], |at| edges.neighbours(at));
        targets.iter().map(|at| &self.items[*at as usize])
    }

    fn order(&self, selected: &[Item], edges: &Graph) -> Vec<Item> {
        // Items that the graph does not have get numbers after those that it has.
        let mut unknown: IndexSet<&Item> = IndexSet::new();
        let selected: Vec<usize> = selected
            .iter()
            .map(|item| {
                self.items.get_index_of(item).unwrap_or_else(|| edges.len() + unknown.insert_full(item).0)
            })
            .collect();
        let order = edges
            .forward(&selected)
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
pub fn needs<'a>(volumes: &Volumes<'a>, name: &str) -> Vec<Need<'a>> {
    let mut needs = Vec::new();
    if let Some(number) = volumes.number(name) {
        each_need(volumes, number, |need| needs.push(need));
    }
    needs
}

/// Goes through the needs of the configuration of this number.
fn each_need<'a>(volumes: &Volumes<'a>, user: usize, mut give: impl FnMut(Need<'a>)) {
    let (_, container) = volumes.configuration(user);
    if let Some(NetworkMode::Container(reference)) = container.network_mode.value()
        && let Some(number) = volumes.number(&reference.config)
    {
        // An instance that is not declared means all of them here, unlike in `links` (§8.2).
        let instance = reference.instance.as_ref();
        let instance = instance.filter(|instance| volumes.instance_at(number, instance).is_some());
        let target = Target::declared(volumes, Declared { number, instance });
        give(Need { property: NeedProperty::NetworkMode, target, element: Element::NetworkMode });
    }
    let link = |link: &Link| volumes.declared(&link.container).map(|found| Target::declared(volumes, found));
    for endpoint in &container.networks {
        if !PRESET_NETWORKS.contains(&&*endpoint.network_name) {
            let target = Target::Network(&endpoint.network_name);
            give(Need { property: NeedProperty::Networks, target, element: Element::Endpoint(endpoint) });
        }
        for written in &endpoint.links {
            if let Some(target) = link(written) {
                let element = Element::EndpointLink(endpoint, written);
                give(Need { property: NeedProperty::EndpointLinks, target, element });
            }
        }
    }
    for used in &container.uses {
        let declared = match volumes.find(Some(user), &used.name) {
            Some(Found::Attached { owner, .. }) if owner == user => continue,
            Some(Found::Attached { owner, .. }) => Declared { number: owner, instance: None },
            Some(Found::Container(declared)) => declared,
            None => continue,
        };
        let target = Target::declared(volumes, declared);
        give(Need { property: NeedProperty::Uses, target, element: Element::Use(used) });
    }
    for written in &container.links {
        if let Some(target) = link(written) {
            give(Need { property: NeedProperty::Links, target, element: Element::Link(written) });
        }
    }
}

/// Returns the configuration that a need leads to.
fn leads_to(need: &Need<'_>) -> Option<usize> {
    match need.target {
        Target::Containers { number, .. } => Some(number),
        Target::Network(_) => None,
    }
}

/// What configurations need, by numbers: the targets of their [`Need`]s and nothing else.
pub(crate) struct Needs<'a> {
    /// Where those of each configuration end in `targets`.
    ends: Vec<usize>,
    targets: Vec<Needed<'a>>,
}

#[derive(Clone, Copy)]
enum Needed<'a> {
    Network(&'a NetworkName),
    /// A configuration, and one of its instances or all.
    Container(u32, Option<u32>),
}

impl<'a> Needs<'a> {
    /// Makes room for the needs of a map's configurations.
    pub(crate) fn new(map: &Map) -> Self {
        const USUAL: usize = 6;
        let count = map.containers.len();
        Self { ends: Vec::with_capacity(count), targets: Vec::with_capacity(USUAL * count) }
    }

    /// Adds the needs of the next configuration in document order.
    pub(crate) fn push(&mut self, volumes: &Volumes<'a>) {
        let short = |number| u32::try_from(number).expect("parts of a map are fewer than 2^32");
        each_need(volumes, self.ends.len(), |need| {
            self.targets.push(match need.target {
                Target::Network(name) => Needed::Network(name),
                Target::Containers { number, instance, .. } => {
                    let instance = instance.and_then(|instance| volumes.instance_at(number, instance));
                    Needed::Container(short(number), instance.map(short))
                }
            });
        });
        self.ends.push(self.targets.len());
    }

    fn of(&self, config: usize) -> &[Needed<'a>] {
        let start = config.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.targets[start..self.ends[config]]
    }

    /// Counts the edges between containers before they are made.
    fn too_many(&self, map: &Map, volumes: &Volumes<'_>) -> Option<Finding> {
        let count = |number: usize| volumes.instance_count(number).max(1);
        let mut edges = 0_usize;
        for user in 0..self.ends.len() {
            for needed in self.of(user) {
                if let Needed::Container(number, None) = *needed {
                    edges = edges.saturating_add(count(user).saturating_mul(count(number as usize)));
                }
            }
        }
        (edges > MAX_EDGES).then(|| {
            let message = format!("the containers of the map have more than {MAX_EDGES} dependencies");
            let finding = Finding::error(FindingKind::InvalidInput, message).about(in_map(&map.name));
            finding.hint("declare fewer instances, or name the one that is needed")
        })
    }

    /// Returns one finding for each knot of configurations that need each other: check 13 of
    /// map-model §9.
    ///
    /// All instances of a configuration share one list of edges, so that a circle of instances is always
    /// one of configurations too, and the other way round.
    pub(crate) fn cycles(&self, map: &Map, volumes: &Volumes<'_>) -> Vec<Finding> {
        let mut graph = Graph::with_capacity(self.ends.len(), self.targets.len());
        for user in 0..self.ends.len() {
            graph.push(self.of(user).iter().filter_map(|needed| match needed {
                Needed::Container(number, _) => Some(*number as usize),
                Needed::Network(_) => None,
            }));
        }
        circles(map, volumes, &graph)
    }
}

fn circles(map: &Map, volumes: &Volumes<'_>, graph: &Graph) -> Vec<Finding> {
    let named = |at: usize| map.containers.get_index(at).expect("it is a number of a configuration");
    let hop = |from: usize, to: usize| {
        let needs = needs(volumes, named(from).0);
        let need = needs.iter().find(|need| leads_to(need) == Some(to));
        let need = need.expect("the circle was found along these edges");
        (need.property, place_of(&named(from).1.origins, &need.path(), named(to).0))
    };
    let finding = |Cycle(path): Cycle<usize>| {
        let first = named(path[0]).0;
        let (property, place) = hop(path[0], path[1]);
        let message = match path.len() {
            2 => format!("configuration `{first}` depends on itself (check 13)"),
            _ => {
                let cycle = Cycle(path.iter().map(|at| named(*at).0).collect());
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
    graph.cycles().into_iter().map(finding).collect()
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

/// The images of a map's configurations, each of them once.
#[derive(Default)]
struct Images {
    names: Vec<ImageName>,
    /// By configuration, in document order.
    of: Vec<usize>,
    /// The numbers of the names among the items of a graph, as far as they were asked for.
    items: Vec<Option<usize>>,
}

impl Images {
    fn of(map: &Map, lookup: &dyn Lookup) -> Result<Self, Vec<Finding>> {
        let defaults = ImageDefaults::of(map, lookup)?;
        let mut known: HashMap<&str, usize> = HashMap::with_capacity(map.containers.len());
        let mut images = Self { of: Vec::with_capacity(map.containers.len()), ..Self::default() };
        let mut findings = Vec::new();
        for (name, container) in &map.containers {
            let number = match known.get(image::written(name, container)) {
                Some(number) => *number,
                None => match image::of_configuration(map, name, &defaults) {
                    Ok(image) => {
                        images.names.push(image);
                        known.insert(image::written(name, container), images.names.len() - 1);
                        images.names.len() - 1
                    }
                    Err(finding) => {
                        findings.push(finding);
                        continue;
                    }
                },
            };
            images.of.push(number);
        }
        images.items = vec![None; images.names.len()];
        if findings.is_empty() { Ok(images) } else { Err(findings) }
    }

    /// Returns the item of the image that the configuration of this number has.
    fn item(&mut self, config: usize, items: &mut Items) -> usize {
        let number = self.of[config];
        let name = &self.names[number];
        *self.items[number].get_or_insert_with(|| items.insert_full(Item::Image(name.clone())).0)
    }
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

    fn clear(&mut self) {
        self.list.clear();
        self.known.clear();
    }
}

#[cfg(test)]
mod tests;
