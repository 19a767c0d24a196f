//! The dfab backend over the `docker` command line, local or over SSH.

pub mod command;

mod backend;
mod batch;
mod echo;
mod failure;
#[cfg(test)]
mod fake;
mod frame;
mod host;
mod more;
mod options;
mod parse;
mod script;
mod shell;

pub use backend::CliBackend;
pub use echo::Echo;
pub use failure::Unusable;
pub use frame::Finished;
pub use options::{CliOptions, EchoSink, Sudo, TlsFlags};
pub use shell::{Exit, LocalShell, RemoteShell, Running, Shell};
