//! Reading plain option values: texts, numbers, sizes, lists and mappings as the Docker SDK for
//! Python accepts them (map-model §2.17).
//!
//! Values are free of late values here. Problems are fragments such as `expected a number of bytes …`
//! that do not repeat the value, which may be secret.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::value::Value;

pub(super) type Read<T> = Result<T, String>;

fn expected<T>(what: &str, value: &Value) -> Read<T> {
    Err(format!("expected {what}, found {}", value.describe()))
}

/// A scalar as the text it was written as (map-model §10.6).
pub(super) fn text(value: &Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        other => expected("a text", other),
    }
}

pub(super) fn integer(value: &Value) -> Read<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map_or_else(|| expected("an integer", value), Ok)
}

/// `512m`, `1.5g`, `2gb`, `1024`; powers of 1024, decimals are cut off (engine §4.10).
pub(super) fn bytes(value: &Value) -> Read<i64> {
    let unreadable = || expected("a number of bytes such as `512m`, `1.5g` or `1048576`", value);
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => return unreadable(),
    };
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: i64 = match text[number.len()..].strip_suffix('b').unwrap_or(&text[number.len()..]) {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return unreadable(),
    };
    if let Ok(whole) = number.trim().parse::<i64>() {
        return whole.checked_mul(factor).map_or_else(unreadable, Ok);
    }
    match number.trim().parse::<f64>() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        Ok(decimal) if (decimal * factor as f64).abs() < 9e18 => Ok((decimal * factor as f64) as i64),
        _ => unreadable(),
    }
}

pub(super) fn boolean(value: &Value) -> Read<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => expected("true or false", value),
        },
        other => expected("true or false", other),
    }
}

/// A list of texts, or one text.
pub(super) fn texts(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::List(items) => items.iter().map(text).collect(),
        Value::Mapping(_) => expected("a list of texts", value),
        Value::Null => Ok(Vec::new()),
        scalar => Ok(vec![text(scalar)?]),
    }
}

/// Words; one text is split by POSIX shell rules.
pub(super) fn command(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::List(_) => texts(value),
        Value::Null => Ok(Vec::new()),
        scalar => split(&text(scalar)?),
    }
}

/// Splits a command by POSIX shell rules.
pub(super) fn split(command: &str) -> Read<Vec<String>> {
    shell_words::split(command).map_err(|_| "expected a command with closed quotes".to_owned())
}

pub(super) fn list(value: &Value) -> Read<&[Value]> {
    match value {
        Value::List(items) => Ok(items),
        Value::Null => Ok(&[]),
        other => expected("a list", other),
    }
}

pub(super) fn mapping(value: &Value) -> Read<&IndexMap<String, Value>> {
    match value {
        Value::Mapping(entries) => Ok(entries),
        other => expected("a mapping", other),
    }
}

/// `{NAME: value}`, or `[NAME=value]`; a null value is a name alone.
pub(super) fn environment(value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Mapping(entries) => entries
            .iter()
            .map(|(name, value)| match value {
                Value::Null => Ok(name.clone()),
                value => Ok(format!("{name}={}", text(value)?)),
            })
            .collect(),
        Value::List(items) => items.iter().map(text).collect(),
        Value::Null => Ok(Vec::new()),
        other => expected("a mapping of names to values, or a list of `NAME=value`", other),
    }
}

/// A mapping of texts, or a list of keys (with `=value` after the first `separator`, if any).
pub(super) fn labels(value: &Value, separator: char) -> Read<Map<String, Json>> {
    match value {
        Value::Mapping(entries) => {
            entries.iter().map(|(key, value)| Ok((key.clone(), Json::from(text(value)?)))).collect()
        }
        Value::List(items) => items
            .iter()
            .map(|item| {
                let item = text(item)?;
                let (key, value) = item.split_once(separator).unwrap_or((&item, ""));
                Ok((key.to_owned(), Json::from(value)))
            })
            .collect(),
        Value::Null => Ok(Map::new()),
        other => expected("a mapping of texts, or a list", other),
    }
}

/// Any value as JSON. Numbers with a fraction become floating-point numbers.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Lazy(_) => Json::Null,
        Value::Bool(flag) => Json::from(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Json::from(integer),
            (None, Some(decimal)) => Json::from(decimal),
            (None, None) => Json::from(number.as_str()),
        },
        Value::String(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Mapping(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}
