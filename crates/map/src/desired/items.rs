//! Which items an action looks at, on which clients, in which order (engine §3, map-model §8).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};

use super::clients::Targets;
use super::followers::Followers;
use super::maker::Maker;
use super::{Declared, Desired, Entry, Object, Role, Session, borrowed, peers, script};
use crate::deps::{Dependencies, instances};
use crate::diagnostic::{Finding, FindingKind, Findings};
use crate::image::ImageDefaults;
use crate::item::{Item, ItemId};
use crate::model::Map;
use crate::names::{ClientName, ConfigName, MapName, PRESET_NETWORKS, container_name, network_name};
use crate::plan::{ActionKind, ExecCheck, PlanOptions, Reach};
use crate::value::Value;
use crate::volumes::Volumes;

/// See [`Session::desired`].
pub(super) fn desired(
    session: &Session<'_>,
    action: ActionKind,
    selected: &[ItemId],
    options: &PlanOptions,
) -> Result<Desired, Findings> {
    let findings: RefCell<Vec<Finding>> = RefCell::default();
    let caller = match action {
        ActionKind::Script => script::layer(&options.script).unwrap_or_else(|problem| {
            findings.borrow_mut().push(Finding::error(FindingKind::InvalidInput, problem));
            IndexMap::new()
        }),
        ActionKind::Create => options.create.clone(),
        _ => {
            // The source drops them (D-61).
            findings.borrow_mut().extend(options.create.keys().map(|key| {
                let message = format!("`{}` takes no argument `{key}`", action.as_str());
                Finding::error(FindingKind::InvalidInput, message)
                    .hint("arguments for creating a container belong to `create`, or into the map")
            }));
            IndexMap::new()
        }
    };
    let work = Work {
        session,
        action,
        options,
        caller,
        targets: Targets::new(session, &findings),
        findings: &findings,
    };
    let mut desired = Desired {
        action,
        entries: Vec::new(),
        notices: Vec::new(),
        declared: BTreeMap::new(),
        check_exec: action == ActionKind::Update && options.check_exec_commands != ExecCheck::None,
        peers: BTreeMap::new(),
        unclear: Vec::new(),
    };
    let mut by_map: IndexMap<&MapName, Vec<Item>> = IndexMap::new();
    for id in selected {
        by_map.entry(&id.map).or_default().push(id.item.clone());
    }
    for (name, items) in by_map {
        match session.maps.get(name) {
            Some(map) => work.map(map, &items, &mut desired),
            None => {
                let message = format!("map `{name}` is not configured");
                findings.borrow_mut().push(Finding::error(FindingKind::UnknownReference, message));
            }
        }
    }
    borrowed::tie(&mut desired);
    let findings = Findings(findings.take());
    if findings.has_errors() { Err(findings) } else { Ok(desired) }
}

/// What is the same for all maps of a call.
struct Work<'a> {
    session: &'a Session<'a>,
    action: ActionKind,
    options: &'a PlanOptions,
    caller: IndexMap<String, Value>,
    targets: Targets<'a>,
    findings: &'a RefCell<Vec<Finding>>,
}

impl Work<'_> {
    fn map(&self, map: &Map, selected: &[Item], desired: &mut Desired) {
        let dependencies = match Dependencies::new(map, self.session.lookup) {
            Ok(dependencies) => dependencies,
            Err(Findings(found)) => return self.findings.borrow_mut().extend(found),
        };
        // `Dependencies::new` has looked them up already.
        let images = ImageDefaults::of(map, self.session.lookup).unwrap_or_default();
        let volumes = Volumes::new(map);
        let order = self.order(map, &dependencies, selected);
        let clients = self.clients(map, &dependencies, &order);
        let asked: HashSet<&Item> = selected.iter().collect();
        let mut indexes: HashMap<(&Item, ClientName), usize> = HashMap::new();
        for item in &order {
            for client in &clients[item] {
                let Some(target) = self.targets.get(client) else { continue };
                let maker = Maker {
                    session: self.session,
                    map,
                    volumes: &volumes,
                    images: &images,
                    target: &target,
                    findings: self.findings,
                };
                let role = if asked.contains(item) { Role::Selected } else { Role::Reached };
                let Some((name, object)) = self.object(&maker, item, role) else { continue };
                let needs = needs(&dependencies, &clients, item, client, &indexes);
                indexes.insert((item, client.clone()), desired.entries.len());
                let id = ItemId { map: map.name.clone(), item: item.clone() };
                desired.entries.push(Entry { id, client: client.clone(), name, role, needs, object });
            }
        }
        if matches!(self.action, ActionKind::Startup | ActionKind::Update | ActionKind::Script) {
            let followers = Followers {
                session: self.session,
                targets: &self.targets,
                map,
                volumes: &volumes,
                images: &images,
            };
            let known = |((item, client), at): ((&Item, ClientName), usize)| {
                Some(((dependencies.item(item)?, client), at))
            };
            followers.add(&dependencies, &mut indexes.into_iter().filter_map(known).collect(), desired);
        }
        if self.action == ActionKind::Update {
            peers::record(self.session, &self.targets, map, &volumes, &images, desired);
        }
        if self.action.reach() == Reach::Dependencies {
            self.check_engines(map, &dependencies, &clients, &order, desired);
        }
        self.declare(map, &volumes, desired);
    }

    /// Returns the items in an order in which each comes after what it needs.
    fn order(&self, map: &Map, dependencies: &Dependencies, selected: &[Item]) -> Vec<Item> {
        let mut order = match self.action.reach() {
            Reach::Selected => selected.to_vec(),
            Reach::Dependencies => dependencies.forward(selected),
            Reach::Images => {
                let forward = dependencies.forward(selected).into_iter();
                forward.filter(|item| matches!(item, Item::Image(_))).collect()
            }
            Reach::Dependents => {
                let mut order = dependencies.reverse(selected);
                order.reverse();
                order
            }
        };
        order.retain(|item| !is_preset(item));
        if self.action.reach() == Reach::Dependents {
            let mut own: IndexSet<Item> = IndexSet::new();
            for item in order.iter().filter(|item| matches!(item, Item::Container { .. })) {
                own.extend(dependencies.edges(item).filter(|need| self.is_removed_with(need)).cloned());
            }
            let known: IndexSet<Item> = order.drain(..).collect();
            own.retain(|item| !known.contains(item) && !is_preset(item));
            order = own.into_iter().chain(known).collect();
        }
        if self.action == ActionKind::Restart || self.action == ActionKind::Kill {
            order.retain(|item| matches!(item, Item::Container { .. }));
        }
        let known = |item: &Item| match item {
            Item::Container { config, .. } | Item::Volume { config, .. } => {
                map.containers.contains_key(config)
            }
            Item::Network(name) => map.networks.contains_key(name),
            Item::Image(_) => true,
        };
        order.retain(known);
        order
    }

    /// Tells whether what a container needs may go with it (D-29, O-13).
    fn is_removed_with(&self, item: &Item) -> bool {
        match item {
            Item::Volume { .. } => self.options.remove_attached,
            Item::Network(_) => self.options.remove_networks,
            _ => false,
        }
    }

    /// Returns the clients of each item: containers and volumes have those of their configuration,
    /// networks and images those of the containers in `order` that need them (O-01).
    fn clients<'b>(
        &self,
        map: &Map,
        dependencies: &Dependencies,
        order: &'b [Item],
    ) -> HashMap<&'b Item, Vec<ClientName>> {
        let mut of_config: HashMap<&ConfigName, Vec<ClientName>> = HashMap::new();
        let mut config_clients = |config: &'b ConfigName| {
            of_config.entry(config).or_insert_with(|| self.targets.of_config(map, config)).clone()
        };
        let mut clients: HashMap<&Item, Vec<ClientName>> = HashMap::new();
        for item in order {
            if let Item::Container { config, .. } | Item::Volume { config, .. } = item {
                clients.insert(item, config_clients(config));
            }
        }
        for item in order {
            if matches!(item, Item::Network(_) | Item::Image(_)) {
                let in_order = dependencies.dependents(item).filter(|user| clients.contains_key(user));
                let mut users: Vec<&Item> = in_order.collect();
                if users.is_empty() {
                    // Asked for by itself, or only its images are: every container that needs it.
                    users = dependencies.dependents(item).collect();
                }
                let mut names: IndexSet<ClientName> = IndexSet::new();
                for user in users {
                    if let Item::Container { config, .. } = user {
                        names.extend(self.targets.of_config(map, config));
                    }
                }
                clients.insert(item, names.into_iter().collect());
            }
        }
        clients
    }

    fn object(&self, maker: &Maker<'_>, item: &Item, role: Role) -> Option<(String, Object)> {
        let creates = matches!(self.action.reach(), Reach::Dependencies | Reach::Images);
        Some(match item {
            Item::Container { config, instance } => {
                let name = container_name(&maker.map.name, config, instance.as_deref());
                let none = IndexMap::new();
                let object = if creates {
                    let caller = if role == Role::Selected { &self.caller } else { &none };
                    Object::Container(Box::new(maker.container(config, instance.as_ref(), caller)?))
                } else {
                    let exec = self.action == ActionKind::Restart && self.options.restart_exec_commands;
                    Object::Existing(Box::new(maker.lifecycle(config, exec)?))
                };
                (name, object)
            }
            Item::Volume { config, alias } => {
                let name = maker.volumes.docker_name(config, alias);
                let volume = || maker.attached_volume(config, alias, self.options.prepare_local);
                (name, if creates { Object::Volume(Box::new(volume())) } else { Object::Named })
            }
            Item::Network(name) => {
                let docker_name = network_name(&maker.map.name, name);
                let object = match creates {
                    true => Object::Network(Box::new(maker.network(name)?)),
                    false => Object::Named,
                };
                (docker_name, object)
            }
            Item::Image(image) => (image.to_string(), Object::Image(image.clone())),
        })
    }

    /// Reports ties between containers that are on no common engine: it would refuse them.
    fn check_engines(
        &self,
        map: &Map,
        dependencies: &Dependencies,
        clients: &HashMap<&Item, Vec<ClientName>>,
        order: &[Item],
        desired: &mut Desired,
    ) {
        let volumes = Volumes::new(map);
        let mut reported = IndexSet::new();
        for item in order {
            let Item::Container { config, .. } = item else { continue };
            for need in crate::deps::needs(&volumes, config) {
                let crate::deps::Target::Containers { config: other, .. } = need.target else { continue };
                let elsewhere = |client: &&ClientName| {
                    let here = dependencies.edges(item).any(|edge| {
                        matches!(edge, Item::Container { config, .. } if config == other)
                            && clients.get(edge).is_some_and(|clients| clients.contains(client))
                    });
                    !here
                };
                for client in clients[item].iter().filter(elsewhere) {
                    reported.insert((
                        config.clone(),
                        need.property,
                        other.clone(),
                        need.path(),
                        client.clone(),
                    ));
                }
            }
        }
        for (config, property, other, path, client) in reported {
            if property == crate::deps::NeedProperty::Uses
                && !matches!(
                    volumes.used(&config, path.strip_prefix("uses.").unwrap_or_default()),
                    Some(crate::volumes::Used::Container(_))
                )
            {
                desired.notices.push(format!(
                    "{config} uses a volume of {other}, which does not run on client {client}: it gets an empty volume there"
                ));
                continue;
            }
            let message = format!("`{property}` names `{other}`, which does not run on client `{client}`");
            let finding = Finding::error(FindingKind::Integrity, message);
            let origins = &map.containers[&config].origins;
            let finding = crate::place::written_at(finding, origins, &path, &other);
            self.findings.borrow_mut().push(finding);
        }
        desired.notices.sort();
        desired.notices.dedup();
    }

    /// Records what the map declares on each client that it uses at all.
    fn declare(&self, map: &Map, volumes: &Volumes<'_>, desired: &mut Desired) {
        for (config, container) in &map.containers {
            for client in self.targets.known_of_config(map, config) {
                let declared = desired.declared.entry((client, map.name.clone())).or_default();
                let Declared { containers, networks, volumes: names } = declared;
                for item in instances(config, container) {
                    if let Item::Container { instance, .. } = item {
                        containers.insert(container_name(&map.name, config, instance.as_deref()));
                    }
                }
                names.extend(
                    container.attaches.iter().map(|attach| volumes.docker_name(config, &attach.name)),
                );
                networks.extend(map.networks.keys().map(|name| network_name(&map.name, name)));
            }
        }
    }
}

/// Returns the entries that an item needs on a client: those on the same client where there are some,
/// else those on all others.
fn needs(
    dependencies: &Dependencies,
    clients: &HashMap<&Item, Vec<ClientName>>,
    item: &Item,
    client: &ClientName,
    indexes: &HashMap<(&Item, ClientName), usize>,
) -> Vec<usize> {
    let mut needs = Vec::new();
    for need in dependencies.edges(item) {
        match indexes.get(&(need, client.clone())) {
            Some(index) => needs.push(*index),
            None => {
                let elsewhere = clients.get(need).into_iter().flatten();
                needs.extend(elsewhere.filter_map(|client| indexes.get(&(need, client.clone()))));
            }
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

fn is_preset(item: &Item) -> bool {
    matches!(item, Item::Network(name) if PRESET_NETWORKS.contains(&name.as_str()))
}
