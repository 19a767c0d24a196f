//! A byte stream to something behind the remote host.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::port::{ERR, Handle, OUT};
use crate::{Error, Exit, Way};

/// A stream to a Unix socket or a TCP port of the remote side.
///
/// Writes are buffered up to 256 KiB and sent at once, so `flush` does nothing. `shutdown` ends our
/// direction after what was written and leaves the other open (half-close). Dropping the stream closes
/// both; what was written before is still sent, for five seconds at most.
///
/// Errors carry a [`crate::Error`] as their source.
#[derive(Debug)]
pub struct Stream {
    handle: Handle,
    /// Streams that a remote command carries: how to explain an end before the first byte.
    command: Option<Carrier>,
}

#[derive(Debug)]
struct Carrier {
    host: String,
    path: String,
    way: Way,
    answered: bool,
}

impl Stream {
    pub(crate) fn direct(handle: Handle) -> Self {
        Self { handle, command: None }
    }

    pub(crate) fn carried(handle: Handle, host: &str, path: &str, way: Way) -> Self {
        let carrier = Carrier { host: host.to_owned(), path: path.to_owned(), way, answered: false };
        Self { handle, command: Some(carrier) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = target.filled().len();
        let result = ready!(self.handle.poll_read(OUT, ctx, target)).map_err(Error::into_io);
        let Self { handle, command } = &mut *self;
        let Some(carrier) = command.as_mut().filter(|carrier| !carrier.answered) else {
            return Poll::Ready(result);
        };
        if target.filled().len() > before {
            carrier.answered = true;
            return Poll::Ready(result);
        }
        if target.remaining() == 0 {
            return Poll::Ready(result);
        }
        result?;
        // An end before the first byte: the command's status tells whether it ever got through.
        let exit = ready!(handle.poll_exit(ctx)).map_err(Error::into_io)?;
        if exit.is_success() {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(carrier.explain(&exit, &handle.unread(ERR)).into_io()))
    }
}

impl Carrier {
    fn explain(&self, exit: &Exit, stderr: &str) -> Error {
        let (why, fix) = match (exit, self.way) {
            (Exit::Status(127), Way::DialStdio) => (
                "the docker command was not found".to_owned(),
                Some("install the docker command line there, or socat".to_owned()),
            ),
            (Exit::Status(127), _) => (
                format!("socat was not found on {}", self.host),
                Some("install it or use the CLI client".to_owned()),
            ),
            _ if stderr.is_empty() => (format!("{} {exit}", self.way), None),
            _ => (format!("{}: {}", self.way, crate::process::tail(stderr)), None),
        };
        Error::Socket { host: self.host.clone(), path: self.path.clone(), why, fix }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, source: &[u8]) -> Poll<io::Result<usize>> {
        self.handle.poll_write(ctx, source)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.handle.finish().map_err(Error::into_io))
    }
}
