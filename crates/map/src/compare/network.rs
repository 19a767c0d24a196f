//! Networks (engine §4.13; design §4 adds IPAM, labels, IPv6 and what was removed).

use std::collections::BTreeMap;

use serde_json::Value;

use super::properties::covers;
use super::reason::{HIDDEN, differs, gone, show};
use crate::desired::{Network, digested_network};
use crate::digest;
use crate::observed::ObservedNetwork;
use crate::plan::Reason;

/// Returns why the network has to be made anew; empty when it is as it should be.
pub fn network(desired: &Network, current: &ObservedNetwork) -> Vec<Reason> {
    let (wanted, now) = (&desired.spec, &current.spec);
    let source = |path: &str| desired.origins.get(path);
    let mut reasons = Vec::new();
    if wanted.driver != now.driver {
        reasons.push(differs(
            "driver",
            Some(now.driver.clone()),
            Some(wanted.driver.clone()),
            source("driver"),
        ));
    }
    for (field, wanted, now) in [
        ("internal", Some(wanted.internal), now.internal),
        ("enable_ipv6", wanted.enable_ipv6, now.enable_ipv6.unwrap_or_default()),
        ("attachable", wanted.attachable, now.attachable.unwrap_or_default()),
    ] {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != now) {
            let path = if field == "internal" { field.to_owned() } else { format!("create_options.{field}") };
            reasons.push(differs(field, Some(now.to_string()), Some(wanted.to_string()), source(&path)));
        }
    }
    reasons.extend(texts("driver_options", &wanted.options, &now.options, false, &source));
    reasons.extend(texts("labels", &wanted.labels, &now.labels, true, &source));
    if !pools_covered(&wanted.ipam, &now.ipam) {
        let source = source("create_options.ipam");
        reasons.push(differs("ipam", show(&now.ipam), show(&wanted.ipam), source));
    }
    if reasons.is_empty() {
        let current: BTreeMap<&str, String> = digested_network(wanted)
            .into_iter()
            .map(|(name, value)| (name, digest::of_value(&value)))
            .collect();
        for (name, recorded) in digest::recorded(&now.labels).unwrap_or_default() {
            if current.get(name.as_str()) != Some(&recorded) {
                reasons.push(gone(name, source("")));
            }
        }
    }
    reasons
}

/// The entries that are configured and are not there, or have another value. Engines add their own.
fn texts<'a>(
    field: &str,
    wanted: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    hide: bool,
    source: &dyn Fn(&str) -> Option<&'a crate::position::Position>,
) -> Vec<Reason> {
    let different = wanted.iter().filter(|(key, value)| now.get(*key) != Some(value));
    let shown = |value: &String| if hide { HIDDEN.to_owned() } else { value.clone() };
    different
        .map(|(key, value)| {
            let path = if hide { format!("create_options.labels.{key}") } else { format!("{field}.{key}") };
            differs(format!("{field}.{key}"), now.get(key).map(shown), Some(shown(value)), source(&path))
        })
        .collect()
}

/// Every configured address range must be there; engines add ranges, gateways and drivers.
fn pools_covered(wanted: &Value, now: &Value) -> bool {
    let pools = |value: &Value| value.get("Config").and_then(Value::as_array).cloned().unwrap_or_default();
    let rest = |value: &Value| {
        let mut object = value.as_object().cloned().unwrap_or_default();
        object.remove("Config");
        Value::Object(object)
    };
    let present = pools(now);
    covers(&rest(wanted), &rest(now))
        && pools(wanted).iter().all(|pool| present.iter().any(|other| covers(pool, other)))
}
