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

use crate::failure::{Failure, Kind};
use crate::registry::Task;

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

/// Turns a failed call to an engine into a report, with what to do about it.
pub fn engine_failure(error: &dfab_client::Error) -> Failure {
    let kind = if matches!(error.cause, Cause::Cancelled) {
        Kind::Interrupted
    } else if error.is_unreachable() || matches!(error.cause, Cause::Timeout(_)) {
        Kind::Connection
    } else {
        Kind::Engine
    };
    let mut failure = Failure::new(kind, error.to_string()).because(&error.cause);
    failure.hints.extend(hint(error));
    failure
}

/// Returns what to do about a failed call, as far as the way to the engine knows.
fn hint(error: &dfab_client::Error) -> Option<String> {
    // What `actions.single_cmd` and `actions.script` call where the image's entrypoint is no shell.
    if let Cause::Refused { message, .. } = &error.cause
        && message.contains(r#"exec: "-c": executable file not found"#)
    {
        return Some("the image's entrypoint is no shell: add `--entrypoint /bin/sh`".to_owned());
    }
    let source = error.connector_error()?;
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
        let socket = dfab_client::local::Unreachable::NoSocket("/s".into());
        assert!(hint(Cause::Unreachable(socket.into())).is_some_and(|hint| hint.contains("`-H HOST`")));
    }
}
