//! The line at the end of an action: how much was done, and what it cost (cli §5).

use dfab_tasks::outcome::Outcome;
use indexmap::IndexMap;

use crate::text::{count, seconds};

/// The keys that every summary has, in this order (cli §5.1); others follow where they count.
pub const ALWAYS: [&str; 6] = ["created", "started", "updated", "recreated", "removed", "unchanged"];

/// Returns what a run did, or would do, in one line with what it cost. `left_out` of the engines without a plan are bad
/// hosts that the user wants skipped.
pub fn summary_text(
    counts: &IndexMap<&'static str, usize>,
    dry_run: bool,
    outcome: &Outcome,
    left_out: usize,
) -> String {
    let unchanged = counts.get("unchanged").copied().unwrap_or(0);
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(key, number)| **number > 0 && !matches!(**key, "unchanged" | "failed" | "skipped"))
        .map(|(key, number)| match (dry_run, *key) {
            (true, "ran") => format!("{number} would be run"),
            (true, key) => format!("{number} would be {key}"),
            (false, key) => format!("{number} {key}"),
        })
        .collect();
    let nothing = parts.is_empty();
    for key in ["failed", "skipped"] {
        if let Some(number) = counts.get(key).filter(|number| **number > 0) {
            parts.push(format!("{number} {key}"));
        }
    }
    let costs =
        format!("{}, {}", seconds(outcome.time.as_secs_f64()), count(outcome.requests as usize, "request"));
    // What an engine that gave no plan has or lacks is not known: "nothing changed" would claim more.
    let failed = outcome.unreachable.len().saturating_sub(left_out);
    for (number, what) in [(failed, "failed before planning"), (left_out, "left out")] {
        if number > 0 {
            parts.push(format!("{} {what}", count(number, "engine")));
        }
    }
    if nothing && parts.is_empty() {
        if outcome.cancelled {
            return format!("interrupted before anything was changed ({costs})");
        }
        let verb = if dry_run { "nothing would change" } else { "nothing changed" };
        return match unchanged {
            0 => format!("{verb} ({costs})"),
            1 => format!("{verb}: 1 item is as it should be ({costs})"),
            many => format!("{verb}: {many} items are as they should be ({costs})"),
        };
    }
    if unchanged > 0 {
        parts.push(format!("{unchanged} unchanged"));
    }
    format!("{} ({costs})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dfab_map::names::ClientName;

    use super::*;

    #[test]
    fn the_summary_says_when_nothing_changed() {
        let outcome = Outcome { requests: 12, time: Duration::from_millis(310), ..Outcome::default() };
        let cases = [
            (
                vec![("unchanged", 4)],
                false,
                "nothing changed: 4 items are as they should be (0.31 s, 12 requests)",
            ),
            (
                vec![("unchanged", 1)],
                true,
                "nothing would change: 1 item is as it should be (0.31 s, 12 requests)",
            ),
            (
                vec![("created", 3), ("recreated", 1), ("unchanged", 2)],
                false,
                "3 created, 1 recreated, 2 unchanged (0.31 s, 12 requests)",
            ),
            (vec![("created", 3)], true, "3 would be created (0.31 s, 12 requests)"),
            (vec![("ran", 1)], true, "1 would be run (0.31 s, 12 requests)"),
            (
                vec![("created", 0), ("failed", 1), ("skipped", 2)],
                false,
                "1 failed, 2 skipped (0.31 s, 12 requests)",
            ),
        ];
        for (counts, dry_run, expected) in cases {
            assert_eq!(summary_text(&counts.into_iter().collect(), dry_run, &outcome, 0), expected);
        }
    }

    #[test]
    fn the_summary_claims_nothing_about_what_was_not_planned() {
        let error = || {
            let (operation, host) = ("ask".to_owned(), "web1".to_owned());
            let cause = dfab_client::error::Cause::Refused { status: 500, message: "no".to_owned() };
            Arc::new(dfab_client::Error { operation, host, cause })
        };
        let failed = |number: usize| Outcome {
            unreachable: (0..number).map(|_| (ClientName::default_client(), error())).collect(),
            ..Outcome::default()
        };
        let text = |counts: &[(&'static str, usize)], outcome: &Outcome| {
            summary_text(&counts.iter().copied().collect(), false, outcome, 0)
        };
        assert_eq!(
            text(&[("created", 0)], &failed(1)),
            "1 engine failed before planning (0.00 s, 0 requests)"
        );
        assert_eq!(
            text(&[("created", 2), ("unchanged", 4)], &failed(2)),
            "2 created, 2 engines failed before planning, 4 unchanged (0.00 s, 0 requests)"
        );
        assert_eq!(
            summary_text(&[("created", 2)].into_iter().collect(), false, &failed(2), 1),
            "2 created, 1 engine failed before planning, 1 engine left out (0.00 s, 0 requests)"
        );
        let cancelled = Outcome { cancelled: true, ..Outcome::default() };
        assert_eq!(text(&[], &cancelled), "interrupted before anything was changed (0.00 s, 0 requests)");
    }
}
