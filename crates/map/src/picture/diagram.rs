//! What a picture shows: boxes on hosts, and lines between them.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::deps::{self, NeedProperty, Target};
use crate::model::{Bind, Clients, Container, Keyed, Map, Port};
use crate::names::{ClientName, ConfigName, PRESET_NETWORKS};
use crate::value::Late;
use crate::volumes::{Used, Volumes};

/// The contents of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagram {
    /// The map's name.
    pub title: String,
    /// Groups of the map, one line each.
    pub groups: Vec<String>,
    /// Engines, each with the numbers of its nodes.
    pub hosts: Vec<Host>,
    /// Containers, volumes and networks.
    pub nodes: Vec<Node>,
    /// Lines between nodes.
    pub edges: Vec<Edge>,
}

/// An engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Client name, with the SSH host where one is known.
    pub label: String,
    /// Numbers of the nodes on it.
    pub nodes: Vec<usize>,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Name inside the map.
    pub title: String,
    /// Further lines: image, ports, paths.
    pub lines: Vec<String>,
    /// Instances of a container configuration.
    pub instances: Vec<String>,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A container configuration with all its instances.
    Container,
    /// An attached volume.
    Volume,
    /// A network.
    Network,
}

/// A line from the one that needs to what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Number of the node that needs.
    pub from: usize,
    /// Number of the node that is needed.
    pub to: usize,
    /// Which property says so.
    pub kind: EdgeKind,
    /// Alias, instance, access or path.
    pub label: String,
}

/// The kinds of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// `links`, of the container or of an endpoint.
    Link,
    /// `uses`: a volume, or all volumes of a container.
    Uses,
    /// `attaches`: the owner of a volume.
    Attaches,
    /// An endpoint in `networks`.
    Network,
    /// `network_mode` naming a container.
    NetworkMode,
}

impl EdgeKind {
    /// All kinds, in the order of a legend.
    pub const ALL: [Self; 5] = [Self::Link, Self::Uses, Self::Attaches, Self::Network, Self::NetworkMode];

    /// Returns what a legend says.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Link => "links to",
            Self::Uses => "uses volume",
            Self::Attaches => "owns volume",
            Self::Network => "joins network",
            Self::NetworkMode => "shares network of",
        }
    }
}

impl NodeKind {
    /// Returns what a legend says.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

impl Diagram {
    /// Makes the diagram of an extended map. `clients` adds the SSH hosts, and may be empty.
    ///
    /// A configuration that runs on several clients is shown on each of them, with the volumes it
    /// owns and the networks it joins there. Late values are shown by their source.
    pub fn new(map: &Map, clients: &Clients) -> Self {
        let mut builder = Builder {
            map,
            volumes: Volumes::new(map),
            hosts: IndexMap::new(),
            found: HashMap::new(),
            diagram: Self { title: map.name.to_string(), ..Self::default() },
        };
        builder.nodes();
        builder.edges();
        for (group, members) in &map.groups {
            let members: Vec<String> = members.iter().map(ToString::to_string).collect();
            builder.diagram.groups.push(format!("{group}: {}", members.join(", ")));
        }
        for (client, nodes) in builder.hosts {
            let ssh = clients.get(&client).and_then(|config| config.fabric_host.as_deref());
            let label = match (client.is_default(), ssh) {
                (true, _) => "default".to_owned(),
                (false, Some(ssh)) if ssh != client.as_str() => format!("{client} ({ssh})"),
                (false, _) => client.to_string(),
            };
            builder.diagram.hosts.push(Host { label, nodes });
        }
        builder.diagram
    }

    /// Returns the kinds of nodes and lines that occur, for a legend.
    pub(super) fn legend(&self) -> (Vec<NodeKind>, Vec<EdgeKind>) {
        let kinds = [NodeKind::Container, NodeKind::Volume, NodeKind::Network];
        let nodes = kinds.into_iter().filter(|kind| self.nodes.iter().any(|node| node.kind == *kind));
        let edges = EdgeKind::ALL.into_iter().filter(|kind| self.edges.iter().any(|edge| edge.kind == *kind));
        (nodes.collect(), edges.collect())
    }
}

struct Builder<'a> {
    map: &'a Map,
    volumes: Volumes<'a>,
    hosts: IndexMap<ClientName, Vec<usize>>,
    /// By client, kind and name: for volumes the owner and the alias.
    found: HashMap<(ClientName, NodeKind, String), usize>,
    diagram: Diagram,
}

impl Builder<'_> {
    fn nodes(&mut self) {
        for (name, container) in &self.map.containers {
            for client in clients_of(self.map, container) {
                self.node(&client, NodeKind::Container, name.as_str(), || container_node(name, container));
                for attach in &container.attaches {
                    let path = self.volumes.path(name, &attach.name);
                    let lines = path.map(|path| path.key().into_owned()).into_iter().collect();
                    let title = attach.name.to_string();
                    let node = Node { kind: NodeKind::Volume, title, lines, instances: Vec::new() };
                    self.node(&client, NodeKind::Volume, &volume_key(name, &attach.name), || node);
                }
                for endpoint in &container.networks {
                    let network = endpoint.network_name.as_str();
                    let configured = self.map.networks.get(network);
                    let mut lines: Vec<String> =
                        configured.and_then(|network| network.driver.clone()).into_iter().collect();
                    if configured.and_then(|network| network.internal) == Some(true) {
                        lines.push("internal".to_owned());
                    }
                    if PRESET_NETWORKS.contains(&network) {
                        lines.push("of the engine".to_owned());
                    }
                    let title = network.to_owned();
                    let node = Node { kind: NodeKind::Network, title, lines, instances: Vec::new() };
                    self.node(&client, NodeKind::Network, network, || node);
                }
            }
        }
    }

    fn node(&mut self, client: &ClientName, kind: NodeKind, name: &str, make: impl FnOnce() -> Node) {
        let nodes = &mut self.diagram.nodes;
        let number = *self.found.entry((client.clone(), kind, name.to_owned())).or_insert_with(|| {
            nodes.push(make());
            self.hosts.entry(client.clone()).or_default().push(nodes.len() - 1);
            nodes.len() - 1
        });
        debug_assert!(number < self.diagram.nodes.len());
    }

    fn edges(&mut self) {
        for (name, container) in &self.map.containers {
            for client in clients_of(self.map, container) {
                let from = self.found[&(client.clone(), NodeKind::Container, name.to_string())];
                for need in deps::needs(&self.volumes, name) {
                    // Volumes and networks follow below, with more to say about them.
                    if let (Target::Containers { config, instance, .. }, true) = (
                        need.target,
                        matches!(need.property, NeedProperty::NetworkMode | NeedProperty::EndpointLinks),
                    ) {
                        let kind = match need.property {
                            NeedProperty::NetworkMode => EdgeKind::NetworkMode,
                            _ => EdgeKind::Link,
                        };
                        let label = instance.as_ref().map(ToString::to_string).unwrap_or_default();
                        self.edge(from, &client, NodeKind::Container, config.as_str(), config, kind, label);
                    }
                }
                for link in &container.links {
                    let parts = [
                        link.container.instance.as_ref().map(ToString::to_string),
                        link.alias.as_ref().map(|alias| format!("as {alias}")),
                    ];
                    let label = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                    let config = &link.container.config;
                    self.edge(
                        from,
                        &client,
                        NodeKind::Container,
                        config.as_str(),
                        config,
                        EdgeKind::Link,
                        label,
                    );
                }
                for used in &container.uses {
                    let mut label: Vec<String> =
                        used.path.iter().map(|path| path.key().into_owned()).collect();
                    label.extend(used.readonly.then(|| "read-only".to_owned()));
                    let (kind, key, owner) = match self.volumes.used(name, &used.name) {
                        Some(Used::Attached { owner, .. }) if owner == *name => continue,
                        Some(Used::Attached { owner, alias }) => {
                            (NodeKind::Volume, volume_key(&owner, &alias), owner)
                        }
                        Some(Used::Container(reference)) => {
                            label.insert(
                                0,
                                reference.instance.map_or("all volumes".to_owned(), |instance| {
                                    format!("all volumes of {instance}")
                                }),
                            );
                            (NodeKind::Container, reference.config.to_string(), reference.config)
                        }
                        None => continue,
                    };
                    self.edge(from, &client, kind, &key, &owner, EdgeKind::Uses, label.join(", "));
                }
                for attach in &container.attaches {
                    let key = volume_key(name, &attach.name);
                    self.edge(from, &client, NodeKind::Volume, &key, name, EdgeKind::Attaches, String::new());
                }
                for endpoint in &container.networks {
                    let aliases: Vec<String> =
                        endpoint.aliases.iter().map(|alias| alias.key().into_owned()).collect();
                    let mut label =
                        if aliases.is_empty() { String::new() } else { format!("as {}", aliases.join(", ")) };
                    if let Some(address) = &endpoint.ipv4_address {
                        label = format!("{label} {}", address.key()).trim().to_owned();
                    }
                    let network = endpoint.network_name.as_str();
                    self.edge(from, &client, NodeKind::Network, network, name, EdgeKind::Network, label);
                }
            }
        }
    }

    /// Adds a line to the node of this name: on the same client where it is there too, else on each
    /// client of the configuration that it belongs to.
    #[expect(clippy::too_many_arguments, reason = "one line from here to there, of a kind, with a label")]
    fn edge(
        &mut self,
        from: usize,
        client: &ClientName,
        kind: NodeKind,
        name: &str,
        owner: &ConfigName,
        edge: EdgeKind,
        label: String,
    ) {
        let find = |client: ClientName| self.found.get(&(client, kind, name.to_owned())).copied();
        let targets: Vec<usize> = match (find(client.clone()), self.map.containers.get(owner)) {
            (Some(node), _) => vec![node],
            (None, Some(owner)) => clients_of(self.map, owner).into_iter().filter_map(find).collect(),
            (None, None) => Vec::new(),
        };
        for to in targets {
            self.diagram.edges.push(Edge { from, to, kind: edge, label: label.clone() });
        }
    }
}

fn clients_of(map: &Map, container: &Container) -> Vec<ClientName> {
    match (container.clients.as_slice(), map.clients.as_slice()) {
        ([], []) => vec![ClientName::default_client()],
        ([], clients) | (clients, _) => clients.to_vec(),
    }
}

fn volume_key(owner: &str, alias: &str) -> String {
    format!("{owner}:{alias}")
}

fn container_node(name: &ConfigName, container: &Container) -> Node {
    let mut lines = Vec::new();
    if let Some(image) = container.image.value() {
        lines.push(format!("image {image}"));
    }
    if !container.exposes.is_empty() {
        lines.push(format!("ports {}", container.exposes.iter().map(port).collect::<Vec<_>>().join(", ")));
    }
    let binds: Vec<String> = container.binds.iter().map(bind).collect();
    if !binds.is_empty() {
        lines.push(format!("from host {}", binds.join(", ")));
    }
    let shares: Vec<String> = container.shares.iter().map(|path| path.key().into_owned()).collect();
    if !shares.is_empty() {
        lines.push(format!("own data {}", shares.join(", ")));
    }
    let instances = container.instances.iter().map(ToString::to_string).collect();
    Node { kind: NodeKind::Container, title: name.to_string(), lines, instances }
}

/// A port as `docker run -p` writes it: `[interface:]host:container`.
fn port(port: &Port) -> String {
    let Some(published) = &port.published else { return port.key().trim_end_matches("/tcp").to_owned() };
    let host_port = match &published.host_port {
        Late::Known(port) => port.to_string(),
        Late::Lazy(lazy) => lazy.to_string(),
    };
    let interface =
        published.interface.as_ref().map(|interface| format!("{}:", interface.key())).unwrap_or_default();
    format!("{interface}{host_port}:{}", port.key().trim_end_matches("/tcp"))
}

fn bind(bind: &Bind) -> String {
    let (Bind::Alias { readonly, .. } | Bind::Path { readonly, .. }) = bind;
    let access = if *readonly { " (ro)" } else { "" };
    format!("{}{access}", bind.key())
}
