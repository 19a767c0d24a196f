//! Networks: `GET /networks`.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::observed::ObservedNetwork;
use dfab_map::spec::NetworkSpec;
use serde_json::{Map, Value};

use super::{Unreadable, required, text, texts};

/// Reads one element of `GET /networks`, or the answer of `GET /networks/{id}`.
///
/// Connected containers are read from `Containers` where the engine fills it (running ones only).
///
/// # Errors
///
/// [`Unreadable`] when the element has no name or no ID.
pub fn listed_network(element: &Value) -> Result<ObservedNetwork, Unreadable> {
    let name = required(element, "a listed network", "Name")?;
    let id = required(element, "a listed network", "Id")?;
    let flag = |field: &str| element.get(field).and_then(Value::as_bool);
    let connected = element.get("Containers").and_then(Value::as_object).into_iter().flatten();
    let containers: BTreeSet<String> = connected
        .map(|(_, endpoint)| text(endpoint, "Name").to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let spec = NetworkSpec {
        name: name.to_owned(),
        driver: text(element, "Driver").to_owned(),
        options: texts(element, "Options"),
        internal: flag("Internal").unwrap_or_default(),
        enable_ipv6: flag("EnableIPv6"),
        attachable: flag("Attachable"),
        ipam: ipam(element.get("IPAM").unwrap_or(&Value::Null)),
        labels: texts(element, "Labels"),
        own_labels: BTreeMap::new(),
    };
    Ok(ObservedNetwork { id: id.to_owned(), spec, containers, others: Vec::new() })
}

/// Reads `GET /networks`. Where several networks share a name, the one created first is kept, with the IDs of
/// the others.
///
/// # Errors
///
/// [`Unreadable`] as [`listed_network`].
pub fn networks_by_name(answer: &Value) -> Result<BTreeMap<String, ObservedNetwork>, Unreadable> {
    let mut elements: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    // RFC 3339 times in one zone sort as texts, which is all that is needed to find the first.
    elements.sort_by_key(|element| text(element, "Created"));
    let mut networks: BTreeMap<String, ObservedNetwork> = BTreeMap::new();
    for element in elements {
        let network = listed_network(element)?;
        match networks.get_mut(&network.spec.name) {
            Some(first) => first.others.push(network.id),
            None => drop(networks.insert(network.spec.name.clone(), network)),
        }
    }
    Ok(networks)
}

/// Reads the endpoints of `GET /networks/{id}`: the ID of the container by the endpoint's name.
pub fn endpoints_by_name(network: &Value) -> BTreeMap<String, String> {
    let endpoints = network.get("Containers").and_then(Value::as_object).into_iter().flatten();
    endpoints.map(|(id, endpoint)| (text(endpoint, "Name").to_owned(), id.clone())).collect()
}

/// Driver, options and the configured ranges; what is empty is left out.
fn ipam(ipam: &Value) -> Value {
    let mut canonical = Map::new();
    if !matches!(text(ipam, "Driver"), "" | "default") {
        canonical.insert("Driver".into(), text(ipam, "Driver").into());
    }
    let ranges = ipam.get("Config").and_then(Value::as_array).into_iter().flatten();
    let ranges: Vec<Value> = ranges
        .map(|range| {
            let members = range.as_object().into_iter().flatten();
            let kept = members.filter(|(_, value)| match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Object(members) => !members.is_empty(),
                _ => true,
            });
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        })
        .collect();
    if !ranges.is_empty() {
        canonical.insert("Config".into(), ranges.into());
    }
    let options = texts(ipam, "Options");
    if !options.is_empty() {
        canonical.insert("Options".into(), options.into_iter().map(|(k, v)| (k, Value::from(v))).collect());
    }
    if canonical.is_empty() { Value::Null } else { Value::Object(canonical) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::networks_by_name;

    /// Engines before API 1.44 let several networks have one name (engine D-03).
    #[test]
    fn of_networks_of_one_name_the_first_is_kept_with_the_ids_of_the_others() {
        let network = |id: &str, created: &str| json!({"Name": "m.n", "Id": id, "Created": created, "Driver": "bridge"});
        let answer = json!([network("b", "2024-01-02T00:00:00Z"), network("a", "2024-01-01T00:00:00Z")]);
        let networks = networks_by_name(&answer).unwrap();
        assert_eq!(
            (networks["m.n"].id.as_str(), networks["m.n"].others.as_slice()),
            ("a", &["b".to_owned()][..])
        );
    }
}
