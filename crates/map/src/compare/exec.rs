//! Exec commands (engine §4.12).

use serde_json::Value;

use super::reason::because;
use crate::desired::{Container, Exec};
use crate::model::ExecPolicy;
use crate::observed::ContainerDetail;
use crate::plan::{ExecCheck, Reason};
use crate::property::Property;

/// Returns the commands with policy `restart` that no process of a running container shows.
///
/// Command lines are compared as words joined by blanks. The list shows the *host's* name of a user,
/// so users count only where both sides are numbers (D-16). An unread or empty list says nothing.
pub(super) fn missing(
    desired: &Container,
    detail: &ContainerDetail,
    check: ExecCheck,
) -> (Vec<Exec>, Vec<Reason>) {
    let Some(processes) = detail.processes.as_ref().filter(|list| !list.is_empty()) else {
        return Default::default();
    };
    // A command without a user runs as the container's, which options or the image may have set.
    let own_user = detail.properties.get(&Property::User).and_then(Value::as_str);
    let runs = |exec: &Exec| {
        let line = exec.command.join(" ");
        processes.iter().any(|(user, shown)| {
            let same = match check {
                ExecCheck::Full => *shown == line,
                ExecCheck::Partial => shown.contains(&line),
                ExecCheck::None => true,
            };
            same && same_user(exec.user.as_deref().or(own_user).unwrap_or("0"), user)
        })
    };
    let missing =
        desired.lifecycle.exec.iter().filter(|exec| exec.policy == ExecPolicy::Restart && !runs(exec));
    let missing: Vec<Exec> = missing.cloned().collect();
    let reasons = missing.iter().map(|exec| {
        // Arguments may hold secrets; the program is enough to find the command.
        let program = exec.command.first().map_or("", String::as_str);
        because(
            "exec_commands",
            format!("exec command {program} does not run"),
            desired.origins.get("exec_commands"),
        )
    });
    let reasons = reasons.collect();
    (missing, reasons)
}

fn same_user(configured: &str, shown: &str) -> bool {
    let configured = configured.split(':').next().unwrap_or_default();
    match (configured.parse::<u32>(), shown.parse::<u32>()) {
        (Ok(configured), Ok(shown)) => configured == shown,
        _ => true,
    }
}
