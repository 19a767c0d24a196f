//! Actions that go from what is needed to what needs it: create, start, startup, update, script
//! (engine §5.1, §5.2, §5.6, §5.8, §5.9).

use std::collections::BTreeMap;

use super::builder::{Builder, Order};
use super::{
    ActionKind, Plan, PlanError, PlanOptions, containers, images, networks, orphans, script, update, volumes,
};
use crate::desired::{Desired, Object, Role};
use crate::names::ClientName;
use crate::observed::Observed;

pub(super) fn plan(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> Result<Plan, Vec<PlanError>> {
    let mut builder = Builder::new(desired, observed, options, Order::Forward);
    if desired.action == ActionKind::Script {
        script::check(&mut builder);
    }
    let orphans = matches!(desired.action, ActionKind::Startup | ActionKind::Update);
    if orphans {
        orphans::containers(&mut builder, observed);
    }
    // Images first: they need nothing, and what is pulled decides what is compared later.
    for (index, entry, observed) in builder.entries() {
        if let Object::Image(image) = &entry.object
            && desired.action != ActionKind::Start
        {
            images::need(&mut builder, index, entry, image, observed);
        }
    }
    volumes::resets(&mut builder);
    for (index, entry, observed) in builder.entries() {
        match (&entry.object, desired.action) {
            (Object::Network(_) | Object::Volume(_), ActionKind::Start) => {}
            (Object::Network(network), _) => networks::forward(&mut builder, index, entry, network, observed),
            (Object::Volume(volume), _) => volumes::forward(&mut builder, index, entry, volume, observed),
            (Object::Container(container), action) => {
                let item = containers::Item { index, entry, container, observed };
                match action {
                    _ if entry.role == Role::Follower => containers::follow(&mut builder, item),
                    ActionKind::Create => containers::create(&mut builder, item),
                    ActionKind::Start => containers::start(&mut builder, item),
                    ActionKind::Update => update::container(&mut builder, item),
                    ActionKind::Script if entry.is_selected() => script::run(&mut builder, item),
                    ActionKind::Script => {
                        containers::resume(&mut builder, item, containers::Exited::StayIfPersistent)
                    }
                    _ => containers::resume(&mut builder, item, containers::Exited::Start),
                }
                containers::followed(&mut builder, item);
            }
            (Object::Image(_) | Object::Existing(_) | Object::Named, _) => {}
        }
    }
    containers::unclear(&mut builder, observed);
    if orphans {
        orphans::others(&mut builder, observed);
    }
    builder.finish()
}
