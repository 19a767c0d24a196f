//! Script runs (engine §5.9, §7).

use super::builder::Builder;
use super::containers::Item;
use super::marker::Unfinished;
use super::{Action, Call, PlanError, Reason, calls};
use crate::compare;
use crate::desired::Object;
use crate::spec::ScriptSpec;

/// Refuses containers that exist, before any dependency is started (O-12).
pub(super) fn check(builder: &mut Builder<'_>) {
    if builder.options.remove_existing_before {
        return;
    }
    for (_, entry, observed) in builder.entries() {
        let is_container = matches!(entry.object, Object::Container(_));
        if entry.is_selected() && is_container && observed.containers.contains_key(&entry.name) {
            let (client, name) = (entry.client.clone(), entry.name.clone());
            builder.error(PlanError::ScriptContainerExists { client, name });
        }
    }
}

/// Runs the script in a container of the normal name; `exec_commands` are not run.
pub(super) fn run(builder: &mut Builder<'_>, item: Item<'_>) {
    let (name, container, options) = (&item.entry.name, item.container, builder.options);
    let mut all = Vec::new();
    let mut reasons = vec![compare::because("requested", "asked for", container.origins.get(""))];
    if let Some(current) = item.current(builder) {
        if current.state.is_running() {
            all.push(calls::stop(name, &container.lifecycle.stop));
        }
        all.push(calls::remove(name));
        all.extend(Unfinished::removals(item.observed, name));
        let text = "the existing container is removed, as remove_existing_before says";
        reasons.push(Reason { current: Some("exists".to_owned()), ..compare::because("state", text, None) });
    }
    let script = &options.script;
    all.push(Call::RunScript(Box::new(ScriptSpec {
        container: container.spec.clone(),
        // All networks, not only the first (D-58).
        endpoints: calls::further_endpoints(container, item.observed),
        start_delay: container.lifecycle.start_delay,
        wait_timeout: script.wait_timeout.or(container.wait_timeout),
        timestamps: script.timestamps,
        tail: script.tail,
        remove: options.remove_created_after,
    })));
    builder.step(item.index, Action::Script, reasons, all);
}
