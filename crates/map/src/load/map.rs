//! The root of a map (map-model §1.3).

use super::context::{Context, list};
use super::elements;
use super::links::reference;
use super::volumes::{host_path, network, volume};
use super::{LoadOptions, container, given_name, keys, name_of_file};
use crate::diagnostic::{Finding, FindingKind, nearest};
use crate::model::Map;
use crate::names::{ClientName, ConfigName, InvalidName, MapName, NetworkName, PRESET_NETWORKS, VolumeAlias};
use crate::yaml::{Content, Entry, Key, Node};

const TEXT: &str = "accepted is a text";
const BOOLEAN: &str = "accepted are `true` and `false`";
const CLIENTS: &str = "accepted are one client name or a list of them";
const GROUP: &str = "accepted are `config`, `config.instance`, or a list of these";
const HOST: &str = "accepted are `{alias: path}` and `{alias: {instance: path}}`";
const CONFIGURATIONS: &str = "accepted is a mapping of configuration names to their properties";
const VOLUMES: &str =
    "accepted are an absolute path inside containers, or a mapping with `default_path`, `driver`, …";
const NETWORKS: &str = "accepted is a mapping with `driver`, `internal`, …";

/// Reads a whole map.
pub(super) fn read(root: Node, options: &LoadOptions<'_>, context: &mut Context) -> Option<Map> {
    let Some(entries) = root.mapping() else {
        if !root.is_failed() {
            let message = match root.is_null() {
                true => "the document is empty; a map is a mapping with a `name`".to_owned(),
                false => format!("a map is a mapping, found {}", root.describe()),
            };
            context.push(root.error(FindingKind::Load, message));
        }
        return None;
    };
    // Without a name, the rest is still read, so that its findings come in the same run.
    let name = name(&root, entries, options, context);
    let placeholder = || MapName::new("unnamed").ok();
    let mut map = Map::new(name.clone().or_else(placeholder)?);
    map.origins.set("", root.position.clone());
    std::mem::swap(&mut context.origins, &mut map.origins);
    if let Content::Mapping(entries) = root.content {
        // Each entry is given back as soon as it is read: it is in the caches then.
        entries.into_iter().for_each(|entry| property(&mut map, &entry, context));
    }
    std::mem::swap(&mut context.origins, &mut map.origins);
    name.map(|_| map)
}

/// Determines the name (map-model §10.1).
fn name(root: &Node, entries: &[Entry], options: &LoadOptions<'_>, context: &mut Context) -> Option<MapName> {
    let name = match options.name {
        Some("") => given_name(name_of_file(options.file), context)?,
        Some(name) => given_name(name, context)?,
        None => match entries.iter().find(|entry| entry.key.text == "name").map(|entry| &entry.value) {
            Some(node) if !node.is_null() => context.name(node, "the name of the map", MapName::new)?,
            _ => {
                let finding = root.error(FindingKind::Load, "the map has no name");
                context.push(finding.hint("add `name: …` at the top of the file"));
                return None;
            }
        },
    };
    context.in_map(&name);
    Some(name)
}

fn property(map: &mut Map, entry: &Entry, context: &mut Context) {
    let Entry { key, value } = entry;
    macro_rules! text {
        ($field:ident) => {
            map.$field = context.property(key, TEXT, |context| context.optional_text(value, "a text"))
        };
    }
    macro_rules! boolean {
        ($field:ident) => {
            map.$field = context
                .property(key, BOOLEAN, |context| if value.is_null() { None } else { context.boolean(value) })
        };
    }
    match key.text.as_str() {
        "name" => {}
        "repository" => text!(repository),
        "default_tag" => text!(default_tag),
        "default_domain" => text!(default_domain),
        "host_root" => text!(host_root),
        "set_hostname" => boolean!(set_hostname),
        "use_attached_parent_name" => boolean!(use_attached_parent_name),
        "clients" => {
            map.clients = context.property(key, CLIENTS, |context| {
                elements::names(context, "clients", value, "the name of a client", ClientName::new)
            });
        }
        "containers" => {
            context.property(key, CONFIGURATIONS, |context| {
                for entry in context.entries(value, "a mapping of configurations") {
                    configuration(map, entry, context);
                }
            });
        }
        "volumes" => {
            context.property(key, VOLUMES, |context| {
                for entry in context.entries(value, "a mapping of volumes") {
                    one_volume(map, entry, context);
                }
            });
        }
        "networks" => {
            context.property(key, NETWORKS, |context| {
                for entry in context.entries(value, "a mapping of networks") {
                    one_network(map, entry, context);
                }
            });
        }
        "host" => {
            // Entries are added, so the positions of earlier ones stay.
            context.origins.set("host", key.position.clone());
            context.forms_of(key, HOST, |context| host(map, value, context));
        }
        "groups" => {
            map.groups.clear();
            context.property(key, GROUP, |context| {
                for entry in context.entries(value, "a mapping of groups") {
                    group(map, entry, context);
                }
            });
        }
        _ if value.mapping().is_some() || value.is_null() || value.is_failed() => {
            configuration(map, entry, context);
        }
        _ => unknown_root_key(key, value, context),
    }
}

/// Reports a root key that is neither reserved nor a configuration (D3).
fn unknown_root_key(key: &Key, value: &Node, context: &mut Context) {
    let message = format!("unknown key `{}` with {}", key.text, value.describe());
    let hint = match nearest(&key.text, keys::MAP) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            format!("a configuration is a mapping of properties; the reserved keys are {}", list(&keys::MAP))
        }
    };
    context.push(Finding::error(FindingKind::UnknownKey, message).at(key.place()).hint(hint));
}

fn configuration(map: &mut Map, Entry { key, value }: &Entry, context: &mut Context) {
    let Some(name) = checked(key, context, ConfigName::new) else { return };
    let target = map.containers.entry(name).or_default();
    let origins = std::mem::take(&mut target.origins);
    let read = |context: &mut Context| container::update(context, target, value);
    let ((), origins) = context.object("configuration", key, origins, read);
    target.origins = origins;
}

fn one_volume(map: &mut Map, Entry { key, value }: &Entry, context: &mut Context) {
    let Some(name) = checked(key, context, VolumeAlias::new) else { return };
    let target = map.volumes.entry(name).or_default();
    let origins = std::mem::take(&mut target.origins);
    let read = |context: &mut Context| volume(context, target, value);
    let ((), origins) = context.object("volume", key, origins, read);
    target.origins = origins;
}

fn one_network(map: &mut Map, Entry { key, value }: &Entry, context: &mut Context) {
    let Some(name) = checked(key, context, NetworkName::new) else { return };
    if PRESET_NETWORKS.contains(&&*name) {
        let message = format!("network `{name}` is Docker's own and cannot be configured");
        let finding = Finding::error(FindingKind::InvalidInput, message).at(key.place());
        context.push(finding.hint("leave it out; containers may join it without"));
        return;
    }
    let target = map.networks.entry(name).or_default();
    let origins = std::mem::take(&mut target.origins);
    let read = |context: &mut Context| network(context, target, value);
    let ((), origins) = context.object("network", key, origins, read);
    target.origins = origins;
}

fn host(map: &mut Map, node: &Node, context: &mut Context) {
    for Entry { key, value } in context.entries(node, "a mapping of aliases to paths") {
        if key.text == "root" {
            map.host_root = context.within("root", |context| context.optional_text(value, "a path"));
            context.origins.set("host_root", key.position.clone());
            continue;
        }
        let Some(alias) = checked(key, context, VolumeAlias::new) else { continue };
        context.origins.set(format!("host.{alias}"), key.position.clone());
        for entry in value.mapping().unwrap_or_default() {
            context.origins.set(format!("host.{alias}.{}", entry.key.text), entry.key.position.clone());
        }
        if let Some(path) = context.within(&key.text, |context| host_path(context, value)) {
            map.host.insert(alias, path);
        }
    }
}

fn group(map: &mut Map, Entry { key, value }: &Entry, context: &mut Context) {
    let Some(name) = checked(key, context, ConfigName::new) else { return };
    let property = format!("groups.{name}");
    context.origins.set(property.clone(), key.position.clone());
    let members = context.within(&key.text, |context| elements::plain(context, &property, value, reference));
    map.groups.insert(name, members);
}

fn checked<T>(key: &Key, context: &mut Context, new: fn(String) -> Result<T, InvalidName>) -> Option<T> {
    match new(key.text.to_string()) {
        Ok(name) => Some(name),
        Err(error) => {
            context.invalid_name(key.place(), &error);
            None
        }
    }
}
