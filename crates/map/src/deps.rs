//! The dependencies of an extended map's items (map-model §8).
//!
//! An edge reads "needs": a container needs its networks, the containers it uses or links to, its own
//! volumes and its image. Volumes, networks and images need nothing.

mod needs;

use std::collections::HashSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use indexmap::IndexSet;

use crate::diagnostic::{Finding, Findings};
use crate::graph::Graph;
use crate::image::{self, ImageDefaults, ImageName};
use crate::item::Item;
use crate::model::{Container, Map};
use crate::names::ConfigName;
use crate::value::Lookup;
use crate::volumes::Volumes;
use needs::Needed;

pub(crate) use needs::Needs;
pub use needs::{Need, NeedProperty, Target, needs};

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

impl Dependencies {
    /// Builds the graph of an extended map. `lookup` is asked for late `repository` and `default_tag`
    /// values only, which image names are made of.
    ///
    /// # Errors
    ///
    /// All of: late values that cannot be looked up ([`FindingKind::Unresolved`]), images that are no
    /// references ([`FindingKind::InvalidInput`]), and circles ([`FindingKind::Cycle`]).
    ///
    /// [`FindingKind::Unresolved`]: crate::diagnostic::FindingKind::Unresolved
    /// [`FindingKind::InvalidInput`]: crate::diagnostic::FindingKind::InvalidInput
    /// [`FindingKind::Cycle`]: crate::diagnostic::FindingKind::Cycle
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
