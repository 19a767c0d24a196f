//! The owner thread of a connection: the only code that touches its libssh2 session.
//!
//! One turn of [`Owner::run`] takes orders and notes from callers, moves bytes between the socket and
//! libssh2, gives every channel its share, and waits for the socket, the bell or the next timer. The
//! rules of libssh2 (design §5) are held as follows:
//!
//! * one thread for a session: the session lives here, and [`crate::raw::Channel`] cannot leave;
//! * a half-sent packet first: the send callback takes packets whole (see [`crate::raw`]), and a
//!   channel's [`Live::inflight`] bytes stay the same until libssh2 took them;
//! * opens are serial: one [`Opening`] at a time, the others queue;
//! * freeing a channel is a session call: callers only drop a handle, [`Owner::pump_all`] frees.
//!
//! `rules.rs` names the test of each.

mod channel;
#[cfg(test)]
mod closing;
mod key_files;
mod kill;
pub(crate) mod link;
pub(crate) mod login;
mod opens;
#[cfg(test)]
mod rules;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::channel::{Live, Turn};
use self::kill::kill_command;
use self::link::Link;
use self::opens::Opening;
pub(crate) use self::opens::{Job, OpenFailure, OpenTurn, Target, TcpOpen};
use self::window::{Path, READ, WINDOW};
use crate::Error;
use crate::options::Keepalive;
use crate::process::KILL_WAIT;
use crate::raw::{Buffers, Failure};

/// What callers ask of the owner.
pub(crate) enum Order {
    Open(Job),
    Close(Closed),
}

/// Where a caller waits for the end of the session.
type Closed = oneshot::Sender<Result<(), Error>>;

/// The largest packet that a server may send. sshd reads 32 KiB of a stream in the time that it sends a packet: only
/// larger ones empty its buffer when the line has been slow for a while. libssh2 takes 40,000 bytes, which must hold
/// the packet's frame and what compression makes longer.
const PACKET: u32 = 38 * 1024;

/// How long channels may take to send their last bytes when the session is closed or nobody holds
/// them any more.
const LINGER: Duration = Duration::from_secs(5);

/// How much longer the connection stays for signals to commands that are not sent yet.
const KILL_LINGER: Duration = Duration::from_secs(10);

/// The running state of one connection.
pub(crate) struct Owner {
    /// Dropped before `link`: channels belong to the session.
    channels: BTreeMap<u32, Live>,
    opening: Option<Opening>,
    tcp_open: Arc<TcpOpen>,
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
    path: Path,
    scratch: Vec<u8>,
    closing: Option<(Instant, Vec<Closed>)>,
    /// What ended the loop, for those who come too late.
    ended: Option<Error>,
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
        tcp_open: Arc<TcpOpen>,
    ) -> Self {
        Self {
            channels: BTreeMap::new(),
            opening: None,
            tcp_open,
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
            path: Path::default(),
            scratch: vec![0; READ as usize],
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
        if self.closing.is_some() {
            // The answer to an open that was under way when the session was closed: its stream may be in a pool, which
            // keeps it, and nobody else would let go of it.
            let error = Error::Closed { host: self.host.clone() };
            for live in self.channels.values_mut().filter(|live| !live.is_exec() && !live.is_let_go()) {
                live.port.fail(error.clone());
                live.let_go();
            }
        }
        let mut again = false;
        let mut freed_exec = false;
        let mut gone = Vec::new();
        let mut kills = Vec::new();
        let flooded = Buffers::with(|buffers| buffers.outbound.len()) > channel::HIGH_WATER;
        for (id, live) in &mut self.channels {
            if !live.wants_turn(flooded) {
                continue;
            }
            let turn = live.turn(&mut self.scratch, &mut self.path);
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
        self.channels.values_mut().for_each(Live::wake_readers);
        for live in gone.iter().filter_map(|id| self.channels.remove(id)) {
            self.path.spare += live.widened();
        }
        // Before all others: somebody waits for the end of a command, or nobody does any more.
        for kill in kills.into_iter().rev() {
            self.queue.push_front(Job {
                target: Target::Exec { command: kill_command(kill), pty: None, end_on_drop: false },
                reply: None,
                permit: None,
                deadline: Instant::now() + KILL_WAIT,
                turn: Arc::default(),
                begun: false,
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
