//! Normal forms in the notation of map-model §0.4.

use crate::model::*;
use crate::value::{Late, Value};

pub(super) fn late<T: ToString>(late: &Late<T>) -> String {
    match late {
        Late::Known(value) => value.to_string(),
        Late::Lazy(lazy) => format!("<{lazy}>"),
    }
}

fn join<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
    if items.is_empty() { "[]".to_owned() } else { items.iter().map(print).collect::<Vec<_>>().join(", ") }
}

fn access(readonly: bool) -> &'static str {
    if readonly { "ro" } else { "rw" }
}

fn or_dash<T>(value: Option<&T>, print: impl Fn(&T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), print)
}

pub(super) fn setting<T>(setting: &Setting<T>, print: impl Fn(&T) -> String) -> String {
    match setting {
        Setting::Unset => "unset".to_owned(),
        Setting::Null => "null".to_owned(),
        Setting::Value(value) => print(value),
    }
}

pub(super) fn host_path(path: &HostPath) -> String {
    match path {
        HostPath::Path(path) => late(path),
        HostPath::PerInstance(paths) => {
            let path = |(instance, path): (&_, &_)| format!("{instance}: {}", late(path));
            format!("{{{}}}", paths.iter().map(path).collect::<Vec<_>>().join(", "))
        }
    }
}

fn link(link: &Link) -> String {
    format!("L({}, {})", link.container, or_dash(link.alias.as_ref(), Clone::clone))
}

fn endpoint(endpoint: &Endpoint) -> String {
    let mut parts = vec![endpoint.network_name.to_string()];
    let mut list = |name: &str, items: &[Late<String>]| {
        if !items.is_empty() {
            parts.push(format!("{name}=[{}]", join(items, late)));
        }
    };
    list("aliases", &endpoint.aliases);
    if !endpoint.links.is_empty() {
        parts.push(format!("links=[{}]", join(&endpoint.links, link)));
    }
    for (name, address) in [("ip4", &endpoint.ipv4_address), ("ip6", &endpoint.ipv6_address)] {
        parts.extend(address.as_ref().map(|address| format!("{name}={}", late(address))));
    }
    if !endpoint.link_local_ips.is_empty() {
        parts.push(format!("lls=[{}]", join(&endpoint.link_local_ips, late)));
    }
    format!("N({})", parts.join(", "))
}

fn bind(bind: &Bind) -> String {
    match bind {
        Bind::Alias { name, readonly } => format!("S({name}, {})", access(*readonly)),
        Bind::Path { path, host_path: host, readonly } => {
            format!("H({}, {}, {})", late(path), host_path(host), access(*readonly))
        }
    }
}

fn used(name: &str, path: Option<&Late<String>>, readonly: bool) -> String {
    match path {
        Some(path) => format!("U({name}, {}, {})", late(path), access(readonly)),
        None => format!("S({name}, {})", access(readonly)),
    }
}

fn port(port: &Port) -> String {
    let exposed = match port.protocol {
        PortProtocol::Tcp => port.exposed_port.to_string(),
        protocol => format!("{}/{protocol}", port.exposed_port),
    };
    match &port.published {
        None => format!("P({exposed}, -, -, v4)"),
        Some(published) => {
            let version = match &published.ipv6 {
                Late::Known(ipv6) => if *ipv6 { "v6" } else { "v4" }.to_owned(),
                lazy => late(lazy),
            };
            let interface = or_dash(published.interface.as_ref(), late);
            format!("P({exposed}, {}, {interface}, {version})", late(&published.host_port))
        }
    }
}

fn exec(command: &ExecCommand) -> String {
    let cmd = match &command.cmd {
        CommandLine::Text(text) => late(text),
        CommandLine::Words(words) => format!("[{}]", join(words, late)),
    };
    let policy = match command.policy {
        ExecPolicy::Restart => "restart",
        ExecPolicy::Initial => "initial",
    };
    format!("X({cmd}, {}, {policy})", or_dash(command.user.as_ref(), late))
}

fn health(check: &HealthCheck) -> String {
    let test = match &check.test {
        HealthTest::Disabled => "disabled".to_owned(),
        HealthTest::Shell(text) => format!("{text:?}"),
        HealthTest::Words(words) => format!("[{}]", words.join(", ")),
    };
    let number = |value: Option<u64>| or_dash(value.as_ref(), u64::to_string);
    let times = [check.interval, check.timeout, check.retries.map(u64::from), check.start_period];
    if times == [None; 4] {
        return format!("K({test})");
    }
    format!("K({test}, {})", times.map(number).join(", "))
}

fn mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Unmanaged(name) => format!("unmanaged {name}"),
        NetworkMode::Container(reference) => format!("container {reference}"),
    }
}

pub(super) fn user(user: &Late<User>) -> String {
    match user {
        Late::Known(user) => format!("{} owner {}", user.user, user.ownership()),
        Late::Lazy(lazy) => format!("<{lazy}>"),
    }
}

pub(super) fn value(data: &Value) -> String {
    match data {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Mapping(entries) => mapping(entries),
        Value::Lazy(lazy) => format!("<{lazy}>"),
    }
}

pub(super) fn mapping(entries: &indexmap::IndexMap<String, Value>) -> String {
    let entry = |(key, data): (&String, &Value)| format!("{key}: {}", value(data));
    format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn options(options: &Options) -> String {
    let layer = |layer: &Late<_>| match layer {
        Late::Known(entries) => mapping(entries),
        Late::Lazy(lazy) => format!("<{lazy}>"),
    };
    if options.is_empty() {
        "{}".to_owned()
    } else {
        options.layers().iter().map(layer).collect::<Vec<_>>().join(" + ")
    }
}

/// Prints one property of a configuration.
pub(super) fn property(container: &Container, property: &str) -> String {
    let text = |text: &String| text.clone();
    match property {
        "abstract" => container.is_abstract.to_string(),
        "extends" => join(&container.extends, ToString::to_string),
        "image" => setting(&container.image, text),
        "instances" => join(&container.instances, ToString::to_string),
        "clients" => join(&container.clients, ToString::to_string),
        "shares" => join(&container.shares, late),
        "binds" => join(&container.binds, bind),
        "attaches" => join(&container.attaches, |item| used(&item.name, item.path.as_ref(), false)),
        "uses" => join(&container.uses, |item| used(&item.name, item.path.as_ref(), item.readonly)),
        "links" => join(&container.links, link),
        "exposes" => join(&container.exposes, port),
        "networks" => join(&container.networks, endpoint),
        "network_mode" => setting(&container.network_mode, mode),
        "exec_commands" => join(&container.exec_commands, exec),
        "healthcheck" => setting(&container.healthcheck, health),
        "user" => setting(&container.user, user),
        "permissions" => setting(&container.permissions, late),
        "stop_timeout" => setting(&container.stop_timeout, u32::to_string),
        "stop_signal" => setting(&container.stop_signal, |signal| signal.0.clone()),
        "start_delay" => setting(&container.start_delay, |delay| format!("{}s", delay.as_secs_f64())),
        "persistent" => setting(&container.persistent, bool::to_string),
        "create_options" => options(&container.create_options),
        "host_config" | "start_options" => options(&container.host_config),
        other => panic!("the tests cannot print `{other}`"),
    }
}

/// Prints a volume.
pub(super) fn volume(volume: &Volume) -> String {
    let mut parts = Vec::new();
    parts.extend(volume.default_path.as_ref().map(|path| format!("default_path {}", late(path))));
    parts.extend(volume.driver.as_ref().map(|driver| format!("driver {driver}")));
    let options = [("driver_options", &volume.driver_options), ("create_options", &volume.create_options)];
    let given = options.iter().filter(|(_, entries)| !entries.is_empty());
    parts.extend(given.map(|(name, entries)| format!("{name} {}", mapping(entries))));
    if !volume.user.is_unset() {
        parts.push(format!("user {}", setting(&volume.user, user)));
    }
    if !volume.permissions.is_unset() {
        parts.push(format!("permissions {}", setting(&volume.permissions, late)));
    }
    if parts.is_empty() { "defaults".to_owned() } else { parts.join(", ") }
}

/// Prints a network.
pub(super) fn network(network: &Network) -> String {
    let mut parts = Vec::new();
    parts.extend(network.driver.as_ref().map(|driver| format!("driver {driver}")));
    parts.extend(network.internal.map(|internal| format!("internal {internal}")));
    let options = [("driver_options", &network.driver_options), ("create_options", &network.create_options)];
    let given = options.iter().filter(|(_, entries)| !entries.is_empty());
    parts.extend(given.map(|(name, entries)| format!("{name} {}", mapping(entries))));
    if parts.is_empty() { "defaults".to_owned() } else { parts.join(", ") }
}
