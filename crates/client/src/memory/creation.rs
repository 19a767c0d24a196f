//! What an engine makes of what a container is asked to be: refusals, what comes from the image, what it fills in.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::canonical::canonical;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, Properties, VolumeSpec};
use serde_json::{Value, json};

use super::world::{Refusal, refuse};

/// What an engine refuses to combine, in what was asked for rather than inherited.
pub(super) fn refuse_conflicts(mode: &str, spec: &ContainerSpec) -> Refusal {
    let is_set = |property: &Property| spec.properties.get(property).is_some_and(|value| !value.is_null());
    let alone = [
        Property::Hostname,
        Property::MacAddress,
        Property::Links,
        Property::Dns,
        Property::ExtraHosts,
        Property::ExposedPorts,
        Property::PortBindings,
    ];
    if mode.starts_with("container:")
        && let Some(property) = alone.iter().find(|property| is_set(property))
    {
        return refuse(400, format!("conflicting options: {property} and the container type network mode"));
    }
    if mode == "host" && is_set(&Property::Links) {
        return refuse(400, "conflicting options: host type networking can't be used with links");
    }
    let policy =
        spec.properties.get(&Property::RestartPolicy).and_then(|policy| policy.get("Name")?.as_str());
    if is_true(&spec.properties, Property::AutoRemove)
        && policy.is_some_and(|name| name != "no" && !name.is_empty())
    {
        return refuse(400, "can't create 'AutoRemove' container with restart policy");
    }
    Ok(())
}

pub(super) fn is_true(properties: &Properties, property: Property) -> bool {
    properties.get(&property) == Some(&Value::Bool(true))
}

pub(super) fn user(properties: &Properties) -> &str {
    let user = properties.get(&Property::User).and_then(Value::as_str).unwrap_or("root");
    user.split(':').next().unwrap_or("root")
}

pub(super) fn local_volume(name: &str) -> VolumeSpec {
    VolumeSpec { name: name.into(), driver: "local".into(), ..VolumeSpec::default() }
}

pub(super) fn declared_volume(name: &str, mount: &Value) -> VolumeSpec {
    let options = mount.get("VolumeOptions").unwrap_or(&Value::Null);
    let texts = |value: Option<&Value>| -> BTreeMap<String, String> {
        let members = value.and_then(Value::as_object).into_iter().flatten();
        members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    };
    let driver = options.get("DriverConfig");
    let driver_name = driver.and_then(|driver| driver.get("Name")).and_then(Value::as_str);
    VolumeSpec {
        name: name.into(),
        driver: driver_name.filter(|name| !name.is_empty()).unwrap_or("local").into(),
        driver_opts: texts(driver.and_then(|driver| driver.get("Options"))),
        labels: texts(options.get("Labels")),
        own_labels: BTreeMap::new(),
    }
}

/// What a container inherits from its image and what it sets itself.
pub(super) fn merged(defaults: &Properties, own: &Properties) -> Properties {
    let mut merged = defaults.clone();
    for (&property, value) in own {
        let value = canonical(property, value);
        let inherited = merged.get(&property).cloned();
        let value = match (property, inherited) {
            (Property::Environment, Some(inherited)) => environment(&inherited, &value),
            (Property::Labels, Some(Value::Object(mut inherited))) => {
                inherited.extend(value.as_object().cloned().unwrap_or_default());
                canonical(property, &Value::Object(inherited))
            }
            (Property::Shares | Property::ExposedPorts, Some(Value::Array(mut inherited))) => {
                inherited.extend(value.as_array().cloned().unwrap_or_default());
                canonical(property, &Value::Array(inherited))
            }
            _ => value,
        };
        if !value.is_null() {
            merged.insert(property, value);
        }
    }
    merged
}

fn environment(inherited: &Value, own: &Value) -> Value {
    let lines = |value: &Value| -> Vec<String> {
        let lines = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.map(str::to_owned).collect()
    };
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let own = lines(own);
    let own_names: BTreeSet<String> = own.iter().map(|line| name(line)).collect();
    let inherited = lines(inherited).into_iter().filter(|line| !own_names.contains(&name(line)));
    Value::from(inherited.chain(own).collect::<Vec<_>>())
}

pub(super) fn labels(properties: &Properties) -> BTreeMap<String, String> {
    let labels = properties.get(&Property::Labels).and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// What an engine fills in by itself and shows at inspection.
pub(super) fn stored_defaults(properties: &mut Properties, id: &str, mode: &str) {
    let memory = properties.get(&Property::MemLimit).and_then(Value::as_i64);
    if let Some(memory) = memory {
        properties.entry(Property::MemswapLimit).or_insert_with(|| (memory * 2).into());
    }
    if mode != "host" && !mode.starts_with("container:") {
        properties.entry(Property::Hostname).or_insert_with(|| id[..12].into());
    }
    properties.entry(Property::ShmSize).or_insert_with(|| 67_108_864.into());
    properties.entry(Property::IpcMode).or_insert_with(|| "private".into());
    properties.entry(Property::Runtime).or_insert_with(|| "runc".into());
    properties.entry(Property::LogConfig).or_insert_with(|| json!({"Type": "json-file"}));
}

pub(super) fn endpoints(
    spec: &ContainerSpec,
    properties: &Properties,
    mode: &str,
) -> BTreeMap<String, EndpointSpec> {
    let disabled = properties.get(&Property::NetworkDisabled) == Some(&Value::Bool(true));
    let endpoint = match &spec.first_endpoint {
        _ if disabled || mode.starts_with("container:") => return BTreeMap::new(),
        Some(endpoint) => endpoint.clone(),
        None => EndpointSpec {
            network: if mode.is_empty() { "bridge".into() } else { mode.to_owned() },
            ..EndpointSpec::default()
        },
    };
    BTreeMap::from([(endpoint.network.clone(), endpoint)])
}

pub(super) fn host_ports(properties: &Properties) -> BTreeSet<String> {
    let bindings = properties.get(&Property::PortBindings).and_then(Value::as_object).into_iter().flatten();
    let ports = bindings.flat_map(|(port, hosts)| {
        let protocol = port.split('/').nth(1).unwrap_or("tcp").to_owned();
        hosts.as_array().into_iter().flatten().filter_map(move |host| {
            let number = host.get("HostPort")?.as_str()?;
            Some(format!(
                "{}:{number}/{protocol}",
                host.get("HostIp").and_then(Value::as_str).unwrap_or("0.0.0.0")
            ))
        })
    });
    ports.collect()
}
