//! Building blocks: the shapes that several properties share (map-model §2.2).

use serde_json::{Map as Object, Value, json};

pub(super) fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

pub(super) fn anything_of(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({ "anyOf": schemas.into_iter().collect::<Vec<_>>() })
}

pub(super) fn null_or(schema: Value) -> Value {
    anything_of([json!({ "type": "null" }), schema])
}

/// A text: a number counts by its source text (map-model §10.6).
pub(super) fn text() -> Value {
    json!({ "type": ["string", "number"] })
}

/// Only a text; a bare number is refused.
pub(super) fn word() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// A text that matches a whole pattern, or a number.
pub(super) fn name(pattern: &str) -> Value {
    anything_of([
        json!({ "type": "string", "pattern": format!("^{pattern}$") }),
        json!({ "type": "integer", "minimum": 0 }),
    ])
}

/// `config` or `config.instance`.
pub(super) fn reference() -> Value {
    json!({ "type": "string", "pattern": "^(?!__all__$)[A-Za-z0-9][A-Za-z0-9_-]*(\\.[A-Za-z0-9_][A-Za-z0-9_.-]*)?$" })
}

pub(super) fn container_path() -> Value {
    json!({ "type": "string", "anyOf": [{ "pattern": "^/" }, { "$comment": "a variable of a late value", "pattern": "^[A-Za-z_$~]" }] })
}

/// A path on the host, or one per instance.
pub(super) fn host_path() -> Value {
    anything_of([
        word(),
        json!({ "type": "number" }),
        mapping_of("[A-Za-z0-9_][A-Za-z0-9_.-]*", null_or(text())),
    ])
}

/// `true`/`ro` is read-only; `false`/`rw`/null is not.
pub(super) fn access() -> Value {
    json!({ "enum": [true, false, "ro", "rw", null] })
}

/// A number from 1 to 65535, or its text, or a late value.
pub(super) fn port() -> Value {
    anything_of([
        json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        json!({ "type": "string", "minLength": 1 }),
    ])
}

pub(super) fn whole_number() -> Value {
    anything_of([
        json!({ "type": "integer", "minimum": 0 }),
        json!({ "type": "string", "pattern": "^[0-9]+$" }),
    ])
}

pub(super) fn seconds() -> Value {
    anything_of([
        json!({ "type": "number", "minimum": 0, "maximum": 86400 }),
        json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]*)?$" }),
    ])
}

/// `name`, `name:group` or `[name, group]`.
pub(super) fn user() -> Value {
    anything_of([
        json!({ "type": "null" }),
        json!({ "type": "string", "pattern": "^([^:]+(:[^:]+)?)?$" }),
        json!({ "type": "number" }),
        json!({ "type": "array", "items": text(), "minItems": 2, "maxItems": 2 }),
    ])
}

/// A mapping of options with values of any kind; a late mapping is a text.
pub(super) fn options() -> Value {
    anything_of([
        json!({ "type": "null" }),
        json!({ "type": "object" }),
        json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "$comment": "late" }),
    ])
}

/// A mapping whose keys match a whole pattern.
pub(super) fn mapping_of(pattern: &str, value: Value) -> Value {
    let mut patterns = Object::new();
    patterns.insert(format!("^{pattern}$"), value);
    json!({ "type": "object", "patternProperties": patterns, "additionalProperties": false })
}

/// A mapping of known keys.
pub(super) fn object(keys: &[&str], required: &[&str], property: impl Fn(&str) -> Value) -> Value {
    let properties: Object<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), property(key))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// One element, a list of them, or nothing.
pub(super) fn plain_list(element: Value) -> Value {
    let mut bare = element.clone();
    // A bare number is refused at the top level only (map-model §2.2.2).
    bare = json!({ "allOf": [bare, { "not": { "type": "number" } }] });
    anything_of([json!({ "type": "null" }), bare, json!({ "type": "array", "items": element })])
}

/// A plain list of names.
pub(super) fn names(pattern: &str) -> Value {
    plain_list(name(pattern))
}

/// The spellings of a tuple list.
pub(super) struct Tuple {
    /// A bare element.
    pub(super) bare: Value,
    /// Kinds of `{key: value}`.
    pub(super) entries: Vec<Entry>,
    /// Keys that mark a mapping of one key as named form.
    pub(super) marks: &'static [&'static str],
    /// Positional lists, one schema for each number of parts.
    pub(super) parts: Vec<Vec<Value>>,
    /// Named forms.
    pub(super) named: Vec<Value>,
}

/// `{key: value}` at the top level, and as an item of the list.
pub(super) struct Entry {
    /// Pattern of the key.
    pub(super) key: &'static str,
    /// Its value at the top level.
    pub(super) value: Value,
    /// Its value in an item.
    pub(super) item_value: Value,
}

impl Entry {
    pub(super) fn new(key: &'static str, value: Value) -> Self {
        Self { key, item_value: value.clone(), value }
    }
}

impl Tuple {
    pub(super) fn schema(self) -> Value {
        let mut top = Object::new();
        let mut item = Object::new();
        for Entry { key, value, item_value } in self.entries {
            top.insert(format!("^(?:{key})$"), value);
            item.insert(format!("^(?!(?:{})$)(?:{key})$", self.marks.join("|")), item_value);
        }
        let one_key = json!({
            "type": "object", "patternProperties": item, "additionalProperties": false,
            "minProperties": 1, "maxProperties": 1,
        });
        let items = std::iter::once(self.bare.clone())
            .chain(self.parts.into_iter().map(parts))
            .chain([one_key])
            .chain(self.named);
        anything_of([
            json!({ "type": "null" }),
            self.bare,
            json!({ "type": "object", "patternProperties": top, "additionalProperties": false }),
            json!({ "type": "array", "items": anything_of(items) }),
        ])
    }
}

/// A list of exactly these parts.
pub(super) fn parts(parts: Vec<Value>) -> Value {
    let count = parts.len();
    json!({ "type": "array", "prefixItems": parts, "items": false, "minItems": count })
}
