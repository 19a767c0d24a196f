//! Health checks: `--health-…` flags (clients-tasks §5.5).

use serde_json::Value;

use super::words::{Words, list, no_flag, unexpected};
use super::{Built, Generation};

/// Adds the flags of a health check in the engine's shape and tells whether a test of form `CMD`
/// became shell text, which is all that `--health-cmd` takes.
pub(super) fn healthcheck(words: &mut Words, check: &Value, generation: Generation) -> Built<bool> {
    const WHAT: &str = "healthcheck";
    let Value::Object(fields) = check else {
        return Err(unexpected(WHAT, "a mapping", check));
    };
    let test = fields.get("Test").map(|test| list(WHAT, test)).transpose()?.unwrap_or_default();
    let mut is_rewritten = false;
    match test.split_first() {
        None => {}
        Some((first, [])) if first == "NONE" => {
            words.word("--no-healthcheck");
            return Ok(false);
        }
        Some((first, [text])) if first == "CMD-SHELL" => drop(words.flag("health-cmd", text)),
        Some((first, rest)) if first == "CMD" && !rest.is_empty() => {
            words.flag("health-cmd", shell_words::join(rest));
            is_rewritten = true;
        }
        Some(_) => return Err(no_flag(format_args!("the health check test `{}`", test.join(" ")))),
    }
    for (field, flag) in [
        ("Interval", "health-interval"),
        ("Timeout", "health-timeout"),
        ("StartPeriod", "health-start-period"),
        ("StartInterval", "health-start-interval"),
    ] {
        match fields.get(field).and_then(Value::as_u64) {
            None | Some(0) => {}
            Some(_) if field == "StartInterval" && generation < (25, 0) => {
                return Err(no_flag("`start_interval` of a health check before docker 25.0"));
            }
            Some(nanoseconds) => drop(words.flag(flag, format_args!("{nanoseconds}ns"))),
        }
    }
    if let Some(retries) = fields.get("Retries").and_then(Value::as_u64).filter(|&retries| retries > 0) {
        words.flag("health-retries", retries);
    }
    Ok(is_rewritten)
}
