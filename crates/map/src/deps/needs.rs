//! What configurations need of each other, and why (map-model §8.2); circles of it (§8.6).

use super::MAX_EDGES;
use crate::diagnostic::{Finding, FindingKind};
use crate::graph::{Cycle, Graph};
use crate::model::{Endpoint, Keyed, Link, Map, NetworkMode, Use};
use crate::names::{ConfigName, InstanceName, NetworkName, PRESET_NETWORKS};
use crate::place::{in_configuration, in_map, place_of};
use crate::volumes::{Declared, Found, Volumes};

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
pub(super) enum Needed<'a> {
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

    pub(super) fn of(&self, config: usize) -> &[Needed<'a>] {
        let start = config.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.targets[start..self.ends[config]]
    }

    /// Counts the edges between containers before they are made.
    pub(super) fn too_many(&self, map: &Map, volumes: &Volumes<'_>) -> Option<Finding> {
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
