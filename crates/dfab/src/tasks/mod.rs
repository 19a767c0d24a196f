//! The tasks: one file for each family, with its table entries and the functions behind them.

mod actions;
mod hosts;
mod images;
mod information;
mod maintenance;
mod maps;
mod script;

use dfab_client::error::Cause;

use crate::failure::{Failure, Kind};
use crate::registry::Task;

/// Every task, by namespace.
pub const ALL: &[&[Task]] = &[
    actions::TASKS,
    script::TASKS,
    information::TASKS,
    maintenance::TASKS,
    images::TASKS,
    hosts::TASKS,
    maps::TASKS,
];

/// Turns a failed call to an engine into a report, with what to do about it.
pub fn engine_failure(error: &dfab_client::Error) -> Failure {
    let kind = if error.is_unreachable() || matches!(error.cause, Cause::Timeout(_)) {
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
    error.connector_error()?.downcast_ref::<dfab_tunnel::Error>()?.hint()
}
