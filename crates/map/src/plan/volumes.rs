//! Volumes, created, prepared, and made anew only where the user names them (engine §5.6, §5.8, §10.4).

use super::builder::Builder;
use super::marker::Unfinished;
use super::{Action, ActionKind, Call, PlanError, Reason, StepId, calls};
use crate::compare;
use crate::desired::{Entry, Object, Role, Volume};
use crate::item::Item;
use crate::observed::{Observed, ObservedVolume};

pub(super) fn forward(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    volume: &Volume,
    observed: &Observed,
) {
    let Some(current) = observed.volumes.get(&entry.name) else {
        let reason = Reason::not_found(volume.origins.get(""));
        let after = image_pull(builder, entry, volume);
        builder.step_after(index, Action::Create, vec![reason], calls::create_volume(volume), after);
        builder.renewed(&entry.client).volumes.insert(entry.name.clone());
        return;
    };
    if is_reset(builder, entry) {
        return; // Planned by `resets`.
    }
    if builder.desired.action == ActionKind::Update {
        let differences = compare::volume(volume, current);
        if !differences.essential.is_empty() {
            return builder.error(PlanError::VolumeDiffers {
                client: entry.client.clone(),
                name: entry.name.clone(),
                differences: differences.essential,
                holders: current.holders.iter().cloned().collect(),
            });
        }
        if !differences.minor.is_empty() {
            builder.notice(format!(
                "volume {} on {} keeps the {} that it was made with; they are set on a new volume only",
                entry.name,
                entry.client,
                differences.minor.join(", ")
            ));
        }
    }
    if Unfinished::Preparation.is_marked(observed, &entry.name) {
        finish(builder, index, entry, volume);
    } else {
        builder.unchanged(index);
    }
}

/// Prepares a volume that an interrupted run has made.
fn finish(builder: &mut Builder<'_>, index: usize, entry: &Entry, volume: &Volume) {
    let prepare = volume.prepare.clone().map(Call::PrepareVolume);
    let removal = Unfinished::Preparation.removal(&entry.name);
    let text = "owner and mode are not set yet: an earlier run was interrupted";
    let reason = compare::because("state", text, volume.origins.get(""));
    let after = image_pull(builder, entry, volume);
    builder.step_after(
        index,
        Action::Update,
        vec![reason],
        prepare.into_iter().chain([removal]).collect(),
        after,
    );
}

/// Plans the volumes that are made anew. This comes before all other items: their holders are to be known as
/// removed wherever they stand, so that each is created again by its own step.
pub(super) fn resets(builder: &mut Builder<'_>) {
    for (index, entry, observed) in builder.entries() {
        if let Object::Volume(volume) = &entry.object
            && let Some(current) = observed.volumes.get(&entry.name)
            && is_reset(builder, entry)
        {
            reset(builder, index, entry, volume, current, observed);
        }
    }
}

/// Only what `force_update` names is made anew.
fn is_reset(builder: &Builder<'_>, entry: &Entry) -> bool {
    builder.desired.action == ActionKind::Update && builder.options.force_update.contains(&entry.id)
}

/// Makes a volume anew, losing its data: only where `force_update` names it. Its holders are removed
/// first, and created again by their own steps.
fn reset(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    volume: &Volume,
    current: &ObservedVolume,
    observed: &Observed,
) {
    let (mut holders, mut strangers, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for holder in &current.holders {
        if builder.orphans.contains_key(&(entry.client.clone(), holder.clone())) {
            continue;
        }
        let entries = builder.desired.entries.iter().enumerate();
        let found = entries
            .filter(|(_, other)| other.client == entry.client && other.name == *holder)
            .filter(|(_, other)| other.role != Role::Follower)
            .find_map(|(at, other)| match &other.object {
                Object::Container(container) => Some((at, container)),
                _ => None,
            });
        match found {
            Some((at, _)) if builder.is_blocked(at) => left_out.push(holder.as_str()),
            Some((at, container)) => holders.push((holder, at, container)),
            None => strangers.push(holder.clone()),
        }
    }
    if !strangers.is_empty() {
        let (client, name) = (entry.client.clone(), entry.name.clone());
        return builder.error(PlanError::VolumeHeld { client, name, holders: strangers });
    }
    if !left_out.is_empty() {
        return builder.notice(format!(
            "volume {} on {} is not made anew: it is held by {}, which waits for what cannot be reached",
            entry.name,
            entry.client,
            left_out.join(", ")
        ));
    }
    let mut after: Vec<StepId> = builder.orphan_steps(&entry.client, &current.holders);
    for (holder, at, container) in holders {
        if builder.renewed(&entry.client).removed.contains(holder) {
            // For another volume that it holds.
            after.extend(builder.last_step(at));
            continue;
        }
        let running = observed.containers.get(holder).is_some_and(|container| container.state.is_running());
        let stop = running.then(|| calls::stop(holder, &container.lifecycle.stop));
        let text = format!("removed because its volume {} is made anew", entry.name);
        let reason = compare::because("dependency", text, None);
        let all = stop.into_iter().chain([calls::remove(holder)]).collect();
        let pulls = builder.pulls([at]);
        after.extend(builder.step_after(at, Action::Remove, vec![reason], all, pulls));
        builder.renewed(&entry.client).removed.insert(holder.clone());
    }
    let mut all = vec![Call::RemoveVolume { name: entry.name.clone() }];
    all.extend(calls::create_volume(volume));
    after.extend(image_pull(builder, entry, volume));
    if let Some(step) = builder.step_after(index, Action::Recreate, vec![Reason::forced()], all, after) {
        builder.resets.insert((entry.client.clone(), entry.name.clone()), step);
        builder.renewed(&entry.client).volumes.insert(entry.name.clone());
    }
}

/// The helper that prepares a volume copies the owner's image content into it first: the image has to
/// be there.
fn image_pull(builder: &Builder<'_>, entry: &Entry, volume: &Volume) -> Vec<StepId> {
    let Some((image, _)) = volume.prepare.as_ref().and_then(|prepare| prepare.content_from.as_ref()) else {
        return Vec::new();
    };
    let entries = builder.desired.entries.iter().enumerate();
    let pull = entries
        .filter(|(_, other)| other.client == entry.client && other.id.item == Item::Image(image.clone()))
        .filter_map(|(index, _)| builder.last_step(index));
    pull.collect()
}
