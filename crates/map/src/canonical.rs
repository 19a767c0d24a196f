//! The canonical form of property values: what makes the desired and the observed side comparable.
//!
//! Absent, null, empty, zero and false are one thing, [`Value::Null`]; a number given as text is a
//! number where a number is expected, and a text where a text is; sets are sorted and free of
//! repetitions. Differences between engine generations end here too.

use serde_json::{Map, Value};

use crate::desired::clean;
use crate::property::{Property, Shape};

/// Returns `value` in the canonical form of `property`; see [`crate::spec`].
///
/// An object where a set is expected (`Volumes` and `ExposedPorts` of the Engine API) is the set of
/// its keys. A value that does not have the property's shape is returned as it is, so that it
/// differs from everything and its creation fails with the engine's message.
pub fn canonical(property: Property, value: &Value) -> Value {
    match property {
        // An engine says `default`, or `bridge` since 26.0, where nothing was asked for.
        Property::NetworkMode if matches!(value.as_str(), Some("default" | "bridge")) => Value::Null,
        // Engines differ in whether "no policy" is an empty name or `no`.
        Property::RestartPolicy => restart_policy(value),
        // An engine cleans it, and refuses a relative one.
        Property::WorkingDir => match shaped(Shape::Text, value) {
            Value::String(path) if path.starts_with('/') => Value::String(clean(&path)),
            other => other,
        },
        Property::DeviceRequests => device_requests(compact(value)),
        Property::CapAdd | Property::CapDrop => set(&capabilities(value)),
        // Zero is a value here; engines write −1 where nothing was asked for.
        _ if property.zero_counts() => match value.as_i64() {
            Some(-1) => Value::Null,
            _ => value.clone(),
        },
        _ => shaped(property.shape(), value),
    }
}

/// Capabilities are sets inside a list of alternatives: their order means nothing.
fn device_requests(mut requests: Value) -> Value {
    let requests_list = requests.as_array_mut().into_iter().flatten();
    let sets = requests_list.filter_map(|request| request.get_mut("Capabilities")?.as_array_mut()).flatten();
    for set in sets.filter_map(Value::as_array_mut) {
        set.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        set.dedup();
    }
    requests
}

/// `NET_ADMIN` and `CAP_NET_ADMIN` are one thing, in capitals or not. Engines keep what they are
/// told; the `docker` command line writes the longer form since 23.0.
fn capabilities(value: &Value) -> Value {
    let Value::Array(elements) = value else { return value.clone() };
    let short = |name: &str| {
        let name = name.to_uppercase();
        name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)
    };
    elements
        .iter()
        .map(|element| element.as_str().map_or_else(|| element.clone(), |name| short(name).into()))
        .collect()
}

fn restart_policy(value: &Value) -> Value {
    match value.get("Name").and_then(Value::as_str) {
        None | Some("" | "no") => Value::Null,
        // The count means something for `on-failure` only; engines keep zero elsewhere.
        Some(_) => compact(value),
    }
}

fn shaped(shape: Shape, value: &Value) -> Value {
    match shape {
        Shape::Text => match value {
            Value::String(text) if text.is_empty() => Value::Null,
            Value::Number(number) => Value::String(number.to_string()),
            other => other.clone(),
        },
        Shape::Integer | Shape::Bytes => match value {
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(0) => Value::Null,
                Ok(number) => Value::from(number),
                Err(_) if text.is_empty() => Value::Null,
                Err(_) => value.clone(),
            },
            Value::Number(number) if number.as_f64() == Some(0.0) => Value::Null,
            other => other.clone(),
        },
        Shape::Boolean => match value {
            Value::Bool(false) => Value::Null,
            other => other.clone(),
        },
        Shape::Words | Shape::Environment | Shape::Json => compact(value),
        Shape::Labels => labels(value),
        Shape::Set => set(value),
    }
}

fn set(value: &Value) -> Value {
    let mut texts: Vec<String> = match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(elements) => {
            match elements.iter().map(|element| element.as_str().map(str::to_owned)).collect() {
                Some(texts) => texts,
                None => return value.clone(),
            }
        }
        other => return other.clone(),
    };
    texts.sort();
    texts.dedup();
    if texts.is_empty() { Value::Null } else { Value::from(texts) }
}

/// An empty text counts here: a label, or a tmpfs without options, is there all the same.
fn labels(value: &Value) -> Value {
    let Value::Object(members) = value else { return compact(value) };
    let members: Map<String, Value> = members
        .iter()
        .filter(|(_, member)| !member.is_null())
        .map(|(name, member)| match member {
            Value::Number(number) => (name.clone(), Value::String(number.to_string())),
            other => (name.clone(), other.clone()),
        })
        .collect();
    if members.is_empty() { Value::Null } else { Value::Object(sorted(members)) }
}

/// Drops what is absent, null, empty, zero or false from objects at any depth. Elements of lists
/// stay where they are, for their place may count; texts inside objects and lists stay texts.
fn compact(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .filter(|(_, member)| !is_zero(member))
                .map(|(name, member)| (name.clone(), compact(member)))
                .filter(|(_, member)| !member.is_null())
                .collect();
            if members.is_empty() { Value::Null } else { Value::Object(sorted(members)) }
        }
        Value::Array(elements) if elements.is_empty() => Value::Null,
        Value::Array(elements) => Value::Array(
            elements
                .iter()
                .map(|element| match element {
                    Value::Object(_) => compact(element),
                    other => other.clone(),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn sorted(members: Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<_> = members.into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_empty_zero_and_false_are_one() {
        for (property, value) in [
            (Property::User, json!("")),
            (Property::MemLimit, json!(0)),
            (Property::MemLimit, json!("0")),
            (Property::Privileged, json!(false)),
            (Property::Command, json!([])),
            (Property::Labels, json!({})),
            (Property::ExposedPorts, json!({})),
            (Property::Healthcheck, json!({"Test": [], "Retries": 0})),
            (Property::RestartPolicy, json!({"Name": "", "MaximumRetryCount": 0})),
            (Property::RestartPolicy, json!({"Name": "no", "MaximumRetryCount": 0})),
            (Property::NetworkMode, json!("default")),
            (Property::NetworkMode, json!("bridge")),
            (Property::LogConfig, json!({"Type": "", "Config": null})),
        ] {
            assert_eq!(canonical(property, &value), Value::Null, "{property} {value}");
        }
    }

    #[test]
    fn values_take_the_shape_of_their_property() {
        for (property, value, expected) in [
            (Property::User, json!(0), json!("0")),
            (Property::WorkingDir, json!("/app//./x/../"), json!("/app")),
            (Property::WorkingDir, json!("/"), json!("/")),
            (Property::WorkingDir, json!("app/"), json!("app/")),
            (
                Property::LogConfig,
                json!({"Type": "", "Config": {"max-size": "10m"}}),
                json!({"Config": {"max-size": "10m"}}),
            ),
            (Property::CpuShares, json!("512"), json!(512)),
            (Property::ExposedPorts, json!({"80/tcp": {}, "53/udp": {}}), json!(["53/udp", "80/tcp"])),
            (Property::CapAdd, json!(["B", "A", "B"]), json!(["A", "B"])),
            (
                Property::DeviceRequests,
                json!([{"Count": 1, "Capabilities": [["utility", "gpu", "gpu"]]}]),
                json!([{"Count": 1, "Capabilities": [["gpu", "utility"]]}]),
            ),
            (Property::CapDrop, json!(["CAP_NET_ADMIN", "net_admin", "ALL"]), json!(["ALL", "NET_ADMIN"])),
            (Property::Command, json!(["b", "", "a"]), json!(["b", "", "a"])),
            (Property::Labels, json!({"b": 1, "a": ""}), json!({"a": "", "b": "1"})),
            (
                Property::PortBindings,
                json!({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
                json!({"80/tcp": [{"HostPort": "8080"}]}),
            ),
            (
                Property::RestartPolicy,
                json!({"Name": "always", "MaximumRetryCount": 0}),
                json!({"Name": "always"}),
            ),
        ] {
            assert_eq!(canonical(property, &value), expected, "{property} {value}");
        }
    }
}
