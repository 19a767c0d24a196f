//! The tasks: one file for each family, with its table entries and the functions behind them.

mod actions;
mod build;
mod doctor;
mod hosts;
mod images;
mod information;
mod logs;
mod maintenance;
mod maps;
mod script;
mod setup;
#[cfg(test)]
mod specified;
mod tunnel;
mod utilities;

use dfab_client::error::Cause;

use crate::cli::Arguments;
use crate::failure::{Failure, Kind, Result};
use crate::registry::Task;
use crate::run::Run;

/// Every task, by namespace.
pub const ALL: &[&[Task]] = &[
    actions::TASKS,
    script::TASKS,
    information::TASKS,
    logs::TASKS,
    maintenance::TASKS,
    images::TASKS,
    build::TASKS,
    hosts::TASKS,
    setup::TASKS,
    maps::TASKS,
    tunnel::TASKS,
    utilities::TASKS,
    doctor::TASKS,
];

/// Checks what a call names, where that can be known before anything is done: the columns of tables, whether a task that
/// needs a host has one, and what maps have unless `maps_change` until then. Nothing is contacted.
///
/// # Errors
///
/// What the task would find wrong itself.
pub async fn check(run: &Run, task: &Task, arguments: &Arguments, maps_change: bool) -> Result<()> {
    match (task.namespace, task.name) {
        ("docker", name) if task.is_table() => information::check(run, name),
        ("docker", name) if setup::TASKS.iter().any(|task| task.name == name) => {
            setup::check(run, &task.full_name())
        }
        _ if maps_change => Ok(()),
        ("actions", _) => actions::check(run, task, arguments).await,
        ("docker", "logs") => logs::check(run, arguments).await,
        ("map", "deps") => actions::Selection::read(run, arguments).await.map(drop),
        _ => Ok(()),
    }
}

/// Turns a failed call to an engine into a report, with what to do about it.
pub fn engine_failure(error: &dfab_client::Error) -> Failure {
    let kind = if matches!(error.cause, Cause::Cancelled) {
        Kind::Interrupted
    } else if error.is_unreachable() || matches!(error.cause, Cause::Timeout(_)) {
        Kind::Connection
    } else {
        Kind::Engine
    };
    let mut failure = Failure::new(kind, error.to_string());
    // Scripts and people look for these words; the engine's own differ from one generation to the next.
    failure.causes.extend(dfab_client::registry::problem(error).map(|problem| problem.to_string()));
    failure = failure.because(&error.cause);
    failure.hints.extend(hint(error));
    failure
}

/// Returns what to do about a failed call, as far as the way to the engine knows.
fn hint(error: &dfab_client::Error) -> Option<String> {
    let doctor = match error.host.as_str() {
        dfab_client::local::LOCAL => "`dfab doctor`".to_owned(),
        host => format!("`dfab doctor {host}`"),
    };
    if let Some(problem) = dfab_client::registry::problem(error) {
        return Some(problem.hint().to_owned());
    }
    if let Cause::Refused { status, message } = &error.cause {
        return refused_hint(*status, message, &doctor);
    }
    let look = format!("{doctor} looks for the cause");
    let source = match (&error.cause, error.connector_error()) {
        (_, Some(source)) => source,
        (Cause::Unreachable(_), None) => return Some(look),
        (Cause::Timeout(_), None) => {
            return Some(format!("`docker_timeout` is the time that an engine has for an answer; {look}"));
        }
        (_, None) => return None,
    };
    if source.is::<dfab_client::local::Unreachable>() {
        return Some(
            "`-H HOST` names a host behind SSH, DOCKER_HOST or docker_base_url another engine".to_owned(),
        );
    }
    if let Some(error) = source.downcast_ref::<dfab_client::tls::Error>() {
        return Some(error.hint().to_owned());
    }
    source.downcast_ref::<dfab_tunnel::Error>()?.hint()
}

/// Returns what to do about an engine's refusal, where its words leave that open.
fn refused_hint(status: u16, message: &str, doctor: &str) -> Option<String> {
    // What `actions.single_cmd` and `actions.script` call where the image's entrypoint is no shell.
    if message.contains(r#"exec: "-c": executable file not found"#) {
        return Some("the image's entrypoint is no shell: add `--entrypoint /bin/sh`".to_owned());
    }
    if message.contains("no space left on device") {
        return Some(format!(
            "the disk of the engine's host is full: {doctor} measures it, `dfab docker.cleanup_images` and \
             `docker system prune` there make room"
        ));
    }
    // The name was free when the engine was looked at.
    (status == 409 && message.contains("already in use by container")).then(|| {
        "somebody else has made it meanwhile, perhaps another run of dfab: run the command again when that is done, \
         it continues from what it finds"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_of_a_new_user_have_a_hint() {
        let hint = |cause| {
            let (operation, host) = ("ask".to_owned(), "web1".to_owned());
            hint(&dfab_client::Error { operation, host, cause })
        };
        let refused = |message: &str| Cause::Refused { status: 400, message: message.to_owned() };
        let shell = r#"unable to start container process: exec: "-c": executable file not found in $PATH"#;
        assert!(hint(refused(shell)).is_some_and(|hint| hint.contains("--entrypoint")));
        assert_eq!(hint(refused("no such image")), None);
        let full = hint(refused("write /layer.tar: no space left on device")).unwrap();
        assert!(full.contains("full") && full.contains("`dfab doctor web1`"), "{full}");
        let taken = "Conflict. The container name \"/m.a\" is already in use by container \"1\".".to_owned();
        let taken = hint(Cause::Refused { status: 409, message: taken });
        assert!(taken.is_some_and(|hint| hint.contains("another run of dfab")));
        let late = hint(Cause::Timeout(std::time::Duration::from_secs(1)));
        let expected = "`docker_timeout` is the time that an engine has for an answer; `dfab doctor web1` looks for the cause";
        assert_eq!(late.as_deref(), Some(expected));
        let socket = dfab_client::local::Unreachable::NoSocket("/s".into());
        assert!(hint(Cause::Unreachable(socket.into())).is_some_and(|hint| hint.contains("`-H HOST`")));
    }
}
