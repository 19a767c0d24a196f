//! `network_mode` (map-model §2.11).

use super::context::Context;
use super::elements::Named;
use super::links::reference;
use crate::model::{NetworkMode, Reference, Setting};
use crate::names::{ConfigName, InstanceName};
use crate::yaml::{Node, ScalarKind};

pub(super) const FORMS: &str = "accepted are `bridge`, `host`, `none`, `container:name`, `config`, `config.instance`, \
    `[config, instance]`; nothing disables networking";

pub(super) fn read(context: &mut Context, node: &Node) -> Setting<NetworkMode> {
    if node.is_null() {
        return Setting::Value(NetworkMode::None);
    }
    if let Some(parts) = node.list() {
        let [config, instance] = parts else {
            context.invalid(node, format!("expected `[config, instance]`, found {}", node.describe()));
            return Setting::Unset;
        };
        return container(context, config, Some(instance));
    }
    if let Some(entries) = node.mapping() {
        if node.get("config_name").is_none() {
            context.expected(node, "a network mode");
            return Setting::Unset;
        }
        let named = Named::open(context, entries, "a network mode", &["config_name", "instance_name"]);
        return match named.required(context, node, "config_name") {
            Some(config) => container(context, config, named.get("instance_name")),
            None => Setting::Unset,
        };
    }
    if context.refuse_late(node) {
        return Setting::Unset;
    }
    match node.scalar().map(|scalar| (scalar.kind(), scalar.text.as_str())) {
        Some((ScalarKind::Bool(false) | ScalarKind::OldBool(false), _) | (_, "" | "disabled" | "none")) => {
            Setting::Value(NetworkMode::None)
        }
        Some((ScalarKind::Bool(_) | ScalarKind::OldBool(_) | ScalarKind::Number, _)) | None => {
            context.expected(node, "a network mode");
            Setting::Unset
        }
        Some((_, "default")) => Setting::Unset,
        Some((_, "bridge")) => Setting::Value(NetworkMode::Bridge),
        Some((_, "host")) => Setting::Value(NetworkMode::Host),
        Some((_, text)) => match text.strip_prefix("container:").or(text.strip_prefix('/')) {
            Some("") => {
                context.invalid(node, format!("`{text}` names no container"));
                Setting::Unset
            }
            Some(name) => Setting::Value(NetworkMode::Unmanaged(name.to_owned())),
            None => match reference(context, node) {
                Some(reference) => Setting::Value(NetworkMode::Container(reference)),
                None => Setting::Unset,
            },
        },
    }
}

fn container(context: &mut Context, config: &Node, instance: Option<&Node>) -> Setting<NetworkMode> {
    let config = context.name(config, "the name of a configuration", ConfigName::new);
    let instance = match instance.filter(|node| !node.is_null()) {
        Some(node) => context.name(node, "the name of an instance", InstanceName::new).map(Some),
        None => Some(None),
    };
    match (config, instance) {
        (Some(config), Some(instance)) => {
            Setting::Value(NetworkMode::Container(Reference { config, instance }))
        }
        _ => Setting::Unset,
    }
}
