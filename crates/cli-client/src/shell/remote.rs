//! The shell at the other end of an SSH session.

use std::sync::Arc;

use async_trait::async_trait;
use dfab_client::error::Source;
use dfab_tunnel::{Exit as TunnelExit, Session};

use super::{Exit, Running, Shell};

/// Runs commands on a remote host: one exec channel each, without a pseudo-terminal.
#[derive(Clone)]
pub struct RemoteShell {
    host: String,
    session: Arc<Session>,
}

impl RemoteShell {
    /// Makes a shell over a session that stays the caller's: it is closed there.
    pub fn new(host: impl Into<String>, session: Arc<Session>) -> Self {
        Self { host: host.into(), session }
    }
}

#[async_trait]
impl Shell for RemoteShell {
    fn host(&self) -> &str {
        &self.host
    }

    async fn start(&self, command: &str) -> Result<Running, Source> {
        let mut process = self.session.exec(command).await?;
        let missing = || std::io::Error::other("a stream of the channel is missing");
        Ok(Running {
            stdin: Box::new(process.stdin.take().ok_or_else(missing)?),
            stdout: Box::new(process.stdout.take().ok_or_else(missing)?),
            stderr: Box::new(process.stderr.take().ok_or_else(missing)?),
            exit: Box::pin(async move {
                Ok(match process.exit().await? {
                    TunnelExit::Status(status) => Exit::Status(status),
                    other => Exit::Other(other.to_string()),
                })
            }),
        })
    }
}
