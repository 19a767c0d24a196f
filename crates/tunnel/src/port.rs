//! What a caller and the owner thread share about one channel: bounded buffers both ways, the ends of
//! each direction, and how it came to an end.
//!
//! ```text
//! caller: poll_write -> [outbound] -> owner -> libssh2 -> socket
//! caller: poll_read  <- [inbound]  <- owner <- libssh2 <- socket
//! ```
//!
//! A full `outbound` makes the writer wait; a full `inbound` makes the owner stop reading this
//! channel, so that its SSH window closes and the peer waits. Other channels go on.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use crate::wake::Wake;
use crate::{Error, Exit, Signal, lock};

/// Bytes buffered for each direction of a channel.
pub(crate) const CAPACITY: usize = 256 * 1024;

/// The shared part of one channel.
#[derive(Debug)]
pub(crate) struct Port {
    id: u32,
    wake: Arc<Wake>,
    /// Noted at the bell and not yet looked at by the owner.
    marked: AtomicBool,
    pub(crate) state: Mutex<State>,
}

/// Standard output and standard error, in this order; streams use only the first.
pub(crate) const OUT: usize = 0;
pub(crate) const ERR: usize = 1;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Written by the caller, not yet taken by the owner.
    pub(crate) outbound: BytesMut,
    /// The caller has nothing more to write.
    pub(crate) finished: bool,
    writer: Option<Waker>,
    pub(crate) inbound: [Inbound; 2],
    /// The remote process group, when the command told.
    pub(crate) group: Option<u32>,
    /// Signals to send.
    pub(crate) signals: Vec<Signal>,
    /// How the command ended; known once the peer has closed the channel.
    pub(crate) exit: Option<Exit>,
    waiters: Vec<Waker>,
    /// The channel or its connection failed.
    error: Option<Error>,
    /// Handles that callers hold; at zero the owner closes the channel.
    handles: usize,
}

/// One direction from the peer.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    data: BytesMut,
    /// Nobody reads: what arrives is thrown away.
    discard: bool,
    /// The owner stopped because the buffer was full.
    stalled: bool,
    eof: bool,
    reader: Option<Waker>,
}

impl Inbound {
    /// Whether the owner may put in `length` bytes. What nobody reads is thrown away, so there is
    /// always room for it.
    pub(crate) fn room(&mut self, length: usize) -> bool {
        self.stalled = !self.discard && self.data.len() + length > CAPACITY;
        !self.stalled
    }
}

impl Port {
    pub(crate) fn new(id: u32, wake: Arc<Wake>) -> Arc<Self> {
        Arc::new(Self { id, wake, marked: AtomicBool::new(false), state: Mutex::default() })
    }

    /// Tells the owner to look at this channel.
    pub(crate) fn mark(&self) {
        if !self.marked.swap(true, Ordering::AcqRel) {
            self.wake.mark(self.id);
        }
    }

    /// The owner looks now; what is marked from here on wakes it again.
    pub(crate) fn look(&self) {
        self.marked.store(false, Ordering::Release);
    }

    // The caller's side.

    pub(crate) fn poll_read(
        &self,
        which: usize,
        ctx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        let inbound = &mut state.inbound[which];
        if !inbound.data.is_empty() {
            let length = inbound.data.len().min(target.remaining());
            target.put_slice(&inbound.data[..length]);
            inbound.data.advance(length);
            // Half the buffer must be free before the owner is woken: fewer, larger turns.
            let resume = inbound.stalled && inbound.data.len() <= CAPACITY / 2;
            if resume {
                inbound.stalled = false;
            }
            drop(state);
            if resume {
                self.mark();
            }
            return Poll::Ready(Ok(()));
        }
        if inbound.eof {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone()));
        }
        state.inbound[which].reader = Some(ctx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_write(&self, ctx: &mut Context<'_>, source: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.state);
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone().into_io()));
        }
        // Ended by us, or closed by the peer: as with a pipe whose reader is gone.
        if state.finished || state.exit.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = CAPACITY - state.outbound.len().min(CAPACITY);
        if room == 0 {
            state.writer = Some(ctx.waker().clone());
            return Poll::Pending;
        }
        let length = room.min(source.len());
        state.outbound.extend_from_slice(&source[..length]);
        drop(state);
        self.mark();
        Poll::Ready(Ok(length))
    }

    /// Ends our direction once what was written has been sent.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if let (Some(error), false) = (&state.error, state.finished) {
            return Err(error.clone());
        }
        state.finished = true;
        drop(state);
        self.mark();
        Ok(())
    }

    pub(crate) fn discard(&self, which: usize) {
        let mut state = lock(&self.state);
        state.inbound[which].discard = true;
        state.inbound[which].data = BytesMut::new();
        drop(state);
        self.mark();
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        state.signals.push(signal);
        drop(state);
        self.mark();
        Ok(())
    }

    pub(crate) fn poll_exit(&self, ctx: &mut Context<'_>) -> Poll<Result<Exit, Error>> {
        let mut state = lock(&self.state);
        if let Some(exit) = &state.exit {
            return Poll::Ready(Ok(exit.clone()));
        }
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone()));
        }
        if !state.waiters.iter().any(|waiter| waiter.will_wake(ctx.waker())) {
            state.waiters.push(ctx.waker().clone());
        }
        Poll::Pending
    }

    /// What has arrived on `which` and was not read, as text.
    pub(crate) fn unread(&self, which: usize) -> String {
        String::from_utf8_lossy(&lock(&self.state).inbound[which].data).trim().to_owned()
    }

    pub(crate) fn acquire(self: &Arc<Self>) -> Handle {
        lock(&self.state).handles += 1;
        Handle { port: Arc::clone(self) }
    }

    // The owner's side.

    /// Whether no caller is left.
    pub(crate) fn abandoned(&self) -> bool {
        lock(&self.state).handles == 0
    }

    /// Takes what the caller wrote, and lets it write more.
    pub(crate) fn take_outbound(&self) -> BytesMut {
        let mut state = lock(&self.state);
        if state.outbound.is_empty() {
            return BytesMut::new();
        }
        let taken = std::mem::take(&mut state.outbound);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        taken
    }

    /// Puts in what arrived. Who waits for it is woken by [`Port::wake_readers`], or by an end or a failure that comes
    /// before.
    pub(crate) fn deliver(&self, which: usize, data: &[u8]) {
        let inbound = &mut lock(&self.state).inbound[which];
        if !inbound.discard {
            inbound.data.extend_from_slice(data);
        }
    }

    /// Wakes those for whom something has arrived.
    pub(crate) fn wake_readers(&self) {
        let mut state = lock(&self.state);
        let arrived = |inbound: &mut Inbound| inbound.reader.take_if(|_| !inbound.data.is_empty());
        let readers = state.inbound.each_mut().map(arrived);
        drop(state);
        readers.into_iter().flatten().for_each(Waker::wake);
    }

    /// The peer has nothing more to send.
    pub(crate) fn end(&self) {
        self.change(|state| state.inbound.iter_mut().for_each(|inbound| inbound.eof = true));
    }

    /// The peer has closed the channel.
    pub(crate) fn exited(&self, exit: Exit) {
        self.change(|state| {
            state.exit.get_or_insert(exit);
        });
    }

    /// Nothing works any more. What arrived before can still be read.
    pub(crate) fn fail(&self, error: Error) {
        self.change(|state| {
            state.error.get_or_insert(error);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let mut wakers = std::mem::take(&mut state.waiters);
        wakers.extend(state.writer.take());
        for inbound in &mut state.inbound {
            wakers.extend(inbound.reader.take());
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A caller's hold on a channel.
#[derive(Debug)]
pub(crate) struct Handle {
    port: Arc<Port>,
}

impl std::ops::Deref for Handle {
    type Target = Port;

    fn deref(&self) -> &Port {
        &self.port
    }
}

impl Handle {
    /// One more hold on the same channel.
    pub(crate) fn again(&self) -> Self {
        self.port.acquire()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = lock(&self.port.state);
        state.handles -= 1;
        let last = state.handles == 0;
        if last {
            state.finished = true;
            for inbound in &mut state.inbound {
                inbound.discard = true;
                inbound.data = BytesMut::new();
            }
        }
        drop(state);
        if last {
            self.port.mark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Waker;

    use super::*;

    fn port() -> (Arc<Port>, Handle) {
        let port = Port::new(7, Arc::new(Wake::new().unwrap()));
        let handle = port.acquire();
        (port, handle)
    }

    #[test]
    fn a_writer_waits_when_the_buffer_is_full() {
        let (port, handle) = port();
        let mut ctx = Context::from_waker(Waker::noop());
        let big = vec![1; CAPACITY + 10];
        assert!(matches!(handle.poll_write(&mut ctx, &big), Poll::Ready(Ok(CAPACITY))));
        assert!(handle.poll_write(&mut ctx, &big).is_pending());
        assert_eq!(port.take_outbound().len(), CAPACITY);
        assert!(handle.poll_write(&mut ctx, b"x").is_ready());
    }

    /// An upload to a command that had ended waited forever for room in a buffer that nobody emptied.
    #[test]
    fn a_writer_does_not_wait_for_a_channel_that_is_closed() {
        let (port, handle) = port();
        let mut ctx = Context::from_waker(Waker::noop());
        assert!(handle.poll_write(&mut ctx, &vec![1; CAPACITY]).is_ready());
        assert!(handle.poll_write(&mut ctx, b"x").is_pending());
        port.exited(Exit::Status(1));
        let Poll::Ready(Err(error)) = handle.poll_write(&mut ctx, b"x") else { panic!("it waits") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_owner_stops_when_the_reader_does_not_read() {
        let (port, handle) = port();
        assert!(lock(&port.state).inbound[OUT].room(CAPACITY));
        port.deliver(OUT, &vec![1; CAPACITY]);
        assert!(!lock(&port.state).inbound[OUT].room(1));
        port.look();
        let mut ctx = Context::from_waker(Waker::noop());
        let mut space = vec![0; CAPACITY / 2];
        assert!(handle.poll_read(OUT, &mut ctx, &mut ReadBuf::new(&mut space)).is_ready());
        assert_eq!(port.wake.hear(true), [7], "half empty: the owner is woken");
    }

    /// A reader that ran while others had their share took the processor from the owner (see [`Port::wake_readers`]).
    #[test]
    fn a_reader_is_woken_when_all_have_had_their_share() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (port, handle) = port();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let woken = || count.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&count));
        let mut ctx = Context::from_waker(&waker);
        let mut space = [0; 8];
        let mut wait = || handle.poll_read(OUT, &mut ctx, &mut ReadBuf::new(&mut space)).is_pending();
        assert!(wait());
        port.wake_readers();
        assert_eq!(woken(), 0, "nothing has arrived");
        port.deliver(OUT, b"abc");
        port.deliver(OUT, b"def");
        assert_eq!(woken(), 0);
        port.wake_readers();
        port.wake_readers();
        assert_eq!(woken(), 1);
        assert!(!wait() && wait());
        // An owner that ends in the middle of a turn.
        port.deliver(OUT, b"ghi");
        port.fail(Error::Closed { host: "h".into() });
        assert_eq!(woken(), 2);
    }

    #[test]
    fn data_before_an_error_is_still_read() {
        let (port, handle) = port();
        port.deliver(OUT, b"abc");
        port.fail(Error::Closed { host: "h".into() });
        let mut ctx = Context::from_waker(Waker::noop());
        let mut space = [0; 8];
        let mut target = ReadBuf::new(&mut space);
        assert!(matches!(handle.poll_read(OUT, &mut ctx, &mut target), Poll::Ready(Ok(()))));
        assert_eq!(target.filled(), b"abc");
        assert!(matches!(handle.poll_read(OUT, &mut ctx, &mut target), Poll::Ready(Err(_))));
    }

    #[test]
    fn the_last_handle_abandons_the_channel() {
        let (port, handle) = port();
        let second = handle.again();
        drop(handle);
        assert!(!port.abandoned());
        drop(second);
        assert!(port.abandoned());
        assert_eq!(port.wake.hear(true), [7]);
    }
}
