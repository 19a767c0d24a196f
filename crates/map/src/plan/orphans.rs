//! Orphans: containers and networks with our labels that are no longer in the map (O-14).

use std::collections::BTreeMap;

use super::builder::Builder;
use super::{Action, Call, calls};
use crate::compare;
use crate::digest;
use crate::item::Kind;
use crate::names::ClientName;
use crate::observed::Observed;
use crate::spec::StopSpec;

/// Reports orphans, and removes them where `remove_orphans` says so. Volumes are only ever reported:
/// their data may be all that is left.
pub(super) fn plan(builder: &mut Builder<'_>, observed: &BTreeMap<ClientName, Observed>) {
    let desired = builder.desired;
    for ((client, map), declared) in &desired.declared {
        let Some(observed) = observed.get(client) else { continue };
        let of_map =
            |labels: &BTreeMap<String, String>| labels.get(digest::MAP).is_some_and(|name| **name == **map);
        let mut removals = Vec::new();
        let containers = observed.containers.iter().filter(|(_, container)| of_map(&container.labels));
        for (name, container) in containers.filter(|(name, _)| !declared.containers.contains(*name)) {
            if !builder.options.remove_orphans {
                report(builder, Kind::Container, name, client, REMOVE);
                continue;
            }
            let stop = container.state.is_running().then(|| calls::stop(name, &StopSpec::default()));
            let all = stop.into_iter().chain([calls::remove(name)]).collect();
            let reason = compare::because("orphan", "no longer in the map", None);
            removals.push(builder.free_step(
                client,
                Kind::Container,
                name,
                Action::Remove,
                vec![reason],
                all,
                Vec::new(),
            ));
            builder.renewed(client).removed.insert(name.clone());
        }
        let networks = observed.networks.iter().filter(|(_, network)| of_map(&network.spec.labels));
        for (name, network) in networks.filter(|(name, _)| !declared.networks.contains(*name)) {
            let removed = builder.renewed(client).removed.clone();
            let used = network.containers.iter().any(|container| !removed.contains(container));
            if !builder.options.remove_orphans || used {
                report(
                    builder,
                    Kind::Network,
                    name,
                    client,
                    if used { "it is still in use" } else { REMOVE },
                );
                continue;
            }
            let reason = compare::because("orphan", "no longer in the map", None);
            let call = Call::RemoveNetwork { name: name.clone() };
            // Whatever was connected is removed, or disconnected by being made anew, before.
            let after = builder.steps_on(client).map(|step| step.id).collect();
            builder.free_step(client, Kind::Network, name, Action::Remove, vec![reason], vec![call], after);
        }
        let volumes = observed.volumes.iter().filter(|(_, volume)| of_map(&volume.spec.labels));
        for (name, _) in volumes.filter(|(name, _)| !declared.volumes.contains(*name)) {
            report(builder, Kind::Volume, name, client, "its data is kept");
        }
    }
}

const REMOVE: &str = "`--remove-orphans` removes it";

fn report(builder: &mut Builder<'_>, kind: Kind, name: &str, client: &ClientName, what: &str) {
    builder.notice(format!("{kind} {name} on {client} is no longer in the map; {what}"));
}
