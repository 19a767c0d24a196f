//! Option keys of `create_options` and `host_config`: which property each one is, and how its value
//! is read into the Engine API's shape (engine §6.3, §6.4; map-model §2.17).
//!
//! Accepted are the spellings of the Docker SDK for Python, and the Engine API's own where the two
//! differ in the case of letters only.

use serde_json::{Map, Value as Json, json};

use super::read::{self, Read};
use crate::property::{Property, Shape};
use crate::value::Value;

/// The mapping that an option key stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// `create_options`
    Create,
    /// `host_config`
    Host,
}

/// What an option key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A property.
    Property(Property),
    /// Accepted, but about the caller's connection only (`detach`).
    NoEffect,
}

/// Keys of `create_options` that are called otherwise than their property, or that are host settings
/// which older SDKs took here (engine D-64).
const CREATE_KEYS: [(&str, Property); 5] = [
    ("volumes", Property::Shares),
    ("ports", Property::ExposedPorts),
    ("mem_limit", Property::MemLimit),
    ("memswap_limit", Property::MemswapLimit),
    ("cpu_shares", Property::CpuShares),
];

impl Group {
    /// Returns the word of the map.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create_options",
            Self::Host => "host_config",
        }
    }

    /// Returns what `key` means here.
    pub(super) fn key(self, key: &str) -> Option<Key> {
        match (self, key) {
            (Self::Create, "detach") => return Some(Key::NoEffect),
            // Their words in a map mean something else: `volumes` and `ports` are the options.
            (Self::Create, "shares" | "exposes") => return None,
            (Self::Create, "runtime") => return Some(Key::Property(Property::Runtime)),
            _ => {}
        }
        if self == Self::Create
            && let Some((_, property)) = CREATE_KEYS.iter().find(|(name, _)| *name == key)
        {
            return Some(Key::Property(*property));
        }
        Property::by_name(key)
            .filter(|property| property.is_host() == (self == Self::Host))
            .map(Key::Property)
    }

    /// Returns all keys, for "did you mean".
    pub(super) fn keys(self) -> Vec<&'static str> {
        let names = Property::ALL.iter().map(|property| property.name());
        let extra = ["volumes", "ports", "mem_limit", "memswap_limit", "cpu_shares", "runtime", "detach"];
        names.chain(extra).filter(|name| self.key(name).is_some()).collect()
    }
}

/// Reads the value of an option in the Engine API's shape.
///
/// # Errors
///
/// What is expected instead, without the value.
pub(super) fn read(property: Property, value: &Value) -> Read<Json> {
    match property {
        Property::Command | Property::Entrypoint => Ok(json!(read::command(value)?)),
        Property::ExposedPorts => Ok(json!(ports(value)?)),
        Property::Shares => Ok(json!(keys_or_texts(value)?)),
        Property::Binds => Ok(json!(binds(value)?)),
        Property::VolumesFrom => Ok(json!(comma_separated(value)?)),
        Property::Links => Ok(json!(links(value)?)),
        Property::ExtraHosts => Ok(json!(extra_hosts(value)?)),
        Property::PortBindings => port_bindings(value),
        Property::RestartPolicy => restart_policy(value),
        Property::Devices => objects(value, device),
        Property::Mounts => objects(value, mount),
        Property::Healthcheck => health_check(value),
        Property::LogConfig => log_config(value),
        Property::DeviceRequests => objects(value, |item| renamed(item, "a device request", &DEVICE_REQUEST)),
        Property::Ulimits => {
            objects(value, |item| renamed(item, "a limit with `name`, `soft`, `hard`", &ULIMIT))
        }
        Property::BlkioWeightDevice
        | Property::DeviceReadBps
        | Property::DeviceReadIops
        | Property::DeviceWriteBps
        | Property::DeviceWriteIops => objects(value, |item| renamed(item, "a device limit", &DEVICE_LIMIT)),
        Property::Tmpfs => Ok(Json::Object(read::labels(value, ':')?)),
        _ => shaped(property.shape(), value),
    }
}

fn shaped(shape: Shape, value: &Value) -> Read<Json> {
    Ok(match shape {
        Shape::Text => Json::from(read::text(value)?),
        Shape::Integer => Json::from(read::integer(value)?),
        Shape::Bytes => Json::from(read::bytes(value)?),
        Shape::Boolean => Json::from(read::boolean(value)?),
        Shape::Words | Shape::Set => json!(read::texts(value)?),
        Shape::Environment => json!(read::environment(value)?),
        Shape::Labels => Json::Object(read::labels(value, '=')?),
        Shape::Json => read::json(value),
    })
}

/// Words of the SDK and of the Engine API.
type Fields = [(&'static str, &'static str)];

const DEVICE_REQUEST: [(&str, &str); 5] = [
    ("driver", "Driver"),
    ("count", "Count"),
    ("device_ids", "DeviceIDs"),
    ("capabilities", "Capabilities"),
    ("options", "Options"),
];
const ULIMIT: [(&str, &str); 3] = [("name", "Name"), ("soft", "Soft"), ("hard", "Hard")];
const DEVICE_LIMIT: [(&str, &str); 3] = [("path", "Path"), ("rate", "Rate"), ("weight", "Weight")];
const HEALTH_CHECK: [(&str, &str); 6] = [
    ("test", "Test"),
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("retries", "Retries"),
    ("start_period", "StartPeriod"),
    ("start_interval", "StartInterval"),
];

fn objects(value: &Value, read: impl Fn(&Value) -> Read<Json>) -> Read<Json> {
    match value {
        Value::Mapping(_) | Value::String(_) => Ok(Json::Array(vec![read(value)?])),
        value => read::list(value)?.iter().map(read).collect::<Read<Vec<_>>>().map(Json::Array),
    }
}

/// A mapping with its keys turned into the Engine API's; unknown keys are errors.
fn renamed(value: &Value, what: &str, fields: &Fields) -> Read<Json> {
    let Value::Mapping(entries) = value else {
        return Err(format!("expected {what}, found {}", value.describe()));
    };
    let mut object = Map::new();
    for (key, value) in entries {
        let field = fields.iter().find(|(short, long)| key == short || key == long);
        let Some((_, long)) = field else {
            let known: Vec<&str> = fields.iter().map(|(short, _)| *short).collect();
            return Err(format!("unknown key `{key}` in {what}; known are {}", known.join(", ")));
        };
        object.insert((*long).to_owned(), read::json(value));
    }
    Ok(Json::Object(object))
}

/// `80`, `"53/udp"`, `[53, udp]`.
fn ports(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Mapping(entries) => entries.keys().map(|key| port(key)).collect(),
        Value::List(items) => items
            .iter()
            .map(|item| match item {
                Value::List(pair) if pair.len() == 2 => {
                    port(&format!("{}/{}", read::text(&pair[0])?, read::text(&pair[1])?))
                }
                item => port(&read::text(item)?),
            })
            .collect(),
        scalar => Ok(vec![port(&read::text(scalar)?)?]),
    }
}

/// Returns `number/protocol`.
fn port(text: &str) -> Read<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let ranged = number.split_once('-').unwrap_or((number, number));
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    match (ranged.0.parse::<u16>(), ranged.1.parse::<u16>()) {
        (Ok(first), Ok(last)) if known && first != 0 && first <= last => Ok(format!("{number}/{protocol}")),
        _ => Err("expected a port such as `80` or `53/udp`".to_owned()),
    }
}

fn keys_or_texts(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Mapping(entries) => Ok(entries.keys().cloned().collect()),
        other => read::texts(other),
    }
}

fn comma_separated(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::String(text) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
        other => read::texts(other),
    }
}

/// `[host:container:mode]`, or `{host: {bind: container, mode: rw}}`.
fn binds(value: &Value) -> Read<Vec<String>> {
    let Value::Mapping(entries) = value else { return read::texts(value) };
    entries
        .iter()
        .map(|(source, target)| match target {
            Value::Mapping(fields) => {
                let field = |name: &str| fields.get(name).map(read::text).transpose();
                let path = field("bind")?.ok_or("expected `bind` with the path in the container")?;
                let readonly = fields.get("ro").map(read::boolean).transpose()?.unwrap_or_default();
                let mode = field("mode")?.unwrap_or_else(|| if readonly { "ro" } else { "rw" }.to_owned());
                Ok(format!("{source}:{path}:{mode}"))
            }
            target => Ok(format!("{source}:{}", read::text(target)?)),
        })
        .collect()
}

/// `{name: alias}`, `[name:alias]`, `[[name, alias]]`, `[name]`.
fn links(value: &Value) -> Read<Vec<String>> {
    let pair = |name: &str, alias: &str| {
        if alias.is_empty() { format!("{name}:{name}") } else { format!("{name}:{alias}") }
    };
    match value {
        Value::Mapping(entries) => {
            entries.iter().map(|(name, alias)| Ok(pair(name, &read::text(alias)?))).collect()
        }
        value => read::list(value)?
            .iter()
            .map(|item| match item {
                Value::List(parts) if parts.len() == 2 => {
                    Ok(pair(&read::text(&parts[0])?, &read::text(&parts[1])?))
                }
                item => {
                    let text = read::text(item)?;
                    let (name, alias) = text.split_once(':').unwrap_or((&text, ""));
                    Ok(pair(name, alias))
                }
            })
            .collect(),
    }
}

fn extra_hosts(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Mapping(entries) => {
            entries.iter().map(|(host, address)| Ok(format!("{host}:{}", read::text(address)?))).collect()
        }
        other => read::texts(other),
    }
}

/// `{80: 8080}`, `{80: [8080, 8081]}`, `{80: [127.0.0.1, 8080]}`, `{80: [[127.0.0.1, 8080]]}`,
/// `{80: null}` for a port that the engine chooses.
fn port_bindings(value: &Value) -> Read<Json> {
    let mut bindings = Map::new();
    for (key, value) in read::mapping(value)? {
        let entries = match value {
            Value::List(items) if is_pair(items) => vec![binding(value)?],
            Value::List(items) => items.iter().map(binding).collect::<Read<_>>()?,
            value => vec![binding(value)?],
        };
        bindings.insert(port(key)?, Json::Array(entries));
    }
    Ok(Json::Object(bindings))
}

/// An address and a port; the SDK writes a tuple, for which YAML has no notation of its own.
fn is_pair(items: &[Value]) -> bool {
    let address = |item: &Value| read::text(item).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    matches!(items, [first] | [first, _] if address(first))
}

fn binding(value: &Value) -> Read<Json> {
    let made = |address: String, port: String| json!({"HostIp": address, "HostPort": port});
    match value {
        Value::Null => Ok(made(String::new(), String::new())),
        Value::List(items) if is_pair(items) => {
            Ok(made(read::text(&items[0])?, items.get(1).map_or(Ok(String::new()), read::text)?))
        }
        Value::Mapping(_) => renamed(value, "a binding", &[("host_ip", "HostIp"), ("host_port", "HostPort")]),
        Value::List(_) => Err("expected a host port, or an address and a host port".to_owned()),
        scalar => {
            let text = read::text(scalar)?;
            match text.rsplit_once(':') {
                Some((address, port)) => {
                    Ok(made(address.trim_matches(['[', ']']).to_owned(), port.to_owned()))
                }
                None => Ok(made(String::new(), text)),
            }
        }
    }
}

/// `always`, `on-failure:3`, `{Name: on-failure, MaximumRetryCount: 3}`.
fn restart_policy(value: &Value) -> Read<Json> {
    let (name, count) = match value {
        Value::Null => return Ok(Json::Null),
        Value::Mapping(entries) => {
            let field = |long: &str, short: &str| entries.get(long).or_else(|| entries.get(short));
            let known = ["Name", "name", "MaximumRetryCount", "maximum_retry_count"];
            if let Some(key) = entries.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(format!("unknown key `{key}`; known are Name, MaximumRetryCount"));
            }
            let name = field("Name", "name").map(read::text).transpose()?.unwrap_or_default();
            (name, field("MaximumRetryCount", "maximum_retry_count").map(read::integer).transpose()?)
        }
        scalar => {
            let text = read::text(scalar)?;
            match text.split_once(':') {
                Some((name, count)) => (name.to_owned(), Some(read::integer(&Value::from(count))?)),
                None => (text, None),
            }
        }
    };
    match name.as_str() {
        "" | "no" | "always" | "unless-stopped" => Ok(json!({"Name": name})),
        "on-failure" => Ok(json!({"Name": name, "MaximumRetryCount": count.unwrap_or_default()})),
        _ => Err("expected `no`, `always`, `unless-stopped` or `on-failure[:count]`".to_owned()),
    }
}

/// `/dev/a`, `/dev/a:/dev/b`, `/dev/a:/dev/b:rwm`, or the Engine API's object.
fn device(value: &Value) -> Read<Json> {
    const FIELDS: [(&str, &str); 3] = [
        ("path_on_host", "PathOnHost"),
        ("path_in_container", "PathInContainer"),
        ("cgroup_permissions", "CgroupPermissions"),
    ];
    if matches!(value, Value::Mapping(_)) {
        return renamed(value, "a device", &FIELDS);
    }
    let text = read::text(value)?;
    let mut parts = text.split(':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    let permissions = parts.next().unwrap_or("rwm");
    if host.is_empty() || parts.next().is_some() {
        return Err("expected a device such as `/dev/a:/dev/b:rwm`".to_owned());
    }
    Ok(json!({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": permissions}))
}

/// `docker.types.Mount` by its arguments, or the Engine API's `Mount`.
fn mount(value: &Value) -> Read<Json> {
    let entries =
        read::mapping(value).map_err(|_| "expected a mount with `target`, `source`, `type`".to_owned())?;
    let mut object = Map::new();
    object.insert("Type".into(), json!("volume"));
    let mut inner = |group: &str, field: &str, value: Json| -> Option<()> {
        let options = object.entry(group).or_insert_with(|| json!({}));
        options.as_object_mut()?.insert(field.to_owned(), value);
        Some(())
    };
    for (key, value) in entries {
        match key.as_str() {
            "propagation" => inner("BindOptions", "Propagation", read::json(value)),
            "no_copy" => inner("VolumeOptions", "NoCopy", Json::from(read::boolean(value)?)),
            "labels" => inner("VolumeOptions", "Labels", Json::Object(read::labels(value, '=')?)),
            "driver_config" => {
                let fields = [("name", "Name"), ("options", "Options")];
                inner("VolumeOptions", "DriverConfig", renamed(value, "a driver", &fields)?)
            }
            "tmpfs_size" => inner("TmpfsOptions", "SizeBytes", Json::from(read::bytes(value)?)),
            "tmpfs_mode" => inner("TmpfsOptions", "Mode", Json::from(read::integer(value)?)),
            _ => Some(()),
        };
    }
    const FIELDS: [(&str, &str); 8] = [
        ("target", "Target"),
        ("source", "Source"),
        ("type", "Type"),
        ("read_only", "ReadOnly"),
        ("consistency", "Consistency"),
        ("", "BindOptions"),
        ("", "VolumeOptions"),
        ("", "TmpfsOptions"),
    ];
    const INNER: [&str; 6] =
        ["propagation", "no_copy", "labels", "driver_config", "tmpfs_size", "tmpfs_mode"];
    for (key, value) in entries.iter().filter(|(key, _)| !INNER.contains(&key.as_str())) {
        let field = FIELDS.iter().find(|(short, long)| key == short || key == long);
        let Some((_, long)) = field else { return Err(format!("unknown key `{key}` in a mount")) };
        let value = match *long {
            "ReadOnly" => Json::from(read::boolean(value)?),
            _ => read::json(value),
        };
        object.insert((*long).to_owned(), value);
    }
    if object.get("Target").is_none() {
        return Err("expected `target` with the path in the container".to_owned());
    }
    Ok(Json::Object(object))
}

/// Times are integers in nanoseconds here, as in the SDK.
fn health_check(value: &Value) -> Read<Json> {
    let mut check = renamed(value, "a health check with `test`, `interval`, …", &HEALTH_CHECK)?;
    if let Some(test) = check.get_mut("Test")
        && let Some(shell) = test.as_str()
    {
        *test = json!(["CMD-SHELL", shell]);
    }
    Ok(check)
}

fn log_config(value: &Value) -> Read<Json> {
    let mut config =
        renamed(value, "a log driver with `type` and `config`", &[("type", "Type"), ("config", "Config")])?;
    if let Some(Json::Object(options)) = config.get_mut("Config") {
        for option in options.values_mut() {
            // The engine takes texts only: `max-size: 10` is `"10"`.
            if !option.is_string() {
                *option = Json::from(option.to_string());
            }
        }
    }
    Ok(config)
}
