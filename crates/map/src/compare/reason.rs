//! Making reasons, and keeping secrets out of them.

use std::borrow::Cow;

use serde_json::Value;

use crate::plan::Reason;
use crate::position::Position;

/// What is shown instead of a value that may be secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// The longest value that is shown whole.
const MAX_SHOWN: usize = 120;

/// Returns a canonical value as text; null is absent.
pub(crate) fn show(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    Some(match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

/// A word among others: in quotes where it would look like several, or like none.
fn word(text: &str) -> Cow<'_, str> {
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
    if plain { Cow::Borrowed(text) } else { shell_words::quote(text) }
}

/// A reason whose values are shown: `user differs`.
pub(crate) fn differs(
    field: impl Into<String>,
    current: Option<String>,
    desired: Option<String>,
    source: Option<&Position>,
) -> Reason {
    let field = field.into();
    let text = match (&current, &desired) {
        (None, Some(_)) => format!("{field} is missing"),
        (Some(_), None) => format!("{field} is not in the map"),
        _ => format!("{field} differs"),
    };
    Reason { field, current, desired, source: source.cloned(), text }
}

/// A reason for something that was removed from the map.
pub(crate) fn gone(field: impl Into<String>, source: Option<&Position>) -> Reason {
    let field = field.into();
    let text = format!("{field} is no longer in the map");
    Reason { field, current: Some(HIDDEN.to_owned()), desired: None, source: source.cloned(), text }
}

/// A reason with a sentence of its own and no values.
pub(crate) fn because(field: &str, text: impl Into<String>, source: Option<&Position>) -> Reason {
    Reason {
        field: field.to_owned(),
        current: None,
        desired: None,
        source: source.cloned(),
        text: text.into(),
    }
}

/// Returns the name of a Docker object inside its map: `app.one` for `m.app.one`.
pub(crate) fn short(name: &str) -> &str {
    match name.split_once('.') {
        Some((_, rest)) if !crate::names::PRESET_NETWORKS.contains(&name) => rest,
        _ => name,
    }
}
