//! Networks (engine §6.9).

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::Network;
use super::maker::{Maker, Owner};
use super::read::{self, Read};
use crate::digest;
use crate::names::{NetworkName, network_name};
use crate::resolve::resolve_entries;
use crate::spec::NetworkSpec;
use crate::value::Value;

/// The keys of `create_options` of a network.
const KEYS: [&str; 9] = [
    "ipam",
    "labels",
    "enable_ipv6",
    "attachable",
    "check_duplicate",
    "internal",
    "options",
    "scope",
    "ingress",
];

impl Maker<'_> {
    /// Makes a network of the map; `None` when something is wrong with it, or the map has none.
    pub(super) fn network(&self, name: &NetworkName) -> Option<Network> {
        let network = self.map.networks.get(name)?;
        let owner = Owner::new("network", name, &network.origins);
        let mut spec = NetworkSpec {
            name: network_name(&self.map.name, name),
            driver: network.driver.clone().unwrap_or_else(|| "bridge".to_owned()),
            options: self.option_texts(owner, "driver_options", &network.driver_options),
            internal: network.internal.unwrap_or_default(),
            ..NetworkSpec::default()
        };
        for (key, value) in &self.entries(owner, "create_options", &network.create_options) {
            let path = format!("create_options.{key}");
            if let Err(problem) = set(&mut spec, key, value) {
                if KEYS.contains(&key.as_str()) {
                    self.fail(owner, &path, problem);
                } else {
                    self.unknown(owner, &path, key, &KEYS);
                }
            }
        }
        spec.own_labels = BTreeMap::from([
            (digest::MAP.to_owned(), self.map.name.to_string()),
            (digest::DESIRED.to_owned(), digest::label(digested(&spec))),
        ]);
        Some(Network { spec, origins: network.origins.clone() })
    }

    /// Looks the late values in a mapping up; a failure is recorded.
    pub(super) fn entries(
        &self,
        owner: Owner<'_>,
        path: &str,
        entries: &IndexMap<String, Value>,
    ) -> IndexMap<String, Value> {
        resolve_entries(entries, self.session.lookup, path).unwrap_or_else(|error| {
            self.fail_unresolved(owner, path, &error);
            IndexMap::new()
        })
    }

    /// Returns a mapping of texts.
    pub(super) fn option_texts(
        &self,
        owner: Owner<'_>,
        path: &str,
        entries: &IndexMap<String, Value>,
    ) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.entries(owner, path, entries) {
            match read::text(&value) {
                Ok(text) => drop(texts.insert(key, text)),
                Err(problem) => self.fail(owner, &format!("{path}.{key}"), problem),
            }
        }
        texts
    }

    pub(super) fn unknown(&self, owner: Owner<'_>, path: &str, key: &str, known: &[&str]) {
        let hint = match crate::diagnostic::nearest(key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.fail_with_hint(owner, path, format!("unknown key `{key}` in `create_options`"), hint);
    }
}

fn set(spec: &mut NetworkSpec, key: &str, value: &Value) -> Read<()> {
    if *value == Value::Null {
        return Ok(());
    }
    match key {
        "labels" => spec.labels.extend(texts(read::labels(value, '=')?)),
        "options" => spec.options.extend(texts(read::labels(value, '=')?)),
        "internal" => spec.internal = read::boolean(value)?,
        "enable_ipv6" => spec.enable_ipv6 = Some(read::boolean(value)?),
        "attachable" => spec.attachable = Some(read::boolean(value)?),
        // A second network of one name is never wanted (O-07).
        "check_duplicate" => drop(read::boolean(value)?),
        "ipam" => spec.ipam = ipam(value)?,
        "scope" | "ingress" => return Err(format!("`{key}` is for swarm networks, which are not supported")),
        _ => return Err(String::new()),
    }
    Ok(())
}

/// `docker.types.IPAMConfig`: `{driver, pool_configs: [{subnet, iprange, gateway, aux_addresses}],
/// options}`, or the Engine API's `{Driver, Config, Options}`.
fn ipam(value: &Value) -> Read<Json> {
    let mut object = Map::new();
    for (key, value) in read::mapping(value)? {
        match key.as_str() {
            "driver" | "Driver" => {
                let driver = read::text(value)?;
                if !matches!(driver.as_str(), "" | "default") {
                    object.insert("Driver".into(), json!(driver));
                }
            }
            "pool_configs" | "config" | "Config" => {
                let pools = read::list(value)?.iter().map(pool).collect::<Read<Vec<_>>>()?;
                object.insert("Config".into(), Json::Array(pools));
            }
            "options" | "Options" => {
                object.insert("Options".into(), Json::Object(read::labels(value, '=')?));
            }
            _ => return Err(format!("unknown key `{key}`; known are driver, pool_configs, options")),
        }
    }
    Ok(if object.is_empty() { Json::Null } else { Json::Object(object) })
}

fn pool(value: &Value) -> Read<Json> {
    let mut object = Map::new();
    for (key, value) in read::mapping(value)? {
        let (field, value) = match key.as_str() {
            "subnet" | "Subnet" => ("Subnet", Json::from(read::text(value)?)),
            "iprange" | "ip_range" | "IPRange" => ("IPRange", Json::from(read::text(value)?)),
            "gateway" | "Gateway" => ("Gateway", Json::from(read::text(value)?)),
            "aux_addresses" | "AuxiliaryAddresses" => {
                ("AuxiliaryAddresses", Json::Object(read::labels(value, '=')?))
            }
            _ => {
                return Err(format!(
                    "unknown key `{key}`; known are subnet, iprange, gateway, aux_addresses"
                ));
            }
        };
        object.insert(field.into(), value);
    }
    Ok(Json::Object(object))
}

/// Turns an object of texts into a map.
pub(super) fn texts(object: Map<String, Json>) -> impl Iterator<Item = (String, String)> {
    object.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
}

/// What a network's label records: the parts of which something can be removed.
pub(crate) fn digested(spec: &NetworkSpec) -> Vec<(&'static str, Json)> {
    let all = [
        ("driver_options", json!(spec.options)),
        ("labels", json!(spec.labels)),
        ("ipam", spec.ipam.clone()),
        ("enable_ipv6", json!(spec.enable_ipv6)),
        ("attachable", json!(spec.attachable)),
    ];
    let empty = |value: &Json| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    all.into_iter().filter(|(_, value)| !empty(value)).collect()
}
