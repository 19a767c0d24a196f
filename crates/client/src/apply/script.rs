//! Running a script in a container of its own (engine §7.2).

use std::sync::Arc;
use std::time::Duration;

use dfab_map::plan::Step;
use dfab_map::spec::ScriptSpec;

use super::call::gone;
use super::{Run, ScriptOutcome, ScriptResult};
use crate::backend::{Backend, LogOptions, Result};

/// Time for a script that ran out of time, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

impl Run<'_> {
    pub(super) async fn run_script(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        spec: &ScriptSpec,
    ) -> Result<()> {
        let name = &spec.container.name;
        // Before this there is nothing to clean up: a name that is taken is somebody else's container.
        let warnings = backend.create_container(&spec.container).await?;
        warnings.into_iter().for_each(|warning| self.log(step.id, warning));
        let outcome = self.script_outcome(backend, spec).await;
        let ended = matches!(outcome, Ok(ScriptOutcome::Ended { .. }));
        let removed = if spec.remove { remove(backend, name, ended).await } else { Ok(()) };
        let outcome = outcome?;
        if let ScriptOutcome::Ended { log, .. } = &outcome {
            let text = String::from_utf8_lossy(log);
            text.lines().for_each(|line| self.log(step.id, line));
        }
        let (client, container) = (step.client.clone(), name.clone());
        let result = ScriptResult { step: step.id, client, container, outcome };
        self.scripts.lock().expect("no step panicked while it held the lock").push(result);
        removed
    }

    async fn script_outcome(&self, backend: &Arc<dyn Backend>, spec: &ScriptSpec) -> Result<ScriptOutcome> {
        let name = &spec.container.name;
        // All networks are joined before the start (D-58).
        for endpoint in &spec.endpoints {
            backend.connect_network(name, endpoint).await?;
        }
        backend.start_container(name).await?;
        if let Some(delay) = spec.start_delay {
            tokio::time::sleep(delay).await;
        }
        let code = tokio::select! {
            code = backend.wait_container(name, spec.wait_timeout) => code?,
            () = self.options.cancel.cancelled() => return Ok(ScriptOutcome::Cancelled),
        };
        let Some(exit_code) = code else { return Ok(ScriptOutcome::TimedOut) };
        let options = LogOptions { tail: spec.tail, timestamps: spec.timestamps, ..LogOptions::default() };
        let log = backend.container_logs(name, options).await?;
        Ok(ScriptOutcome::Ended { exit_code, log })
    }
}

async fn remove(backend: &Arc<dyn Backend>, name: &str, ended: bool) -> Result<()> {
    if !ended {
        // Also when it never ran, which is no error of a stop.
        gone(backend.stop_container(name, Some(STOP_TIMEOUT)).await)?;
    }
    gone(backend.remove_container(name, false, false).await)
}
