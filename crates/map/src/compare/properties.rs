//! Properties of a container, by the shape of their values (engine §4.4–§4.8; design §4 K-04).
//!
//! Not here: image, limits and restart policy, mounts, networks, which have files of their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reason::{HIDDEN, differs, gone, short, show};
use crate::desired::{Container, own_shares};
use crate::digest::{self, Digests};
use crate::observed::ContainerDetail;
use crate::plan::Reason;
use crate::property::{Compared, OnChange, Property, Shape};
use crate::spec::Properties;

/// Compares everything that can only be changed by a new container.
pub(super) fn properties(
    desired: &Container,
    detail: &ContainerDetail,
    recorded: Option<&Digests>,
) -> Vec<Reason> {
    let mut wanted: Properties = desired.spec.properties.clone();
    wanted.retain(|property, _| is_general(*property));
    if let Some(shares) = wanted.get_mut(&Property::Shares) {
        *shares = own_shares(shares, &desired.mounts);
    }
    let mut reasons: Vec<Reason> = Vec::new();
    for (&property, wanted) in &wanted {
        let current = detail.properties.get(&property).unwrap_or(&Value::Null);
        let found = match property.compared() {
            Compared::Digest => Vec::new(),
            Compared::Inspect => match unreadable(property, current, recorded) {
                true => Vec::new(),
                false => by_inspection(property, current, wanted, desired),
            },
        };
        if found.is_empty() {
            reasons.extend(by_digest(property, current, wanted, desired, recorded));
            continue;
        }
        for reason in found {
            // A published port is exposed, too: where both differ, one reason is enough, and that of the
            // later property, `port_bindings`, says more.
            match reasons.iter_mut().find(|other| other.field == reason.field) {
                Some(earlier) => *earlier = reason,
                None => reasons.push(reason),
            }
        }
    }
    for reason in removed(desired, &wanted, detail, recorded) {
        // What is written as nothing may have been found by inspection already.
        if !reasons.iter().any(|other| other.field == reason.field) {
            reasons.push(reason);
        }
    }
    // A port that is no longer published is no longer exposed either: one reason is enough.
    let is_gone = |reason: &Reason| reason.desired.is_none();
    if reasons.iter().any(|reason| reason.field.starts_with("exposes.") && is_gone(reason)) {
        reasons.retain(|reason| reason.field != Property::ExposedPorts.name() || !is_gone(reason));
    }
    reasons
}

/// Tells whether the property is compared here.
fn is_general(property: Property) -> bool {
    let elsewhere = matches!(
        property,
        Property::Binds | Property::VolumesFrom | Property::NetworkMode | Property::NetworkDisabled
    );
    property.on_change() == OnChange::Recreate && !elsewhere
}

/// What was set when the container was made, and is no longer in the map at all.
fn removed(
    desired: &Container,
    wanted: &Properties,
    detail: &ContainerDetail,
    recorded: Option<&Digests>,
) -> Vec<Reason> {
    let names = recorded.into_iter().flat_map(Digests::keys);
    let known = names.filter_map(|name| Property::by_name(name));
    let is_set = |property: &Property| wanted.get(property).is_some_and(|value| !value.is_null());
    known
        .filter(|property| is_general(*property) && !is_set(property))
        .flat_map(|property| {
            let current = detail.properties.get(&property);
            if property == Property::PortBindings
                && let Some(current) = current
            {
                return port_bindings(current, &Value::Null, desired);
            }
            let reason = gone(property.name(), desired.origins.get(""));
            vec![match current.and_then(show).filter(|_| !property.is_secret()) {
                Some(current) => Reason { current: Some(current), ..reason },
                None => reason,
            }]
        })
        .collect()
}

/// What the map sets, and inspection shows in another form or not at all: the digest tells whether it
/// is what the container was made with.
fn by_digest(
    property: Property,
    current: &Value,
    wanted: &Value,
    desired: &Container,
    recorded: Option<&Digests>,
) -> Option<Reason> {
    let recorded = recorded?;
    if wanted.is_null() {
        // `removed` reports it.
        return None;
    }
    let was = recorded.get(property.name());
    if was.is_some_and(|digest| *digest == digest::of_value(wanted)) {
        return None;
    }
    let source = desired.origins.get(property.name());
    let hidden_change =
        matches!(property.shape(), Shape::Environment | Shape::Labels | Shape::Set | Shape::Json);
    let hidden = |set: bool| set.then(|| HIDDEN.to_owned());
    if property.compared() == Compared::Digest {
        return Some(differs(property.name(), hidden(was.is_some()), hidden(true), source));
    }
    if unreadable(property, current, Some(recorded)) {
        return Some(differs(property.name(), hidden(was.is_some()), show(wanted), source));
    }
    // All that is configured is there; so something was taken away, if anything was recorded.
    (hidden_change && was.is_some()).then(|| {
        let text = match property.shape() {
            Shape::Environment => "a variable was removed from environment".to_owned(),
            Shape::Labels => format!("an entry was removed from {property}"),
            _ => format!("something was removed from {property}"),
        };
        Reason { text, ..gone(property.name(), source) }
    })
}

/// Tells whether inspection may show nothing although the container has the value, or was made with it.
fn unreadable(property: Property, current: &Value, recorded: Option<&Digests>) -> bool {
    current.is_null()
        && match property {
            // It shows only while the container runs, on engines since API 1.44.
            Property::MacAddress => true,
            // Engines discard what their kernel cannot hold, without saying so anywhere. Without a record, a
            // new container is made, which has one.
            Property::MemSwappiness | Property::BlkioWeightDevice => recorded.is_some(),
            _ => false,
        }
}

fn by_inspection(property: Property, current: &Value, wanted: &Value, desired: &Container) -> Vec<Reason> {
    let source = |key: &str| desired.origins.get(&format!("{property}.{key}"));
    match property {
        Property::PortBindings => return port_bindings(current, wanted, desired),
        Property::Links => return links(current, wanted, desired),
        _ => {}
    }
    match property.shape() {
        Shape::Boolean => plain(property, current, wanted, desired),
        // Written as nothing: what stands there is the image's or the engine's default.
        _ if wanted.is_null() => Vec::new(),
        Shape::Environment => environment(current, wanted)
            .into_iter()
            .map(|(name, was, is)| hidden(property, &name, was, is, source(&name)))
            .collect(),
        Shape::Labels => entries(current, wanted)
            .into_iter()
            .map(|(name, was, is)| hidden_unless_public(property, &name, was, is, source(&name)))
            .collect(),
        Shape::Set => missing(current, wanted)
            .into_iter()
            .map(|element| {
                differs(
                    format!("{property}.{element}"),
                    None,
                    Some(element),
                    desired.origins.get(property.name()),
                )
            })
            .collect(),
        Shape::Json if covers(wanted, current) => Vec::new(),
        _ => plain(property, current, wanted, desired),
    }
}

fn plain(property: Property, current: &Value, wanted: &Value, desired: &Container) -> Vec<Reason> {
    if equal(current, wanted) {
        return Vec::new();
    }
    let shown = |value: &Value| match property.is_secret() && !value.is_null() {
        true => Some(HIDDEN.to_owned()),
        false => show(value),
    };
    vec![differs(property.name(), shown(current), shown(wanted), desired.origins.get(property.name()))]
}

/// (name, is set now, should be set) of each variable that differs. `NAME` alone means "not set".
fn environment(current: &Value, wanted: &Value) -> Vec<(String, bool, bool)> {
    let variables = |value: &'_ Value| -> BTreeMap<String, Option<String>> {
        let lines = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        let split = |line: &str| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (line.to_owned(), None),
        };
        lines.map(split).collect()
    };
    let current = variables(current);
    let different = |(name, value): (String, Option<String>)| {
        let now = current.get(&name).cloned().flatten();
        (now != value).then(|| (name, now.is_some(), value.is_some()))
    };
    variables(wanted).into_iter().filter_map(different).collect()
}

/// (name, value now, value wanted) of each entry that differs.
fn entries(current: &Value, wanted: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let wanted = wanted.as_object().into_iter().flatten();
    wanted
        .filter(|(name, value)| !current.get(name.as_str()).is_some_and(|now| equal(now, value)))
        .map(|(name, value)| {
            (name.clone(), current.get(name.as_str()).and_then(show), Some(show(value).unwrap_or_default()))
        })
        .collect()
}

fn hidden(
    property: Property,
    name: &str,
    was: bool,
    is: bool,
    source: Option<&crate::position::Position>,
) -> Reason {
    let shown = |set: bool| set.then(|| HIDDEN.to_owned());
    differs(format!("{property}.{name}"), shown(was), shown(is), source)
}

fn hidden_unless_public(
    property: Property,
    name: &str,
    was: Option<String>,
    is: Option<String>,
    source: Option<&crate::position::Position>,
) -> Reason {
    match property.is_secret() {
        true => hidden(property, name, was.is_some(), is.is_some(), source),
        false => differs(format!("{property}.{name}"), was, is, source),
    }
}

/// The elements of a set that the container does not have.
fn missing(current: &Value, wanted: &Value) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let has = texts(current);
    texts(wanted).into_iter().filter(|text| !has.contains(text)).collect()
}

/// Published ports count whole: an image can publish none (D-26, D-27).
fn port_bindings(current: &Value, wanted: &Value, desired: &Container) -> Vec<Reason> {
    let ports = |value: &Value| -> BTreeMap<String, Vec<String>> {
        let members = value.as_object().into_iter().flatten();
        let list = |bindings: &Value| {
            let mut texts: Vec<String> = bindings.as_array().into_iter().flatten().map(binding).collect();
            texts.sort();
            texts
        };
        members.map(|(port, bindings)| (port.clone(), list(bindings))).collect()
    };
    let (current, wanted) = (ports(current), ports(wanted));
    let mut keys: Vec<&String> = current.keys().chain(wanted.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|port| current.get(*port) != wanted.get(*port))
        .map(|port| {
            let text = |list: Option<&Vec<String>>| list.map(|list| list.join(" "));
            let source = desired.origins.get(&format!("{}.{port}", Property::PortBindings));
            differs(format!("exposes.{port}"), text(current.get(port)), text(wanted.get(port)), source)
        })
        .collect()
}

/// `address:port`; all addresses are written in three ways.
fn binding(binding: &Value) -> String {
    let member =
        |name: &str| binding.get(name).map(|value| show(value).unwrap_or_default()).unwrap_or_default();
    match member("HostIp").as_str() {
        "" | "0.0.0.0" => member("HostPort"),
        address => format!("{address}:{}", member("HostPort")),
    }
}

/// Finds the links that the engine has dropped, with their targets.
pub(super) fn lost_links(desired: &Container, detail: &ContainerDetail) -> Vec<Reason> {
    let value = |properties: &Properties| properties.get(&Property::Links).cloned().unwrap_or_default();
    let mut reasons = links(&value(&detail.properties), &value(&desired.spec.properties), desired);
    reasons.retain(|reason| reason.current.is_none());
    reasons
}

/// Links count whole: an image has none. A link also vanishes when its target is removed.
fn links(current: &Value, wanted: &Value, desired: &Container) -> Vec<Reason> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (current, wanted) = (texts(current), texts(wanted));
    let lost = wanted.iter().filter(|link| !current.contains(link)).map(|link| {
        let source = desired.origins.get(&format!("links.{link}"));
        differs(format!("links.{}", short(link)), None, Some(link.clone()), source)
    });
    let extra = current.iter().filter(|link| !wanted.contains(link)).map(|link| {
        differs(format!("links.{}", short(link)), Some(link.clone()), None, desired.origins.get("links"))
    });
    lost.chain(extra).collect()
}

/// Tells whether two scalars mean the same; a number equals its text.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    a == b || text(a).is_some_and(|a| text(b) == Some(a))
}

/// Tells whether `current` has all that `wanted` asks for: objects by key, lists as sets of equal
/// size. An engine fills in what was not asked for.
pub(super) fn covers(wanted: &Value, current: &Value) -> bool {
    match (wanted, current) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(current)) => {
            wanted.iter().all(|(key, value)| covers(value, current.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(current)) => {
            wanted.len() == current.len()
                && wanted.iter().all(|element| current.iter().any(|other| covers(element, other)))
        }
        (wanted, current) => equal(wanted, current),
    }
}
