//! Client configurations (map-model §4).

use std::time::Duration;

use indexmap::IndexMap;

use super::context::Context;
use super::exposes::number_of;
use super::{keys, signals};
use crate::diagnostic::FindingKind;
use crate::model::{Auth, ClientConfig, Clients, Tls};
use crate::names::ClientName;
use crate::value::{Late, Value};
use crate::yaml::{Entry, Key, Node, ScalarKind};

const TEXT: &str = "accepted is a text";
const BOOLEAN: &str = "accepted are `true` and `false`";
const PORT: &str = "accepted is a port from 1 to 65535";
const SWITCHES: &str = "accepted is a mapping of names to `true` or `false`";
const INTERFACES: &str = "accepted is a mapping of interface aliases to addresses";
const VERSION: &str = "accepted are `auto` and an API version in quotes, such as `\"1.41\"`";

pub(super) fn read(root: &Node, context: &mut Context) -> Clients {
    let mut clients = Clients::new();
    if root.mapping().is_none() && !root.is_failed() {
        let message = match root.is_null() {
            true => "the document is empty; it maps client names to settings".to_owned(),
            false => format!("client configurations are a mapping, found {}", root.describe()),
        };
        context.push(root.error(FindingKind::Load, message));
        return clients;
    }
    for Entry { key, value } in root.mapping().unwrap_or_default() {
        let name = match ClientName::new(key.text.as_str()) {
            Ok(name) => name,
            Err(error) => {
                context.invalid_name(key.place(), &error);
                continue;
            }
        };
        let mut client = ClientConfig::default();
        let read = |context: &mut Context| {
            for Entry { key, value } in context.entries(value, "a mapping of client settings") {
                setting(context, &mut client, key, value);
            }
        };
        let ((), origins) = context.object("client", key, Default::default(), read);
        client.origins = origins;
        clients.insert(name, client);
    }
    clients
}

fn setting(context: &mut Context, client: &mut ClientConfig, key: &Key, value: &Node) {
    macro_rules! set {
        ($field:ident, $forms:expr, $read:expr) => {
            client.$field = context.property(key, $forms, |context: &mut Context| {
                if value.is_null() { Default::default() } else { $read(context, value) }
            })
        };
    }
    let text = |context: &mut Context, node: &Node| context.text(node, "a text");
    match key.text.as_str() {
        "base_url" => set!(base_url, TEXT, text),
        "version" => set!(version, VERSION, version),
        "timeout" => set!(timeout, signals::DELAY_FORMS, seconds),
        "tls" => set!(tls, "accepted are `true`, `false`, or a mapping of files", tls),
        "interfaces" => set!(interfaces, INTERFACES, |c, n| addresses(c, n, "an IPv4 address", |text| {
            text.parse::<std::net::Ipv4Addr>().is_ok()
        })),
        "interfaces_ipv6" => {
            set!(interfaces_ipv6, INTERFACES, |c, n| addresses(c, n, "an IPv6 address", |text| {
                text.parse::<std::net::Ipv6Addr>().is_ok()
            }))
        }
        "auth_configs" => set!(auth_configs, "accepted is a mapping of registries to logins", logins),
        "domainname" => {
            set!(domainname, TEXT, |context: &mut Context, node| context.late_text(node, "a text"))
        }
        "stop_timeout" => set!(stop_timeout, signals::SECONDS_FORMS, |context: &mut Context, node| {
            context.whole_number(node, "a whole number of seconds")
        }),
        "wait_timeout" => set!(wait_timeout, signals::DELAY_FORMS, seconds),
        "features" => set!(features, SWITCHES, |c, n| switches(c, n, "features", &keys::FEATURES)),
        "constraints" => {
            set!(constraints, SWITCHES, |c, n| switches(c, n, "constraints", &keys::CONSTRAINTS))
        }
        "fabric_host" => set!(fabric_host, TEXT, text),
        "tunnel_remote_port" => set!(tunnel_remote_port, PORT, port),
        "tunnel_local_port" => set!(tunnel_local_port, PORT, port),
        "cmd_prefix" => set!(cmd_prefix, TEXT, text),
        "default_bin" => set!(default_bin, TEXT, text),
        "use_sudo" => set!(use_sudo, BOOLEAN, Context::boolean),
        "debug" => set!(debug, BOOLEAN, Context::boolean),
        name if keys::FEATURES.contains(&name) => {
            let message = format!("unknown key `{name}` in a client");
            let finding = key.to_node().error(FindingKind::UnknownKey, message);
            context.push(finding.hint(format!("it is a feature: write `features: {{{name}: …}}`")));
        }
        _ => context.unknown_key(key, "a client", &keys::CLIENT),
    }
}

/// Reads `auto` or `major.minor`; the source text counts, so that `1.30` keeps its zero.
fn version(context: &mut Context, node: &Node) -> Option<String> {
    let text = context.text(node, "an API version")?;
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text != "auto" && !text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor)) {
        context.invalid(node, format!("`{}` is no API version", crate::yaml::shortened(&text)));
        return None;
    }
    Some(text)
}

fn seconds(context: &mut Context, node: &Node) -> Option<Duration> {
    signals::delay(context, node)
}

fn port(context: &mut Context, node: &Node) -> Option<u16> {
    let text = context.text(node, "a port number")?;
    number_of(context, node, &text)
}

fn tls(context: &mut Context, node: &Node) -> Option<Tls> {
    let Some(entries) = node.mapping() else { return context.boolean(node).map(Tls::Enabled) };
    let mut settings = IndexMap::new();
    for Entry { key, value } in entries {
        if !keys::TLS.contains(&key.text.as_str()) {
            context.unknown_key(key, "TLS settings", &keys::TLS);
        } else if !context.within(&key.text, |context| context.refuse_late(value)) {
            settings.insert(key.text.to_string(), Value::from(value));
        }
    }
    Some(Tls::Settings(settings))
}

fn addresses(
    context: &mut Context,
    node: &Node,
    expected: &str,
    is_address: fn(&str) -> bool,
) -> IndexMap<String, Late<String>> {
    let mut addresses = IndexMap::new();
    for Entry { key, value } in context.entries(node, "a mapping of interface aliases to addresses") {
        let address = context.within(&key.text, |context| {
            let address = context.late_text(value, expected)?;
            if matches!(&address, Late::Known(text) if !is_address(text)) {
                context.expected(value, expected);
                return None;
            }
            Some(address)
        });
        if let Some(address) = address {
            addresses.insert(key.text.to_string(), address);
        }
    }
    addresses
}

fn logins(context: &mut Context, node: &Node) -> IndexMap<String, Auth> {
    let mut logins = IndexMap::new();
    for Entry { key, value } in context.entries(node, "a mapping of registries to logins") {
        if let Some(auth) = context.within(&key.text, |context| login(context, value)) {
            logins.insert(key.text.to_string(), auth);
        }
    }
    logins
}

fn login(context: &mut Context, node: &Node) -> Option<Auth> {
    let entries = context.entries(node, "a mapping with `username` and `password`");
    let (mut username, mut password, mut email) = (None, None, None);
    for Entry { key, value } in entries {
        match key.text.as_str() {
            "username" => username = context.late_text(value, "a user name"),
            "password" | "email" if value.is_null() => {}
            "password" => password = secret(context, key, value),
            "email" => email = context.text(value, "a mail address"),
            _ => context.unknown_key(key, "a registry login", &keys::AUTH),
        }
    }
    if entries.iter().all(|entry| entry.key.text != "username") && !node.is_failed() {
        context.invalid_hint(node, "`username` is missing", "a login is `{username: …, password: …}`");
    }
    Some(Auth {
        username: username?,
        password: password.unwrap_or_else(|| Late::Known(String::new())),
        email,
    })
}

/// Reads a text that must not be shown in a message, which points at the key.
fn secret(context: &mut Context, key: &Key, node: &Node) -> Option<Late<String>> {
    if let Some(lazy) = node.lazy() {
        return Some(Late::Lazy(Box::new(lazy)));
    }
    match node.text() {
        Some(text) => Some(Late::Known(text.to_owned())),
        None => {
            if !node.is_failed() {
                context.invalid_hint(
                    &key.to_node(),
                    "expected a text",
                    "a login is `{username: …, password: …}`",
                );
            }
            None
        }
    }
}

/// Reads a mapping of known names to booleans. `features.host_config` may be the word `merge`, which
/// means "on, and not nested": what the backend of the `docker` command line does anyway, and what the
/// Engine API has no second form for.
fn switches(context: &mut Context, node: &Node, what: &str, known: &[&str]) -> IndexMap<String, bool> {
    let mut switches = IndexMap::new();
    for Entry { key, value } in context.entries(node, "a mapping of names to booleans") {
        if !known.contains(&key.text.as_str()) {
            context.unknown_key(key, what, known);
            continue;
        }
        let merge = key.text == "host_config" && value.text() == Some("merge");
        let switch = match merge && value.scalar().is_some_and(|scalar| scalar.kind() == ScalarKind::Text) {
            true => Some(true),
            false => context.within(&key.text, |context| context.boolean(value)),
        };
        if let Some(switch) = switch {
            switches.insert(key.text.to_string(), switch);
        }
    }
    switches
}
