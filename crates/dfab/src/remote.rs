//! Commands as people see them: `[host] run: …`, `[host] out: …` (clients-tasks §11.6, §11.9).

use dfab_tunnel::{Command, Exit, Sudo};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind, Result};
use crate::machine::{Finished, Machine};
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
    let output = session.output(&command).await.map_err(failed)?;
    let exit = match output.exit {
        Exit::Status(status) => Ok(status),
        other => Err(other.to_string()),
    };
    let finished = Finished { exit, stdout: output.stdout, stderr: output.stderr };
    ended(run, &host.text, line, &finished, json!({"host": host.text, verb: line}))
}

/// Runs a line of the project on this machine, as [`run_line`] does on a host. `whole` is the line with what the user
/// has not written.
///
/// # Errors
///
/// As [`run_line`].
pub async fn run_here(run: &Run, line: &str, whole: &str) -> Result<Value> {
    const HERE: &str = "localhost";
    if run.options.dry_run {
        run.console.line(Some(HERE), &format!("would run: {line}"));
        return Ok(json!({"local": line, "exit_code": null}));
    }
    run.console.progress_line(Some(HERE), &format!("local: {line}"));
    let finished = Machine::new(None, &run.engines.sessions).run(whole, b"").await?;
    ended(run, HERE, line, &finished, json!({"local": line}))
}

/// Shows what a command has printed, and judges how it ended. `output` is what the document says of it besides.
fn ended(run: &Run, place: &str, line: &str, finished: &Finished, mut output: Value) -> Result<Value> {
    output["exit_code"] = json!(finished.exit.as_ref().ok());
    for (key, name, bytes) in [("stdout", "out", &finished.stdout), ("stderr", "err", &finished.stderr)] {
        let text = String::from_utf8_lossy(bytes);
        for text in text.lines() {
            run.console.line(Some(place), &format!("{name}: {text}"));
        }
        output[key] = json!(text.trim_end());
    }
    let how = match &finished.exit {
        Ok(0) => return Ok(output),
        Ok(status) => format!("ended with status {status}"),
        Err(how) => how.clone(),
    };
    let message = format!("`{line}` {how} on `{place}`");
    if run.options.warn_only {
        run.console.warn(Some(place), &message);
        return Ok(output);
    }
    Err(Failure::new(Kind::Task, message).hint("`-w` makes failing commands warnings"))
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
