//! Running a script in a container of its own (engine §7.2).
//!
//! Its output is told line by line while it runs, for a migration may take an hour. The result holds all of it
//! once more, as the engine keeps it.

use std::sync::Arc;
use std::time::Duration;

use dfab_map::plan::Step;
use dfab_map::spec::ScriptSpec;
use futures_util::StreamExt;

use super::call::gone;
use super::{Run, ScriptOutcome, ScriptResult};
use crate::backend::{Backend, LogOptions, Result};

/// Time for the last lines of a script that has ended.
const LAST_LINES: Duration = Duration::from_secs(10);

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
        let outcome = self.script_outcome(backend, step, spec).await;
        let ended = matches!(outcome, Ok(ScriptOutcome::Ended { .. }));
        let removed = if spec.remove { remove(backend, name, ended).await } else { Ok(()) };
        let outcome = outcome?;
        let (client, container) = (step.client.clone(), name.clone());
        let result = ScriptResult { step: step.id, client, container, outcome };
        self.scripts.lock().expect("no step panicked while it held the lock").push(result);
        removed
    }

    async fn script_outcome(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        spec: &ScriptSpec,
    ) -> Result<ScriptOutcome> {
        let name = &spec.container.name;
        // All networks are joined before the start (D-58).
        for endpoint in &spec.endpoints {
            backend.connect_network(name, endpoint).await?;
        }
        backend.start_container(name).await?;
        let ending = async {
            if let Some(delay) = spec.start_delay {
                tokio::time::sleep(delay).await;
            }
            tokio::select! {
                code = backend.wait_container(name, spec.wait_timeout) => code.map(Some),
                () = self.options.cancel.cancelled() => Ok(None),
            }
        };
        let options = LogOptions { tail: spec.tail, timestamps: spec.timestamps, ..LogOptions::default() };
        // The last lines are only known at the end.
        let follow = spec.tail.is_none();
        let mut told = 0;
        let telling = async {
            match follow {
                true => self.tell_lines(backend, step, name, options, &mut told).await,
                false => false,
            }
        };
        // One that is given up writes on until it is stopped, which nobody should wait for.
        let has_ended = |code: &Result<Option<Option<i64>>>| matches!(code, Ok(Some(Some(_))));
        let (code, all_told) = while_telling(ending, telling, has_ended).await;
        let Some(code) = code? else { return Ok(ScriptOutcome::Cancelled) };
        let Some(exit_code) = code else { return Ok(ScriptOutcome::TimedOut) };
        let log = backend.container_logs(name, options).await?;
        if !all_told {
            let text = String::from_utf8_lossy(&log);
            text.lines().skip(told).for_each(|line| self.log(step.id, line));
        }
        Ok(ScriptOutcome::Ended { exit_code, log })
    }

    /// Tells the lines of a log as they come, and whether these were all. A stream that cannot be had or breaks
    /// is no failure of the script: the rest comes at the end.
    async fn tell_lines(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        name: &str,
        options: LogOptions,
        told: &mut usize,
    ) -> bool {
        let Ok(mut lines) = backend.log_lines(name, options, true).await else { return false };
        while let Some(line) = lines.next().await {
            let Ok(line) = line else { return false };
            self.log(step.id, line.to_string());
            *told += 1;
        }
        true
    }
}

/// Waits for the end while lines are told, and where there are last ones a little longer for them. The second value is
/// that of `telling`, and false where it was given up.
async fn while_telling<T>(
    ending: impl Future<Output = T>,
    telling: impl Future<Output = bool>,
    has_last_lines: impl FnOnce(&T) -> bool,
) -> (T, bool) {
    let (mut ending, mut telling) = (std::pin::pin!(ending), std::pin::pin!(telling));
    tokio::select! {
        end = &mut ending => {
            let limit = if has_last_lines(&end) { LAST_LINES } else { Duration::ZERO };
            let told = tokio::time::timeout(limit, telling).await.unwrap_or(false);
            (end, told)
        }
        told = &mut telling => (ending.await, told),
    }
}

async fn remove(backend: &Arc<dyn Backend>, name: &str, ended: bool) -> Result<()> {
    if !ended {
        // Also when it never ran, which is no error of a stop.
        gone(backend.stop_container(name, Some(STOP_TIMEOUT)).await)?;
    }
    gone(backend.remove_container(name, false, false).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_script_that_has_ended_has_last_lines() {
        for (ended, expected) in [(true, LAST_LINES), (false, Duration::ZERO)] {
            let before = tokio::time::Instant::now();
            // Lines that never end, as of a container that goes on.
            let waited = while_telling(async { ended }, std::future::pending(), |ended| *ended).await;
            assert_eq!((waited, before.elapsed()), ((ended, false), expected));
        }
        let late = async {
            tokio::time::sleep(LAST_LINES / 2).await;
            true
        };
        assert_eq!(while_telling(async { 7 }, late, |_| true).await, (7, true));
    }
}
