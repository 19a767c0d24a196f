//! Update of a container (engine §5.8): everything that differs, in place where the engine can.

use std::collections::BTreeSet;

use super::builder::Builder;
use super::containers::{
    Item, Start, endpoint_reasons, forced_by_others, make, not_running, recreate, unfinished, unusable,
};
use super::{Action, Call, Reason, calls};
use crate::compare;
use crate::observed::ObservedContainer;

pub(super) fn container(builder: &mut Builder<'_>, item: Item<'_>) {
    let Some(current) = item.current(builder) else { return make(builder, item, Start::Now) };
    let mut reasons = unusable(builder, current);
    if builder.options.force_update.contains(&item.entry.id) {
        reasons.push(Reason::forced());
    }
    reasons.extend(forced_by_others(builder, item));
    let none = BTreeSet::new();
    let renewed = builder.renewed.get(&item.entry.client);
    let awaits_image =
        renewed.is_some_and(|renewed| renewed.pulled.contains(&item.container.spec.image.to_string()));
    let networks = renewed.map_or(&none, |renewed| &renewed.networks);
    let changes =
        compare::container(item.container, current, item.observed, builder.options, !awaits_image, networks);
    for reason in &changes.tolerated {
        builder.notice(format!("{}: {} and stays, as skip_limit_reset says", item.entry.name, reason.text));
    }
    reasons.extend(changes.recreate.iter().cloned());
    if reasons.is_empty() {
        in_place(builder, item, current, &changes, awaits_image);
    } else {
        recreate(builder, item, current, reasons);
    }
}

/// Networks, then limits, then the start (D-41), then commands.
fn in_place(
    builder: &mut Builder<'_>,
    item: Item<'_>,
    current: &ObservedContainer,
    changes: &compare::Changes,
    awaits_image: bool,
) {
    let name = &item.entry.name;
    let lifecycle = &item.container.lifecycle;
    let mut reasons = endpoint_reasons(&changes.endpoints);
    let mut all = calls::endpoints(name, &changes.endpoints);
    let (properties, update_reasons) = &changes.update;
    if !properties.is_empty() {
        reasons.extend(update_reasons.iter().cloned());
        all.push(Call::UpdateContainer { name: name.clone(), properties: properties.clone() });
    }
    let changed = !all.is_empty();
    let stopped = builder.renewed(&item.entry.client).stopped.contains(name);
    let start =
        stopped || !current.state.is_running() && (item.is_unstarted(current) || !lifecycle.persistent);
    if start {
        reasons.push(not_running(current));
        all.extend(item.start_calls(builder, item.is_initial(current)));
    } else if current.state.is_running() {
        let left = item.marks();
        if left.any() {
            reasons.push(unfinished(item.container, left));
            all.extend(calls::finish_start(name, lifecycle, left));
        } else {
            let (missing, exec_reasons) = &changes.exec;
            reasons.extend(exec_reasons.iter().cloned());
            all.extend(missing.iter().map(|exec| calls::exec(name, exec)));
        }
    }
    if all.is_empty() {
        // What waits for its image is neither changed nor unchanged yet.
        if !awaits_image {
            builder.unchanged(item.index);
        }
        return;
    }
    let action = match (start, changed) {
        (_, true) => Action::Update,
        (true, false) => Action::Start,
        (false, false) => Action::Exec,
    };
    builder.step(item.index, action, reasons, all);
}
