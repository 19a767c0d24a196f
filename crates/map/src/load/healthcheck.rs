//! `healthcheck` (map-model §2.13).

use super::context::Context;
use super::elements::Named;
use crate::model::{HealthCheck, HealthTest, Setting};
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are a command, `NONE`, `{test: …, interval: 30s, timeout: 5s, retries: 3, \
    start_period: 1m}`, or these five in a list; a test of several words is a list inside: `[[curl, -f, url], 30s]`";

const FIELDS: [&str; 5] = ["test", "interval", "timeout", "retries", "start_period"];

pub(super) fn read(context: &mut Context, node: &Node) -> Setting<HealthCheck> {
    check(context, node).map_or(Setting::Unset, Setting::Value)
}

fn check(context: &mut Context, node: &Node) -> Option<HealthCheck> {
    if context.refuse_late(node) {
        return None;
    }
    if let Some(parts) = node.list() {
        if parts.is_empty() || parts.len() > FIELDS.len() {
            context.invalid(node, format!("expected a list of test and times, found {}", node.describe()));
            return None;
        }
        let at = |at: usize| parts.get(at).filter(|node| !node.is_null());
        return fields(context, &parts[0], [at(1), at(2), at(3), at(4)]);
    }
    if let Some(entries) = node.mapping() {
        let named = Named::open(context, entries, "a health check", &FIELDS);
        // `{test: null}` disables the check, so null is not the same as absent.
        let Some(test) = node.get("test") else {
            context.invalid(node, "`test` is missing");
            return None;
        };
        return fields(
            context,
            test,
            ["interval", "timeout", "retries", "start_period"].map(|name| named.get(name)),
        );
    }
    fields(context, node, [None; 4])
}

fn fields(
    context: &mut Context,
    test: &Node,
    [interval, timeout, retries, start_period]: [Option<&Node>; 4],
) -> Option<HealthCheck> {
    let test = health_test(context, test);
    let mut time = |name: &str, node: Option<&Node>| match node {
        Some(node) => context.within(name, |context| nanoseconds(context, node)).map(Some),
        None => Some(None),
    };
    let (interval, timeout) = (time("interval", interval), time("timeout", timeout));
    let start_period = time("start_period", start_period);
    let retries = match retries {
        Some(node) => {
            let number =
                context.within("retries", |context| context.whole_number(node, "a number of retries"));
            number.map(Some)
        }
        None => Some(None),
    };
    Some(HealthCheck {
        test: test?,
        interval: interval?,
        timeout: timeout?,
        retries: retries?,
        start_period: start_period?,
    })
}

fn health_test(context: &mut Context, node: &Node) -> Option<HealthTest> {
    if node.is_null() {
        return Some(HealthTest::Disabled);
    }
    if let Some(words) = node.list() {
        let words =
            words.iter().map(|word| context.text(word, "a word of the test")).collect::<Option<Vec<_>>>()?;
        return Some(match words.first().map(String::as_str) {
            None | Some("NONE") => HealthTest::Disabled,
            Some("CMD" | "CMD-SHELL") => HealthTest::Words(words),
            Some(_) => HealthTest::Words(std::iter::once("CMD".to_owned()).chain(words).collect()),
        });
    }
    if node.is_number() {
        context.expected(node, "a command");
        return None;
    }
    match context.text(node, "a command")?.as_str() {
        "" | "NONE" => Some(HealthTest::Disabled),
        text => Some(HealthTest::Shell(text.to_owned())),
    }
}

/// Reads a time: an integer of nanoseconds, or digits and a unit (D19).
fn nanoseconds(context: &mut Context, node: &Node) -> Option<u64> {
    let text = context.text(node, "a time")?;
    let time = time(&text);
    if time.is_none() {
        let hint = "a time is a whole number with one of the units `ns`, `us`, `ms`, `s`, `m`, `h`; without one it is \
            nanoseconds. A test of several words is a list of its own: `[[curl, -f, url], 30s]`";
        context.invalid_hint(node, format!("`{}` is no time", crate::yaml::shortened(&text)), hint);
    }
    time
}

fn time(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor: u64 = match unit.trim_start() {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn map_model_2_13_times_match_as_a_whole() {
        let cases = [
            ("0", Some(0)),
            ("", Some(0)),
            ("30s", Some(30_000_000_000)),
            ("30 s", Some(30_000_000_000)),
            ("5ms", Some(5_000_000)),
            ("7us", Some(7_000)),
            ("1000", Some(1_000)),
            ("1m", Some(60_000_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("1.5s", None),
            ("1m30s", None),
            ("5sec", None),
            ("-1", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text), expected, "{text:?}");
        }
    }
}
