//! A container as a whole.

use serde_json::Value;

use super::endpoints::{EndpointChanges, endpoints};
use super::exec;
use super::limits;
use super::mounts::{mounts, volumes_from};
use super::properties::{lost_links, properties};
use super::reason::differs;
use crate::desired::{Container, Exec};
use crate::digest;
use crate::observed::{ContainerDetail, Observed, ObservedContainer, image_key};
use crate::plan::{PlanOptions, Reason};
use crate::property::Property;
use crate::spec::Properties;
use std::collections::BTreeSet;

/// What differs, by what it takes to change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Only a new container can have it.
    pub recreate: Vec<Reason>,
    /// Limits and restart policy to set in place, and why.
    pub update: (Properties, Vec<Reason>),
    /// Networks to connect and disconnect in place.
    pub endpoints: EndpointChanges,
    /// Commands to run, and why.
    pub exec: (Vec<Exec>, Vec<Reason>),
    /// Limits that only a new container could lift, and that stay for `skip_limit_reset`.
    pub tolerated: Vec<Reason>,
}

/// Compares a container that exists. `compare_image` is off where the image is pulled first.
/// Networks in `renewed` are made anew in the same plan.
pub fn container(
    desired: &Container,
    current: &ObservedContainer,
    observed: &Observed,
    options: &PlanOptions,
    compare_image: bool,
    renewed: &BTreeSet<String>,
) -> Changes {
    let mut changes = Changes::default();
    if compare_image && (!desired.lifecycle.persistent || options.update_persistent) {
        changes.recreate.extend(image(desired, current, observed));
    }
    let Some(detail) = &current.detail else { return changes };
    let recorded = digest::recorded(&current.labels);
    changes.recreate.extend(network_mode(desired, detail, observed));
    changes.recreate.extend(mounts(desired, detail, recorded.as_ref(), observed));
    changes.recreate.extend(properties(desired, detail, recorded.as_ref()).into_iter().filter(|reason| {
        !is_same_namespace(reason, desired, detail, observed)
            && Property::by_name(&reason.field)
                .is_none_or(|property| limits::is_supported(desired, property, &observed.engine))
    }));
    let limits = limits::limits(desired, detail, &observed.engine, recorded.as_ref());
    changes.recreate.extend(limits.recreate);
    match options.skip_limit_reset {
        true => changes.tolerated = limits.lifted,
        false => changes.recreate.extend(limits.lifted),
    }
    changes.update = (limits.update, limits.update_reasons);
    changes.endpoints = endpoints(desired, current, detail, observed, renewed);
    if current.state.is_running() {
        changes.exec = exec::missing(desired, detail, options.check_exec_commands);
    }
    changes
}

/// Finds the ties to other containers that are broken, as far as the map has not changed them: the
/// others were removed after this one was made.
pub fn broken_ties(desired: &Container, current: &ObservedContainer, observed: &Observed) -> Vec<Reason> {
    let (Some(detail), Some(recorded)) = (&current.detail, digest::recorded(&current.labels)) else {
        return Vec::new();
    };
    let as_made = |property: Property| {
        let wanted = desired.spec.properties.get(&property);
        wanted.is_some_and(|wanted| recorded.get(property.name()) == Some(&digest::of_value(wanted)))
    };
    let mut reasons = Vec::new();
    if as_made(Property::NetworkMode) {
        reasons.extend(network_mode(desired, detail, observed));
    }
    if as_made(Property::VolumesFrom) {
        reasons.extend(volumes_from(desired, detail, observed));
    }
    if as_made(Property::Links) {
        reasons.extend(lost_links(desired, detail));
    }
    reasons
}

fn image(desired: &Container, current: &ObservedContainer, observed: &Observed) -> Option<Reason> {
    let wanted = observed.images.get(&image_key(&desired.spec.image.to_string()));
    if wanted == Some(&current.image_id) {
        return None;
    }
    let source = desired.origins.get("image");
    Some(match wanted {
        Some(wanted) => differs("image", Some(short_id(&current.image_id)), Some(short_id(wanted)), source),
        None => {
            differs("image", Some(short_id(&current.image_id)), Some(desired.spec.image.to_string()), source)
        }
    })
}

/// `sha256:` and twelve digits, as `docker images` shows.
fn short_id(id: &str) -> String {
    match id.split_once(':') {
        Some((algorithm, digits)) => format!("{algorithm}:{}", digits.get(..12).unwrap_or(digits)),
        None => id.to_owned(),
    }
}

/// A change from or to the network of the host, of another container, or none, needs a new container
/// (D-18). The name of a network as mode is one of the endpoints.
fn network_mode(desired: &Container, detail: &ContainerDetail, observed: &Observed) -> Option<Reason> {
    let text = |properties: &Properties| {
        let value = properties.get(&Property::NetworkMode).unwrap_or(&Value::Null);
        value.as_str().unwrap_or_default().to_owned()
    };
    let (wanted, current) = (text(&desired.spec.properties), text(&detail.properties));
    let same = match (wanted.as_str(), current.as_str()) {
        ("", current) => !matches!(current, "host" | "none") && !current.starts_with("container:"),
        (wanted, current) => same_mode(wanted, current, observed),
    };
    let shown = |mode: String| Some(if mode.is_empty() { "default".to_owned() } else { mode });
    (!same)
        .then(|| differs("network_mode", shown(current), shown(wanted), desired.origins.get("network_mode")))
}

/// Tells whether two modes are the same. Engines keep the ID of a container that was given by name.
fn same_mode(wanted: &str, current: &str, observed: &Observed) -> bool {
    let id_of = |name: &str| observed.containers.get(name).map(|container| container.id.as_str());
    match (wanted.strip_prefix("container:"), current.strip_prefix("container:")) {
        (Some(name), Some(id)) => name == id || id_of(name) == Some(id),
        _ => wanted == current,
    }
}

/// Tells whether a reason about a namespace mode is only about name and ID of the same container.
fn is_same_namespace(
    reason: &Reason,
    desired: &Container,
    detail: &ContainerDetail,
    observed: &Observed,
) -> bool {
    let Some(property @ (Property::PidMode | Property::IpcMode)) = Property::by_name(&reason.field) else {
        return false;
    };
    let text = |properties: &Properties| properties.get(&property).and_then(Value::as_str).map(str::to_owned);
    match (text(&desired.spec.properties), text(&detail.properties)) {
        (Some(wanted), Some(current)) => same_mode(&wanted, &current, observed),
        _ => false,
    }
}
