//! The bytes between the socket and libssh2.
//!
//! * **Sending.** libssh2 demands that a packet which went out in part is sent to its end, from the
//!   same address, before anything else; and it builds some packets on its own stack
//!   (`channel_send_eof`, `keepalive`), so that a caller cannot promise the address. Here libssh2
//!   never sees a partial send: its send callback puts every packet whole into [`Buffers::outbound`],
//!   from which the owner thread feeds the socket in order.
//! * **Receiving.** One `libssh2_channel_read` reads from the socket until it is empty. The receive
//!   callback serves it from [`Buffers::inbound`], which bounds the work of one turn and saves most
//!   system calls.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::time::Instant;

use bytes::BytesMut;
use libssh2_sys as sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Failure;
use super::session::{pointer, wait_without_end};

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
    /// What libssh2 threw away: see [`notice_loss`].
    pub(super) lost: Option<Failure>,
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
pub(super) fn notice_loss() {
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

/// Makes `session`, which was given `socket`, send to and receive from this thread's [`Buffers`], and leaves
/// it to us how long to wait for an answer.
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
    wait_without_end(session);
}

#[cfg(test)]
pub(in crate::raw) mod tests {
    use std::cell::Cell;

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
}
