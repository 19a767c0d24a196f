//! Volumes (engine §4.14). A volume cannot be changed; a new one is empty.

use std::collections::BTreeMap;

use serde_json::json;

use crate::desired::Volume;
use crate::digest;
use crate::observed::ObservedVolume;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeDifferences {
    /// It is another volume than the map wants: `driver`, `driver_options`.
    pub essential: Vec<String>,
    /// What does not change what the volume is, and so is only told: labels, owner and mode.
    pub minor: Vec<String>,
}

/// Compares a volume that exists.
pub fn volume(desired: &Volume, current: &ObservedVolume) -> VolumeDifferences {
    let (wanted, now) = (&desired.spec, &current.spec);
    let mut differences = VolumeDifferences::default();
    if wanted.driver != now.driver {
        differences.essential.push("driver".to_owned());
    }
    if wanted.driver_opts != now.driver_opts {
        differences.essential.push("driver_options".to_owned());
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
