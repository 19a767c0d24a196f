//! The owner thread of a connection: the only code that touches its libssh2 session.
//!
//! One turn of [`Owner::run`] takes orders and notes from callers, moves bytes between the socket and
//! libssh2, gives every channel its share, and waits for the socket, the bell or the next timer. The
//! rules of libssh2 (design §5) are held as follows:
//!
//! * one thread for a session: the session lives here, and [`raw::Channel`] cannot leave;
//! * a half-sent packet first: the send callback takes packets whole (see [`crate::raw`]), and a
//!   channel's [`Live::inflight`] bytes stay the same until libssh2 took them;
//! * opens are serial: one [`Opening`] at a time, the others queue;
//! * freeing a channel is a session call: callers only drop a handle, [`Owner::pump`] frees.
//!
//! `rules.rs` names the test of each.

mod channel;
pub(crate) mod link;
pub(crate) mod login;
#[cfg(test)]
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::channel::{Live, Turn};
use self::link::Link;
use crate::options::Keepalive;
use crate::port::{Handle, Port};
use crate::process::KILL_WAIT;
use crate::raw::{self, Buffers, Failure};
use crate::{Error, Pty, Signal, quote};

/// What callers ask of the owner.
pub(crate) enum Order {
    Open(Job),
    Close(Closed),
}

/// Where a caller waits for the end of the session.
type Closed = oneshot::Sender<Result<(), Error>>;

/// A channel to open.
pub(crate) struct Job {
    pub(crate) target: Target,
    /// `None`: an order of our own, which nobody waits for.
    pub(crate) reply: Option<oneshot::Sender<Result<Handle, OpenFailure>>>,
    /// The place among the exec channels, held until the channel is freed.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    pub(crate) deadline: Instant,
}

impl Job {
    /// Whether somebody still wants it.
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }

    fn fail(self, failure: OpenFailure) {
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

/// Channel window at the start and at most. 2 MiB is libssh2's own; a window grows only while its
/// stream uses it up within a round trip, so that slow readers of many streams stay small.
const WINDOW: u32 = 2 * 1024 * 1024;
const PACKET: u32 = 32 * 1024;

/// How long channels may take to send their last bytes when the session is closed or nobody holds
/// them any more.
const LINGER: Duration = Duration::from_secs(5);

/// How much longer the connection stays for signals to commands that are not sent yet.
const KILL_LINGER: Duration = Duration::from_secs(10);

/// After refusing a session the server is asked again this much later: it counts those that end only
/// when it gets round to it.
const ASK_AGAIN: Duration = Duration::from_millis(25);

/// A channel type that no server knows: its refusal is an answer, costs nothing, and makes libssh2
/// read what else the server sent while no channel is open (it has no call that only reads).
const PROBE: &str = "keepalive@dfab";

/// The running state of one connection.
pub(crate) struct Owner {
    /// Dropped before `link`: channels belong to the session.
    channels: BTreeMap<u32, Live>,
    opening: Option<Opening>,
    queue: VecDeque<Job>,
    /// Exec channels that the server refused while others were open; tried again when one is freed.
    parked: VecDeque<Job>,
    /// When parked jobs are tried again although no channel was freed.
    ask_again: Option<Instant>,
    /// When an exec channel was last freed.
    last_freed: Option<Instant>,
    link: Link,
    orders: Receiver<Order>,
    host: String,
    keepalive: Option<Keepalive>,
    unanswered: u32,
    next_id: u32,
    /// The shortest time that an open took, as a measure of a round trip. The time of the TCP
    /// connection would be one to the nearest proxy only.
    round_trip: Duration,
    scratch: Vec<u8>,
    closing: Option<(Instant, Vec<Closed>)>,
    /// What ended the loop, for those who come too late.
    ended: Option<Error>,
}

struct Opening {
    /// `None`: a probe.
    job: Option<Job>,
    kind: &'static str,
    message: Vec<u8>,
    since: Instant,
}

/// Why the loop ends.
enum End {
    Closed,
    Broken(String),
}

impl Owner {
    pub(crate) fn new(
        link: Link,
        orders: Receiver<Order>,
        host: String,
        keepalive: Option<Keepalive>,
    ) -> Self {
        Self {
            channels: BTreeMap::new(),
            opening: None,
            queue: VecDeque::new(),
            parked: VecDeque::new(),
            ask_again: None,
            last_freed: None,
            link,
            orders,
            host,
            keepalive,
            unanswered: 0,
            next_id: 0,
            round_trip: Duration::MAX,
            scratch: vec![0; 64 * 1024],
            closing: None,
            ended: None,
        }
    }

    /// Serves the connection until it is closed or breaks, and tells everybody. `gone` is set to the
    /// error that later callers get, before anybody hears of the end.
    pub(crate) fn run(mut self, gone: &OnceLock<Error>) {
        let end = loop {
            match self.turn() {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        let error = match &end {
            End::Closed => Error::Closed { host: self.host.clone() },
            End::Broken(reason) => {
                tracing::debug!(host = %self.host, %reason, "connection broke");
                Error::Disconnected { host: self.host.clone(), source: reason.as_str().into() }
            }
        };
        let _ = gone.set(error.clone());
        self.ended = Some(error.clone());
        self.fail_all(&error);
        if let (End::Closed, Some((_, replies))) = (&end, self.closing.take()) {
            let result = self.goodbye();
            for reply in replies {
                let _ = reply.send(result.clone());
            }
        }
    }

    fn fail_all(&mut self, error: &Error) {
        for live in self.channels.values() {
            live.port.fail(error.clone());
        }
        let jobs = self.opening.take().and_then(|opening| opening.job).into_iter();
        for job in jobs.chain(self.queue.drain(..)).chain(self.parked.drain(..)) {
            job.fail(OpenFailure::Failed(error.clone()));
        }
        if !matches!(error, Error::Closed { .. }) {
            for reply in self.closing.take().into_iter().flat_map(|(_, replies)| replies) {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    /// Says goodbye and sees the last bytes off.
    fn goodbye(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let sent = self.link.until(deadline, &|| false, |link| {
            Ok(link.session.disconnect(None, "closed by the user", None)?)
        });
        while Buffers::with(|buffers| !buffers.outbound.is_empty() && buffers.ended.is_none()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.link.wait(Some(left));
        }
        match sent {
            Ok(()) => Ok(()),
            Err(_) => {
                Err(Error::Disconnected { host: self.host.clone(), source: self.link.epitaph(None).into() })
            }
        }
    }

    fn turn(&mut self) -> Result<(), End> {
        self.take_orders()?;
        self.parse()?;
        let again = self.pump_all()?;
        self.drive()?;
        self.check_jobs();
        let timer = self.watch()?;
        let idle = self.channels.is_empty() && self.queue.is_empty() && self.parked.is_empty();
        let idle = idle && self.opening.is_none();
        if let Some((deadline, _)) = &self.closing {
            let more = if self.has_kills() { KILL_LINGER } else { Duration::ZERO };
            if idle || Instant::now() >= *deadline + more {
                return Err(End::Closed);
            }
        }
        let ready = self.link.wait(if again { Some(Duration::ZERO) } else { timer });
        if ready.received {
            self.unanswered = 0;
            self.channels.values_mut().for_each(|live| live.look = true);
        }
        for id in self.link.wake.hear(ready.bell) {
            if let Some(live) = self.channels.get_mut(&id) {
                live.port.look();
                live.look = true;
            }
        }
        Ok(())
    }

    fn take_orders(&mut self) -> Result<(), End> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Open(job)) => match self.closing {
                    None => self.queue.push_back(job),
                    Some(_) => {
                        let error = Error::Closed { host: self.host.clone() };
                        job.fail(OpenFailure::Failed(error));
                    }
                },
                Ok(Order::Close(reply)) => self.start_closing(Some(reply)),
                Err(TryRecvError::Empty) => return Ok(()),
                // The session was dropped. Streams may still want to send their last bytes.
                Err(TryRecvError::Disconnected) => {
                    if self.closing.is_none() {
                        self.start_closing(None);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Whether signals wait to be sent to commands.
    fn has_kills(&self) -> bool {
        let opening = self.opening.as_ref().and_then(|opening| opening.job.as_ref());
        self.queue.iter().chain(&self.parked).chain(opening).any(|job| job.reply.is_none())
            || self.channels.values().any(Live::is_starting)
    }

    fn start_closing(&mut self, reply: Option<Closed>) {
        let closing = self.closing.get_or_insert_with(|| (Instant::now() + LINGER, Vec::new()));
        closing.1.extend(reply);
        let error = Error::Closed { host: self.host.clone() };
        for live in self.channels.values_mut() {
            live.port.fail(error.clone());
            live.let_go();
        }
        for job in self.queue.drain(..).chain(self.parked.drain(..)) {
            job.fail(OpenFailure::Failed(error.clone()));
        }
    }

    /// Opens, reads, writes and frees. Returns whether a channel has more to do at once.
    fn pump_all(&mut self) -> Result<bool, End> {
        self.open_next()?;
        let mut again = false;
        let mut freed_exec = false;
        let mut gone = Vec::new();
        let mut kills = Vec::new();
        let flooded = Buffers::with(|buffers| buffers.outbound.len()) > channel::HIGH_WATER;
        for (id, live) in &mut self.channels {
            if !live.wants_turn(flooded) {
                continue;
            }
            let turn = live.turn(&mut self.scratch, self.round_trip);
            kills.append(&mut live.kills);
            match turn {
                Ok(Turn::Wait) => {}
                Ok(Turn::Again) => again = true,
                Ok(Turn::Gone) => {
                    freed_exec |= live.is_exec();
                    gone.push(*id);
                }
                Err(failure) => return Err(End::Broken(self.link.epitaph(Some(&failure)))),
            }
        }
        for id in gone {
            self.channels.remove(&id);
        }
        // Before all others: somebody waits for the end of a command, or nobody does any more.
        for kill in kills.into_iter().rev() {
            self.queue.push_front(Job {
                target: Target::Exec { command: kill_command(kill), pty: None, end_on_drop: false },
                reply: None,
                permit: None,
                deadline: Instant::now() + KILL_WAIT,
            });
            again = true;
        }
        if freed_exec {
            self.last_freed = Some(Instant::now());
            again |= self.unpark();
        }
        if self.ask_again.is_some_and(|at| Instant::now() >= at) {
            again |= self.unpark();
        }
        Ok(again)
    }

    fn unpark(&mut self) -> bool {
        self.ask_again = None;
        while let Some(job) = self.parked.pop_back() {
            self.queue.push_front(job);
        }
        self.opening.is_none() && !self.queue.is_empty()
    }

    /// Begins or goes on with opening channels, one at a time.
    fn open_next(&mut self) -> Result<(), End> {
        loop {
            if self.opening.is_none() {
                // Callers that have given up need no channel.
                let job = loop {
                    match self.queue.pop_front() {
                        Some(job) if !job.is_wanted() => {}
                        job => break job,
                    }
                };
                let Some(job) = job else { return Ok(()) };
                let (kind, message) = job.target.request();
                self.opening = Some(Opening { job: Some(job), kind, message, since: Instant::now() });
            }
            let Some(opening) = &mut self.opening else { return Ok(()) };
            let result =
                raw::Channel::open(&self.link.session, opening.kind, WINDOW, PACKET, &opening.message);
            let took = opening.since.elapsed();
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
                    self.round_trip = self.round_trip.min(took);
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

    /// Has libssh2 look at what arrived before anybody reads: what it threw away is noticed before
    /// what came after it is handed on.
    fn parse(&mut self) -> Result<(), End> {
        for live in self.channels.values_mut() {
            if !Buffers::with(|buffers| buffers.has_inbound()) {
                break;
            }
            live.drive().map_err(|failure| End::Broken(self.link.epitaph(Some(&failure))))?;
        }
        Ok(())
    }

    /// Has libssh2 look at what arrived, when no channel did so by reading.
    fn drive(&mut self) -> Result<(), End> {
        let waiting = || Buffers::with(|buffers| buffers.has_inbound());
        if !waiting() {
            return Ok(());
        }
        for live in self.channels.values_mut() {
            if let Err(failure) = live.drive() {
                return Err(End::Broken(self.link.epitaph(Some(&failure))));
            }
            if !waiting() {
                // Something may have come for channels that had their turn before.
                self.channels.values_mut().for_each(|live| live.look = true);
                return Ok(());
            }
        }
        if self.opening.is_none() {
            self.probe();
        }
        self.open_next()
    }

    fn probe(&mut self) {
        self.opening = Some(Opening { job: None, kind: PROBE, message: Vec::new(), since: Instant::now() });
    }

    /// Gives up what waited too long to be opened.
    fn check_jobs(&mut self) {
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

    /// Asks a silent peer for an answer, and gives up one that stays silent. Returns when to look
    /// again.
    fn watch(&mut self) -> Result<Option<Duration>, End> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut at_latest = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        if let Some(keepalive) = self.keepalive {
            let due = self.link.heard + keepalive.interval * (self.unanswered + 1);
            if now >= due {
                if self.unanswered >= keepalive.count_max {
                    let silence = now.duration_since(self.link.heard).as_secs_f64();
                    return Err(End::Broken(format!(
                        "the server has not answered for {silence:.1} s ({} keepalives)",
                        self.unanswered
                    )));
                }
                self.unanswered += 1;
                if self.opening.is_none() {
                    self.probe();
                    self.open_next()?;
                } else {
                    // An open waits for its answer, and the server may be right to take its time.
                    self.link.session.set_keepalive(true, 1);
                    if let Err(error) = self.link.session.keepalive_send() {
                        let failure = Failure::from(error);
                        if !failure.would_block() {
                            return Err(End::Broken(self.link.epitaph(Some(&failure))));
                        }
                    }
                }
                self.link.flush();
            }
            at_latest(self.link.heard + keepalive.interval * (self.unanswered + 1));
        }
        // Channels had their turn and took what came before the end.
        if Buffers::with(|buffers| buffers.ended.is_some()) {
            return Err(End::Broken(self.link.epitaph(None)));
        }
        for job in self.queue.iter().chain(&self.parked) {
            at_latest(job.deadline);
        }
        if let Some(at) = self.ask_again {
            at_latest(at);
        }
        for live in self.channels.values() {
            if let Some(deadline) = live.deadline() {
                at_latest(deadline);
            }
        }
        if let Some((deadline, _)) = &self.closing {
            at_latest(if now < *deadline { *deadline } else { *deadline + KILL_LINGER });
        }
        Ok(next.map(|next| next.saturating_duration_since(now) + Duration::from_millis(1)))
    }
}

impl Drop for Owner {
    /// Also reached by a panic: nobody may wait for a thread that is gone.
    fn drop(&mut self) {
        let reason = "the connection's thread ended";
        let error = self
            .ended
            .take()
            .unwrap_or_else(|| Error::Disconnected { host: self.host.clone(), source: reason.into() });
        self.fail_all(&error);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(job) => job.fail(OpenFailure::Failed(error.clone())),
                Order::Close(reply) => {
                    let closed = matches!(error, Error::Closed { .. });
                    let _ = reply.send(if closed { Ok(()) } else { Err(error.clone()) });
                }
            }
        }
        self.channels.clear();
    }
}

impl Target {
    /// Returns the channel type and what follows the fixed part of the request to open it.
    fn request(&self) -> (&'static str, Vec<u8>) {
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
fn answer(port: &Arc<Port>, reply: Option<oneshot::Sender<Result<Handle, OpenFailure>>>) {
    if let Some(reply) = reply {
        let _ = reply.send(Ok(port.acquire()));
    }
}

/// A process group to end by another channel: its number, the signal, and whether to use force when
/// that does not help within two seconds.
type Kill = (u32, Signal, bool);

/// A command that sends a signal to a process group. Servers send signals themselves only for users
/// that are not root, and not all of them do.
///
/// The signal is sent twice, because a shell that is about to become another program forgets it.
fn kill_command((group, signal, force): Kill) -> Vec<u8> {
    const KILL: &str = r#"
kill -s "$2" -- "-$1" 2>/dev/null || exit 0
for turn in 1 2 3 4 5 6 7 8 9 10; do
  sleep 0.2 2>/dev/null || sleep 1
  kill -s 0 -- "-$1" 2>/dev/null || exit 0
  [ $turn = 1 ] && kill -s "$2" -- "-$1"
done
[ "$3" = force ] && kill -s KILL -- "-$1"
"#;
    let force = if force { "force" } else { "ask" };
    quote::command(["sh", "-c", KILL, "sh", &group.to_string(), signal.name(), force]).into_bytes()
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
