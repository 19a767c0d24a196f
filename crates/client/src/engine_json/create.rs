//! The bodies of `POST` requests: containers, endpoints, networks, volumes, in-place updates.

use std::collections::BTreeMap;

use dfab_map::property::{Property, Shape};
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use serde_json::{Map, Value, json};

use super::container::MAC_ADDRESS_LABEL;

/// The API version since when a MAC address belongs to an endpoint.
const MAC_ADDRESS_OF_ENDPOINT: (u32, u32) = (1, 44);

/// Returns the body of `POST /containers/create`.
///
/// Each property goes to its path; properties that are not in the specification are not sent.
///
/// From API 1.44 on, a MAC address belongs to an endpoint, and an engine refuses one of the container
/// beside an endpoint of a network of the user's. It is sent with the endpoint then, and kept in a
/// label, because inspection does not show it after a stop (seen with 26.1 and 28.5).
pub fn container_body(spec: &ContainerSpec, api_version: (u32, u32)) -> Value {
    let mut body = Map::new();
    body.insert("Image".into(), spec.image.to_string().into());
    for (&property, value) in &spec.properties {
        set(&mut body, property.path(), engine_value(property, value));
    }
    if !spec.own_labels.is_empty() {
        let labels = body.entry("Labels").or_insert_with(|| json!({}));
        if let Value::Object(labels) = labels {
            labels.extend(spec.own_labels.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        }
    }
    if let Some(endpoint) = &spec.first_endpoint {
        let mut settings = endpoint_body(endpoint);
        let address = body.get("MacAddress").filter(|_| api_version >= MAC_ADDRESS_OF_ENDPOINT).cloned();
        if let Some(address) = address {
            body.remove("MacAddress");
            if let Value::Object(labels) = body.entry("Labels").or_insert_with(|| json!({})) {
                labels.insert(MAC_ADDRESS_LABEL.into(), address.clone());
            }
            settings["MacAddress"] = address;
        }
        let endpoints = BTreeMap::from([(endpoint.network.clone(), settings)]);
        body.insert("NetworkingConfig".into(), json!({ "EndpointsConfig": endpoints }));
    }
    Value::Object(body)
}

/// Returns the `EndpointSettings` of an endpoint; only what is set is in there.
pub fn endpoint_body(endpoint: &EndpointSpec) -> Value {
    let mut ipam = Map::new();
    if let Some(address) = &endpoint.ipv4_address {
        ipam.insert("IPv4Address".into(), address.clone().into());
    }
    if let Some(address) = &endpoint.ipv6_address {
        ipam.insert("IPv6Address".into(), address.clone().into());
    }
    if !endpoint.link_local_ips.is_empty() {
        ipam.insert("LinkLocalIPs".into(), json!(endpoint.link_local_ips));
    }
    let mut body = Map::new();
    if !endpoint.aliases.is_empty() {
        body.insert("Aliases".into(), json!(endpoint.aliases));
    }
    if !endpoint.links.is_empty() {
        body.insert("Links".into(), json!(endpoint.links));
    }
    if !ipam.is_empty() {
        body.insert("IPAMConfig".into(), ipam.into());
    }
    Value::Object(body)
}

/// Returns the body of `POST /networks/create`.
///
/// `CheckDuplicate` makes engines before 25.0 refuse a name that is taken; later ones always do.
pub fn network_body(spec: &NetworkSpec) -> Value {
    let mut body = json!({
        "Name": spec.name,
        "Driver": spec.driver,
        "CheckDuplicate": true,
        "Internal": spec.internal,
        "Options": spec.options,
        "Labels": joined(&spec.labels, &spec.own_labels),
    });
    if let Some(enable) = spec.enable_ipv6 {
        body["EnableIPv6"] = enable.into();
    }
    if let Some(attachable) = spec.attachable {
        body["Attachable"] = attachable.into();
    }
    if !spec.ipam.is_null() {
        body["IPAM"] = spec.ipam.clone();
    }
    body
}

/// Returns the body of `POST /volumes/create`.
pub fn volume_body(spec: &VolumeSpec) -> Value {
    json!({
        "Name": spec.name,
        "Driver": spec.driver,
        "DriverOpts": spec.driver_opts,
        "Labels": joined(&spec.labels, &spec.own_labels),
    })
}

/// Returns the body of `POST /containers/{id}/update`: host settings without their prefix.
pub fn update_body(properties: &Properties) -> Value {
    let mut body = Map::new();
    for (&property, value) in properties {
        let path = property.path().strip_prefix("HostConfig.").unwrap_or(property.path());
        set(&mut body, path, engine_value(property, value));
    }
    Value::Object(body)
}

fn joined(labels: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// `Volumes` and `ExposedPorts` are sets in our form and objects in the engine's.
fn engine_value(property: Property, value: &Value) -> Value {
    match (property, property.shape(), value) {
        (Property::Shares | Property::ExposedPorts, Shape::Set, Value::Array(elements)) => {
            let members = elements.iter().filter_map(Value::as_str);
            Value::Object(members.map(|member| (member.to_owned(), json!({}))).collect())
        }
        _ => value.clone(),
    }
}

fn set(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            if let Value::Object(inner) = body.entry(first).or_insert_with(|| json!({})) {
                set(inner, rest, value);
            }
        }
    }
}
