//! The shell of this machine.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use async_trait::async_trait;
use dfab_client::error::Source;
use tokio::process::Command;

use super::{Exit, Running, Shell};

/// Runs commands on this machine, in `sh`, with this process' environment and working directory.
#[derive(Clone, Debug)]
pub struct LocalShell {
    host: String,
    variables: Vec<(String, String)>,
}

impl LocalShell {
    /// Makes a shell that is called `local engine` in messages.
    pub fn new() -> Self {
        Self { host: "local engine".to_owned(), variables: Vec::new() }
    }

    /// Sets an environment variable for all commands.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }
}

impl Default for LocalShell {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Shell for LocalShell {
    fn host(&self) -> &str {
        &self.host
    }

    async fn start(&self, command: &str) -> Result<Running, Source> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A script that is given up ends by itself, and removes its temporary folder; a killed one
            // would leave it.
            .spawn()?;
        let missing = || std::io::Error::other("a stream of the shell is missing");
        Ok(Running {
            stdin: Box::new(child.stdin.take().ok_or_else(missing)?),
            stdout: Box::new(child.stdout.take().ok_or_else(missing)?),
            stderr: Box::new(child.stderr.take().ok_or_else(missing)?),
            exit: Box::pin(async move {
                let status = child.wait().await?;
                Ok(match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Status(code),
                    (None, Some(signal)) => Exit::Other(format!("was ended by signal {signal}")),
                    (None, None) => Exit::Other("ended without a status".to_owned()),
                })
            }),
        })
    }
}
