//! Endpoints whose container is gone.
//!
//! Engine 20.10 never releases the endpoint of a container without network (`network_mode: none`) that someone connected
//! to one by hand, and sometimes that of a container which it removes beside many others. It then
//! starts no container of that name in the network ("endpoint with name … already exists"), and does not remove the network
//! ("has active endpoints"). Nothing but `docker network disconnect --force` by the endpoint's name ends
//! that, and only while no container has the name: the engine would take that one for meant.

use std::sync::Arc;
use std::time::Duration;

use dfab_map::plan::{Call, Step};
use tokio::time::Instant;

use super::Run;
use super::call::gone;
use crate::backend::{Backend, Listed, Result};
use crate::error::{Cause, Error};

/// How long an engine is given to count the endpoints of a network anew.
const RECOUNTING: Duration = Duration::from_secs(10);

impl Run<'_> {
    /// Frees the name of a container whose start the engine refused for an endpoint that is left of a former container. The new one, which never
    /// ran, goes with it: returns the place of the step's call that creates it, from which on the calls are to be made again. `None` where the refusal was
    /// for something else, or nothing can be done about it.
    pub(super) async fn free_name(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        position: usize,
        error: &Error,
    ) -> Result<Option<usize>> {
        let (Some(Call::StartContainer { name, .. }), Some(network)) =
            (step.calls.get(position), taken_in(error))
        else {
            return Ok(None);
        };
        let creates = |call: &Call| matches!(call, Call::CreateContainer(spec) if spec.name == *name);
        let Some(creation) = step.calls[..position].iter().rposition(creates) else { return Ok(None) };
        if !is_stale(backend, network, name).await? {
            return Ok(None);
        }
        gone(backend.remove_container(name, false, false).await)?;
        gone(backend.remove_endpoint(name, network).await)?;
        self.log(step.id, removed(name, network));
        Ok(Some(creation))
    }

    /// Removes a network, and what is left in it of containers that are gone.
    pub(super) async fn remove_network(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        network: &str,
    ) -> Result<()> {
        let mut error = match gone(backend.remove_network(network).await) {
            Err(error) if error.is_conflict() => error,
            other => return other,
        };
        let endpoints = backend.network_endpoints(network).await?;
        let containers = backend.list_containers().await?;
        let is_held = |id: &str| containers.values().any(|listed| listed.container.id == id);
        let stale = endpoints.into_iter().filter(|(_, id)| !is_held(id)).map(|(name, _)| name);
        let (taken, free): (Vec<_>, Vec<_>) = stale.partition(|name| containers.contains_key(name));
        if let (Some(name), Cause::Refused { message, .. }) = (taken.first(), &mut error.cause) {
            message.push_str(&format!(
                "; an endpoint is left of a former container `{name}`, which can be removed while no container has \
                 that name: remove container `{name}` and run this again"
            ));
            return Err(error);
        }
        if free.is_empty() {
            let is_member = |listed: &Listed| listed.networks.contains(network);
            return match containers.values().any(is_member) {
                true => Err(error),
                false => recount(backend, network, error).await,
            };
        }
        for name in &free {
            gone(backend.remove_endpoint(name, network).await)?;
            self.log(step.id, removed(name, network));
        }
        gone(backend.remove_network(network).await)
    }
}

/// Removes a network that is empty, and yet refused as one in use: containers that were removed together are still
/// counted for a moment, and sometimes for as long as engine 20.10 runs.
async fn recount(backend: &Arc<dyn Backend>, network: &str, mut error: Error) -> Result<()> {
    let deadline = Instant::now() + RECOUNTING;
    while Instant::now() < deadline {
        tokio::time::sleep(RECOUNTING / 50).await;
        match gone(backend.remove_network(network).await) {
            Err(again) if again.is_conflict() => error = again,
            other => return other,
        }
    }
    if let Cause::Refused { message, .. } = &mut error.cause {
        message.push_str(
            "; no container is connected to it, but the engine has lost count: it removes the network after a restart \
             of its own",
        );
    }
    Err(error)
}

fn removed(name: &str, network: &str) -> String {
    format!("network `{network}` still had an endpoint of a former container `{name}`; it is removed")
}

/// Tells whether the endpoint of a name in a network is of no container that exists.
async fn is_stale(backend: &Arc<dyn Backend>, network: &str, name: &str) -> Result<bool> {
    let Some(id) = backend.network_endpoints(network).await?.remove(name) else { return Ok(false) };
    let containers = backend.list_containers().await?;
    Ok(!containers.values().any(|listed| listed.container.id == id))
}

/// Returns the network in which the engine says that an endpoint has the container's name. It has no status of its own for it.
fn taken_in(error: &Error) -> Option<&str> {
    let Cause::Refused { message, .. } = &error.cause else { return None };
    let (_, rest) = message.split_once("endpoint with name ")?;
    let (_, network) = rest.split_once(" already exists in network ")?;
    network.split_whitespace().next().map(|network| network.trim_end_matches('.'))
}
