//! Where byte streams to an engine come from. This crate opens local sockets; SSH is the caller's.

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Source;

/// A connection to an engine: bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to one engine. Connections are pooled and reused by the caller.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Returns the host for messages, for example `web1` or `local engine`.
    fn host(&self) -> &str;

    /// Opens one more connection.
    ///
    /// # Errors
    ///
    /// Whatever explains best why the engine cannot be reached; it becomes the source of
    /// [`crate::error::Cause::Unreachable`].
    async fn connect(&self) -> Result<Box<dyn Stream>, Source>;

    /// Returns how many connections may be open at a time, where the way to the engine bears only so many (design §5:
    /// ways that use an exec channel). Asked once the first connection has been opened; `None` is no limit.
    fn most(&self) -> Option<usize> {
        None
    }
}
