//! Running the tasks that a project file defines: their steps, one after the other.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::each_host;
use crate::failure::{Failure, Kind, Result};
use crate::machine::Machine;
use crate::prepare::Bound;
use crate::program;
use crate::project::{Host, ProjectTask, Step};
use crate::project_step::{Ready, resolve};
use crate::remote;
use crate::report::Report;
use crate::run::Run;

/// Runs a task of the project, which [`crate::beforehand`] has looked through. A step that fails ends it, or with `-w` is
/// warned about; the report has the failures, with the places of the steps.
pub fn run<'a>(run: &'a Run, name: &'a str, task: &'a ProjectTask) -> LocalBoxFuture<'a, Report> {
    async move {
        let mut report = Report { dry_run: run.options.dry_run, ..Report::done(name) };
        let (mut outputs, mut failures) = (Vec::new(), Vec::new());
        let mut left_out = 0;
        for step in &task.steps {
            if run.interrupt.finish.is_cancelled() {
                return report.failed(Failure::new(Kind::Interrupted, "interrupted"));
            }
            match perform(run, step, &mut outputs).await {
                Ok(Some(changes)) => report.would_change |= changes,
                Ok(None) => left_out += 1,
                Err(failure) => {
                    let goes_on = run.options.warn_only && failure.kind != Kind::Interrupted;
                    if goes_on {
                        let text = format!("the step at {} failed: {}", step.source, failure.one_line());
                        run.console.warn(None, &text);
                    }
                    failures.push((step.source.as_str(), failure));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        if left_out > 0 && left_out == task.steps.len() {
            let text =
                format!("task `{name}` did nothing: its steps are for roles that none of the hosts has");
            run.console.note(None, &text);
        }
        report.outputs = Some(outputs);
        match Failure::of_steps(&format!("task `{name}` failed at"), failures) {
            Some(failure) => report.failed(failure),
            None => report,
        }
    }
    .boxed_local()
}

/// Runs a step; returns whether a dry run would change something, and `None` for a step that is for other hosts.
async fn perform(run: &Run, step: &Step, outputs: &mut Vec<Value>) -> Result<Option<bool>> {
    let Some(ready) = resolve(run, step)? else { return Ok(None) };
    match ready {
        Ready::Calls(calls) => return call_tasks(run, calls, outputs).await.map(Some),
        Ready::Line { line, sudo, hosts } => {
            let command = async |host: &Host| remote::run_line(run, host, &line, sudo).await;
            outputs.extend(on_hosts(run, step, &hosts, command).await?);
        }
        Ready::Local(line) => {
            outputs.push(remote::run_here(run, &line, &in_project(run, &line)).await?);
        }
        Ready::Put(from, to, hosts) => {
            let local = run.project.root.join(run.variables.expand_home(&from));
            let put = async |host: &Host| {
                let what = format!("put: {from} -> {to}");
                if run.options.dry_run {
                    run.console.line(Some(&host.text), &format!("would {what}"));
                } else {
                    run.console.progress_line(Some(&host.text), &what);
                    Machine::new(Some(host), &run.engines.sessions).upload(&local, &to).await?;
                }
                Ok(json!({"host": host.text, "put": from, "to": to}))
            };
            outputs.extend(on_hosts(run, step, &hosts, put).await?);
        }
        Ready::Get(from, to, hosts) => {
            let get = async |host: &Host| {
                let to = to.replace("%(host)s", &host.text.replace(':', "-"));
                let local = run.project.root.join(run.variables.expand_home(&to));
                let what = format!("download: {to} <- {from}");
                if run.options.dry_run {
                    run.console.line(Some(&host.text), &format!("would {what}"));
                } else {
                    run.console.progress_line(Some(&host.text), &what);
                    Machine::new(Some(host), &run.engines.sessions).download(&from, &local).await?;
                }
                Ok(json!({"host": host.text, "get": from, "to": to}))
            };
            outputs.extend(on_hosts(run, step, &hosts, get).await?);
        }
    }
    Ok(Some(run.options.dry_run))
}

/// Runs the tasks that a step calls; their reports are its outputs.
async fn call_tasks(run: &Run, calls: Vec<Bound>, outputs: &mut Vec<Value>) -> Result<bool> {
    let mut changes = false;
    for bound in calls {
        let mut report = program::run_call(run, &bound).await?;
        changes |= report.would_change;
        let failure = report.failure.take();
        outputs.push(serde_json::to_value(&report).expect("a report has only plain values and text keys"));
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(changes)
}

/// Paths of a project file are relative to it, wherever below it the program was started (cli §2).
fn in_project(run: &Run, line: &str) -> String {
    match run.project.root == run.directory {
        true => line.to_owned(),
        false => {
            format!("cd {} || exit\n{line}", dfab_tunnel::quote::shell(&run.project.root.to_string_lossy()))
        }
    }
}

/// Does a step on its hosts, with `-P` on several at once; returns what goes into the document.
async fn on_hosts(
    run: &Run,
    step: &Step,
    hosts: &[Host],
    work: impl AsyncFn(&Host) -> Result<Value>,
) -> Result<Vec<Value>> {
    let hosts: Vec<Option<Host>> = hosts.iter().cloned().map(Some).collect();
    let on_host = async |host: Option<Host>| work(&host.expect("a step has hosts")).await;
    each_host::on_each(run, &hosts, on_host).await.all(&format!("the step `{}`", step.kind))
}
