//! Containers: `GET /containers/json`, `GET /containers/{id}/json`, `GET /containers/{id}/top`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dfab_map::canonical::canonical;
use dfab_map::observed::{ContainerDetail, ContainerState, Mount, ObservedContainer};
use dfab_map::property::Property;
use dfab_map::spec::{EndpointSpec, Properties};
use serde_json::{Map, Value};

use crate::backend::{Health, Listed};

use super::rewritten::Rewritten;
use super::{Unreadable, at, list, required, text, texts};

/// The start time of a container that was never started.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Keeps the MAC address of a container whose address was sent as its endpoint's, see
/// [`super::container_body`].
pub const MAC_ADDRESS_LABEL: &str = "dfab.mac_address";

/// The prefix of labels that dfab writes for itself; they are no property of the map.
const OWN_LABELS: &str = "dfab.";

/// Reads one element of `GET /containers/json`: its name, and the container.
///
/// # Errors
///
/// [`Unreadable`] when the element has no ID.
pub fn listed_container(element: &Value) -> Result<(String, Listed), Unreadable> {
    let id = required(element, "a listed container", "Id")?;
    let name = primary_name(element).unwrap_or(id).to_owned();
    let container = ObservedContainer {
        id: id.to_owned(),
        state: listed_state(element),
        image_id: text(element, "ImageID").to_owned(),
        labels: texts(element, "Labels"),
        detail: None,
    };
    let networks = at(element, "NetworkSettings.Networks").and_then(Value::as_object);
    let networks = networks.into_iter().flat_map(Map::keys).cloned().collect();
    let volumes =
        mounts(element).into_values().filter(|mount| mount.is_volume).map(|mount| mount.source).collect();
    Ok((name, Listed { container, networks, volumes }))
}

/// Reads the health from `GET /containers/{id}/json`.
pub fn health(answer: &Value) -> Health {
    if !inspected_state(answer.get("State").unwrap_or(&Value::Null)).is_running() {
        return Health::Ended;
    }
    match at(answer, "State.Health.Status").and_then(Value::as_str) {
        Some("starting") => Health::Starting,
        Some("healthy") => Health::Healthy,
        Some("unhealthy") => Health::Unhealthy,
        // `none` is what a disabled check reports.
        _ => Health::Unchecked,
    }
}

/// Returns the first name without a further slash: the others are link aliases such as `/web/db`.
pub fn primary_name(element: &Value) -> Option<&str> {
    list(element, "Names").map(|name| name.strip_prefix('/').unwrap_or(name)).find(|name| !name.contains('/'))
}

/// Reads `GET /containers/{id}/json`: its name, and the container with its detail except for the
/// process list.
///
/// # Errors
///
/// [`Unreadable`] when the answer has no ID.
pub fn inspected_container(answer: &Value) -> Result<(String, ObservedContainer), Unreadable> {
    let id = required(answer, "an inspected container", "Id")?;
    let name = text(answer, "Name");
    let name = name.strip_prefix('/').unwrap_or(name);
    let config = answer.get("Config").unwrap_or(&Value::Null);
    let container = ObservedContainer {
        id: id.to_owned(),
        state: inspected_state(answer.get("State").unwrap_or(&Value::Null)),
        image_id: text(answer, "Image").to_owned(),
        labels: texts(config, "Labels"),
        detail: Some(ContainerDetail {
            properties: properties(answer, config),
            mounts: mounts(answer),
            endpoints: endpoints(answer, id),
            network_ids: network_ids(answer),
            processes: None,
        }),
    };
    Ok((name.to_owned(), container))
}

/// Reads `GET /containers/{id}/top?ps_args=-eo pid,user,args`: (user, command line) per process.
///
/// # Errors
///
/// [`Unreadable`] when the columns `USER` and `COMMAND` (or `CMD`, `ARGS`) are missing.
pub fn processes(answer: &Value) -> Result<Vec<(String, String)>, Unreadable> {
    let titles: Vec<String> = list(answer, "Titles").map(str::to_uppercase).collect();
    let column = |names: &[&str]| {
        let missing = || Unreadable { what: "the process list".into(), field: names[0].into() };
        titles.iter().position(|title| names.contains(&title.as_str())).ok_or_else(missing)
    };
    let (user, command) = (column(&["USER", "UID"])?, column(&["COMMAND", "CMD", "ARGS"])?);
    let rows = answer.get("Processes").and_then(Value::as_array).into_iter().flatten();
    let cell = |row: &Value, index: usize| row.get(index).and_then(Value::as_str).map(str::to_owned);
    Ok(rows.filter_map(|row| Some((cell(row, user)?, cell(row, command)?))).collect())
}

/// Tells whether some process is only on its way to its command: the engine reports a detached
/// command as started while it is still `runc init`, or has no command line yet (`[sleep]`). Asking
/// again a moment later shows it.
pub fn is_starting(processes: &[(String, String)]) -> bool {
    let starting =
        |command: &str| command == "runc init" || command.starts_with('[') && command.ends_with(']');
    processes.iter().any(|(_, command)| starting(command))
}

fn listed_state(element: &Value) -> ContainerState {
    match text(element, "State") {
        "created" => ContainerState::Created,
        "running" | "paused" => ContainerState::Running,
        "restarting" => ContainerState::Restarting,
        "exited" => ContainerState::Exited(exit_code_in(text(element, "Status"))),
        _ => ContainerState::Dead,
    }
}

/// The list shows the exit code only inside `Exited (137) 2 hours ago`.
fn exit_code_in(status: &str) -> i64 {
    let inside = status.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(code, _)| code.parse().ok()).unwrap_or_default()
}

fn inspected_state(state: &Value) -> ContainerState {
    let flag = |name: &str| state.get(name).and_then(Value::as_bool).unwrap_or_default();
    let exit_code = state.get("ExitCode").and_then(Value::as_i64).unwrap_or_default();
    // The order matters: an engine reports running *and* restarting during a back-off, and a
    // container that failed to start has an exit code without ever having run (engine §2.3).
    if flag("Restarting") {
        ContainerState::Restarting
    } else if flag("Running") || flag("Paused") {
        ContainerState::Running
    } else if flag("Dead") || text(state, "Status") == "removing" {
        ContainerState::Dead
    } else if text(state, "Status") == "created" || text(state, "StartedAt") == NEVER {
        ContainerState::Created
    } else {
        ContainerState::Exited(exit_code)
    }
}

/// Reads every property of the table from where `POST /containers/create` takes it.
fn properties(answer: &Value, config: &Value) -> Properties {
    let mut properties = Properties::new();
    for &property in Property::ALL {
        let value = match property.path().strip_prefix("HostConfig.") {
            Some(_) => at(answer, property.path()),
            None => at(config, property.path()),
        };
        let Some(value) = value else { continue };
        let value = match property {
            Property::Labels => canonical(property, &without_own_labels(value)),
            _ => canonical(property, value),
        };
        if !value.is_null() {
            properties.insert(property, value);
        }
    }
    // The engine keeps links as `/m.db:/m.app/alias`; what was asked for is `m.db:alias`.
    if let Some(links) = properties.get_mut(&Property::Links) {
        *links = canonical(Property::Links, &Value::from(stored_links(links)));
    }
    // Where the address went to the endpoint, an engine shows it only until the first stop.
    if let Some(address) = config.get("Labels").and_then(|labels| labels.get(MAC_ADDRESS_LABEL)) {
        properties.entry(Property::MacAddress).or_insert_with(|| address.clone());
    }
    if let Some(label) = at(config, "Labels").and_then(|labels| labels.get(Rewritten::LABEL)?.as_str()) {
        Rewritten::parse(label).restore(&mut properties);
    }
    properties
}

fn without_own_labels(labels: &Value) -> Value {
    match labels {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(name, _)| !name.starts_with(OWN_LABELS))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn stored_links(links: &Value) -> Vec<String> {
    let stored = links.as_array().into_iter().flatten().filter_map(Value::as_str);
    stored
        .map(|link| {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let name = name.strip_prefix('/').unwrap_or(name);
            format!("{name}:{}", alias.rsplit('/').next().unwrap_or(alias))
        })
        .collect()
}

fn mounts(answer: &Value) -> BTreeMap<String, Mount> {
    let mounts = answer.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    mounts
        .map(|mount| {
            let is_volume = text(mount, "Type") == "volume" || !text(mount, "Name").is_empty();
            let source = if is_volume { text(mount, "Name") } else { text(mount, "Source") };
            let writable = mount.get("RW").and_then(Value::as_bool).unwrap_or(true);
            (
                clean_path(text(mount, "Destination")),
                Mount { source: clean_path(source), is_volume, writable },
            )
        })
        .collect()
}

fn clean_path(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => path.to_owned(),
        cleaned => cleaned.to_owned(),
    }
}

fn endpoints(answer: &Value, id: &str) -> BTreeMap<String, EndpointSpec> {
    let disabled = at(answer, "Config.NetworkDisabled").and_then(Value::as_bool).unwrap_or_default();
    let networks = at(answer, "NetworkSettings.Networks").and_then(Value::as_object);
    let networks = networks.filter(|_| !disabled).into_iter().flatten();
    // A connection that failed stays in the engine's record of a running container, without any ID; nothing but the next
    // start or stop ends that. A container that does not run has no IDs at all.
    let is_running = inspected_state(answer.get("State").unwrap_or(&Value::Null)) == ContainerState::Running;
    let is_failed =
        |endpoint: &Value| text(endpoint, "NetworkID").is_empty() && text(endpoint, "EndpointID").is_empty();
    // Up to API 1.44 an engine adds the short container ID to the aliases.
    let short_id = id.get(..12).unwrap_or(id);
    networks
        .filter(|(_, endpoint)| !(is_running && is_failed(endpoint)))
        .map(|(network, endpoint)| {
            let ipam = endpoint.get("IPAMConfig").unwrap_or(&Value::Null);
            let spec = EndpointSpec {
                network: network.clone(),
                aliases: list(endpoint, "Aliases")
                    .filter(|alias| *alias != short_id)
                    .map(str::to_owned)
                    .collect(),
                links: list(endpoint, "Links").map(str::to_owned).collect(),
                ipv4_address: address(text(ipam, "IPv4Address")),
                ipv6_address: address(text(ipam, "IPv6Address")),
                link_local_ips: list(ipam, "LinkLocalIPs").filter_map(address).collect(),
            };
            (network.clone(), spec)
        })
        .collect()
}

fn network_ids(answer: &Value) -> BTreeMap<String, String> {
    let networks = at(answer, "NetworkSettings.Networks").and_then(Value::as_object).into_iter().flatten();
    let ids = networks.map(|(network, endpoint)| (network.clone(), text(endpoint, "NetworkID").to_owned()));
    ids.filter(|(_, id)| !id.is_empty()).collect()
}

/// The one spelling of an address; text that is none stays, so that it shows as a difference.
fn address(text: &str) -> Option<String> {
    match text.parse::<IpAddr>() {
        _ if text.is_empty() => None,
        Ok(address) => Some(address.to_string()),
        Err(_) => Some(text.to_owned()),
    }
}
