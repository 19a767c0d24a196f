//! Where scripts run: a shell on this machine, or one at the other end of an SSH session.

mod local;
mod remote;

pub use local::LocalShell;
pub use remote::RemoteShell;

use async_trait::async_trait;
use dfab_client::error::Source;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// Starts commands on the host of one engine.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Returns the host for messages, for example `web1` or `local engine`.
    fn host(&self) -> &str;

    /// Starts a command line through the user's own shell, whatever that is: it holds nothing but
    /// plain words and single quotes.
    ///
    /// # Errors
    ///
    /// Whatever explains best why nothing can be run there.
    async fn start(&self, command: &str) -> Result<Running, Source>;
}

/// A command that runs. Dropping it closes its streams, and the command goes on until it notices.
pub struct Running {
    /// Its standard input; dropped, the command reads the end.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard error. Both have to be read, at the same time, or the command may stand still.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Waits for its end: the exit status, or how it ended without one.
    pub exit: BoxFuture<'static, Result<Exit, Source>>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a status; zero is success.
    Status(i32),
    /// Without one: `was ended by signal KILL`.
    Other(String),
}
