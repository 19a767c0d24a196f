//! Commands on hosts as people see them: `[host] run: …`, `[host] out: …` (clients-tasks §11.6, §11.9).

use dfab_tunnel::{Command, Exit, Sudo};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind, Result};
use crate::project::Host;
use crate::run::Run;

/// Runs a line on a host, shows what it prints, and returns what to put into the document.
///
/// # Errors
///
/// When it cannot be run, or ends with another status than zero; with `-w` that is a warning.
pub async fn run_line(run: &Run, host: &Host, line: &str, sudo: bool) -> Result<Value> {
    let verb = if sudo { "sudo" } else { "run" };
    let place = Some(host.text.as_str());
    if run.options.dry_run {
        run.console.line(place, &format!("would {verb}: {line}"));
        return Ok(json!({"host": host.text, verb: line, "exit_code": null}));
    }
    run.console.progress_line(place, &format!("{verb}: {line}"));
    let failed = |error: dfab_tunnel::Error| {
        let mut failure =
            Failure::new(Kind::Connection, format!("failed to run `{line}` on `{host}`")).because(&error);
        failure.hints.extend(error.hint());
        failure
    };
    let session = run.engines.sessions.session(host).await.map_err(failed)?;
    let mut command = Command::line(line).shell(run.settings.shell.clone());
    if sudo {
        command = command.sudo(Sudo { password: run.settings.ssh.sudo_password.clone(), ..Sudo::default() });
    }
    if let Some(limit) = run.settings.ssh.command_timeout {
        command = command.timeout(limit);
    }
    let finished = session.output(&command).await.map_err(failed)?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
    for (name, text) in [("out", &stdout), ("err", &stderr)] {
        for text in text.lines() {
            run.console.line(place, &format!("{name}: {text}"));
        }
    }
    let exit_code = match &finished.exit {
        Exit::Status(status) => Some(*status),
        _ => None,
    };
    if !finished.exit.is_success() {
        let message = format!("`{line}` {} on `{host}`", finished.exit);
        if run.options.warn_only {
            run.console.warn(place, &message);
        } else {
            return Err(Failure::new(Kind::Task, message).hint("`-w` makes failing commands warnings"));
        }
    }
    Ok(json!({
        "host": host.text, verb: line, "exit_code": exit_code, "stdout": stdout.trim_end(), "stderr": stderr.trim_end(),
    }))
}

/// Returns the hosts of a call, which must be named for a command.
///
/// # Errors
///
/// A usage failure when there is none: a command is never run on this machine by accident.
pub fn hosts<'a>(run: &'a Run, what: &str) -> Result<&'a [Host]> {
    if run.hosts.is_empty() {
        return Err(Failure::usage(format!("{what} needs a host"))
            .hint("name hosts with `-H` or `-R`, or under `hosts:` in the project file"));
    }
    Ok(&run.hosts)
}

/// The shell that reads command lines where nothing else is said (Fabric's `env.shell`).
pub const SHELL: &str = "/bin/bash -l -c";
