//! Observing an engine: all lists at once, then all inspections at once.
//!
//! Three dependent rounds, whatever the size: the version, the lists, the inspections. A no-op costs
//! five requests and one for each wanted container that exists (process lists and limits, where a
//! plan asks for them, are further requests of the third and second round).

use std::collections::BTreeSet;
use std::time::Duration;

use dfab_map::observed::{Observed, ObservedContainer, Wanted};
use futures_util::{StreamExt, TryStreamExt, future, stream, try_join};
use tokio::time::Instant;

use crate::backend::{Backend, Result};

/// How long an engine may need to notice that a container has ended.
const ENDING: Duration = Duration::from_secs(3);

/// Reads the state of one engine.
///
/// Membership of networks and holders of volumes come from the list of containers, which shows
/// stopped ones too. A container that vanishes between list and inspection is absent (engine D-36).
///
/// # Errors
///
/// The first call that fails; requests under way are given up.
pub async fn observe(backend: &dyn Backend, wanted: &Wanted) -> Result<Observed> {
    let mut engine = backend.engine_info().await?;
    let limits = async {
        if wanted.limits { backend.unsupported_limits().await } else { Ok(engine.unsupported.clone()) }
    };
    let (listed, mut networks, mut volumes, images, unsupported) = try_join!(
        backend.list_containers(),
        backend.list_networks(),
        backend.list_volumes(),
        backend.list_images(),
        limits,
    )?;
    engine.unsupported = unsupported;

    // The lists of networks and containers are taken at different moments; the containers count.
    networks.values_mut().for_each(|network| network.containers.clear());
    for (name, container) in &listed {
        for network in &container.networks {
            if let Some(network) = networks.get_mut(network) {
                network.containers.insert(name.clone());
            }
        }
        for volume in &container.volumes {
            if let Some(volume) = volumes.get_mut(volume) {
                volume.holders.insert(name.clone());
            }
        }
    }

    let inspections = listed.into_iter().map(|(name, listed)| async move {
        if !wanted.containers.contains(&name) {
            return Ok(Some((name, listed.container)));
        }
        let runs = listed.container.state.is_running();
        let inspected = inspect(backend, &name, wanted.processes.contains(&name), runs).await?;
        Ok(inspected.map(|container| (name, container)))
    });
    let containers = stream::iter(inspections)
        .buffer_unordered(backend.at_once())
        .try_filter_map(future::ok)
        .try_collect()
        .await?;
    Ok(Observed { engine, containers, networks, volumes, images })
}

/// Inspects further containers of an engine that was observed ([`dfab_map::plan::unseen`]), all at once. One
/// that is gone meanwhile is taken out.
///
/// # Errors
///
/// The first call that fails; requests under way are given up.
pub async fn observe_more(
    backend: &dyn Backend,
    names: &BTreeSet<String>,
    observed: &mut Observed,
) -> Result<()> {
    let inspections =
        names.iter().map(|name| async move { Ok((name, inspect(backend, name, false, false).await?)) });
    let inspected: Vec<_> =
        stream::iter(inspections).buffer_unordered(backend.at_once()).try_collect().await?;
    for (name, container) in inspected {
        match container {
            Some(container) => drop(observed.containers.insert(name.clone(), container)),
            None => {
                observed.containers.remove(name);
                observed.networks.values_mut().for_each(|network| _ = network.containers.remove(name));
                observed.volumes.values_mut().for_each(|volume| _ = volume.holders.remove(name));
            }
        }
    }
    Ok(())
}

/// Inspects a container. `runs` is what the list says.
async fn inspect(
    backend: &dyn Backend,
    name: &str,
    with_processes: bool,
    runs: bool,
) -> Result<Option<ObservedContainer>> {
    // The process list is asked for beside the inspection, not after it: one round.
    let list = async { if with_processes && runs { processes(backend, name).await } else { Ok(None) } };
    let (inspected, mut list) = try_join!(backend.inspect_container(name), list)?;
    let Some(mut container) = inspected else { return Ok(None) };
    if with_processes && !runs && container.state.is_running() {
        // It was started after the list, for example by the last request of a run that was killed.
        list = processes(backend, name).await?;
    }
    if let Some(detail) = &mut container.detail {
        detail.processes = list;
    }
    Ok(Some(container))
}

/// Returns the processes of a container; `None` when it does not run any more.
async fn processes(backend: &dyn Backend, name: &str) -> Result<Option<Vec<(String, String)>>> {
    let deadline = Instant::now() + ENDING;
    loop {
        match backend.container_processes(name).await {
            Ok(processes) => return Ok(Some(processes)),
            // It ended or vanished meanwhile; the inspection says which.
            Err(error) if error.is_conflict() || error.is_not_found() => return Ok(None),
            // While it ends, an engine answers with errors of its own parts (`ttrpc: closed`).
            Err(error) if error.is_refused() && Instant::now() < deadline => {
                tokio::time::sleep(ENDING / 20).await;
            }
            Err(error) => return Err(error),
        }
    }
}
