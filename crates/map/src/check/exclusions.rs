//! Settings that exclude each other: what the engine refuses, whatever its version and whatever else is
//! true (map-model §2.11; `POST /containers/create` of Engine API 1.40 and later).
//!
//! A late value may turn out to be nothing, and a late mapping may replace a key: both are left to the
//! engine.

use super::Check;
use crate::diagnostic::{Finding, FindingKind, Severity};
use crate::model::{Container, NetworkMode};
use crate::names::ConfigName;
use crate::place::{in_configuration, place_of};
use crate::value::{Late, Value};

/// Options that a container in the network of another one cannot have: the other one has them.
const OF_THE_NETWORK: [&str; 5] = ["links", "port_bindings", "ports", "dns", "extra_hosts"];

impl Check<'_> {
    pub(super) fn exclusions(&mut self, config: &ConfigName, container: &Container) {
        if let Some(mode) = container.network_mode.value() {
            self.network_mode(config, container, mode);
        }
        if let Some((removed, Value::Bool(true))) = option(container, "auto_remove")
            && let Some((restarted, policy)) = option(container, "restart_policy")
            && restarts(policy)
        {
            let problem = "`auto_remove` excludes a `restart_policy`";
            self.excluded(config, container, Severity::Error, problem, [&removed, &restarted]);
        }
    }

    fn network_mode(&mut self, config: &ConfigName, container: &Container, mode: &NetworkMode) {
        let whose = match mode {
            NetworkMode::Bridge | NetworkMode::None => "",
            NetworkMode::Host => "the mode `host`",
            NetworkMode::Container(_) | NetworkMode::Unmanaged(_) => "the network of another container",
        };
        let mut excluded = |severity, path: &str, problem: &str| {
            self.excluded(config, container, severity, problem, ["network_mode", path]);
        };
        if !container.networks.is_empty() {
            match mode {
                NetworkMode::Bridge => {}
                NetworkMode::None => excluded(
                    Severity::Warning,
                    "networks",
                    "the mode is `none`, so `networks` are not joined",
                ),
                _ => excluded(Severity::Error, "networks", &format!("{whose} excludes `networks`")),
            }
        }
        // The option of this name replaces the property.
        if whose.is_empty() || option(container, "network_mode").is_some() {
            return;
        }
        if !container.links.is_empty() {
            excluded(Severity::Error, "links", &format!("{whose} excludes `links`"));
        }
        if *mode == NetworkMode::Host {
            return;
        }
        if !container.exposes.is_empty() {
            excluded(Severity::Error, "exposes", &format!("{whose} excludes `exposes`"));
        }
        for name in OF_THE_NETWORK {
            if let Some((path, _)) = option(container, name).filter(|(_, value)| is_something(value)) {
                excluded(Severity::Error, &path, &format!("{whose} excludes `{name}`"));
            }
        }
        if let Some((path, Value::Bool(true))) = option(container, "publish_all_ports") {
            excluded(Severity::Error, &path, &format!("{whose} excludes `publish_all_ports`"));
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
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Lazy(_) => false,
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
