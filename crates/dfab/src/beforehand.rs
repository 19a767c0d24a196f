//! What is wrong with the calls of a run and can be known before the first of them begins. Exit code 2 says that nothing
//! was contacted (cli §6), and a task that cannot be done to its end should not be done by half.

use std::cell::Cell;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::failure::{Failure, Result};
use crate::prepare::{Bound, Work};
use crate::project::ProjectTask;
use crate::project_step::{Ready, resolve};
use crate::run::Run;

/// Looks through the calls of a run: their hosts, the names in maps that they mean, and all steps of tasks of the
/// project. Nothing is contacted.
///
/// # Errors
///
/// Everything that is wrong with the calls and with the steps of the tasks.
pub async fn check(run: &Run, calls: &[Bound]) -> Result<()> {
    let maps_change = Cell::new(false);
    let mut wrong = Vec::new();
    for bound in calls {
        if let Err(failure) = call(run, bound, &[], &maps_change).await {
            wrong.push((format!("`{}`: ", bound.call.task), failure));
        }
    }
    Failure::of_several(wrong_calls, wrong).map_or(Ok(()), Err)
}

/// Says that several calls are wrong.
pub fn wrong_calls(count: usize) -> String {
    format!("{count} calls are wrong, and nothing was done")
}

/// Looks through a call. `maps_change` is set by what may write a map that a later call reads: names in maps are left to
/// that call then.
fn call<'a>(
    run: &'a Run,
    bound: &'a Bound,
    callers: &'a [String],
    maps_change: &'a Cell<bool>,
) -> LocalBoxFuture<'a, Result<()>> {
    async move {
        let run = run.for_call(&bound.call)?;
        match &bound.work {
            Work::Project(name, task) => steps(&run, name, task, callers, maps_change).await,
            Work::Remote(_) => crate::remote::hosts(&run, "a command").map(drop),
            Work::Task(task, arguments) => {
                crate::tasks::check(&run, task, arguments, maps_change.get()).await
            }
        }
    }
    .boxed_local()
}

async fn steps(
    run: &Run,
    name: &str,
    task: &ProjectTask,
    callers: &[String],
    maps_change: &Cell<bool>,
) -> Result<()> {
    let mut stack = callers.to_vec();
    stack.push(name.to_owned());
    if callers.iter().any(|caller| caller == name) {
        let circle = stack.join(" -> ");
        return Err(Failure::configuration(format!("tasks call each other in a circle: {circle}")));
    }
    let mut wrong = Vec::new();
    for step in &task.steps {
        match resolve(run, step) {
            Ok(Some(Ready::Calls(calls))) => {
                for bound in &calls {
                    if let Err(failure) = call(run, bound, &stack, maps_change).await {
                        wrong.push((step.source.as_str(), failure));
                    }
                }
            }
            Ok(Some(Ready::Local(_) | Ready::Get(..))) => {
                maps_change.set(!run.options.dry_run && run.project.reads_files());
            }
            Ok(_) => {}
            Err(failure) => wrong.push((step.source.as_str(), failure)),
        }
    }
    let what = format!("task `{name}` cannot begin because of");
    Failure::of_steps(&what, wrong).map_or(Ok(()), Err)
}
