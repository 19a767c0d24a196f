//! Volumes (engine §4.14). A volume cannot be changed; a new one is empty.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::reason::{HIDDEN, differs};
use crate::desired::Volume;
use crate::digest;
use crate::observed::ObservedVolume;
use crate::plan::Reason;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeDifferences {
    /// It is another volume than the map wants: in its driver, or options of the driver. Their values may be
    /// secret.
    pub essential: Vec<Reason>,
    /// What does not change what the volume is, and so is only told: labels, owner and mode.
    pub minor: Vec<String>,
}

/// Compares a volume that exists.
pub fn volume(desired: &Volume, current: &ObservedVolume) -> VolumeDifferences {
    let (wanted, now) = (&desired.spec, &current.spec);
    let source = |path: &str| desired.origins.get(path).or(desired.origins.get(""));
    let mut differences = VolumeDifferences::default();
    if wanted.driver != now.driver {
        let (current, wanted) = (Some(now.driver.clone()), Some(wanted.driver.clone()));
        differences.essential.push(differs("driver", current, wanted, source("driver")));
    }
    let keys: BTreeSet<&String> = wanted.driver_opts.keys().chain(now.driver_opts.keys()).collect();
    for key in keys.into_iter().filter(|key| wanted.driver_opts.get(*key) != now.driver_opts.get(*key)) {
        let field = format!("driver_options.{key}");
        let shown = |options: &BTreeMap<String, String>| options.get(key).map(|_| HIDDEN.to_owned());
        let (current, wanted) = (shown(&now.driver_opts), shown(&wanted.driver_opts));
        let source = source(&field);
        differences.essential.push(differs(field, current, wanted, source));
    }
    if wanted.labels.iter().any(|(key, value)| now.labels.get(key) != Some(value)) {
        differences.minor.push("labels".to_owned());
    }
    if let Some(recorded) = digest::recorded(&now.labels) {
        let prepare = desired.prepare.as_ref();
        let owner = prepare.and_then(|prepare| prepare.owner.as_ref());
        let mode = prepare.and_then(|prepare| prepare.mode.as_ref());
        let wanted: BTreeMap<&str, Option<String>> = [("user", owner), ("permissions", mode)]
            .map(|(name, value)| (name, value.map(|v| digest::of_value(&json!(v)))))
            .into();
        let changed = wanted.into_iter().filter(|(name, digest)| recorded.get(*name) != digest.as_ref());
        differences.minor.extend(changed.map(|(name, _)| name.to_owned()));
    }
    differences
}
