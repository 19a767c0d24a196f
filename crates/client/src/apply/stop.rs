//! Stopping: by the engine, or by a signal of the map's with SIGKILL as the last word (engine §6.6).

use std::sync::Arc;
use std::time::Duration;

use dfab_map::plan::Step;
use dfab_map::spec::StopSpec;

use super::Run;
use crate::backend::{Backend, Result};

/// Time for a container to end where the plan gives none, and after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);

impl Run<'_> {
    pub(super) async fn stop_container(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        name: &str,
        stop: &StopSpec,
    ) -> Result<()> {
        let Some(signal) = &stop.signal else {
            return ended(backend.stop_container(name, stop.timeout).await);
        };
        if let Err(error) = backend.kill_container(name, Some(signal)).await {
            // Nothing to stop: it does not run (D-11), or is gone.
            return if error.is_conflict() { Ok(()) } else { ended(Err(error)) };
        }
        let timeout = stop.timeout.unwrap_or(PATIENCE);
        if has_ended(backend.wait_container(name, Some(timeout)).await)? {
            // An engine takes a signal that is not the container's own for an accident, and starts it again
            // where its restart policy says so. A stop ends that; one that stays down answers at once.
            return ended(backend.stop_container(name, stop.timeout).await);
        }
        self.log(step.id, format!("container `{name}` did not end after {signal}; sending SIGKILL"));
        match backend.kill_container(name, None).await {
            Err(error) if error.is_conflict() => return Ok(()),
            other => ended(other)?,
        }
        // One that survives SIGKILL waits for a device; the step after this one will say so.
        has_ended(backend.wait_container(name, Some(PATIENCE)).await).map(drop)
    }
}

fn ended(result: Result<()>) -> Result<()> {
    super::call::gone(result)
}

fn has_ended(waited: Result<Option<i64>>) -> Result<bool> {
    match waited {
        Ok(code) => Ok(code.is_some()),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error),
    }
}
