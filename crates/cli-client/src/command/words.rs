//! Building one vector of words.

use std::fmt::Display;

use dfab_client::error::Cause;
use serde_json::Value;

use super::Built;

/// The words of one command line, in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

impl Words {
    /// Starts with the words of a sub-command: `network create`.
    pub(crate) fn new(command: &str) -> Self {
        Self(command.split(' ').map(str::to_owned).collect())
    }

    /// Adds `--name=value`. One word, so that a value with a leading dash stays a value.
    pub(crate) fn flag(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.push(format!("--{name}={value}"));
        self
    }

    /// Adds `--name=value` for each value.
    pub(crate) fn each<V: Display>(&mut self, name: &str, values: impl IntoIterator<Item = V>) -> &mut Self {
        for value in values {
            self.flag(name, value);
        }
        self
    }

    /// Adds `--name=key=value` for each entry.
    pub(crate) fn entries<K: Display, V: Display>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        for (key, value) in entries {
            self.flag(name, format_args!("{key}={value}"));
        }
        self
    }

    /// Adds a word as it is.
    pub(crate) fn word(&mut self, word: impl Into<String>) -> &mut Self {
        self.0.push(word.into());
        self
    }

    /// Adds the name of an object.
    ///
    /// # Errors
    ///
    /// [`Cause::Input`] for a name that the program would take for an option.
    pub(crate) fn positional(&mut self, name: &str) -> Built<&mut Self> {
        Ok(self.word(self::name(name)?))
    }
}

/// Returns the name of an object if it can stand on a command line by itself.
///
/// # Errors
///
/// [`Cause::Input`] for nothing, and for a leading dash: no Docker name has either, and the
/// program would take the second for an option.
pub(crate) fn name(name: &str) -> Built<&str> {
    if name.is_empty() {
        return Err(Cause::Input("an object's name is empty".to_owned()));
    }
    if name.starts_with('-') {
        return Err(Cause::Input(format!("`{name}` is no name: it starts with a dash")));
    }
    Ok(name)
}

/// Returns a scalar as text.
///
/// # Errors
///
/// [`Cause::Input`] for anything else; `what` is the setting.
pub(crate) fn text(what: &str, value: &Value) -> Built<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(unexpected(what, "a text or a number", other)),
    }
}

/// Returns a list of scalars; nothing is an empty list, the keys of an object are a list (the
/// engine's way of writing a set), a scalar is a list of one.
///
/// # Errors
///
/// [`Cause::Input`] when an element is no scalar.
pub(crate) fn list(what: &str, value: &Value) -> Built<Vec<String>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(|item| text(what, item)).collect(),
        Value::Object(set) => Ok(set.keys().cloned().collect()),
        scalar => Ok(vec![text(what, scalar)?]),
    }
}

/// Returns the entries of an object of scalars.
///
/// # Errors
///
/// [`Cause::Input`] for anything else.
pub(crate) fn entries(what: &str, value: &Value) -> Built<Vec<(String, String)>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Null => Ok((key.clone(), String::new())),
                value => Ok((key.clone(), text(what, value)?)),
            })
            .collect(),
        other => Err(unexpected(what, "a mapping", other)),
    }
}

/// Returns the objects of a list of objects.
///
/// # Errors
///
/// [`Cause::Input`] for anything else.
pub(crate) fn objects<'v>(what: &str, value: &'v Value) -> Built<Vec<&'v serde_json::Map<String, Value>>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_object().ok_or_else(|| unexpected(what, "a mapping", item)))
            .collect(),
        other => Err(unexpected(what, "a list of mappings", other)),
    }
}

/// Says that a value has the wrong shape.
pub(crate) fn unexpected(what: &str, expected: &str, found: &Value) -> Cause {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    Cause::Input(format!("`{what}` is {found}, expected {expected}"))
}

/// Says that the program has no way to ask for something.
pub(crate) fn no_flag(what: impl Display) -> Cause {
    Cause::Unsupported(format!("the docker command line cannot express {what}; use `--backend api`"))
}

/// Returns one field of a comma-separated option (`--mount`, `--gpus`): quoted where it has a
/// comma, a quotation mark, a line break or a blank in front, as Go's `encoding/csv` reads it.
pub(crate) fn csv_field(field: &str) -> String {
    let plain = !field.contains([',', '"', '\n', '\r']) && !field.starts_with([' ', '\t']);
    if plain { field.to_owned() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
}
