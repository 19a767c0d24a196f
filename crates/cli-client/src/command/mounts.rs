//! Mounts: the comma-separated value of `--mount`.

use serde_json::{Map, Value};

use super::words::{csv_field, entries, no_flag, text, unexpected};
use super::{Built, Generation};

const WHAT: &str = "mounts";

/// Returns `type=bind,source=/a,target=/b,readonly` for a mount in the engine's shape
/// (`HostConfig.Mounts`).
///
/// # Errors
///
/// `Unsupported` for a setting that the program has no key for; nothing is left out silently.
pub(super) fn mount(fields: &Map<String, Value>, generation: Generation) -> Built<String> {
    let mut parts = Vec::new();
    for (name, value) in fields {
        if is_empty(value) {
            continue;
        }
        match name.as_str() {
            "Type" => parts.push(format!("type={}", text(WHAT, value)?)),
            "Source" => parts.push(format!("source={}", text(WHAT, value)?)),
            "Target" => parts.push(format!("target={}", text(WHAT, value)?)),
            "Consistency" => parts.push(format!("consistency={}", text(WHAT, value)?)),
            "ReadOnly" => parts.push("readonly".to_owned()),
            "BindOptions" | "VolumeOptions" | "TmpfsOptions" | "ImageOptions" => {
                let Value::Object(options) = value else {
                    return Err(unexpected(WHAT, "a mapping", value));
                };
                for (option, value) in options.iter().filter(|(_, value)| !is_empty(value)) {
                    parts.extend(option_parts(name, option, value, generation)?);
                }
            }
            _ => return Err(no_flag(format_args!("`{name}` of a mount"))),
        }
    }
    let parts: Vec<String> = parts.iter().map(|part| csv_field(part)).collect();
    Ok(parts.join(","))
}

fn option_parts(group: &str, option: &str, value: &Value, generation: Generation) -> Built<Vec<String>> {
    let since = |version: Generation, part: String| {
        if generation < version {
            let (major, minor) = version;
            Err(no_flag(format_args!("`{option}` of a mount before docker {major}.{minor}")))
        } else {
            Ok(vec![part])
        }
    };
    let all = |key: &str, value: &Value| -> Built<Vec<String>> {
        Ok(entries(WHAT, value)?.iter().map(|(k, v)| format!("{key}={k}={v}")).collect())
    };
    match (group, option) {
        ("BindOptions", "Propagation") => Ok(vec![format!("bind-propagation={}", text(WHAT, value)?)]),
        // The older key gives way to the newer one in 25.0, which then warns about it.
        ("BindOptions", "NonRecursive") if generation < (25, 0) => {
            Ok(vec!["bind-nonrecursive=true".to_owned()])
        }
        ("BindOptions", "NonRecursive") => Ok(vec!["bind-recursive=disabled".to_owned()]),
        ("BindOptions", "ReadOnlyNonRecursive") => since((25, 0), "bind-recursive=writable".to_owned()),
        ("BindOptions", "ReadOnlyForceRecursive") => since((25, 0), "bind-recursive=readonly".to_owned()),
        ("VolumeOptions", "NoCopy") => Ok(vec!["volume-nocopy=true".to_owned()]),
        ("VolumeOptions", "Labels") => all("volume-label", value),
        ("VolumeOptions", "Subpath") => since((26, 0), format!("volume-subpath={}", text(WHAT, value)?)),
        ("VolumeOptions", "DriverConfig") => {
            let mut parts = Vec::new();
            if let Some(name) = value.get("Name").filter(|name| !is_empty(name)) {
                parts.push(format!("volume-driver={}", text(WHAT, name)?));
            }
            if let Some(options) = value.get("Options") {
                parts.extend(all("volume-opt", options)?);
            }
            Ok(parts)
        }
        ("TmpfsOptions", "SizeBytes") => Ok(vec![format!("tmpfs-size={}", text(WHAT, value)?)]),
        ("TmpfsOptions", "Mode") => match value.as_u64() {
            Some(mode) => Ok(vec![format!("tmpfs-mode={mode:o}")]),
            None => Err(unexpected(WHAT, "a whole number", value)),
        },
        ("ImageOptions", "Subpath") => since((28, 0), format!("image-subpath={}", text(WHAT, value)?)),
        _ => Err(no_flag(format_args!("`{option}` of a mount"))),
    }
}

/// Absent, null, false and empty are equal in canonical values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
