//! Commands in running containers: `docker exec`.

use std::collections::BTreeMap;

use dfab_client::error::Cause;
use dfab_map::property::Property;
use serde_json::Value;

use super::properties::Create;
use super::words::Words;
use super::{Built, Command};

/// How a command runs in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// User, by name or number; `None` is the container's own.
    pub user: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// With every capability.
    pub privileged: bool,
    /// Variables beside the container's own.
    pub environment: BTreeMap<String, String>,
}

/// `docker exec --detach [--user=USER] [--tty=true] [--privileged=true] [--env-file=/dev/stdin] NAME WORD…`.
///
/// Values of variables stay off the command line, as those of `docker create`.
///
/// # Errors
///
/// [`Cause::Input`] without a command.
pub fn exec(container: &str, command: &[String], options: &ExecOptions) -> Built {
    let Some(program) = command.first() else {
        return Err(Cause::Input(format!("no command to run in container `{container}`")));
    };
    let mut words = Words::new("exec");
    words.word("--detach").each("user", &options.user);
    for (flag, is_set) in [("tty", options.tty), ("privileged", options.privileged)] {
        if is_set {
            words.flag(flag, true);
        }
    }
    // The flags of variables are the same for every version of the program.
    let mut variables = Create::new((0, 0));
    let lines = options.environment.iter().map(|(name, value)| Value::from(format!("{name}={value}")));
    if !options.environment.is_empty() {
        variables.property(Property::Environment, &lines.collect())?;
    }
    words.0.append(&mut variables.generic.0);
    words.positional(container)?;
    words.0.extend(command.iter().cloned());
    let command = Command::action(format!("run `{program}` in container `{container}`"), words);
    Ok(variables.variables.carried_by(command))
}
