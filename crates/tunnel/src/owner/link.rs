//! The socket under a session: moves bytes between it and libssh2's [`Buffers`], and waits.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::raw::{self, Buffers, Failure};
use crate::wake::Wake;

/// A libssh2 session with its socket, owned by the current thread.
pub(crate) struct Link {
    pub(crate) session: ssh2::Session,
    socket: Arc<OwnedFd>,
    pub(crate) wake: Arc<Wake>,
    /// When the peer was last heard.
    pub(crate) heard: Instant,
    /// Time spent waiting for a person; deadlines do not count it.
    pub(crate) paused: Duration,
    /// A little was received, and nothing was sent since that tells the peer so.
    unacknowledged: Cell<bool>,
}

/// Less than this, received in one go, is an answer; more is bulk, whose acknowledgements TCP times well.
const LITTLE: usize = 16 * 1024;

/// Why waiting for a call of libssh2 ended without its result.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(Failure),
    Deadline,
    Cancelled,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ready {
    /// The bell was rung.
    pub(crate) bell: bool,
    /// Bytes arrived, or the connection ended.
    pub(crate) received: bool,
}

impl Link {
    /// Makes a session over a connected stream socket.
    pub(crate) fn new(socket: OwnedFd, wake: Arc<Wake>) -> Result<Self, Failure> {
        let socket = Arc::new(socket);
        let mut session = ssh2::Session::new()?;
        session.set_tcp_stream(Arc::clone(&socket));
        session.set_blocking(false);
        raw::install(&session, socket.as_fd());
        Ok(Self {
            session,
            socket,
            wake,
            heard: Instant::now(),
            paused: Duration::ZERO,
            unacknowledged: Cell::new(false),
        })
    }

    /// Sends what libssh2 made, as far as the socket takes it.
    pub(crate) fn flush(&self) {
        Buffers::with(|buffers| {
            while !buffers.outbound.is_empty() && buffers.ended.is_none() {
                match rustix::net::send(&self.socket, &buffers.outbound, SendFlags::NOSIGNAL) {
                    Ok(sent) => {
                        buffers.outbound.advance(sent);
                        self.unacknowledged.set(false);
                    }
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => {
                        let reason = std::io::Error::from(error).to_string();
                        buffers.ended = Some(format!("cannot send: {reason}"));
                    }
                }
            }
            if buffers.outbound.is_empty() && buffers.outbound.capacity() > 1024 * 1024 {
                buffers.outbound = bytes::BytesMut::new();
            }
        });
    }

    /// Receives what is there. Returns whether something, or the end, arrived.
    fn fill(&mut self) -> bool {
        let received = Buffers::with(|buffers| {
            let mut total = 0;
            while buffers.ended.is_none() {
                let space = buffers.space();
                if space.is_empty() {
                    break;
                }
                match rustix::net::recv(&self.socket, space, RecvFlags::empty()) {
                    Ok((0, _)) => {
                        buffers.ended = Some("the server closed the connection".into());
                        return (true, total > 0);
                    }
                    Ok((length, _)) => {
                        buffers.received(length);
                        total += length;
                    }
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => {
                        buffers.ended = Some(std::io::Error::from(error).to_string());
                        return (true, total > 0);
                    }
                }
            }
            let any = total > 0;
            self.unacknowledged.set(any && total < LITTLE);
            (any, any)
        });
        if received.1 {
            self.heard = Instant::now();
        }
        received.0
    }

    /// Has TCP acknowledge at once what came. sshd leaves Nagle's algorithm on: a small packet of its waits until the one
    /// before it is acknowledged, which TCP puts off by 40 ms when there is nothing to send.
    fn acknowledge(&self) {
        if self.unacknowledged.take() {
            // The socket of a jump or a proxy command is no TCP socket and has no such delay.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_quickack(&*self.socket, true);
        }
    }

    /// Sends, waits for the socket, the bell or the time, and receives.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Ready {
        self.flush();
        self.acknowledge();
        let (pending, space, ended) = Buffers::with(|buffers| {
            (!buffers.outbound.is_empty(), !buffers.space().is_empty(), buffers.ended.is_some())
        });
        let mut flags = PollFlags::empty();
        if space && !ended {
            flags |= PollFlags::IN;
        }
        if pending && !ended {
            flags |= PollFlags::OUT;
        }
        // A socket that has ended is always "ready": only the bell is of interest then.
        let timeout = if ended { Some(Duration::ZERO) } else { timeout };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let wake = Arc::clone(&self.wake);
        let mut fds =
            [PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN), PollFd::new(&*self.socket, flags)];
        // Interrupted or not: what is there is looked at, and the next turn waits again.
        let _ = poll(&mut fds, timeout.as_ref());
        let bell = !fds[0].revents().is_empty();
        let socket = fds[1].revents();
        if socket.contains(PollFlags::OUT) {
            self.flush();
        }
        let received = socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && self.fill();
        Ready { bell, received }
    }

    /// Makes a call again and again until it has a result, the time is up or `cancelled` says so.
    pub(crate) fn until<T>(
        &mut self,
        deadline: Instant,
        cancelled: &dyn Fn() -> bool,
        mut call: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Stop> {
        loop {
            match call(self) {
                Err(failure) if failure.would_block() => {}
                result => {
                    self.flush();
                    return Ok(result?);
                }
            }
            if cancelled() {
                return Err(Stop::Cancelled);
            }
            let left = (deadline + self.paused).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Stop::Deadline);
            }
            let ready = self.wait(Some(left));
            if ready.bell {
                self.wake.hear(true);
            }
        }
    }

    /// Whether the server said goodbye, or the socket has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_farewell() || Buffers::with(|buffers| buffers.ended.is_some())
    }

    /// Whether the server said why it ends the connection, which no broken network does.
    pub(crate) fn has_farewell(&self) -> bool {
        Buffers::with(|buffers| buffers.farewell.is_some())
    }

    /// Returns the best words for why the connection ended.
    pub(crate) fn epitaph(&self, failure: Option<&Failure>) -> String {
        let (farewell, ended) = Buffers::with(|buffers| (buffers.farewell.clone(), buffers.ended.clone()));
        match (farewell, ended, failure) {
            (Some(farewell), ..) => format!("the server ended the connection: {farewell}"),
            (None, Some(ended), _) => ended,
            (None, None, Some(failure)) if !failure.message.is_empty() => failure.message.clone(),
            (None, None, Some(failure)) => format!("libssh2 error {}", failure.code),
            (None, None, None) => "the server closed the connection".into(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        raw::forget();
        // Freeing a session whose socket would still block leaks it.
        Buffers::with(|buffers| {
            buffers.ended.get_or_insert_with(|| "closed".into());
            buffers.outbound = bytes::BytesMut::new();
        });
    }
}
