//! SSH connections as async byte streams: one connection per host, any number of streams, remote
//! commands and files over it. No Docker, no map: what travels through a stream is the caller's.

mod cache;
mod command;
pub mod config;
mod dial;
mod error;
mod files;
mod forward;
mod glob;
pub mod known_hosts;
pub mod options;
mod owner;
mod port;
mod process;
pub mod quote;
mod raw;
mod secret;
mod session;
mod stream;
mod unix;
mod wake;

pub use cache::Sessions;
pub use command::{Command, Sudo};
pub use error::{Cause, Error, HostKeyProblem};
pub use files::{Progress, Transfer};
pub use forward::{Behind, Forward, LocalPorts};
pub use options::{ConnectOptions, Way};
pub use process::{Exit, Finished, Output, Process, Signal, Stdin};
pub use secret::Secret;
pub use session::{Pty, Session};
pub use stream::Stream;

/// Locks a mutex. No code of ours panics while it holds one; should it happen all the same, the data
/// is still the best there is.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
