//! One channel's share of the owner's turns: starting a command, reading, writing, ending, freeing.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::LINGER;
use super::kill::Kill;
use super::opens::{Job, OpenFailure, Target, answer};
use super::window::{Path, Window};
use crate::port::{ERR, Handle, OUT, Port};
use crate::raw::{Buffers, Channel, Failure, Output};
use crate::{Exit, Pty, Signal, lock};

/// Above this much unsent data channels stop writing, so that the socket sets the pace.
pub(super) const HIGH_WATER: usize = 512 * 1024;

/// Bytes that one channel may move in one turn before the others have theirs.
const SHARE: usize = 512 * 1024;

/// A channel that libssh2 knows.
pub(super) struct Live {
    pub(super) port: Arc<Port>,
    /// `None` once freed.
    channel: Option<Channel>,
    phase: Phase,
    exec: bool,
    end_on_drop: bool,
    _permit: Option<OwnedSemaphorePermit>,
    /// Something may have happened to it.
    pub(super) look: bool,
    /// Something was put into the port, and its readers were not woken since.
    delivered: bool,
    /// Bytes given to libssh2 and not all taken; it must get the same ones again.
    inflight: BytesMut,
    eof_sent: bool,
    ended: bool,
    /// The peer closed the channel.
    closed: bool,
    /// Nobody holds it any more, since then.
    let_go: Option<Instant>,
    window: Window,
    /// Process groups to send signals to by another channel.
    pub(super) kills: Vec<Kill>,
}

enum Phase {
    Pty(Pty, Start),
    Exec(Start),
    Running,
}

struct Start {
    command: Vec<u8>,
    reply: Option<oneshot::Sender<Result<Handle, OpenFailure>>>,
}

impl Start {
    fn refuse(self, reason: String) {
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(OpenFailure::Refused(reason)));
        }
    }
}

/// How a turn ended.
pub(super) enum Turn {
    Wait,
    Again,
    Gone,
}

impl Live {
    pub(super) fn new(channel: Channel, port: Arc<Port>, job: Option<Job>) -> Self {
        let mut live = Self {
            port,
            channel: Some(channel),
            phase: Phase::Running,
            exec: false,
            end_on_drop: false,
            _permit: None,
            look: true,
            delivered: false,
            inflight: BytesMut::new(),
            eof_sent: false,
            ended: false,
            closed: false,
            let_go: None,
            window: Window::default(),
            kills: Vec::new(),
        };
        if let Some(job) = job {
            live._permit = job.permit;
            match job.target {
                Target::Exec { command, pty, end_on_drop } => {
                    live.exec = true;
                    live.end_on_drop = end_on_drop;
                    let start = Start { command, reply: job.reply };
                    live.phase = match pty {
                        Some(pty) => Phase::Pty(pty, start),
                        None => Phase::Exec(start),
                    };
                }
                Target::Streamlocal(_) | Target::Tcp(..) => answer(&live.port, job.reply),
            }
        }
        live
    }

    /// See [`Channel::window`].
    #[cfg(test)]
    pub(super) fn window_left(&self) -> (std::ffi::c_ulong, std::ffi::c_ulong) {
        self.channel.as_ref().unwrap().window()
    }

    /// Has the window count as one that has grown to `size`.
    #[cfg(test)]
    pub(super) fn grow(&mut self, size: u32) {
        self.window = Window::grown_to(size);
    }

    /// What its window took of [`Path::spare`].
    pub(super) fn widened(&self) -> u32 {
        self.window.widened()
    }

    pub(super) fn is_exec(&self) -> bool {
        self.exec
    }

    /// Whether its command has not been started yet.
    pub(super) fn is_starting(&self) -> bool {
        !matches!(self.phase, Phase::Running)
    }

    /// Whether a turn can change something. Channels with unsent bytes wait while the socket is full.
    pub(super) fn wants_turn(&self, flooded: bool) -> bool {
        self.look || (!flooded && !self.inflight.is_empty())
    }

    pub(super) fn let_go(&mut self) {
        self.let_go.get_or_insert_with(Instant::now);
        self.look = true;
    }

    /// Whether nobody wants it any more, and only its last bytes and the server's close are missing.
    pub(super) fn is_let_go(&self) -> bool {
        self.let_go.is_some()
    }

    /// When it must be looked at even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.let_go.filter(|since| since.elapsed() < LINGER).map(|since| since + LINGER)
    }

    /// Wakes the readers of what the last turn put into the port. Not done in the turn itself: what they do would take
    /// the processor from the owner while it has other channels to serve.
    pub(super) fn wake_readers(&mut self) {
        if std::mem::take(&mut self.delivered) {
            self.port.wake_readers();
        }
    }

    /// Has libssh2 read from the connection, through any channel that can.
    pub(super) fn drive(&mut self) -> Result<(), Failure> {
        match self.channel.as_ref().map(Channel::drive) {
            Some(Err(failure)) if !failure.would_block() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Does what can be done now.
    pub(super) fn turn(&mut self, scratch: &mut [u8], path: &mut Path) -> Result<Turn, Failure> {
        self.look = false;
        match self.steps(scratch, path) {
            Err(failure) if failure.would_block() => Ok(Turn::Wait),
            Err(failure) if failure.is_of_channel() => {
                // The server broke off this channel only; what follows is its end.
                self.closed = true;
                self.port.end();
                self.port.exited(Exit::Unknown);
                self.free()
            }
            result => {
                // What waits is in libssh2, where neither the socket nor a caller who has room tells of it.
                self.look |= matches!(result, Ok(Turn::Again));
                result
            }
        }
    }

    fn steps(&mut self, scratch: &mut [u8], path: &mut Path) -> Result<Turn, Failure> {
        if !self.start()? {
            return self.free();
        }
        if self.let_go.is_none() && matches!(self.phase, Phase::Running) && self.port.abandoned() {
            self.let_go = Some(Instant::now());
        }
        let mut again = false;
        if self.let_go.is_none() {
            again |= self.read(scratch, path)?;
        }
        self.signal()?;
        if !self.closed {
            again |= self.write()?;
        }
        if let Some(since) = self.let_go {
            let done = self.eof_sent || self.closed || since.elapsed() >= LINGER;
            if done {
                return self.free();
            }
        } else if self.closed {
            return self.free();
        }
        Ok(if again { Turn::Again } else { Turn::Wait })
    }

    /// Asks for what was ordered. Returns whether there is a channel to go on with.
    fn start(&mut self) -> Result<bool, Failure> {
        let Some(channel) = &self.channel else { return Ok(false) };
        loop {
            match std::mem::replace(&mut self.phase, Phase::Running) {
                Phase::Running => return Ok(true),
                Phase::Pty(pty, start) => match channel.request_pty(&pty.term, pty.columns, pty.rows) {
                    Ok(()) => self.phase = Phase::Exec(start),
                    Err(failure) if failure.is_of_channel() => {
                        let reason = "the server refuses a pseudo-terminal (PermitTTY in sshd_config)";
                        start.refuse(reason.into());
                        self.let_go();
                        self.eof_sent = true;
                        return Ok(false);
                    }
                    // Not now, or never: who waits is told why by the owner, which knows in time.
                    Err(failure) => {
                        self.phase = Phase::Pty(pty, start);
                        return Err(failure);
                    }
                },
                Phase::Exec(start) => match channel.exec(&start.command) {
                    Ok(()) => answer(&self.port, start.reply),
                    Err(failure) if failure.is_of_channel() => {
                        start.refuse(failure.message);
                        self.let_go();
                        self.eof_sent = true;
                        return Ok(false);
                    }
                    Err(failure) => {
                        self.phase = Phase::Exec(start);
                        return Err(failure);
                    }
                },
            }
        }
    }

    /// Hands on what has arrived, as far as there is room. Returns whether more waits.
    fn read(&mut self, scratch: &mut [u8], path: &mut Path) -> Result<bool, Failure> {
        let Some(channel) = &self.channel else { return Ok(false) };
        channel.finish_widening()?;
        let outputs: &[(usize, Output)] = if self.exec {
            &[(OUT, Output::Standard), (ERR, Output::Error)]
        } else {
            &[(OUT, Output::Standard)]
        };
        let mut again = false;
        // Whether the end may have come. What libssh2 holds for all channels is one list, and it walks all of it for
        // one that has nothing there: not asked without need.
        let mut may_end = false;
        for &(which, output) in outputs {
            let mut share = SHARE;
            let mut drained = false;
            while !self.ended && !drained {
                // Always as much at once: see `Channel::widen`.
                let room = lock(&self.port.state).inbound[which].room(scratch.len());
                if !room {
                    may_end = true;
                    break;
                }
                if share == 0 {
                    again = true;
                    break;
                }
                match channel.read(output, scratch) {
                    Ok(length) => {
                        may_end = true;
                        drained = length < scratch.len();
                        if length == 0 {
                            break;
                        }
                        self.port.deliver(which, &scratch[..length]);
                        self.delivered = true;
                        share = share.saturating_sub(length);
                        let (granted, now) = (channel.granted(), Instant::now());
                        if let Some(more) = self.window.taken(length as u32, granted, now, path) {
                            channel.widen(more)?;
                        }
                    }
                    Err(failure) if failure.would_block() => break,
                    Err(failure) => return Err(failure),
                }
            }
        }
        if !self.ended && may_end && channel.ended() {
            self.ended = true;
            self.port.end();
        }
        if self.ended && !self.closed {
            match channel.wait_closed() {
                Ok(()) => {
                    self.closed = true;
                    let exit = match (channel.exit_signal(), channel.exit_status()) {
                        (Some(name), _) => Exit::Signal(name),
                        (None, Some(status)) => Exit::Status(status),
                        (None, None) => Exit::Unknown,
                    };
                    self.port.exited(exit);
                }
                Err(failure) if failure.would_block() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(again)
    }

    fn signal(&mut self) -> Result<(), Failure> {
        let Some(channel) = &self.channel else { return Ok(()) };
        if self.let_go.is_some() && self.end_on_drop && !self.closed {
            self.end_on_drop = false;
            lock(&self.port.state).signals.push(Signal::Term);
        }
        loop {
            let Some(signal) = lock(&self.port.state).signals.first().copied() else { return Ok(()) };
            channel.signal(signal.name())?;
            let mut state = lock(&self.port.state);
            state.signals.remove(0);
            let force = self.let_go.is_some();
            self.kills.extend(state.group.map(|group| (group, signal, force)));
        }
    }

    /// Sends what was written, and the end of it. Returns whether more waits.
    fn write(&mut self) -> Result<bool, Failure> {
        let Some(channel) = &self.channel else { return Ok(false) };
        let mut share = SHARE;
        loop {
            if self.inflight.is_empty() {
                self.inflight = self.port.take_outbound();
                if self.inflight.is_empty() {
                    break;
                }
            }
            if Buffers::with(|buffers| buffers.outbound.len()) > HIGH_WATER {
                return Ok(false);
            }
            if share == 0 {
                return Ok(true);
            }
            match channel.write(&self.inflight) {
                // The peer's window is closed; its opening arrives like data.
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.inflight.advance(length);
                    share = share.saturating_sub(length);
                }
                Err(failure) if failure.would_block() => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
        let finished = {
            let state = lock(&self.port.state);
            state.outbound.is_empty() && (state.finished || self.let_go.is_some())
        };
        if finished && !self.eof_sent {
            channel.send_eof()?;
            self.eof_sent = true;
        }
        Ok(false)
    }

    fn free(&mut self) -> Result<Turn, Failure> {
        let Some(channel) = self.channel.take() else { return Ok(Turn::Gone) };
        match channel.free() {
            Ok(()) => Ok(Turn::Gone),
            Err((channel, _)) => {
                self.channel = Some(channel);
                self.let_go();
                self.look = false;
                // From here on every turn comes back to this call.
                self.closed = true;
                Ok(Turn::Wait)
            }
        }
    }
}
