//! Limits and the restart policy: what an engine changes on a living container (engine §4.10, §4.11).

use serde_json::{Value, json};

use super::reason::{differs, show};
use crate::desired::Container;
use crate::digest::{self, Digests};
use crate::observed::{ContainerDetail, EngineInfo};
use crate::plan::Reason;
use crate::property::{OnChange, Property};
use crate::spec::Properties;

/// What differs, by what it takes to change it.
#[derive(Debug, Default)]
pub(super) struct LimitChanges {
    /// In place.
    pub(super) update: Properties,
    pub(super) update_reasons: Vec<Reason>,
    /// By a new container.
    pub(super) recreate: Vec<Reason>,
    /// Limits that were lifted, by a new container only.
    pub(super) lifted: Vec<Reason>,
}

/// Compares both ways: limits and policy come from no image, so what the map does not set is not there.
pub(super) fn limits(
    desired: &Container,
    detail: &ContainerDetail,
    engine: &EngineInfo,
    recorded: Option<&Digests>,
) -> LimitChanges {
    let mut changes = LimitChanges::default();
    let changeable =
        Property::ALL.iter().copied().filter(|property| property.on_change() == OnChange::Update);
    for property in changeable {
        let current = normal(property, detail.properties.get(&property));
        let wanted = expected(desired, property);
        if current == wanted || !is_supported(desired, property, engine) {
            continue;
        }
        let reason =
            differs(property.name(), show(&current), show(&wanted), desired.origins.get(property.name()));
        if may_be_discarded(property) && current.is_null() {
            // The digest tells whether the container was made with it; only a new one has another.
            let was = recorded.and_then(|recorded| recorded.get(property.name()));
            if was.is_none_or(|digest| *digest != digest::of_value(&wanted)) {
                changes.recreate.push(reason);
            }
        } else if property == Property::RestartPolicy {
            let value = if wanted.is_null() { json!({"Name": "no"}) } else { wanted };
            match desired.features.update_restart_policy {
                true => changes.in_place(property, value, reason),
                false => changes.recreate.push(reason),
            }
        } else if wanted.is_null() {
            changes.lifted.push(reason);
        } else if desired.features.update_limits {
            changes.in_place(property, wanted, reason);
        } else {
            changes.recreate.push(reason);
        }
    }
    changes
}

/// Tells whether a kernel may not hold the limit without the engine saying so anywhere: it then shows
/// nothing, as if the limit had never been set.
fn may_be_discarded(property: Property) -> bool {
    property == Property::BlkioWeight
}

impl LimitChanges {
    fn in_place(&mut self, property: Property, value: Value, reason: Reason) {
        self.update.insert(property, value);
        self.update_reasons.push(reason);
    }
}

/// The value that the engine holds when the map's is set.
fn expected(desired: &Container, property: Property) -> Value {
    let value = |property| desired.spec.properties.get(&property).cloned().unwrap_or_default();
    match (property, value(property)) {
        // What the engine stores for a memory limit alone (K-07).
        (Property::MemswapLimit, Value::Null) => value(Property::MemLimit)
            .as_i64()
            .filter(|limit| *limit > 0)
            .map_or(Value::Null, |limit| json!(limit.saturating_mul(2))),
        (property, wanted) => normal(property, Some(&wanted)),
    }
}

/// "No limit" is written as nothing, zero or −1.
fn normal(property: Property, value: Option<&Value>) -> Value {
    match value {
        None => Value::Null,
        // Unlimited swap beside a limit on memory is a value of its own.
        Some(value) if property != Property::MemswapLimit && value.as_i64() == Some(-1) => Value::Null,
        Some(value) => value.clone(),
    }
}

/// A limit that the kernel cannot hold is stored as something else (engine §1.5).
pub(super) fn is_supported(desired: &Container, property: Property, engine: &EngineInfo) -> bool {
    let overridden = desired.features.limits.get(&property).copied();
    overridden.unwrap_or_else(|| !engine.unsupported.contains(&property))
}
