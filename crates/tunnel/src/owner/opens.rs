//! What is to be opened: the queue, the one open at a time, and what the server refuses for now.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::channel::Live;
use super::{End, Owner, PACKET, WINDOW};
use crate::port::{Handle, Port};
use crate::{Error, Pty, lock, raw};

/// After refusing a session the server is asked again this much later: it counts those that end only
/// when it gets round to it.
const ASK_AGAIN: Duration = Duration::from_millis(25);

/// A channel type that no server knows: its refusal is an answer, costs nothing, and makes libssh2
/// read what else the server sent while no channel is open (it has no call that only reads).
const PROBE: &str = "keepalive@dfab";

/// A channel to open.
pub(crate) struct Job {
    pub(crate) target: Target,
    /// `None`: an order of our own, which nobody waits for.
    pub(crate) reply: Option<oneshot::Sender<Result<Handle, OpenFailure>>>,
    /// The place among the exec channels, held until the channel is freed.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    pub(crate) deadline: Instant,
    pub(crate) turn: Arc<OpenTurn>,
    /// The owner has begun with it before.
    pub(crate) begun: bool,
}

/// Whose an order is: the caller may take it elsewhere until the owner begins with it.
#[derive(Debug, Default)]
pub(crate) struct OpenTurn(AtomicBool);

impl OpenTurn {
    /// Takes the order. Returns whether it was still to be had.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Since when a connection waits for an answer about a TCP port, which may take minutes: until it comes,
/// nothing else can be opened there.
#[derive(Debug, Default)]
pub(crate) struct TcpOpen(Mutex<Option<Instant>>);

impl TcpOpen {
    pub(super) fn note(&self, since: Option<Instant>) {
        *lock(&self.0) = since;
    }

    /// Whether it has waited for longer than `limit`.
    pub(crate) fn takes_longer_than(&self, limit: Duration) -> bool {
        lock(&self.0).is_some_and(|since| since.elapsed() > limit)
    }
}

impl Job {
    /// Whether somebody still wants it.
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }

    pub(super) fn fail(self, failure: OpenFailure) {
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(failure));
        }
    }
}

/// What a channel leads to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Streamlocal(String),
    Tcp(String, u16),
    Exec { command: Vec<u8>, pty: Option<Pty>, end_on_drop: bool },
}

/// Why a channel was not opened.
#[derive(Debug)]
pub(crate) enum OpenFailure {
    /// The server refused; its reason.
    Refused(String),
    /// The connection failed, or the time was up.
    Failed(Error),
}

/// The open under way.
pub(super) struct Opening {
    /// `None`: a probe.
    pub(super) job: Option<Job>,
    kind: &'static str,
    message: Vec<u8>,
    since: Instant,
}

impl Owner {
    /// Whether signals wait to be sent to commands.
    pub(super) fn has_kills(&self) -> bool {
        let opening = self.opening.as_ref().and_then(|opening| opening.job.as_ref());
        self.queue.iter().chain(&self.parked).chain(opening).any(|job| job.reply.is_none())
            || self.channels.values().any(Live::is_starting)
    }

    /// Puts what the server refused back to the front. Returns whether there is something to open.
    pub(super) fn unpark(&mut self) -> bool {
        self.ask_again = None;
        while let Some(job) = self.parked.pop_back() {
            self.queue.push_front(job);
        }
        self.opening.is_none() && !self.queue.is_empty()
    }

    /// Begins or goes on with opening channels, one at a time.
    pub(super) fn open_next(&mut self) -> Result<(), End> {
        loop {
            if self.opening.is_none() {
                // Callers that have given up need no channel.
                let job = loop {
                    match self.queue.pop_front() {
                        Some(job) if !job.is_wanted() => {}
                        job => break job,
                    }
                };
                let Some(mut job) = job else { return Ok(()) };
                if !job.begun && !job.turn.take() {
                    continue;
                }
                job.begun = true;
                let (kind, message) = job.target.request();
                let since = Instant::now();
                self.tcp_open.note(matches!(job.target, Target::Tcp(..)).then_some(since));
                self.opening = Some(Opening { job: Some(job), kind, message, since });
            }
            let Some(opening) = &mut self.opening else { return Ok(()) };
            let result =
                raw::Channel::open(&self.link.session, opening.kind, WINDOW, PACKET, &opening.message);
            let took = opening.since.elapsed();
            if !matches!(&result, Err(failure) if failure.would_block()) {
                self.tcp_open.note(None);
            }
            match result {
                Err(failure) if failure.would_block() => return Ok(()),
                Err(failure) if failure.is_of_channel() => {
                    let job = self.opening.take().and_then(|opening| opening.job);
                    if let Some(job) = job {
                        self.refused(job, failure.message);
                    }
                }
                Err(failure) => return Err(End::Broken(self.link.epitaph(Some(&failure)))),
                Ok(channel) => {
                    self.path.round_trip = self.path.round_trip.min(took);
                    let job = self.opening.take().and_then(|opening| opening.job);
                    let id = self.next_id;
                    self.next_id = self.next_id.wrapping_add(1);
                    let port = Port::new(id, Arc::clone(&self.link.wake));
                    // A server that grants a probe gets its channel closed: nobody holds its port.
                    self.channels.insert(id, Live::new(channel, port, job));
                }
            }
        }
    }

    fn refused(&mut self, job: Job, reason: String) {
        let execs = self.channels.values().filter(|live| live.is_exec()).count();
        let just_freed = self.last_freed.is_some_and(|freed| freed.elapsed() < Duration::from_secs(2));
        if matches!(job.target, Target::Exec { .. }) && (execs > 0 || just_freed) {
            // Most likely `MaxSessions`: wait for one of ours to end.
            tracing::debug!(host = %self.host, open = execs, "server refuses more sessions; waiting");
            self.parked.push_back(job);
            if just_freed {
                self.ask_again = Some(Instant::now() + ASK_AGAIN);
            }
        } else {
            job.fail(OpenFailure::Refused(reason));
        }
    }

    /// Asks for a channel that is refused; see [`PROBE`].
    pub(super) fn probe(&mut self) {
        self.opening = Some(Opening { job: None, kind: PROBE, message: Vec::new(), since: Instant::now() });
    }

    /// Gives up what waited too long to be opened.
    pub(super) fn check_jobs(&mut self) {
        let now = Instant::now();
        let host = &self.host;
        let parked = self.parked.len();
        let late = |queue: &mut VecDeque<Job>, sessions: bool| {
            for _ in 0..queue.len() {
                let Some(job) = queue.pop_front() else { break };
                if !job.is_wanted() {
                    continue;
                }
                if now < job.deadline {
                    queue.push_back(job);
                    continue;
                }
                let failure = if sessions {
                    OpenFailure::Refused(format!(
                        "the server allows no more sessions on this connection (MaxSessions in sshd_config), \
                         and none of those open ended in time; {parked} waiting"
                    ))
                } else {
                    OpenFailure::Failed(Error::Disconnected {
                        host: host.clone(),
                        source: "the server did not answer an earlier request".into(),
                    })
                };
                job.fail(failure);
            }
        };
        late(&mut self.queue, false);
        late(&mut self.parked, true);
    }
}

impl Target {
    /// Returns the channel type and what follows the fixed part of the request to open it.
    pub(super) fn request(&self) -> (&'static str, Vec<u8>) {
        let mut message = Vec::new();
        let mut text = |text: &str, number: Option<u32>| {
            message.extend_from_slice(&(text.len() as u32).to_be_bytes());
            message.extend_from_slice(text.as_bytes());
            if let Some(number) = number {
                message.extend_from_slice(&number.to_be_bytes());
            }
        };
        match self {
            // OpenSSH PROTOCOL, section 2.4: path, reserved text, reserved number.
            Self::Streamlocal(path) => {
                text(path, None);
                text("", Some(0));
                ("direct-streamlocal@openssh.com", message)
            }
            // RFC 4254 §7.2: where to, and on whose behalf.
            Self::Tcp(host, port) => {
                text(host, Some((*port).into()));
                text("127.0.0.1", Some(0));
                ("direct-tcpip", message)
            }
            Self::Exec { .. } => ("session", message),
        }
    }
}

/// Gives the waiting opener of a channel its handle. One that has gone leaves none behind, and the
/// channel is closed.
pub(super) fn answer(port: &Arc<Port>, reply: Option<oneshot::Sender<Result<Handle, OpenFailure>>>) {
    if let Some(reply) = reply {
        let _ = reply.send(Ok(port.acquire()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_protocol() {
        let (kind, message) = Target::Streamlocal("/s".into()).request();
        assert_eq!(kind, "direct-streamlocal@openssh.com");
        assert_eq!(message, b"\0\0\0\x02/s\0\0\0\0\0\0\0\0");
        let (kind, message) = Target::Tcp("h".into(), 258).request();
        assert_eq!(kind, "direct-tcpip");
        assert_eq!(message, b"\0\0\0\x01h\0\0\x01\x02\0\0\0\x09127.0.0.1\0\0\0\0");
    }
}
