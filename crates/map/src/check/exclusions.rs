//! Settings that exclude each other: what the engine refuses, whatever its version and whatever else is
//! true (map-model §2.11; `POST /containers/create` of Engine API 1.40 and later).
//!
//! [`EXCLUSIONS`] is the list. A live test has each of them refused by an engine of each generation.
//!
//! A late value may turn out to be nothing, and a late mapping may replace a key: both are left to the
//! engine.

use super::Check;
use crate::diagnostic::{Finding, FindingKind, Severity};
use crate::model::{Container, NetworkMode};
use crate::names::ConfigName;
use crate::place::{in_configuration, place_of};
use crate::value::{Late, Value};

/// A setting beside which an engine refuses others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excluding {
    /// The option `auto_remove` (`HostConfig.AutoRemove`).
    AutoRemove,
    /// The network mode `host`.
    HostNetwork,
    /// A network mode that names another container, managed or not: that one has the settings of the network.
    OtherNetwork,
}

/// A setting, and the property or option that an engine refuses beside it.
pub type Exclusion = (Excluding, &'static str);

/// All that [`check`](super::check) knows of, in the order of its findings.
pub const EXCLUSIONS: [Exclusion; 11] = [
    (Excluding::AutoRemove, "restart_policy"),
    (Excluding::HostNetwork, "networks"),
    (Excluding::HostNetwork, "links"),
    (Excluding::OtherNetwork, "networks"),
    (Excluding::OtherNetwork, "links"),
    (Excluding::OtherNetwork, "exposes"),
    (Excluding::OtherNetwork, "port_bindings"),
    (Excluding::OtherNetwork, "ports"),
    (Excluding::OtherNetwork, "dns"),
    (Excluding::OtherNetwork, "extra_hosts"),
    (Excluding::OtherNetwork, "publish_all_ports"),
];

impl Check<'_> {
    pub(super) fn exclusions(&mut self, config: &ConfigName, container: &Container) {
        let removed = match option(container, "auto_remove") {
            Some((path, Value::Bool(true))) => Some((Excluding::AutoRemove, path)),
            _ => None,
        };
        let (mode, given) = network_mode(container);
        for (excluding, given) in removed.into_iter().chain(match mode {
            Mode::Excluding(excluding) => Some((excluding, given.clone())),
            _ => None,
        }) {
            for (_, setting) in EXCLUSIONS.into_iter().filter(|(other, _)| *other == excluding) {
                if let Some(path) = setting_of(container, setting) {
                    let problem = format!("{} excludes `{setting}`", excluding.shown());
                    self.excluded(config, container, Severity::Error, &problem, [&given, &path]);
                }
            }
        }
        if mode == Mode::None && !container.networks.is_empty() {
            let why = match given.ends_with("network_disabled") {
                true => "the network is disabled",
                false => "the mode is `none`",
            };
            let problem = format!("{why}, so `networks` are not joined");
            self.excluded(config, container, Severity::Warning, &problem, [&given, "networks"]);
        }
    }

    /// Reports that the first of two properties excludes the second.
    fn excluded(
        &mut self,
        config: &ConfigName,
        container: &Container,
        severity: Severity,
        problem: &str,
        [first, second]: [&str; 2],
    ) {
        if self.incomplete.contains(config) {
            return;
        }
        let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let place = |path: &str| place_of(&container.origins, path, &name(path));
        let finding = Finding { severity, ..Finding::error(FindingKind::InvalidInput, problem) };
        let mut finding = finding.about(in_configuration(&self.map.name, config, first));
        finding.place = place(first);
        finding
            .related
            .extend(place(second).map(|place| (place, format!("`{}` is given here", name(second)))));
        self.findings.push(finding);
    }
}

/// What a network mode means for the other settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It excludes some.
    Excluding(Excluding),
    /// No network is joined.
    None,
    /// Networks are joined, or the mode is a late value.
    Other,
}

/// Returns the mode that an engine is told, with the path that it was given by: an option has priority
/// over the property, and with the network disabled neither counts.
fn network_mode(container: &Container) -> (Mode, String) {
    if let Some((path, Value::Bool(true))) = option(container, "network_disabled") {
        return (Mode::None, path);
    }
    if let Some((path, value)) = option(container, "network_mode") {
        let mode = match value {
            Value::String(text) => match text.as_str() {
                "host" => Mode::Excluding(Excluding::HostNetwork),
                "none" => Mode::None,
                other if other.starts_with("container:") => Mode::Excluding(Excluding::OtherNetwork),
                _ => Mode::Other,
            },
            _ => Mode::Other,
        };
        return (mode, path);
    }
    let mode = match container.network_mode.value() {
        Some(NetworkMode::Host) => Mode::Excluding(Excluding::HostNetwork),
        Some(NetworkMode::Container(_) | NetworkMode::Unmanaged(_)) => {
            Mode::Excluding(Excluding::OtherNetwork)
        }
        Some(NetworkMode::None) => Mode::None,
        None | Some(NetworkMode::Bridge) => Mode::Other,
    };
    (mode, "network_mode".to_owned())
}

impl Excluding {
    fn shown(self) -> &'static str {
        match self {
            Self::AutoRemove => "`auto_remove`",
            Self::HostNetwork => "the mode `host`",
            Self::OtherNetwork => "the network of another container",
        }
    }
}

/// Returns the path of a property, or of an option of this name, that says something.
fn setting_of(container: &Container, name: &str) -> Option<String> {
    let is_given = match name {
        "networks" => !container.networks.is_empty(),
        "links" => !container.links.is_empty(),
        "exposes" => !container.exposes.is_empty(),
        _ => false,
    };
    if is_given {
        return Some(name.to_owned());
    }
    let is_something = match name {
        "restart_policy" => restarts,
        _ => is_something,
    };
    option(container, name).filter(|(_, value)| is_something(value)).map(|(path, _)| path)
}

/// Returns an option with its path, unless a late mapping may have it too. Those of the host go first.
fn option<'a>(container: &'a Container, name: &str) -> Option<(String, &'a Value)> {
    let mut found = None;
    for (group, options) in
        [("host_config", &container.host_config), ("create_options", &container.create_options)]
    {
        match options.layers() {
            [] => {}
            [Late::Known(entries)] => {
                found = found.or_else(|| entries.get(name).map(|value| (format!("{group}.{name}"), value)));
            }
            _ => return None,
        }
    }
    found
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
        Value::Bool(is) => *is,
        Value::Null | Value::Number(_) | Value::Lazy(_) => false,
    }
}

/// Tells whether a policy in one of its forms restarts anything: `always`, `on-failure:3`, `{Name: always}`.
fn restarts(policy: &Value) -> bool {
    let name = match policy {
        Value::Mapping(entries) => entries.get("Name").or_else(|| entries.get("name")),
        other => Some(other),
    };
    match name {
        Some(Value::String(name)) => {
            matches!(name.split(':').next(), Some("always" | "unless-stopped" | "on-failure"))
        }
        _ => false,
    }
}
