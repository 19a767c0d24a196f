//! Why a step is in a plan, what was done, and why not: words for people.

use dfab_client::apply::Because;
use dfab_map::plan::{Action, Plan, Reason, StepId};

/// Tells whether a reason fits behind the name.
pub(super) fn is_short(reason: &Reason) -> bool {
    // "not found: nothing -> present" says no more than "not found".
    let says_all = reason.text == "not found" || reason.text.starts_with("asked for");
    reason.current.is_none() && (reason.desired.is_none() || reason.field == "state" || says_all)
}

/// Returns a short reason as it stands behind a name, as far as there is room for it: first the place goes, then what
/// the line says anyway.
pub(super) fn inline(reason: &Reason, room: usize) -> String {
    let full = match &reason.source {
        Some(source) => format!(" ({}, {source})", reason.text),
        None => format!(" ({})", reason.text),
    };
    let text = format!(" ({})", reason.text);
    if full.chars().count() <= room {
        full
    } else if text.chars().count() <= room || reason.text != "not found" {
        text
    } else {
        String::new()
    }
}

/// Returns a reason as people read it: what, from what to what, and where that is written.
pub(super) fn reason_text(reason: &Reason) -> String {
    let mut text = reason.text.clone();
    let value = |value: &Option<String>| value.as_deref().map_or("nothing".to_owned(), shortened);
    if reason.current.is_some() || reason.desired.is_some() {
        text.push_str(&format!(": {} -> {}", value(&reason.current), value(&reason.desired)));
    }
    if let Some(source) = &reason.source {
        text.push_str(&format!("  ({source})"));
    }
    text
}

/// Shortens IDs and overlong values; the document has them in full.
fn shortened(value: &str) -> String {
    if let Some(hash) = value.strip_prefix("sha256:")
        && hash.len() == 64
        && hash.chars().all(|c| c.is_ascii_hexdigit())
    {
        return hash[..12].to_owned();
    }
    if value.chars().count() <= 100 {
        return value.to_owned();
    }
    let start: String = value.chars().take(97).collect();
    format!("{start}...")
}

/// Returns what has been done when an action is done.
pub(super) fn done_word(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Start => "started",
        Action::Restart => "restarted",
        Action::Stop => "stopped",
        Action::Remove => "removed",
        Action::Recreate => "recreated",
        Action::Update => "updated",
        Action::Exec => "executed",
        Action::Kill => "killed",
        Action::Pull => "pulled",
        Action::Script => "ran",
    }
}

/// Returns why a step was skipped.
pub(super) fn because_text(because: Because, plan: &Plan) -> String {
    let name = |id: StepId| {
        let step = plan.steps.iter().find(|step| step.id == id);
        step.map_or_else(|| id.to_string(), |step| format!("{} {}", step.kind, step.name))
    };
    match because {
        Because::Failed(id) => format!("because {} failed", name(id)),
        Because::FailFast(id) => {
            format!("because {} failed and the run stops at the first failure", name(id))
        }
        Because::Cancelled => "because the run was interrupted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_from_what_to_what_and_where() {
        let hash = format!("sha256:{}", "0123456789ab".repeat(6).get(..64).unwrap());
        let reason = Reason {
            field: "image".into(),
            current: Some(hash),
            desired: Some("x".into()),
            source: Some(dfab_map::position::Position::new("m.yaml", 12, 3)),
            text: "image differs".into(),
        };
        assert_eq!(reason_text(&reason), "image differs: 0123456789ab -> x  (m.yaml:12:3)");
        let gone = Reason { desired: None, source: None, ..reason };
        assert_eq!(reason_text(&gone), "image differs: 0123456789ab -> nothing");
    }

    #[test]
    fn a_short_reason_takes_the_room_there_is() {
        let reason = |text: &str| Reason {
            field: "state".into(),
            current: None,
            desired: None,
            source: Some(dfab_map::position::Position::new("m.yaml", 12, 3)),
            text: text.into(),
        };
        let absent = reason("not found");
        assert_eq!(inline(&absent, usize::MAX), " (not found, m.yaml:12:3)");
        assert_eq!(inline(&absent, 20), " (not found)");
        assert_eq!(inline(&absent, 11), "");
        assert_eq!(inline(&reason("asked for by force_update"), 11), " (asked for by force_update)");
    }

    #[test]
    fn a_reason_that_says_all_stands_behind_the_name() {
        let reason = |text: &str, current: Option<&str>| Reason {
            field: "image".into(),
            current: current.map(str::to_owned),
            desired: Some("x".into()),
            source: None,
            text: text.into(),
        };
        assert!(is_short(&reason("asked for by pull_images", None)));
        assert!(is_short(&reason("not found", None)));
        assert!(!is_short(&reason("image differs", None)));
        assert!(!is_short(&reason("image differs", Some("y"))));
    }
}
