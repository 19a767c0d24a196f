//! Networks that share a name with others (engine D-03): an engine then knows none of them by it.

use super::builder::Builder;
use super::{Call, PlanError};
use crate::desired::Object;
use crate::observed::ObservedNetwork;

/// Refuses a plan with a call that names such a network, and otherwise tells of those of the run.
pub(super) fn check(builder: &mut Builder<'_>) {
    for (client, observed) in builder.observed() {
        for (name, network) in observed.networks.iter().filter(|(_, network)| !network.others.is_empty()) {
            let steps = builder.steps().iter().filter(|step| step.client == *client);
            let is_named = steps.flat_map(|step| &step.calls).any(|call| names(call, name));
            let ids = ids(network);
            if is_named {
                let (client, name) = (client.clone(), name.clone());
                builder.error(PlanError::NetworkAmbiguous { client, name, ids });
            } else if builder.desired.entries.iter().any(|entry| {
                matches!(entry.object, Object::Network(_) | Object::Named)
                    && entry.client == *client
                    && entry.name == *name
            }) {
                builder.notice(format!(
                    "{} networks on {client} are called {name} ({}); remove all but one with `docker network rm`",
                    ids.len(),
                    ids.join(", ")
                ));
            }
        }
    }
}

/// The IDs of all networks of the name, as `docker network ls` shows them.
fn ids(network: &ObservedNetwork) -> Vec<String> {
    let all = std::iter::once(&network.id).chain(&network.others);
    all.map(|id| id.get(..12).unwrap_or(id).to_owned()).collect()
}

/// Tells whether a call addresses a network by its name.
fn names(call: &Call, network: &str) -> bool {
    match call {
        Call::RemoveNetwork { name } => name == network,
        Call::Connect { endpoint, .. } => endpoint.network == network,
        Call::Disconnect { network: name, .. } => name == network,
        Call::CreateContainer(spec) => spec.first_endpoint.iter().any(|endpoint| endpoint.network == network),
        Call::RunScript(script) => {
            let first = script.container.first_endpoint.iter();
            first.chain(&script.endpoints).any(|endpoint| endpoint.network == network)
        }
        _ => false,
    }
}
