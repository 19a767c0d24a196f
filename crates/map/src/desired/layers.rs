//! Merging the layers of arguments: derived values, then `create_options` and `host_config`, then the
//! caller's (engine §6.2).

use serde_json::{Map, Value as Json};

use crate::canonical::canonical;
use crate::position::{Origins, Position};
use crate::property::{Property, Shape};
use crate::spec::Properties;

/// The values so far, in the Engine API's shape, and where they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    values: indexmap::IndexMap<Property, Json>,
    pub(super) origins: Origins,
}

impl Layers {
    /// Merges `value` into what is there, by the table of engine §6.2. A null is ignored.
    pub(super) fn merge(&mut self, property: Property, value: Json) {
        if value.is_null() {
            return;
        }
        match self.values.get_mut(&property) {
            Some(current) => merge(property, current, value),
            None => {
                self.values.insert(property, value);
            }
        }
    }

    /// Records where a property (or `property.key`) was written.
    pub(super) fn origin(&mut self, path: impl AsRef<str>, position: Option<&Position>) {
        if let Some(position) = position {
            self.origins.set(path, position.clone());
        }
    }

    /// Sets a property that follows from another one, where that was written.
    pub(super) fn derive(&mut self, property: Property, value: Json, from: Property) {
        let source = self.origins.get(from.name()).cloned();
        self.origin(property.name(), source.as_ref());
        self.merge(property, value);
    }

    pub(super) fn get(&self, property: Property) -> Option<&Json> {
        self.values.get(&property)
    }

    pub(super) fn remove(&mut self, property: Property) {
        self.values.shift_remove(&property);
    }

    /// Returns the merged values in canonical form. A value that is written as empty stays, as null.
    pub(super) fn properties(&self) -> Properties {
        self.values.iter().map(|(property, value)| (*property, canonical(*property, value))).collect()
    }
}

fn merge(property: Property, current: &mut Json, value: Json) {
    match (property, current, value) {
        // Commands replace each other; the source appends entry points by mistake (D-44).
        (Property::Command | Property::Entrypoint, current, value) => *current = value,
        (Property::Environment, Json::Array(current), Json::Array(value)) => {
            by_key(current, value, |line| line.split('=').next().unwrap_or(line).to_owned());
        }
        (Property::Binds, Json::Array(current), Json::Array(value)) => by_key(current, value, container_path),
        (_, Json::Array(current), Json::Array(value)) => {
            let new: Vec<Json> = value.into_iter().filter(|element| !current.contains(element)).collect();
            current.extend(new);
        }
        (_, Json::Object(current), Json::Object(value)) => extend(current, value),
        (_, current, value) => *current = value,
    }
}

fn extend(current: &mut Map<String, Json>, value: Map<String, Json>) {
    current.extend(value.into_iter().filter(|(_, member)| !member.is_null()));
}

/// Appends texts; one whose key is there replaces it, for an engine refuses two of them.
fn by_key(current: &mut Vec<Json>, value: Vec<Json>, key: impl Fn(&str) -> String) {
    let key_of = |element: &Json| element.as_str().map(&key);
    for element in value {
        match current.iter_mut().find(|other| key_of(other) == key_of(&element)) {
            Some(other) => *other = element,
            None => current.push(element),
        }
    }
}

/// Returns the path inside the container of `source:path[:options]`.
pub(super) fn container_path(bind: &str) -> String {
    bind.split(':').nth(1).unwrap_or(bind).to_owned()
}

/// Returns the keys of a value that deserve positions of their own.
pub(super) fn keys(property: Property, value: &Json) -> Vec<String> {
    match (property.shape(), value) {
        (Shape::Environment, Json::Array(lines)) => {
            lines.iter().filter_map(|line| Some(line.as_str()?.split('=').next()?.to_owned())).collect()
        }
        (Shape::Labels, Json::Object(members)) => members.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
