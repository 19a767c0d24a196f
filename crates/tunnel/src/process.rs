//! A running remote command, and how one ends.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::Error;
use crate::port::{ERR, Handle, OUT};

/// A command that runs on the remote host.
///
/// Its three streams can be taken apart. Dropping the process and them ends the command: it gets
/// `TERM`, then its channel is closed. [`Process::cancel`] does so with more force and says how it
/// ended. Signals reach the whole process group of a command from [`Session::start`](crate::Session::start).
/// One from [`Session::exec`](crate::Session::exec) gets them only from the server, and OpenSSH sends
/// none for root. One under sudo without a terminal cannot be reached; end-of-file is all it gets.
///
/// Standard output and standard error are buffered apart, up to 256 KiB each, and the end of either is
/// seen only when both have been read: read both, or drop the one that does not matter.
#[derive(Debug)]
pub struct Process {
    host: String,
    command: String,
    handle: Handle,
    /// The standard input; taken or dropped, the command sees end-of-file.
    pub stdin: Option<Stdin>,
    /// The standard output.
    pub stdout: Option<Output>,
    /// The standard error. Empty when the command has a pseudo-terminal.
    pub stderr: Option<Output>,
}

/// The standard input of a [`Process`]. Dropping it sends end-of-file.
#[derive(Debug)]
pub struct Stdin(Handle);

/// The standard output or standard error of a [`Process`]. Dropping it throws away what still comes.
#[derive(Debug)]
pub struct Output {
    handle: Handle,
    which: usize,
    /// Read too far and put back.
    again: BytesMut,
}

impl Output {
    fn new(handle: Handle, which: usize) -> Self {
        Self { handle, which, again: BytesMut::new() }
    }

    /// Has the next reads begin with `data`.
    pub(crate) fn put_back(&mut self, data: &[u8]) {
        let rest = std::mem::take(&mut self.again);
        self.again.extend_from_slice(data);
        self.again.unsplit(rest);
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// With this status; 0 is success.
    Status(i32),
    /// By a signal, named without `SIG`: `KILL`, `TERM`, …
    Signal(String),
    /// The server closed the channel and said neither.
    Unknown,
}

impl Exit {
    /// Whether the status is 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Status(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "ended with status {status}"),
            Self::Signal(name) => write!(f, "was ended by signal {name}"),
            Self::Unknown => f.write_str("ended without a status"),
        }
    }
}

/// Signals that a server can send to a command (RFC 4254 §6.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Signal {
    Hup,
    Int,
    Term,
    Kill,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
        }
    }
}

/// What a finished command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The standard output as text, trimmed; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

impl Process {
    pub(crate) fn new(host: String, command: String, handle: Handle) -> Self {
        Self {
            host,
            command,
            stdin: Some(Stdin(handle.again())),
            stdout: Some(Output::new(handle.again(), OUT)),
            stderr: Some(Output::new(handle.again(), ERR)),
            handle,
        }
    }

    /// Tells the owner which process group to end besides the process that the server knows.
    pub(crate) fn set_group(&self, group: u32) {
        crate::lock(&self.handle.state).group = Some(group);
    }

    /// Returns the command for messages, without secrets.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Waits until the command has ended and the server has closed its channel. Output that is not
    /// taken is thrown away.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] or [`Error::Closed`] when the connection went first.
    pub async fn wait(mut self) -> Result<Exit, Error> {
        self.stdin.take();
        self.stdout.take();
        self.stderr.take();
        poll_fn(|ctx| self.handle.poll_exit(ctx)).await
    }

    /// Waits like [`Process::wait`] and keeps the process, for callers that hold its streams.
    ///
    /// # Errors
    ///
    /// As for [`Process::wait`].
    pub async fn exit(&self) -> Result<Exit, Error> {
        poll_fn(|ctx| self.handle.poll_exit(ctx)).await
    }

    /// Ends the standard input and collects all output. A failing command is no error here; see
    /// [`Process::success`].
    ///
    /// # Errors
    ///
    /// As for [`Process::wait`].
    pub async fn finish(mut self) -> Result<Finished, Error> {
        self.stdin.take();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (mut out, mut err) = (self.stdout.take(), self.stderr.take());
        let read_out = async {
            match &mut out {
                Some(out) => out.read_to_end(&mut stdout).await.map(drop),
                None => Ok(()),
            }
        };
        let read_err = async {
            match &mut err {
                Some(err) => err.read_to_end(&mut stderr).await.map(drop),
                None => Ok(()),
            }
        };
        let (read_out, read_err) = tokio::join!(read_out, read_err);
        for result in [read_out, read_err] {
            result.map_err(|error| Error::from_io(&self.host, error))?;
        }
        let exit = poll_fn(|ctx| self.handle.poll_exit(ctx)).await?;
        Ok(Finished { exit, stdout, stderr })
    }

    /// Collects all output of a command that must succeed.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the end of the standard error when it fails; else as for
    /// [`Process::wait`].
    pub async fn success(self) -> Result<Finished, Error> {
        let (host, command) = (self.host.clone(), self.command.clone());
        let finished = self.finish().await?;
        if finished.exit.is_success() {
            return Ok(finished);
        }
        let stderr = tail(&String::from_utf8_lossy(&finished.stderr));
        Err(Error::Command { host, command, exit: finished.exit, stderr })
    }

    /// Sends a signal to the command. There is no answer: servers may ignore it.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.handle.signal(signal)
    }

    /// Ends the command: `TERM`, and after `grace` `KILL`; then closes the channel. Returns how it
    /// ended.
    ///
    /// No process withstands `KILL`, but on a busy host it takes its time to get there: it is waited for
    /// as long as `grace` and 30 s at least. [`Exit::Unknown`] means that the server had not said by
    /// then. A command from [`Session::exec`](crate::Session::exec), which a signal may not reach at
    /// all, is given another `grace` only.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn cancel(mut self, grace: Duration) -> Result<Exit, Error> {
        self.stdin.take();
        self.stdout.take();
        self.stderr.take();
        let reached = crate::lock(&self.handle.state).group.is_some();
        let patience = if reached { grace.max(KILL_WAIT) } else { grace };
        for (signal, limit) in [(Signal::Term, grace), (Signal::Kill, patience)] {
            self.signal(signal)?;
            let exit = poll_fn(|ctx| self.handle.poll_exit(ctx));
            if let Ok(exit) = tokio::time::timeout(limit, exit).await {
                return exit;
            }
        }
        Ok(Exit::Unknown)
    }
}

/// How long `KILL` may take: a channel of its own, a shell, and the end of the processes.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(30);

/// The last lines of an error output, enough for a message.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

impl AsyncWrite for Stdin {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, source: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(ctx, source)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.finish().map_err(Error::into_io))
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        // A connection that is gone has told everybody already.
        let _ = self.0.finish();
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.again.is_empty() {
            let length = self.again.len().min(target.remaining());
            target.put_slice(&self.again.split_to(length));
            return Poll::Ready(Ok(()));
        }
        self.handle.poll_read(self.which, ctx, target).map_err(Error::into_io)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.handle.discard(self.which);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_read_as_sentences() {
        let cases = [
            (Exit::Status(3), "ended with status 3"),
            (Exit::Signal("KILL".into()), "was ended by signal KILL"),
            (Exit::Unknown, "ended without a status"),
        ];
        for (exit, text) in cases {
            assert_eq!(exit.to_string(), text);
        }
    }

    #[test]
    fn the_tail_keeps_the_last_five_lines() {
        assert_eq!(tail("1\n\n2\n3\n4\n5\n6\n"), "2; 3; 4; 5; 6");
        assert_eq!(tail(""), "");
    }
}
