//! The Engine API's JSON, read and written by pure functions.
//!
//! Every backend uses them: `docker inspect` prints the same JSON as `GET /containers/{id}/json`.
//! Differences between engine generations (API 1.40 to 1.51) end here; recorded answers of each are
//! the test data.

mod container;
mod create;
mod network;
#[cfg(test)]
mod recorded;
mod rewritten;
mod volume;

pub use container::{
    MAC_ADDRESS_LABEL, health, inspected_container, is_starting, listed_container, primary_name, processes,
};
pub use create::{container_body, endpoint_body, network_body, update_body, volume_body};
pub use network::{endpoints_by_name, listed_network, networks_by_name};
pub use rewritten::Rewritten;
pub use volume::{images_by_reference, listed_volume};

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::observed::EngineInfo;
use dfab_map::property::Property;
use serde_json::Value;

/// Something in an engine's answer that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has no usable `{field}`")]
pub struct Unreadable {
    /// The object.
    pub what: String,
    /// The field that is missing or of another type.
    pub field: String,
}

/// Reads `GET /version`, or `docker version --format '{{json .Server}}'`.
///
/// The result holds the engine's own API version, before any negotiation.
///
/// # Errors
///
/// [`Unreadable`] when there is no API version of the form `1.41`.
pub fn engine_info(answer: &Value) -> Result<EngineInfo, Unreadable> {
    let version = answer.get("ApiVersion").and_then(Value::as_str).and_then(api_version);
    let api_version = version
        .ok_or_else(|| Unreadable { what: "the engine's version".into(), field: "ApiVersion".into() })?;
    Ok(EngineInfo {
        api_version,
        engine_version: text(answer, "Version").to_owned(),
        unsupported: BTreeSet::new(),
    })
}

/// Reads from `GET /info` which limits the engine accepts but cannot hold.
///
/// A member that an engine generation does not have says nothing, and counts as supported.
pub fn unsupported_limits(answer: &Value) -> BTreeSet<Property> {
    let limits = [
        ("MemoryLimit", Property::MemLimit),
        ("MemoryLimit", Property::MemReservation),
        ("SwapLimit", Property::MemswapLimit),
        ("KernelMemory", Property::KernelMemory),
        ("CpuCfsPeriod", Property::CpuPeriod),
        ("CpuCfsQuota", Property::CpuQuota),
        ("CPUShares", Property::CpuShares),
        ("CPUSet", Property::CpusetCpus),
        ("CPUSet", Property::CpusetMems),
        ("OomKillDisable", Property::OomKillDisable),
        ("PidsLimit", Property::PidsLimit),
    ];
    let missing = |field: &str| answer.get(field).and_then(Value::as_bool) == Some(false);
    limits.into_iter().filter(|(field, _)| missing(field)).map(|(_, property)| property).collect()
}

/// Reads an API version such as `1.41`.
pub fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim_start_matches('v').split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns a text member; absent and null are empty.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a member that must be a text.
fn required<'a>(object: &'a Value, what: &str, field: &str) -> Result<&'a str, Unreadable> {
    let missing = || Unreadable { what: what.to_owned(), field: field.to_owned() };
    object.get(field).and_then(Value::as_str).ok_or_else(missing)
}

/// Returns an object of texts; absent and null are empty.
fn texts(object: &Value, field: &str) -> BTreeMap<String, String> {
    let members = object.get(field).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Returns the texts of a list; absent and null are empty.
fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    object.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Follows a path whose parts are joined by `.`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |object, part| object.get(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_version_is_two_numbers() {
        assert_eq!(api_version("1.41"), Some((1, 41)));
        assert_eq!(api_version("v1.51"), Some((1, 51)));
        for text in ["", "1", "auto", "1.x"] {
            assert_eq!(api_version(text), None, "{text}");
        }
    }
}
