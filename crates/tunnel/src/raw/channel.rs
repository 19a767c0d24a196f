//! A channel of a session.
//!
//! [`Channel`] holds a raw pointer and so is not `Send`: the compiler holds the rule that only the
//! owner thread touches a session.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::{self, NonNull};

use libssh2_sys as sys;

use super::Failure;
use super::buffers::{Buffers, notice_loss};
use super::session::last_failure;

unsafe extern "C" {
    // In libssh2.h since 1.11.0.
    fn libssh2_channel_signal_ex(
        channel: *mut sys::LIBSSH2_CHANNEL,
        name: *const c_char,
        length: usize,
    ) -> c_int;
    // In libssh2.h of the vendored version; tells "status 0" from "no status".
    fn libssh2_channel_has_exit_status(channel: *mut sys::LIBSSH2_CHANNEL) -> c_int;
}

/// A channel of the session that this thread owns.
///
/// Dropping it frees nothing: [`Channel::free`] does, and what was not freed goes with the session.
#[derive(Debug)]
pub(crate) struct Channel {
    channel: NonNull<sys::LIBSSH2_CHANNEL>,
    session: NonNull<sys::LIBSSH2_SESSION>,
    /// A window adjustment that libssh2 has made a packet of and not sent yet; see [`Channel::widen`].
    adjusting: Cell<u32>,
    /// What comes after that one.
    adjust_next: Cell<u32>,
}

/// Which of the two streams that a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Standard,
    Error,
}

impl Channel {
    /// Opens a channel (RFC 4254 §5.1); to be called again with the same arguments while it would
    /// block, and for no other channel meanwhile: the state of an open belongs to the session.
    pub(crate) fn open(
        session: &ssh2::Session,
        kind: &str,
        window: u32,
        packet: u32,
        message: &[u8],
    ) -> Result<Self, Failure> {
        let session = NonNull::from(&mut *session.raw());
        // SAFETY: the session is alive and owned by this thread; lengths belong to the pointers;
        // libssh2 copies `kind` and `message` before it returns.
        let channel = unsafe {
            sys::libssh2_channel_open_ex(
                session.as_ptr(),
                kind.as_ptr().cast::<c_char>(),
                kind.len() as c_uint,
                window,
                packet,
                message.as_ptr().cast::<c_char>(),
                message.len() as c_uint,
            )
        };
        match NonNull::new(channel) {
            Some(channel) => {
                Ok(Self { channel, session, adjusting: Cell::new(0), adjust_next: Cell::new(0) })
            }
            None => Err(last_failure(session)),
        }
    }

    fn check(&self, code: c_int) -> Result<(), Failure> {
        if code >= 0 {
            return Ok(());
        }
        // The session remembers only its latest error, which may be an older one.
        let last = last_failure(self.session);
        Err(if last.code == code { last } else { Failure { code, message: format!("libssh2 error {code}") } })
    }

    /// Fails when libssh2 has thrown away bytes that the server sent beyond the window or packet size
    /// that libssh2 counts. libssh2 goes on without them, and what is read after that is wrong.
    fn lost(&self) -> Result<(), Failure> {
        notice_loss();
        Buffers::with(|buffers| buffers.lost.clone()).map_or(Ok(()), Err)
    }

    /// Reads what has arrived. Zero is the end only together with [`Channel::ended`]. Must be called with
    /// the same length always: see [`Channel::widen`].
    pub(crate) fn read(&self, output: Output, target: &mut [u8]) -> Result<usize, Failure> {
        let stream = match output {
            Output::Standard => 0,
            // `SSH_EXTENDED_DATA_STDERR` in libssh2.h.
            Output::Error => 1,
        };
        self.finish_widening()?;
        // SAFETY: the channel is alive (see `free`); `target` has room for its length.
        let code = unsafe {
            sys::libssh2_channel_read_ex(
                self.channel.as_ptr(),
                stream,
                target.as_mut_ptr().cast::<c_char>(),
                target.len(),
            )
        };
        self.lost()?;
        self.check(code as c_int)?;
        Ok(code as usize)
    }

    /// Writes a part of `source`, at most one packet. After "would block" the next write must begin
    /// with the same bytes.
    pub(crate) fn write(&self, source: &[u8]) -> Result<usize, Failure> {
        // SAFETY: the channel is alive; `source` has its length.
        let code = unsafe {
            sys::libssh2_channel_write_ex(
                self.channel.as_ptr(),
                0,
                source.as_ptr().cast::<c_char>(),
                source.len(),
            )
        };
        self.check(code as c_int)?;
        Ok(code as usize)
    }

    /// Whether the peer has ended its output and all of it has been read, both streams.
    pub(crate) fn ended(&self) -> bool {
        // SAFETY: the channel is alive.
        unsafe { sys::libssh2_channel_eof(self.channel.as_ptr()) != 0 }
    }

    /// Has libssh2 take what was received, for whichever channel it is. "Would block" is the usual
    /// answer.
    pub(crate) fn drive(&self) -> Result<(), Failure> {
        // SAFETY: the channel is alive. In non-blocking mode this reads until there is nothing more,
        // or returns at once when the peer has ended its output.
        let code = unsafe { sys::libssh2_channel_wait_eof(self.channel.as_ptr()) };
        self.lost()?;
        self.check(code)
    }

    /// Ends our output.
    pub(crate) fn send_eof(&self) -> Result<(), Failure> {
        // SAFETY: the channel is alive.
        self.check(unsafe { sys::libssh2_channel_send_eof(self.channel.as_ptr()) })
    }

    /// Waits for the peer's close; only after [`Channel::ended`].
    pub(crate) fn wait_closed(&self) -> Result<(), Failure> {
        // SAFETY: the channel is alive.
        self.check(unsafe { sys::libssh2_channel_wait_closed(self.channel.as_ptr()) })
    }

    /// Asks for a pseudo-terminal.
    pub(crate) fn request_pty(&self, term: &str, columns: u32, rows: u32) -> Result<(), Failure> {
        // SAFETY: the channel is alive; lengths belong to the pointers; modes may be empty.
        self.check(unsafe {
            sys::libssh2_channel_request_pty_ex(
                self.channel.as_ptr(),
                term.as_ptr().cast::<c_char>(),
                term.len() as c_uint,
                ptr::null(),
                0,
                columns as c_int,
                rows as c_int,
                0,
                0,
            )
        })
    }

    /// Starts a command.
    pub(crate) fn exec(&self, command: &[u8]) -> Result<(), Failure> {
        const EXEC: &[u8] = b"exec";
        // SAFETY: the channel is alive; lengths belong to the pointers; libssh2 copies both.
        self.check(unsafe {
            sys::libssh2_channel_process_startup(
                self.channel.as_ptr(),
                EXEC.as_ptr().cast::<c_char>(),
                EXEC.len() as c_uint,
                command.as_ptr().cast::<c_char>(),
                command.len() as c_uint,
            )
        })
    }

    /// Sends a signal to the command, named without `SIG` (RFC 4254 §6.9). There is no answer.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Failure> {
        // SAFETY: the channel is alive; the length belongs to the pointer.
        self.check(unsafe {
            libssh2_channel_signal_ex(self.channel.as_ptr(), name.as_ptr().cast::<c_char>(), name.len())
        })
    }

    /// Returns the exit status, if one was sent.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        // SAFETY: the channel is alive.
        unsafe {
            (libssh2_channel_has_exit_status(self.channel.as_ptr()) != 0)
                .then(|| sys::libssh2_channel_get_exit_status(self.channel.as_ptr()))
        }
    }

    /// Returns the signal that ended the command, without `SIG`, if one was sent.
    pub(crate) fn exit_signal(&self) -> Option<String> {
        let mut name: *mut c_char = ptr::null_mut();
        let mut length = 0;
        // SAFETY: the channel is alive; libssh2 accepts null for what is not wanted and gives a
        // buffer of `length` bytes of its own, which is given back to it.
        unsafe {
            let code = sys::libssh2_channel_get_exit_signal(
                self.channel.as_ptr(),
                &mut name,
                &mut length,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            if code != 0 || name.is_null() {
                return None;
            }
            let text = String::from_utf8_lossy(std::slice::from_raw_parts(name.cast::<u8>(), length));
            let text = text.into_owned();
            sys::libssh2_free(self.session.as_ptr(), name.cast::<c_void>());
            Some(text)
        }
    }

    /// Lets the peer send `more` bytes beyond what libssh2 granted. After "would block" it is
    /// [`Channel::finish_widening`] that goes on.
    ///
    /// libssh2 builds the packet of an adjustment once. When it cannot be sent, because keys are being
    /// exchanged, the next adjustment sends that packet, *but adds its own amount* to the window that
    /// libssh2 counts (`ssh2_channel_receive_window_adjust` in channel.c). A read makes adjustments of
    /// its own. Were one made in between, the server would be granted one number and libssh2 count
    /// another; where libssh2 counts less, it silently cuts off what the server rightly sends
    /// (`ssh2_packet_add` in packet.c). So an adjustment that waits is repeated with the same amount before
    /// anything else; and reads are all of one length, so that theirs are equal too.
    pub(crate) fn widen(&self, more: u32) -> Result<(), Failure> {
        self.adjust_next.set(self.adjust_next.get().saturating_add(more));
        self.finish_widening()
    }

    /// Makes the adjustments that wait. Comes first in every read.
    pub(crate) fn finish_widening(&self) -> Result<(), Failure> {
        loop {
            if self.adjusting.get() == 0 {
                self.adjusting.set(self.adjust_next.take());
            }
            if self.adjusting.get() == 0 {
                return Ok(());
            }
            self.adjust(self.adjusting.get())?;
            self.adjusting.set(0);
        }
    }

    /// How much the peer may send beyond what was read.
    pub(crate) fn granted(&self) -> u32 {
        let nothing = ptr::null_mut();
        // SAFETY: the channel is alive; libssh2 writes to neither target when it is null.
        let window = unsafe { sys::libssh2_channel_window_read_ex(self.channel.as_ptr(), nothing, nothing) };
        u32::try_from(window).unwrap_or(u32::MAX)
    }

    fn adjust(&self, more: u32) -> Result<(), Failure> {
        let mut window = 0;
        // SAFETY: the channel is alive.
        self.check(unsafe {
            sys::libssh2_channel_receive_window_adjust2(
                self.channel.as_ptr(),
                c_ulong::from(more),
                1,
                &mut window,
            )
        })
    }

    /// Closes the channel, waits for the peer's close and frees it; to be called again while it
    /// would block. Gives the channel back in that case.
    pub(crate) fn free(self) -> Result<(), (Self, Failure)> {
        // SAFETY: the channel is alive: `self` is consumed unless libssh2 says that it is not freed
        // (`LIBSSH2_ERROR_EAGAIN` is the only such answer), and sessions outlive their channels
        // because the owner drops them in that order.
        let code = unsafe { sys::libssh2_channel_free(self.channel.as_ptr()) };
        match self.check(code) {
            Err(failure) if failure.would_block() => Err((self, failure)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Channel {
        /// One adjustment as libssh2 makes it, without what [`Channel::widen`] takes care of.
        pub(crate) fn adjust_carelessly(&self, more: u32) -> Result<(), Failure> {
            self.adjust(more)
        }

        /// How much libssh2 thinks that the peer was granted since the last read, and how much of that
        /// has arrived.
        pub(crate) fn window(&self) -> (c_ulong, c_ulong) {
            let (mut waiting, mut initial) = (0, 0);
            // SAFETY: the channel is alive; both targets are.
            let window = unsafe {
                sys::libssh2_channel_window_read_ex(self.channel.as_ptr(), &mut waiting, &mut initial)
            };
            (window, waiting)
        }
    }

    /// Design §5: only the owner thread touches a session. `Channel` not being `Send` holds that at
    /// compile time; this line stops compiling when it becomes `Send`, because then both
    /// implementations apply.
    #[test]
    fn channels_cannot_leave_their_thread() {
        trait AmbiguousIfSend<A> {
            fn check() {}
        }
        impl<T: ?Sized> AmbiguousIfSend<()> for T {}
        impl<T: ?Sized + Send> AmbiguousIfSend<u8> for T {}
        <Channel as AmbiguousIfSend<_>>::check();
    }
}
