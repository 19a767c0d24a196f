//! A configuration: which reader each property has (map-model §2.1).

use super::context::Context;
use super::{
    attaches, binds, elements, endpoints, exec_commands, exposes, healthcheck, keys, links, network_mode,
    options, signals, user, uses,
};
use crate::model::Container;
use crate::names::{ClientName, ConfigName, InstanceName};
use crate::yaml::{Entry, Key, Node};

const BOOLEAN: &str = "accepted are `true` and `false`";
const NAMES: &str = "accepted are one name or a list of names";
const IMAGE: &str = "accepted is `[registry[:port]/]name[:tag]` or `name@sha256:…`";
const SHARES: &str = "accepted are one absolute path inside the container, or a list of them";

/// Updates a configuration with what is written for it. Nothing is all defaults.
pub(super) fn update(context: &mut Context, container: &mut Container, node: &Node) {
    let entries = context.entries(node, "a mapping of properties");
    let given = |name: &str| entries.iter().find(|entry| entry.key.text == name);
    for Entry { key, value } in entries {
        match key.text.as_str() {
            "start_options" => start_options(context, container, key, value, given("host_config")),
            // Read together with `start_options`.
            "host_config" if given("start_options").is_some() => {}
            _ => property(context, container, key, value),
        }
    }
}

fn property(context: &mut Context, container: &mut Container, key: &Key, value: &Node) {
    macro_rules! set {
        ($field:ident, $forms:expr, $read:expr) => {
            container.$field = context.property(key, $forms, |context: &mut Context| $read(context, value))
        };
    }
    match key.text.as_str() {
        "abstract" => set!(is_abstract, BOOLEAN, |context: &mut Context, node: &Node| {
            !node.is_null() && context.boolean(node).unwrap_or(false)
        }),
        "extends" => set!(extends, NAMES, |context, node| {
            elements::names(context, "extends", node, "the name of a configuration", ConfigName::new)
        }),
        "image" => set!(image, IMAGE, |context: &mut Context, node| context.setting(node, image)),
        "instances" => set!(instances, NAMES, instances),
        "clients" => set!(clients, NAMES, |context, node| {
            elements::names(context, "clients", node, "the name of a client", ClientName::new)
        }),
        "shares" => set!(shares, SHARES, |context, node| {
            elements::plain(context, "shares", node, |context: &mut Context, item| {
                context.container_path(item)
            })
        }),
        "binds" => set!(binds, binds::FORMS, binds::read),
        "attaches" => set!(attaches, attaches::FORMS, attaches::read),
        "uses" => set!(uses, uses::FORMS, uses::read),
        "links" => set!(links, links::FORMS, |context, node| links::read(context, "links", node)),
        "exposes" => set!(exposes, exposes::FORMS, exposes::read),
        "networks" => set!(networks, endpoints::FORMS, endpoints::read),
        "network_mode" => set!(network_mode, network_mode::FORMS, network_mode::read),
        "exec_commands" => set!(exec_commands, exec_commands::FORMS, exec_commands::read),
        "healthcheck" => set!(healthcheck, healthcheck::FORMS, healthcheck::read),
        "user" => set!(user, user::USER_FORMS, user::user),
        "permissions" => set!(permissions, user::PERMISSIONS_FORMS, user::permissions),
        "stop_timeout" => set!(stop_timeout, signals::SECONDS_FORMS, |context: &mut Context, node| {
            context.setting(node, |context, node| context.whole_number(node, "a whole number of seconds"))
        }),
        "stop_signal" => set!(stop_signal, signals::SIGNAL_FORMS, |context: &mut Context, node| {
            context.setting(node, signals::signal)
        }),
        "start_delay" => set!(start_delay, signals::DELAY_FORMS, |context: &mut Context, node| {
            context.setting(node, signals::delay)
        }),
        "persistent" => set!(persistent, BOOLEAN, |context: &mut Context, node| {
            context.setting(node, Context::boolean)
        }),
        "create_options" => set!(create_options, options::FORMS, |context, node| {
            options::read(context, "create_options", node)
        }),
        "host_config" => {
            set!(host_config, options::FORMS, |context, node| { options::read(context, "host_config", node) })
        }
        _ => context.unknown_key(key, "a configuration", &keys::CONTAINER),
    }
}

/// Reads an image reference and checks that it can be expanded (map-model §7.5, D35).
fn image(context: &mut Context, node: &Node) -> Option<String> {
    let text = context.text(node, "an image reference")?;
    match crate::image::ImageName::expand(&text, None, None) {
        Ok(_) => Some(text),
        Err(_) => {
            context.invalid(node, format!("`{}` is no image reference", crate::yaml::shortened(&text)));
            None
        }
    }
}

fn instances(context: &mut Context, node: &Node) -> Vec<InstanceName> {
    let names = elements::names(context, "instances", node, "the name of an instance", InstanceName::new);
    let mut unique: Vec<InstanceName> = Vec::with_capacity(names.len());
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        if seen.insert(name.clone()) {
            unique.push(name);
        } else {
            let item = node.list().and_then(|items| items.get(at)).unwrap_or(node);
            context.invalid_hint(
                item,
                format!("instance `{name}` is given twice"),
                "instance names are unique",
            );
        }
    }
    unique
}

/// Reads `start_options`, an alias of `host_config` whose keys yield to it (map-model §2.17).
fn start_options(
    context: &mut Context,
    container: &mut Container,
    key: &Key,
    value: &Node,
    host_config: Option<&Entry>,
) {
    let mut merged = context.property(key, options::FORMS, |context| {
        if host_config.is_some() {
            let message = "`start_options` and `host_config` are the same; both are given";
            context.warn(&key.to_node(), message, "put all keys under `host_config`");
        }
        options::read(context, "host_config", value)
    });
    if let Some(Entry { key, value }) = host_config {
        let read = |context: &mut Context| options::read(context, "host_config", value);
        merged.update(&context.within(&key.text, read));
        context.origins.set("host_config", key.position.clone());
    }
    container.host_config = merged;
}
