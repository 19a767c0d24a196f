//! `cleanup_containers` and `remove_all_containers`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{Event, Partial, Removal, Tell, cancelled, remove_each};
use crate::apply::CancellationToken;
use crate::backend::{Backend, Result};
use crate::engine_json::primary_name;
use crate::error::{Cause, Error};
use crate::information::Information;

/// How `cleanup_containers` chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupContainers {
    /// Also containers that were never started.
    pub include_initial: bool,
    /// Names to keep, link aliases such as `web/db` included.
    pub exclude: BTreeSet<String>,
    /// End at the first failure instead of going on.
    pub raise_on_error: bool,
    /// Remove nothing.
    pub list_only: bool,
}

/// Chooses containers that have ended from the answer of `GET /containers/json?all=1`: (ID, name).
///
/// Candidates are `Exited …` and `Dead` by their status, with `include_initial` also `Created` and
/// an empty one. The name is the first one without an inner slash, else the ID.
pub fn removable_containers(answer: &Value, options: &CleanupContainers) -> Vec<(String, String)> {
    let elements = answer.as_array().into_iter().flatten();
    let chosen = elements.filter(|element| {
        let status = element.get("Status").and_then(Value::as_str).unwrap_or_default();
        let ended = status.starts_with("Exited") || status == "Dead";
        let initial = options.include_initial && matches!(status, "" | "Created");
        let names = element.get("Names").and_then(Value::as_array).into_iter().flatten();
        let mut names = names.filter_map(Value::as_str).map(|name| name.strip_prefix('/').unwrap_or(name));
        (ended || initial) && !names.any(|name| options.exclude.contains(name))
    });
    chosen.filter_map(id_and_name).collect()
}

fn id_and_name(element: &Value) -> Option<(String, String)> {
    let id = element.get("Id").and_then(Value::as_str)?;
    Some((id.to_owned(), primary_name(element).unwrap_or(id).to_owned()))
}

/// Removes containers that have ended, and returns (ID, name) of what was removed, or would be. Once `cancel` is
/// cancelled no other is removed.
///
/// # Errors
///
/// [`Partial`] when the list cannot be read, the host is lost, the work is cancelled, or, where asked for, at the
/// first container that cannot be removed. Other failures are told.
pub async fn cleanup_containers(
    backend: &dyn Backend,
    options: &CleanupContainers,
    cancel: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Vec<(String, String)>, Partial<Vec<(String, String)>>> {
    let answer = backend.information(Information::Containers { all: true }).await;
    let answer = answer.map_err(|error| Partial { done: Vec::new(), error })?;
    let chosen = removable_containers(&answer, options);
    if options.list_only {
        return Ok(chosen);
    }
    // By ID: a name may be another container's by now.
    let removal = Removal { backend, what: "containers", raise: options.raise_on_error, cancel, tell };
    remove_each(
        &chosen,
        &removal,
        |(_, name)| name,
        async |(id, _)| backend.remove_container(id, false, false).await,
    )
    .await
}

/// How `remove_all_containers` works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    /// Time for a container to end, before and after it is killed.
    pub stop_timeout: Duration,
    /// End at the first failure instead of going on.
    pub raise_on_error: bool,
    /// Change nothing.
    pub list_only: bool,
}

impl Default for Everything {
    fn default() -> Self {
        Self { stop_timeout: Duration::from_secs(10), raise_on_error: true, list_only: false }
    }
}

/// What `remove_all_containers` did, or would do: IDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovedAll {
    /// Stopped; one that had to be killed is not among them.
    pub stopped: Vec<String>,
    /// Removed.
    pub removed: Vec<String>,
}

/// Stops and removes every container of an engine. Once `cancel` is cancelled no other is stopped or removed.
///
/// Paused containers are continued first, because an engine does not stop them.
///
/// # Errors
///
/// [`Partial`] as [`cleanup_containers`].
pub async fn remove_all_containers(
    backend: &dyn Backend,
    options: &Everything,
    cancel: &CancellationToken,
    tell: Tell<'_>,
) -> Result<RemovedAll, Partial<RemovedAll>> {
    let mut done = RemovedAll::default();
    let answer = match backend.information(Information::Containers { all: true }).await {
        Ok(answer) => answer,
        Err(error) => return Err(Partial { done, error }),
    };
    let elements: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    let id = |element: &&Value| element.get("Id").and_then(Value::as_str).map(str::to_owned);
    let running: Vec<&Value> = elements.iter().copied().filter(|element| !has_ended(element)).collect();
    let all: Vec<(String, String)> = elements.iter().copied().filter_map(id_and_name).collect();
    let ids = |all: Vec<(String, String)>| all.into_iter().map(|(id, _)| id).collect();
    if options.list_only {
        return Ok(RemovedAll { stopped: running.iter().filter_map(id).collect(), removed: ids(all) });
    }
    for element in running {
        let Some((id, name)) = id_and_name(element) else { continue };
        if cancel.is_cancelled() {
            let error = cancelled(backend, "stop the other containers");
            return Err(Partial { done, error });
        }
        tell(Event::Stops(&name));
        match stop(backend, element, &id, options, tell).await {
            Ok(true) => done.stopped.push(id),
            Ok(false) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) if options.raise_on_error || error.is_unreachable() => {
                return Err(Partial { done, error });
            }
            Err(error) => tell(Event::Skips(&error)),
        }
    }
    let removal = Removal { backend, what: "containers", raise: options.raise_on_error, cancel, tell };
    let removed = remove_each(
        &all,
        &removal,
        |(_, name)| name,
        async |(id, _)| backend.remove_container(id, false, false).await,
    );
    match removed.await {
        Ok(removed) => Ok(RemovedAll { removed: ids(removed), ..done }),
        Err(Partial { done: removed, error }) => {
            Err(Partial { done: RemovedAll { removed: ids(removed), ..done }, error })
        }
    }
}

fn has_ended(element: &Value) -> bool {
    let status = element.get("Status").and_then(Value::as_str).unwrap_or_default();
    status.starts_with("Exited") || status == "Dead"
}

/// Returns whether the container ended without being killed.
async fn stop(
    backend: &dyn Backend,
    element: &Value,
    id: &str,
    options: &Everything,
    tell: Tell<'_>,
) -> Result<bool> {
    if element.get("State").and_then(Value::as_str) == Some("paused") {
        backend.unpause_container(id).await?;
    }
    match backend.stop_container(id, Some(options.stop_timeout)).await {
        Err(Error { cause: Cause::Timeout(_), .. }) => {
            tell(Event::Kills(id));
            match backend.kill_container(id, None).await {
                Err(error) if !error.is_conflict() => return Err(error),
                _ => {}
            }
            backend.wait_container(id, Some(options.stop_timeout)).await?;
            Ok(false)
        }
        stopped => stopped.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The worked example of clients-tasks §4.8.
    #[test]
    fn ended_containers_are_chosen_by_their_status_and_names() {
        let element =
            |id: &str, names: &[&str], status: &str| json!({"Id": id, "Names": names, "Status": status});
        let answer = json!([
            element("1", &["/web"], "Up 2 hours"),
            element("2", &["/old"], "Exited (0) 2 days ago"),
            element("3", &["/init"], "Created"),
            element("4", &["/dead"], "Dead"),
            element("5", &["/db", "/web/db"], "Exited (137) 1 hour ago"),
            element("6", &[], "Exited (0)"),
            element("7", &["/paused"], "Up 1 hour (Paused)"),
            element("8", &["/empty"], ""),
            element("9", &["/r"], "Restarting (1) 5 seconds ago"),
        ]);
        for (include_initial, exclude, expected) in [
            (false, &[][..], &["old", "dead", "db", "6"][..]),
            (true, &[], &["old", "init", "dead", "db", "6", "empty"]),
            (false, &["old"], &["dead", "db", "6"]),
            (false, &["db"], &["old", "dead", "6"]),
            (false, &["web/db"], &["old", "dead", "6"]),
        ] {
            let exclude = exclude.iter().map(|name| (*name).to_owned()).collect();
            let options = CleanupContainers { include_initial, exclude, ..CleanupContainers::default() };
            let names: Vec<String> =
                removable_containers(&answer, &options).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, expected);
        }
    }
}
