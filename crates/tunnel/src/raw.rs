//! The few calls of libssh2 that the `ssh2` crate cannot make. The only `unsafe` of the crate.
//!
//! Three things make it necessary:
//!
//! * **Sending.** libssh2 demands that a packet which went out in part is sent to its end, from the
//!   same address, before anything else; and it builds some packets on its own stack
//!   (`channel_send_eof`, `keepalive`), so that a caller cannot promise the address. Here libssh2
//!   never sees a partial send: its send callback puts every packet whole into [`Buffers::outbound`],
//!   from which the owner thread feeds the socket in order.
//! * **Receiving.** One `libssh2_channel_read` reads from the socket until it is empty. The receive
//!   callback serves it from [`Buffers::inbound`], which bounds the work of one turn and saves most
//!   system calls.
//! * **Channels.** `ssh2::Channel` has neither the receive window of a streamlocal channel, nor
//!   signals, nor "no exit status was sent", and frees itself with a call that may not finish.
//!
//! [`Channel`] holds a raw pointer and so is not `Send`: the compiler holds the rule that only the
//! owner thread touches a session.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::{self, NonNull};
use std::time::Instant;

use bytes::BytesMut;
use libssh2_sys as sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// Bytes between the socket and libssh2, of the one session that this thread owns.
pub(crate) struct Buffers {
    /// The session's socket. libssh2 talks to an SSH agent through the same callbacks, with the
    /// agent's socket.
    socket: c_int,
    /// Received and not yet taken by libssh2: `inbound[start..end]`.
    inbound: Box<[u8]>,
    start: usize,
    end: usize,
    /// Made by libssh2 and not yet sent. Bounded by the owner, which stops writing above a limit.
    pub(crate) outbound: BytesMut,
    /// The peer's end of the stream was reached, or the socket failed.
    pub(crate) ended: Option<String>,
    /// What the server said when it ended the connection.
    pub(crate) farewell: Option<String>,
    /// What libssh2 threw away: see [`Channel::lost`].
    lost: Option<Failure>,
    session: *mut sys::LIBSSH2_SESSION,
    /// Until when an SSH agent is waited for.
    agent_until: Option<Instant>,
    /// It was waited for in vain.
    agent_silent: bool,
}

/// Size of the receive buffer: some eight packets of the largest size.
const INBOUND: usize = 256 * 1024;

thread_local! {
    /// A thread-local and not libssh2's own "abstract" pointer, which `ssh2` uses for
    /// keyboard-interactive prompts.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        socket: -1,
        inbound: Box::default(),
        start: 0,
        end: 0,
        outbound: BytesMut::new(),
        ended: None,
        farewell: None,
        lost: None,
        session: ptr::null_mut(),
        agent_until: None,
        agent_silent: false,
    });
}

impl Buffers {
    /// Runs `f` with this thread's buffers. No libssh2 call may be made inside.
    pub(crate) fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        BUFFERS.with_borrow_mut(f)
    }

    /// Returns the free part of the receive buffer.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.inbound.is_empty() {
            self.inbound = vec![0; INBOUND].into_boxed_slice();
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        &mut self.inbound[self.end..]
    }

    /// Notes that `length` bytes were put into [`Buffers::space`].
    pub(crate) fn received(&mut self, length: usize) {
        self.end = (self.end + length).min(self.inbound.len());
    }

    /// Whether received bytes wait for libssh2.
    pub(crate) fn has_inbound(&self) -> bool {
        self.start < self.end
    }

    /// Gives `target` what was received; the callback's side of [`Buffers::space`].
    fn take(&mut self, target: &mut [u8]) -> usize {
        let length = target.len().min(self.end - self.start);
        target[..length].copy_from_slice(&self.inbound[self.start..self.start + length]);
        self.start += length;
        length
    }
}

unsafe extern "C" {
    // In libssh2.h since 1.11.1; libssh2-sys 0.3.4 builds it and does not declare it.
    fn libssh2_session_callback_set2(
        session: *mut sys::LIBSSH2_SESSION,
        kind: c_int,
        callback: *const c_void,
    ) -> *const c_void;
    // In libssh2.h since 1.11.0.
    fn libssh2_channel_signal_ex(
        channel: *mut sys::LIBSSH2_CHANNEL,
        name: *const c_char,
        length: usize,
    ) -> c_int;
    // In libssh2.h of the vendored version; tells "status 0" from "no status".
    fn libssh2_channel_has_exit_status(channel: *mut sys::LIBSSH2_CHANNEL) -> c_int;
}

const CALLBACK_DISCONNECT: c_int = 2;
const CALLBACK_SEND: c_int = 5;
const CALLBACK_RECV: c_int = 6;

/// `EAGAIN` as libssh2's callbacks return it: negative.
const AGAIN: isize = -(Errno::AGAIN.raw_os_error() as isize);

/// Takes a whole packet. Never partial, never "again".
extern "C" fn send(
    socket: c_int,
    buffer: *const c_void,
    length: usize,
    _: c_int,
    _: *mut *mut c_void,
) -> isize {
    #[cfg(test)]
    if tests::refuses() {
        return AGAIN;
    }
    // SAFETY: libssh2 passes a packet of `length` initialised bytes that lives during the call.
    let packet = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) };
    if Buffers::with(|buffers| buffers.socket != socket) {
        // SAFETY: libssh2 passes the agent's socket, which it keeps open during the call.
        let agent = unsafe { BorrowedFd::borrow_raw(socket) };
        let ready = await_agent(agent, PollFlags::OUT);
        return answer(ready.and_then(|()| rustix::net::send(agent, packet, SendFlags::NOSIGNAL)));
    }
    Buffers::with(|buffers| {
        if buffers.ended.is_some() {
            return -(Errno::PIPE.raw_os_error() as isize);
        }
        buffers.outbound.extend_from_slice(packet);
        length as isize
    })
}

/// Gives what was received, or "again", or the end.
extern "C" fn receive(
    socket: c_int,
    buffer: *mut c_void,
    length: usize,
    _: c_int,
    _: *mut *mut c_void,
) -> isize {
    if length == 0 {
        return AGAIN;
    }
    // SAFETY: libssh2 passes its packet buffer, part of the zeroed session structure, with room for
    // `length` bytes, and does not touch it during the call.
    let target = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    if Buffers::with(|buffers| buffers.socket != socket) {
        // SAFETY: libssh2 passes the agent's socket, which it keeps open during the call.
        let agent = unsafe { BorrowedFd::borrow_raw(socket) };
        let ready = await_agent(agent, PollFlags::IN);
        let received = ready.and_then(|()| rustix::net::recv(agent, target, RecvFlags::empty()));
        return answer(received.map(|(length, _)| length));
    }
    // What the packet before this one was is forgotten with the next.
    notice_loss();
    Buffers::with(|buffers| match buffers.take(target) {
        0 if buffers.ended.is_some() => 0,
        0 => AGAIN,
        taken => taken as isize,
    })
}

/// Gives the SSH agent until `deadline` for what libssh2 asks it from now on. Returns whether it was too
/// slow for what was asked before.
pub(crate) fn agent_deadline(deadline: Instant) -> bool {
    Buffers::with(|buffers| {
        buffers.agent_until = Some(deadline);
        buffers.agent_silent
    })
}

/// Whether the agent let its time pass.
pub(crate) fn agent_is_silent() -> bool {
    Buffers::with(|buffers| buffers.agent_silent)
}

/// libssh2 talks to an agent as to a file: it waits for ever. The time is ours.
fn await_agent(agent: BorrowedFd<'_>, flags: PollFlags) -> Result<(), Errno> {
    loop {
        let (until, silent) = Buffers::with(|buffers| (buffers.agent_until, buffers.agent_silent));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Once too late, what it says next would be the answer to an older question.
        if silent || left.is_some_and(|left| left.is_zero()) {
            Buffers::with(|buffers| buffers.agent_silent = true);
            return Err(Errno::TIMEDOUT);
        }
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::from_borrowed_fd(agent, flags)], left.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answer(result: Result<usize, Errno>) -> isize {
    match result {
        Ok(length) => length as isize,
        Err(error) => -(error.raw_os_error() as isize),
    }
}

/// Notes that libssh2 has just thrown away what a server sent. It says so only by the session's "last
/// error", which the next one replaces, so it is looked at before every packet and after every call.
fn notice_loss() {
    let session = Buffers::with(|buffers| buffers.session);
    if session.is_null() {
        return;
    }
    // SAFETY: the session is alive while the buffers are its own (see `install` and `forget`). The call
    // only reads a field, so that it may also be made from inside the receive callback.
    let code = unsafe { sys::libssh2_session_last_errno(session) };
    if matches!(code, sys::LIBSSH2_ERROR_CHANNEL_WINDOW_EXCEEDED | sys::LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED)
    {
        Buffers::with(|buffers| {
            buffers.lost.get_or_insert_with(|| Failure {
                code,
                message: "the server sent more than its window allows, and bytes were lost".into(),
            });
        });
    }
}

/// The session of this thread is about to go.
pub(crate) fn forget() {
    Buffers::with(|buffers| buffers.session = ptr::null_mut());
}

/// Notes why the server ends the connection (`SSH_MSG_DISCONNECT`).
extern "C" fn farewell(
    _: *mut sys::LIBSSH2_SESSION,
    _reason: c_int,
    message: *const c_char,
    length: c_int,
    _: *const c_char,
    _: c_int,
    _: *mut *mut c_void,
) {
    let Ok(length) = usize::try_from(length) else { return };
    if message.is_null() || length == 0 {
        return;
    }
    // SAFETY: libssh2 checked that the message lies within the packet, which lives during the call.
    let message = unsafe { std::slice::from_raw_parts(message.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(message).trim().to_owned();
    Buffers::with(|buffers| buffers.farewell = Some(text));
}

/// Makes `session`, which was given `socket`, send to and receive from this thread's [`Buffers`].
pub(crate) fn install(session: &ssh2::Session, socket: BorrowedFd<'_>) {
    Buffers::with(|buffers| {
        buffers.socket = socket.as_raw_fd();
        (buffers.start, buffers.end) = (0, 0);
        buffers.outbound.clear();
        buffers.ended = None;
        buffers.farewell = None;
        buffers.lost = None;
        (buffers.agent_until, buffers.agent_silent) = (None, false);
        buffers.session = pointer(session);
    });
    let raw = pointer(session);
    // SAFETY: the session is alive; the functions have the signatures that libssh2.h gives for these
    // kinds (LIBSSH2_SEND_FUNC, LIBSSH2_RECV_FUNC, LIBSSH2_DISCONNECT_FUNC) and live forever.
    unsafe {
        libssh2_session_callback_set2(raw, CALLBACK_SEND, send as *const c_void);
        libssh2_session_callback_set2(raw, CALLBACK_RECV, receive as *const c_void);
        libssh2_session_callback_set2(raw, CALLBACK_DISCONNECT, farewell as *const c_void);
    }
}

fn pointer(session: &ssh2::Session) -> *mut sys::LIBSSH2_SESSION {
    ptr::from_mut(&mut *session.raw())
}

/// A failed call of libssh2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `LIBSSH2_ERROR_…`.
    pub(crate) code: i32,
    /// libssh2's words.
    pub(crate) message: String,
}

impl Failure {
    /// The call must be made again, with the same arguments, when there is something new.
    pub(crate) fn would_block(&self) -> bool {
        self.code == sys::LIBSSH2_ERROR_EAGAIN
    }

    /// Whether the connection itself failed.
    pub(crate) fn is_of_socket(&self) -> bool {
        matches!(
            self.code,
            sys::LIBSSH2_ERROR_SOCKET_DISCONNECT
                | sys::LIBSSH2_ERROR_SOCKET_RECV
                | sys::LIBSSH2_ERROR_SOCKET_SEND
        )
    }

    /// Whether only the channel is affected and the session lives on.
    pub(crate) fn is_of_channel(&self) -> bool {
        matches!(
            self.code,
            sys::LIBSSH2_ERROR_CHANNEL_FAILURE
                | sys::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED
                | sys::LIBSSH2_ERROR_CHANNEL_UNKNOWN
                | sys::LIBSSH2_ERROR_CHANNEL_CLOSED
                | sys::LIBSSH2_ERROR_CHANNEL_EOF_SENT
        )
    }
}

impl From<ssh2::Error> for Failure {
    fn from(error: ssh2::Error) -> Self {
        let code = match error.code() {
            ssh2::ErrorCode::Session(code) | ssh2::ErrorCode::SFTP(code) => code,
        };
        Self { code, message: error.message().to_owned() }
    }
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

fn last_failure(session: NonNull<sys::LIBSSH2_SESSION>) -> Failure {
    let mut message: *mut c_char = ptr::null_mut();
    let mut length = 0;
    // SAFETY: the session is alive; with `want_buf` 0 the message stays libssh2's own and is copied
    // before anything else is called.
    unsafe {
        let code = sys::libssh2_session_last_error(session.as_ptr(), &mut message, &mut length, 0);
        let message = match usize::try_from(length) {
            Ok(length) if !message.is_null() => {
                let text = std::slice::from_raw_parts(message.cast::<u8>(), length);
                String::from_utf8_lossy(text).into_owned()
            }
            _ => String::new(),
        };
        Failure { code, message }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    thread_local! {
        static REFUSALS: Cell<u32> = const { Cell::new(0) };
    }

    /// Has the next `count` packets of this thread refused, as by a socket that is full. To libssh2 that
    /// is the same as an exchange of keys: "would block".
    pub(crate) fn refuse(count: u32) {
        REFUSALS.set(count);
    }

    pub(crate) fn refusals_left() -> u32 {
        REFUSALS.get()
    }

    pub(super) fn refuses() -> bool {
        REFUSALS.replace(REFUSALS.get().saturating_sub(1)) > 0
    }

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

    /// Design §5: a half-sent packet must be retried before anything else. The callback never lets
    /// libssh2 see one, and keeps packets in the order in which they were made.
    #[test]
    fn packets_are_taken_whole_and_in_order() {
        let first = vec![1_u8; 35_000];
        let second = [2_u8; 5];
        for packet in [&first[..], &second[..]] {
            let taken = send(-1, packet.as_ptr().cast(), packet.len(), 0, ptr::null_mut());
            assert_eq!(taken, packet.len() as isize);
        }
        Buffers::with(|buffers| {
            assert_eq!(buffers.outbound.len(), 35_005);
            assert_eq!(buffers.outbound[34_999..35_001], [1, 2]);
            buffers.outbound.clear();
        });
    }

    #[test]
    fn receiving_says_again_until_the_end_is_known() {
        let mut target = [0_u8; 4];
        let mut receive = || receive(-1, target.as_mut_ptr().cast(), 4, 0, ptr::null_mut());
        assert_eq!(receive(), AGAIN);
        Buffers::with(|buffers| {
            buffers.space()[..6].copy_from_slice(b"abcdef");
            buffers.received(6);
        });
        assert_eq!([receive(), receive(), receive()], [4, 2, AGAIN]);
        Buffers::with(|buffers| buffers.ended = Some("end".into()));
        assert_eq!(receive(), 0);
        Buffers::with(|buffers| buffers.ended = None);
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
