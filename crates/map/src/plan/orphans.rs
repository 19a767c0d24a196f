//! Orphans: containers and networks with our labels that are no longer in the map (O-14).

use std::collections::BTreeMap;

use super::builder::Builder;
use super::marker::Unfinished;
use super::{Action, Call, calls};
use crate::compare;
use crate::digest;
use crate::item::Kind;
use crate::names::ClientName;
use crate::observed::Observed;
use crate::spec::StopSpec;

const REMOVE: &str = "`--remove-orphans` removes it";

/// Reports containers that are orphans, and removes them where `remove_orphans` says so. This comes
/// first, and in forward plans every container on the client waits for it: they may hold ports that others
/// need, and be connected to networks that are made anew.
pub(super) fn containers(builder: &mut Builder<'_>, observed: &BTreeMap<ClientName, Observed>) {
    let desired = builder.desired;
    for ((client, map), declared) in &desired.declared {
        let Some(observed) = observed.get(client) else { continue };
        let orphans = observed
            .containers
            .iter()
            .filter(|(name, other)| is_of(&other.labels, map) && !declared.containers.contains(*name));
        for (name, container) in orphans {
            if !builder.options.remove_orphans {
                report(builder, Kind::Container, name, client, REMOVE);
                continue;
            }
            let stop = container.state.is_running().then(|| calls::stop(name, &StopSpec::default()));
            let marks = Unfinished::removals(observed, name);
            let all = stop.into_iter().chain([calls::remove(name)]).chain(marks).collect();
            let reason = compare::because("orphan", "no longer in the map", None);
            let step = builder.free_step(
                client,
                Kind::Container,
                name,
                Action::Remove,
                vec![reason],
                all,
                Vec::new(),
            );
            builder.orphans.insert((client.clone(), name.clone()), step);
            builder.renewed(client).removed.insert(name.clone());
        }
    }
}

/// Reports networks and volumes that are orphans, and removes such networks where `remove_orphans`
/// says so. Volumes are only ever reported: their data may be all that is left.
pub(super) fn others(builder: &mut Builder<'_>, observed: &BTreeMap<ClientName, Observed>) {
    let desired = builder.desired;
    for ((client, map), declared) in &desired.declared {
        let Some(observed) = observed.get(client) else { continue };
        let networks = observed.networks.iter().filter(|(_, network)| is_of(&network.spec.labels, map));
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
            let after = builder.orphan_steps(client, &network.containers);
            builder.free_step(client, Kind::Network, name, Action::Remove, vec![reason], vec![call], after);
        }
        let volumes = observed.volumes.iter().filter(|(_, volume)| is_of(&volume.spec.labels, map));
        for (name, _) in volumes.filter(|(name, _)| !declared.volumes.contains(*name)) {
            report(builder, Kind::Volume, name, client, "its data is kept");
        }
    }
}

fn is_of(labels: &BTreeMap<String, String>, map: &str) -> bool {
    labels.get(digest::MAP).is_some_and(|name| name == map)
}

fn report(builder: &mut Builder<'_>, kind: Kind, name: &str, client: &ClientName, what: &str) {
    builder.notice(format!("{kind} {name} on {client} is no longer in the map; {what}"));
}
