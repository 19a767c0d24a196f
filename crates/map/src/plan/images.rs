//! Images: pulled when absent, or when asked for (engine §5.1, §5.6, §5.8, §5.11; D-03, D-31).

use std::collections::BTreeMap;

use super::builder::{Builder, Order};
use super::{Action, ActionKind, Call, Plan, PlanError, PlanOptions, Reason};
use crate::desired::{Desired, Entry, Object};
use crate::image::ImageName;
use crate::names::ClientName;
use crate::observed::{Observed, image_key};

/// Plans `pull_images`.
pub(super) fn plan(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> Result<Plan, Vec<PlanError>> {
    let mut builder = Builder::new(desired, observed, options, Order::Free);
    if options.pull_insecure_registry {
        builder.notice(INSECURE);
    }
    for (index, entry, observed) in builder.entries() {
        if let Object::Image(image) = &entry.object {
            let absent = is_absent(observed, image);
            if absent || options.pull_all_images {
                let reason = if absent { not_found(image) } else { asked_for(image, "pull_images") };
                let call = Call::PullImage { image: image.clone(), then_compare: false };
                builder.step(index, Action::Pull, vec![reason], vec![call]);
            } else {
                builder.unchanged(index);
            }
        }
    }
    builder.finish()
}

/// Said where the option is given.
const INSECURE: &str = "pull_insecure_registry has no effect: the engine's own configuration decides which registries need no TLS";

/// Plans the pull of an image that other items need.
pub(super) fn need(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    image: &ImageName,
    observed: &Observed,
) {
    let absent = is_absent(observed, image);
    let options = builder.options;
    let before_update = builder.desired.action == ActionKind::Update && options.pull_before_update;
    if before_update && options.pull_insecure_registry {
        builder.notice(INSECURE);
    }
    let pulled = options.pulled.contains(&(entry.client.clone(), image.clone()));
    if absent && pulled {
        builder.error(PlanError::ImageAbsent { client: entry.client.clone(), image: image.to_string() });
    } else if pulled || !(absent || before_update) {
        builder.unchanged(index);
    } else {
        let then_compare = is_compared(builder, entry, image, observed);
        let mut reason = if absent { not_found(image) } else { asked_for(image, "pull_before_update") };
        if then_compare {
            reason.text.push_str("; pull, then compare");
            builder.renewed(&entry.client).pulled.insert(image.to_string());
        }
        let call = Call::PullImage { image: image.clone(), then_compare };
        builder.step(index, Action::Pull, vec![reason], vec![call]);
    }
}

/// Tells whether a container exists that is compared with the image.
fn is_compared(builder: &Builder<'_>, image_entry: &Entry, image: &ImageName, observed: &Observed) -> bool {
    let follows = |entry: &Entry| match &entry.object {
        Object::Container(container) => {
            entry.client == image_entry.client
                && container.spec.image == *image
                && observed.containers.contains_key(&entry.name)
                && (!container.lifecycle.persistent || builder.options.update_persistent)
        }
        _ => false,
    };
    builder.desired.action == ActionKind::Update && builder.desired.entries.iter().any(follows)
}

pub(super) fn is_absent(observed: &Observed, image: &ImageName) -> bool {
    !observed.images.contains_key(&image_key(&image.to_string()))
}

fn not_found(image: &ImageName) -> Reason {
    asked_for(image, "state").with_text("not found")
}

fn asked_for(image: &ImageName, field: &str) -> Reason {
    Reason {
        field: field.to_owned(),
        current: None,
        desired: Some(image.to_string()),
        source: None,
        text: format!("asked for by {field}"),
    }
}
