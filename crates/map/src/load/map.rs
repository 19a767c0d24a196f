//! The root of a map (map-model §1.3).

use super::context::{Context, list};
use super::elements;
use super::links::reference;
use super::volumes::{host_path, network, volume};
use super::{LoadOptions, Loaded, container, given_name, keys, loaded, name_of_file};
use crate::diagnostic::{Finding, FindingKind, Findings, Sources, nearest};
use crate::model::Map;
use crate::names::{ClientName, ConfigName, InvalidName, MapName, NetworkName, PRESET_NETWORKS, VolumeAlias};
use crate::yaml::{Entry, Key, Node};

const TEXT: &str = "accepted is a text";
const BOOLEAN: &str = "accepted are `true` and `false`";
const CLIENTS: &str = "accepted are one client name or a list of them";
const GROUP: &str = "accepted are `config`, `config.instance`, or a list of these";
const HOST: &str = "accepted are `{alias: path}` and `{alias: {instance: path}}`";
const CONFIGURATIONS: &str = "accepted is a mapping of configuration names to their properties";
const VOLUMES: &str =
    "accepted are an absolute path inside containers, or a mapping with `default_path`, `driver`, …";
const NETWORKS: &str = "accepted is a mapping with `driver`, `internal`, …";

/// Reads a map, one entry of its root after the other.
pub(super) struct Reader<'a> {
    options: &'a LoadOptions<'a>,
    /// Holds the map's own positions between the entries.
    pub(super) context: Context,
    map: Map,
    name: Name,
}

/// The name of the map, as far as the text gives it.
enum Name {
    /// It has not come yet.
    Missing,
    Valid(MapName),
    /// It has been reported.
    Invalid,
}

impl From<Option<MapName>> for Name {
    fn from(name: Option<MapName>) -> Self {
        name.map_or(Self::Invalid, Self::Valid)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a LoadOptions<'a>) -> Self {
        let mut context = Context::default();
        let name = match options.name {
            Some("") => given_name(name_of_file(options.file), &mut context).into(),
            Some(name) => given_name(name, &mut context).into(),
            None => Name::Missing,
        };
        let unnamed = MapName::new("unnamed").expect("the word keeps the rule of names");
        Self { options, context, map: Map::new(unnamed), name }
    }

    /// Reads an entry, whose eager tags have been applied.
    pub(super) fn entry(&mut self, entry: &Entry) {
        // map-model §10.1. Without a name the rest is still read, so that its findings come in the same run.
        if entry.key.text == "name" && self.options.name.is_none() && !entry.value.is_null() {
            self.name = self.context.name(&entry.value, "the name of the map", MapName::new).into();
        }
        property(&mut self.map, entry, &mut self.context);
    }

    /// Yields the map after its last entry.
    pub(super) fn finish(mut self, root: &Node, sources: Sources) -> Result<Loaded<Map>, Findings> {
        if root.mapping().is_none() {
            if !root.is_failed() {
                let message = match root.is_null() {
                    true => "the document is empty; a map is a mapping with a `name`".to_owned(),
                    false => format!("a map is a mapping, found {}", root.describe()),
                };
                self.context.push(root.error(FindingKind::Load, message));
            }
            return loaded(None, self.context.into_findings(None), sources);
        }
        let name = match self.name {
            Name::Valid(name) => Some(name),
            Name::Invalid => None,
            Name::Missing => {
                let finding = root.error(FindingKind::Load, "the map has no name");
                self.context.push(finding.hint("add `name: …` at the top of the file"));
                None
            }
        };
        let mut origins = std::mem::take(&mut self.context.origins);
        origins.set("", root.position.clone());
        let findings = self.context.into_findings(name.as_deref());
        loaded(name.map(|name| Map { name, origins, ..self.map }), findings, sources)
    }
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
