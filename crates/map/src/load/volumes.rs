//! `volumes`, `host` and `networks` of a map (map-model §3).

use indexmap::IndexMap;

use super::context::Context;
use super::{keys, options, user};
use crate::model::{HostPath, Network, Volume};
use crate::names::InstanceName;
use crate::value::Late;
use crate::yaml::Node;

const PATH_FORMS: &str = "accepted is an absolute path inside containers";
const DRIVER_FORMS: &str = "accepted is the name of a driver";
const INTERNAL_FORMS: &str = "accepted are `true` and `false`";

/// Updates a volume with what is written for it: a text is its path and resets the rest.
pub(super) fn volume(context: &mut Context, volume: &mut Volume, node: &Node) {
    if node.list().is_some() || node.is_number() {
        context.expected(node, "a path or a mapping");
        return;
    }
    if node.text().is_some() || node.lazy().is_some() {
        let default_path = context.container_path(node);
        // No position under `default_path`: this tells `merge::update` that a text was written, which
        // resets the other settings (map-model §5.5). Looking the path up yields the alias' position.
        *volume = Volume { default_path, ..Volume::default() };
        return;
    }
    for entry in context.entries(node, "a path or a mapping") {
        let (key, value) = (&entry.key, &entry.value);
        match key.text.as_str() {
            "default_path" => {
                volume.default_path = context.property(key, PATH_FORMS, |context| {
                    if value.is_null() { None } else { context.container_path(value) }
                });
            }
            "driver" => volume.driver = context.property(key, DRIVER_FORMS, |context| driver(context, value)),
            "driver_options" => {
                volume.driver_options = context
                    .property(key, options::FORMS, |context| options::entries(context, &key.text, value));
            }
            "create_options" => {
                volume.create_options = context
                    .property(key, options::FORMS, |context| options::entries(context, &key.text, value));
            }
            "user" => {
                volume.user = context.property(key, user::USER_FORMS, |context| user::user(context, value))
            }
            "permissions" => {
                volume.permissions = context
                    .property(key, user::PERMISSIONS_FORMS, |context| user::permissions(context, value));
            }
            _ => context.unknown_key(key, "a volume", &keys::VOLUME),
        }
    }
}

/// Updates a network with what is written for it.
pub(super) fn network(context: &mut Context, network: &mut Network, node: &Node) {
    for entry in context.entries(node, "a mapping of network settings") {
        let (key, value) = (&entry.key, &entry.value);
        match key.text.as_str() {
            "driver" => {
                network.driver = context.property(key, DRIVER_FORMS, |context| driver(context, value))
            }
            "driver_options" => {
                network.driver_options = context
                    .property(key, options::FORMS, |context| options::entries(context, &key.text, value));
            }
            "internal" => {
                network.internal = context.property(key, INTERNAL_FORMS, |context| {
                    if value.is_null() { None } else { context.boolean(value) }
                });
            }
            "create_options" => {
                network.create_options = context
                    .property(key, options::FORMS, |context| options::entries(context, &key.text, value));
            }
            _ => context.unknown_key(key, "a network", &keys::NETWORK),
        }
    }
}

fn driver(context: &mut Context, node: &Node) -> Option<String> {
    if node.is_null() { None } else { context.text(node, "the name of a driver") }
}

/// Reads a host path: a path, or a mapping of instances to paths. Entries of nothing are left out, as
/// if they had not been written.
pub(super) fn host_path(context: &mut Context, node: &Node) -> Option<HostPath> {
    const EXPECTED: &str = "a path on the host, or a mapping of instances to paths";
    let Some(entries) = node.mapping() else {
        return path(context, node, EXPECTED).map(HostPath::Path);
    };
    let mut paths = IndexMap::new();
    for entry in entries {
        let instance = InstanceName::new(entry.key.text.as_str());
        match instance {
            Ok(instance) if !entry.value.is_null() => {
                let part = format!("[{instance}]");
                if let Some(path) =
                    context.within(&part, |context| path(context, &entry.value, "a path on the host"))
                {
                    paths.insert(instance, path);
                }
            }
            Ok(_) => {}
            Err(error) => context.invalid_name(entry.key.place(), &error),
        }
    }
    Some(HostPath::PerInstance(paths))
}

fn path(context: &mut Context, node: &Node, expected: &str) -> Option<Late<String>> {
    let path = context.late_text(node, expected)?;
    if matches!(&path, Late::Known(text) if text.is_empty()) {
        context.invalid(node, "the path is empty");
        return None;
    }
    Some(path)
}
