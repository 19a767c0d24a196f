//! What an engine still does for a run that was killed: its last request goes on after its end.
//!
//! The plan of the run after it was made before the engine had finished, so that a name which was free
//! can be taken a moment later. What is found there is taken for the other run's only where it is
//! certain.

use std::sync::Arc;
use std::time::Duration;

use dfab_map::digest;
use dfab_map::observed::ContainerState;
use dfab_map::spec::{ContainerSpec, NetworkSpec};
use tokio::time::Instant;

use super::call::gone;
use crate::backend::{Backend, Result};
use crate::error::{Cause, Error};

/// How long an engine is given to finish.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Creates a container. One of the name that was made by the same map and never started is not known to
/// be whole, and is made anew; a name that is taken by nothing is being created or removed.
pub(super) async fn create_container(
    backend: &Arc<dyn Backend>,
    spec: &ContainerSpec,
) -> Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match backend.create_container(spec).await {
            Err(error) if error.is_conflict() && Instant::now() < deadline => error,
            other => return other,
        };
        match backend.inspect_container(&spec.name).await? {
            None => {}
            Some(found) if found.state == ContainerState::Dead => {}
            Some(found) => {
                let map = spec.own_labels.get(digest::MAP);
                let ours = map.is_some() && found.labels.get(digest::MAP) == map;
                if !ours || found.state != ContainerState::Created {
                    return Err(error);
                }
                remove_container(backend, &spec.name, false, false).await?;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Creates a helper container. One of the name was left by a run that was killed, or is still being made for it: then
/// there is nothing to remove yet.
pub(super) async fn create_helper(backend: &Arc<dyn Backend>, spec: &ContainerSpec) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match backend.create_container(spec).await {
            Err(error) if error.is_conflict() && Instant::now() < deadline => {}
            other => return other.map(drop),
        }
        match backend.inspect_container(&spec.name).await? {
            Some(_) => remove_container(backend, &spec.name, true, true).await?,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Removes a container, and waits where it is being removed already.
pub(super) async fn remove_container(
    backend: &Arc<dyn Backend>,
    name: &str,
    volumes: bool,
    force: bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match gone(backend.remove_container(name, volumes, force).await) {
            Err(error) if is_in_progress(&error) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Engines have no status of its own for it.
fn is_in_progress(error: &Error) -> bool {
    matches!(&error.cause, Cause::Refused { status: 409, message } if message.contains("already in progress"))
}

/// Creates a network. One of the name that has just been made from the same settings is as good.
pub(super) async fn create_network(backend: &Arc<dyn Backend>, spec: &NetworkSpec) -> Result<()> {
    match backend.create_network(spec).await {
        Err(error) if error.is_conflict() => {
            let found = backend.list_networks().await?.remove(&spec.name);
            let is_same = |(name, value): (&String, &String)| {
                found.as_ref().and_then(|found| found.spec.labels.get(name)) == Some(value)
            };
            let same = !spec.own_labels.is_empty() && spec.own_labels.iter().all(is_same);
            if same { Ok(()) } else { Err(error) }
        }
        other => other,
    }
}
