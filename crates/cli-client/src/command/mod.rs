//! Command lines of the `docker` program, as vectors of words.
//!
//! One file per family of objects. A word is exactly what the program receives as one argument;
//! text for a shell is made from the words later, in one place (`script`). Flags follow
//! clients-tasks §5.3–5.6, with its corrections.

mod containers;
pub(crate) mod environment;
mod exec;
mod healthcheck;
mod images;
mod mounts;
mod networks;
mod properties;
mod system;
mod volumes;
mod words;

pub use containers::*;
pub use exec::*;
pub use images::*;
pub use networks::*;
pub use system::*;
pub use volumes::*;

use dfab_client::error::Cause;
use dfab_tunnel::Secret;

use words::Words;

/// A command line, or why there is none: [`Cause::Input`] for an argument that no command line can
/// carry, [`Cause::Unsupported`] for a setting that this `docker` program has no flag for.
pub type Built<T = Command> = Result<T, Cause>;

/// One call of the `docker` program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Arguments after the program and its global options: `["stop", "--time=5", "web"]`.
    pub words: Vec<String>,
    /// What the command does, as a fragment after "failed to".
    pub operation: String,
    /// Query or action, which decides about echo (clients-tasks §5.1).
    pub kind: Kind,
    /// Words before the program: `timeout -s INT 10`, `env -u NAME`. They run under sudo too.
    pub before: Vec<String>,
    /// A second command that runs only if this one succeeds, and gets the words that this one
    /// prints as further arguments. It is left out when nothing is printed. The output is the
    /// second command's.
    pub then: Option<Vec<String>>,
    /// What the command reads from standard input; it appears nowhere else.
    pub input: Option<Secret>,
    /// Variables that the program finds in its own environment, under sudo too; their values appear
    /// nowhere else.
    pub exported: Vec<(String, Secret)>,
    /// A login that lasts for this command only.
    pub login: Option<Login>,
    /// Standard error joins standard output, in the order of writing.
    pub merged: bool,
    /// May take as long as it likes: it never makes another command of its script wait. It holds a channel, of which
    /// there are [`crate::CliOptions::channels`].
    pub is_long: bool,
    /// Changes nothing and only waits for what others do: it is ended when its caller has given up.
    pub only_waits: bool,
}

/// Whether a command changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only looks; silent unless debugging.
    Query,
    /// Changes something; echoed.
    Action,
}

/// Credentials for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Registry as the `docker` program keys it: its host, or `https://index.docker.io/v1/`.
    pub registry: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// The version of the `docker` program, which decides about flags: (28, 2).
pub type Generation = (u32, u32);

impl Command {
    /// Starts a command that only looks.
    pub(crate) fn query(operation: impl Into<String>, words: Words) -> Self {
        Self {
            words: words.0,
            operation: operation.into(),
            kind: Kind::Query,
            before: Vec::new(),
            then: None,
            input: None,
            exported: Vec::new(),
            login: None,
            merged: false,
            is_long: false,
            only_waits: false,
        }
    }

    /// Starts a command that changes something.
    pub(crate) fn action(operation: impl Into<String>, words: Words) -> Self {
        Self { kind: Kind::Action, ..Self::query(operation, words) }
    }

    /// Lets the command take its time.
    pub(crate) fn long(self) -> Self {
        Self { is_long: true, ..self }
    }
}

#[cfg(test)]
mod tests;
