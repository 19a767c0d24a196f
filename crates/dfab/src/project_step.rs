//! A step of a task of the project with everything known that it needs: its texts, its hosts, the calls it makes.
//! Nothing is contacted, so that a task is known to be well before its first step begins (cli §6).

use std::ffi::OsString;

use crate::cli::parse::{Parsed, Stop, parse};
use crate::cli::{Call, Options};
use crate::failure::{Failure, Result};
use crate::prepare::{Bound, bind};
use crate::project::{Host, Step, StepKind, interpolate};
use crate::run::Run;

/// What a step does, and where.
pub enum Ready {
    /// Calls tasks.
    Calls(Vec<Bound>),
    /// Runs a command on each host, as root where `sudo` says so.
    Line {
        /// The command.
        line: String,
        /// Whether it is run as root.
        sudo: bool,
        /// Where.
        hosts: Vec<Host>,
    },
    /// Runs a command on this machine.
    Local(String),
    /// Uploads a local path to a path on each host.
    Put(String, String, Vec<Host>),
    /// Downloads a path on each host to a local path.
    Get(String, String, Vec<Host>),
}

/// Returns what a step does in this run; `None` for one whose role has none of the hosts.
///
/// # Errors
///
/// Whatever is wrong with its texts, its hosts, or the calls it makes.
pub fn resolve(run: &Run, step: &Step) -> Result<Option<Ready>> {
    let hosts = hosts_of(run, step)?;
    if step.when_role.is_some() && hosts.is_empty() {
        return Ok(None);
    }
    let text = |text: &str, quoted: bool| interpolate(text, &run.variables, quoted);
    let with_host = |hosts: Vec<Host>| match hosts.is_empty() {
        true => Err(no_host(&step.kind)),
        false => Ok(hosts),
    };
    Ok(Some(match &step.kind {
        StepKind::Task(call) => Ready::Calls(calls(run, step, &hosts, &text(call, false)?)?),
        StepKind::Run(line) | StepKind::Sudo(line) => {
            let sudo = matches!(step.kind, StepKind::Sudo(_));
            Ready::Line { line: text(line, true)?, sudo, hosts: with_host(hosts)? }
        }
        StepKind::Local(line) => Ready::Local(text(line, true)?),
        StepKind::Put(from, to) => Ready::Put(text(from, false)?, text(to, false)?, with_host(hosts)?),
        StepKind::Get(from, to) => {
            let (from, to) = (text(from, false)?, text(to, false)?);
            if hosts.len() > 1 && !to.contains("%(host)s") {
                return Err(Failure::usage(format!(
                    "`get: [{from}, {to}]` would overwrite the file of each host by the next"
                ))
                .hint("write `%(host)s` into the local path"));
            }
            Ready::Get(from, to, with_host(hosts)?)
        }
    }))
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

fn no_host(kind: &StepKind) -> Failure {
    Failure::usage(format!("the step `{kind}` needs a host")).hint(
        "name hosts with `-H` or `-R`, with `hosts:` in the step, or under `hosts:` in the project file",
    )
}

/// Reads the words of a step that calls tasks. A call that names no hosts gets those of the step.
fn calls(run: &Run, step: &Step, hosts: &[Host], text: &str) -> Result<Vec<Bound>> {
    let words = split(text)?;
    let parsed =
        parse(&words.into_iter().map(OsString::from).collect::<Vec<_>>()).map_err(|stop| match stop {
            Stop::Failure(failure) => failure,
            Stop::Text(_) => Failure::configuration(format!("`{text}` calls no task")),
        })?;
    let own = step.when_role.is_some() || !step.hosts.is_empty();
    let bound = |mut call: Call| -> Result<Bound> {
        if call.hosts.is_empty() && call.roles.is_empty() {
            let hosts = if own { hosts } else { &run.hosts };
            call.hosts = hosts.iter().map(|host| host.text.clone()).collect();
        }
        let work = bind(&call, &run.project)?;
        Ok(Bound { call, work })
    };
    calls_of(parsed, text)?.into_iter().map(bound).collect()
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
