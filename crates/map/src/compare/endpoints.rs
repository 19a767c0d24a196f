//! Networks of a container (engine §4.9; D-17, D-18, D-19).

use std::collections::BTreeSet;

use serde_json::Value;

use super::reason::{because, differs, short};
use crate::desired::{Container, Networking};
use crate::observed::{ContainerDetail, Observed, ObservedContainer};
use crate::plan::Reason;
use crate::property::Property;
use crate::spec::EndpointSpec;

/// What differs between the endpoints that a container should have and those that it has. Changes
/// happen in this order, so that it never loses its last network in between (K-03).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointChanges {
    /// Not connected.
    pub connect: Vec<(EndpointSpec, Reason)>,
    /// Connected with other settings, or to a network that is gone.
    pub reconnect: Vec<(EndpointSpec, Reason)>,
    /// Connected, but not in the map: names of networks.
    pub disconnect: Vec<(String, Reason)>,
}

impl EndpointChanges {
    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.connect.is_empty() && self.reconnect.is_empty() && self.disconnect.is_empty()
    }
}

/// Returns the endpoints that a container should have on this engine, in order; `None` when only its
/// network mode counts.
pub fn expected_endpoints(desired: &Container, observed: &Observed) -> Option<Vec<EndpointSpec>> {
    match &desired.networking {
        Networking::Endpoints(endpoints) => Some(endpoints.clone()),
        Networking::Default(names) => {
            let existing = names.iter().filter(|name| observed.networks.contains_key(*name));
            Some(
                existing
                    .map(|name| EndpointSpec { network: name.clone(), ..EndpointSpec::default() })
                    .collect(),
            )
        }
        Networking::Disabled => Some(Vec::new()),
        Networking::Mode => None,
    }
}

/// Compares all endpoints. Networks in `renewed` are removed and made again in the same plan, which
/// disconnects everything from them.
pub(crate) fn endpoints(
    desired: &Container,
    container: &ObservedContainer,
    detail: &ContainerDetail,
    observed: &Observed,
    renewed: &BTreeSet<String>,
) -> EndpointChanges {
    let Some(expected) = expected_endpoints(desired, observed) else { return EndpointChanges::default() };
    let mut changes = missing_endpoints(desired, detail, observed, renewed);
    for endpoint in &expected {
        let settled = !changes.connect.iter().chain(&changes.reconnect).any(|(other, _)| other == endpoint);
        if let (true, Some(current)) = (settled, detail.endpoints.get(&endpoint.network))
            && let Some(reason) = settings(desired, container, endpoint, current)
        {
            changes.reconnect.push((endpoint.clone(), reason));
        }
    }
    for name in detail.endpoints.keys() {
        let wanted = expected.iter().any(|endpoint| endpoint.network == *name);
        // `host` and `none` are modes in the form of networks.
        if !wanted && !matches!(name.as_str(), "host" | "none") && !renewed.contains(name) {
            let reason =
                differs(field(name), Some("connected".to_owned()), None, desired.origins.get("networks"));
            changes.disconnect.push((name.clone(), reason));
        }
    }
    changes
}

/// Finds endpoints that are not there, or that point at a network which is gone. That is all that has
/// to be right before a start.
pub(crate) fn missing_endpoints(
    desired: &Container,
    detail: &ContainerDetail,
    observed: &Observed,
    renewed: &BTreeSet<String>,
) -> EndpointChanges {
    let mut changes = EndpointChanges::default();
    for endpoint in expected_endpoints(desired, observed).unwrap_or_default() {
        let name = &endpoint.network;
        let source = desired.origins.get(&format!("networks.{}", short(name)));
        let known = observed.networks.get(name);
        let recorded = detail.network_ids.get(name);
        if renewed.contains(name) {
            let text = format!("connected again because network {name} is made anew");
            changes.connect.push((endpoint.clone(), because("dependency", text, source)));
        } else if !detail.endpoints.contains_key(name) {
            let reason = differs(field(name), None, Some("connected".to_owned()), source);
            let text = format!("not connected to network {name}");
            changes.connect.push((endpoint.clone(), Reason { text, ..reason }));
        } else if known.is_none() {
            let text = format!("connected again because network {name} was not found");
            changes.reconnect.push((endpoint.clone(), because("dependency", text, source)));
        } else if let (Some(known), Some(recorded)) = (known, recorded)
            && known.id != *recorded
        {
            let text = format!("connected to a former network {name}");
            changes.reconnect.push((endpoint.clone(), because(&field(name), text, source)));
        }
    }
    changes
}

fn settings(
    desired: &Container,
    container: &ObservedContainer,
    wanted: &EndpointSpec,
    current: &EndpointSpec,
) -> Option<Reason> {
    let own = desired.spec.properties.get(&Property::Hostname).and_then(Value::as_str).unwrap_or_default();
    let given = |alias: &&String| {
        **alias != desired.spec.name && alias.as_str() != own && !container.id.starts_with(alias.as_str())
    };
    let aliases: BTreeSet<&String> = current.aliases.iter().filter(given).collect();
    let wanted_aliases: BTreeSet<&String> = wanted.aliases.iter().filter(given).collect();
    let join =
        |set: Vec<&String>| (!set.is_empty()).then(|| set.into_iter().cloned().collect::<Vec<_>>().join(" "));
    let difference = if aliases != wanted_aliases {
        Some(("aliases", join(aliases.into_iter().collect()), join(wanted_aliases.into_iter().collect())))
    } else if current.links != wanted.links {
        Some(("links", join(current.links.iter().collect()), join(wanted.links.iter().collect())))
    } else if current.ipv4_address != wanted.ipv4_address {
        Some(("ipv4_address", current.ipv4_address.clone(), wanted.ipv4_address.clone()))
    } else if current.ipv6_address != wanted.ipv6_address {
        Some(("ipv6_address", current.ipv6_address.clone(), wanted.ipv6_address.clone()))
    } else if current.link_local_ips != wanted.link_local_ips {
        let (now, then) = (&current.link_local_ips, &wanted.link_local_ips);
        Some(("link_local_ips", join(now.iter().collect()), join(then.iter().collect())))
    } else {
        None
    };
    difference.map(|(property, now, then)| {
        let name = short(&wanted.network);
        let source = desired.origins.get(&format!("networks.{name}"));
        differs(format!("networks.{name}.{property}"), now, then, source)
    })
}

/// The field of a network in reasons: the map's word and name.
fn field(network: &str) -> String {
    format!("networks.{}", short(network))
}
