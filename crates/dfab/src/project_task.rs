//! Running the tasks that a project file defines: their steps, one after the other.

use std::ffi::OsString;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::cli::parse::{Parsed, Stop, parse};
use crate::cli::{Call, Options};
use crate::each_host;
use crate::failure::{Failure, Kind, Result};
use crate::machine::Machine;
use crate::program;
use crate::project::{Host, ProjectTask, Step, StepKind, interpolate};
use crate::remote;
use crate::report::Report;
use crate::run::Run;

/// Runs a task of the project. A step that fails ends it.
///
/// # Errors
///
/// The failure of the step, with the place of the step.
pub fn run<'a>(
    run: &'a Run,
    name: &'a str,
    task: &'a ProjectTask,
    callers: &'a [String],
) -> LocalBoxFuture<'a, Result<Report>> {
    async move {
        let mut stack = callers.to_vec();
        stack.push(name.to_owned());
        if callers.contains(&stack[callers.len()]) {
            return Err(Failure::configuration(format!(
                "tasks call each other in a circle: {}",
                stack.join(" -> ")
            )));
        }
        let mut report = Report { dry_run: run.options.dry_run, ..Report::done(name) };
        let mut outputs = Vec::new();
        for step in &task.steps {
            if run.interrupt.finish.is_cancelled() {
                return Ok(report.failed(Failure::new(Kind::Interrupted, "interrupted")));
            }
            match perform(run, step, &stack, &mut outputs).await {
                Ok(changes) => report.would_change |= changes,
                // The circle says it all.
                Err(failure) if failure.message.contains("in a circle") => return Err(failure),
                Err(mut failure) => {
                    failure.causes.insert(0, std::mem::take(&mut failure.message));
                    failure.message = format!("task `{name}` failed at {}", step.source);
                    report = report.failed(failure);
                    break;
                }
            }
        }
        report.outputs = Some(outputs);
        Ok(report)
    }
    .boxed_local()
}

/// Runs a step; returns whether a dry run would change something.
async fn perform(run: &Run, step: &Step, stack: &[String], outputs: &mut Vec<Value>) -> Result<bool> {
    let hosts = hosts_of(run, step)?;
    if step.when_role.is_some() && hosts.is_empty() {
        return Ok(false);
    }
    let text = |text: &str, quoted: bool| interpolate(text, &run.variables, quoted);
    match &step.kind {
        StepKind::Task(call) => return call_task(run, step, &text(call, false)?, stack, outputs).await,
        StepKind::Run(line) | StepKind::Sudo(line) => {
            must_have_host(&hosts, &step.kind)?;
            let line = text(line, true)?;
            let sudo = matches!(step.kind, StepKind::Sudo(_));
            let command = async |host: &Host| remote::run_line(run, host, &line, sudo).await;
            outputs.extend(on_hosts(run, step, &hosts, command).await?);
        }
        StepKind::Local(line) => {
            let line = text(line, true)?;
            outputs.push(remote::run_here(run, &line, &in_project(run, &line)).await?);
        }
        StepKind::Put(from, to) => {
            must_have_host(&hosts, &step.kind)?;
            let (from, to) = (text(from, false)?, text(to, false)?);
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
        StepKind::Get(from, to) => {
            must_have_host(&hosts, &step.kind)?;
            let (from, to) = (text(from, false)?, text(to, false)?);
            if hosts.len() > 1 && !to.contains("%(host)s") {
                return Err(Failure::usage(format!(
                    "`get: [{from}, {to}]` would overwrite the file of each host by the next"
                ))
                .hint("write `%(host)s` into the local path"));
            }
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
    Ok(run.options.dry_run)
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

/// Returns the hosts of a step: its own, else those of the call; of these those of `when_role`.
fn hosts_of(run: &Run, step: &Step) -> Result<Vec<Host>> {
    let mut hosts: Vec<Host> = match step.hosts.as_slice() {
        [] => run.hosts.clone(),
        own => own.iter().map(|host| Host::parse(host)).collect::<Result<_>>()?,
    };
    if let Some(role) = &step.when_role {
        let Some(members) = run.project.roles.get(role) else {
            let known = run.project.roles.keys().map(String::as_str);
            return Err(Failure::configuration(format!("`when_role`: there is no role `{role}`"))
                .nearest(role, "roles", known));
        };
        hosts.retain(|host| members.contains(&host.text));
    }
    Ok(hosts)
}

fn must_have_host(hosts: &[Host], kind: &StepKind) -> Result<()> {
    if hosts.is_empty() {
        return Err(Failure::usage(format!("the step `{kind}` needs a host")).hint(
            "name hosts with `-H` or `-R`, with `hosts:` in the step, or under `hosts:` in the project file",
        ));
    }
    Ok(())
}

async fn call_task(
    run: &Run,
    step: &Step,
    text: &str,
    stack: &[String],
    outputs: &mut Vec<Value>,
) -> Result<bool> {
    let words = split(text)?;
    let parsed =
        parse(&words.into_iter().map(OsString::from).collect::<Vec<_>>()).map_err(|stop| match stop {
            Stop::Failure(failure) => failure,
            Stop::Text(_) => Failure::configuration(format!("`{text}` calls no task")),
        })?;
    let calls = calls_of(parsed, text)?;
    let mut changes = false;
    for mut call in calls {
        if call.hosts.is_empty() && call.roles.is_empty() {
            call.hosts = match (&step.when_role, step.hosts.is_empty()) {
                (None, true) => run.hosts.iter().map(|host| host.text.clone()).collect(),
                _ => hosts_of(run, step)?.into_iter().map(|host| host.text).collect(),
            };
        }
        let mut report = program::run_nested(run, call, stack).await?;
        changes |= report.would_change;
        let failure = report.failure.take();
        outputs.push(serde_json::to_value(&report).expect("a report has only plain values and text keys"));
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(changes)
}

/// A step names a task and its arguments; options of the run are the caller's.
fn calls_of(parsed: Parsed, text: &str) -> Result<Vec<Call>> {
    let Parsed { options, mut calls, remote_command } = parsed;
    let own = Options { hosts: Vec::new(), roles: Vec::new(), exclude_hosts: Vec::new(), ..options.clone() };
    if own != Options::default() || remote_command.is_some() {
        return Err(Failure::configuration(format!(
            "`{text}`: a step takes a task, its arguments, and `-H`, `-R` or `-x`"
        ))
        .hint("give other options in the call of the whole task"));
    }
    for call in &mut calls {
        call.hosts.extend(options.hosts.clone());
        call.roles.extend(options.roles.clone());
        call.exclude_hosts.extend(options.exclude_hosts.clone());
    }
    Ok(calls)
}

/// Splits a step's text into words: blanks separate, quotes keep together.
fn split(text: &str) -> Result<Vec<String>> {
    shell_words::split(text)
        .map_err(|error| Failure::configuration(format!("`{text}` is no task call")).because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_hosts_but_no_options_of_the_run() {
        let calls = |text: &str| {
            let words: Vec<OsString> = split(text).unwrap().into_iter().map(OsString::from).collect();
            let Ok(parsed) = parse(&words) else { panic!("{text}") };
            calls_of(parsed, text)
        };
        let call = calls("docker.version -H a,b").unwrap().remove(0);
        assert_eq!(call.hosts, ["a", "b"]);
        assert_eq!(calls("actions.update m 'a'").unwrap()[0].positional, ["m", "a"]);
        assert!(calls("docker.version --dry-run").is_err());
    }
}
