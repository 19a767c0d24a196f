//! Calls on a session that the `ssh2` crate lacks, or makes in a way that can panic.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint};
use std::ptr::{self, NonNull};

use libssh2_sys as sys;

use super::Failure;

unsafe extern "C" {
    // In libssh2.h since 1.11.0; libssh2-sys 0.3.4 builds it and does not declare it.
    fn libssh2_session_set_read_timeout(session: *mut sys::LIBSSH2_SESSION, seconds: c_long);
}

/// A year, in seconds: longer than any connection.
const WITHOUT_END: c_long = 365 * 24 * 60 * 60;

/// Has libssh2 wait for answers until it is not asked any more.
///
/// By itself it gives up after 60 s, with an error that looks like the end of the connection. A server has
/// every right to take longer: the answer about a TCP port behind a firewall that drops packets comes when
/// the server's own attempt ends, after two minutes on Linux. When to give up is the callers' to know, and
/// whether the peer still lives that of the keepalives.
pub(super) fn wait_without_end(session: &ssh2::Session) {
    // SAFETY: the session is alive; the call only sets a field.
    unsafe { libssh2_session_set_read_timeout(pointer(session), WITHOUT_END) }
}

/// Asks by which methods `user` may log in (RFC 4252 §5.2), as a list with commas; to be called again while
/// it would block. When nothing needs to be proven, it fails and the session is authenticated.
///
/// The server's words are taken as they come: `ssh2` expects them to be UTF-8, and panics otherwise.
pub(crate) fn auth_methods(session: &ssh2::Session, user: &str) -> Result<String, Failure> {
    let raw = NonNull::from(&mut *session.raw());
    // SAFETY: the session is alive and owned by this thread; libssh2 copies `user`, whose length is given,
    // and answers with null or a text of its own, which ends with NUL and is copied before anything else is
    // called.
    unsafe {
        let user_length = user.len() as c_uint;
        let list = sys::libssh2_userauth_list(raw.as_ptr(), user.as_ptr().cast::<c_char>(), user_length);
        if list.is_null() {
            return Err(last_failure(raw));
        }
        Ok(CStr::from_ptr(list).to_string_lossy().into_owned())
    }
}

/// Returns the error that libssh2 remembers of its last call.
pub(super) fn last_failure(session: NonNull<sys::LIBSSH2_SESSION>) -> Failure {
    let mut message: *mut c_char = ptr::null_mut();
    let mut length: c_int = 0;
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

pub(super) fn pointer(session: &ssh2::Session) -> *mut sys::LIBSSH2_SESSION {
    ptr::from_mut(&mut *session.raw())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::*;
    use crate::raw::{Buffers, Channel, forget, install};

    unsafe extern "C" {
        // In libssh2.h since 1.11.0.
        fn libssh2_session_get_read_timeout(session: *mut sys::LIBSSH2_SESSION) -> c_long;
    }

    /// A session that has exchanged no keys: its packets are not encrypted. The server is the test.
    struct Bare(ssh2::Session);

    impl Bare {
        fn new() -> Self {
            let session = ssh2::Session::new().unwrap();
            session.set_blocking(false);
            // libssh2 was given no socket and passes zero to its callbacks, which is this one's number.
            install(&session, std::io::stdin().as_fd());
            Self(session)
        }

        /// Has it receive a packet (RFC 4253 §6).
        fn receive(&self, payload: &[u8]) {
            let padding = 12 - (payload.len() + 1) % 8;
            let length = (1 + payload.len() + padding) as u32;
            let head = length.to_be_bytes();
            let packet = [&head[..], &[padding as u8], payload, &vec![0; padding]].concat();
            Buffers::with(|buffers| {
                buffers.space()[..packet.len()].copy_from_slice(&packet);
                buffers.received(packet.len());
            });
        }
    }

    impl Drop for Bare {
        fn drop(&mut self) {
            Buffers::with(|buffers| buffers.ended = Some("closed".into()));
            forget();
        }
    }

    /// A server's list that is no UTF-8 ended the connection's thread by a panic.
    #[test]
    fn methods_need_not_be_utf_8() {
        for (list, expected) in [
            (&b"publickey,password"[..], "publickey,password"),
            (b"pass\xffword,publickey", "pass\u{fffd}word,publickey"),
            (b"", ""),
        ] {
            let bare = Bare::new();
            assert!(auth_methods(&bare.0, "root").unwrap_err().would_block());
            // `SSH_MSG_USERAUTH_FAILURE`: the list, and whether a part was a success.
            bare.receive(&[&[51, 0, 0, 0, list.len() as u8], list, &[0]].concat());
            assert_eq!(auth_methods(&bare.0, "root").unwrap(), expected);
        }
    }

    /// A port that did not answer ended all streams of its connection after libssh2's 60 s. Here its limit is
    /// shorter, so that the test is; what [`install`] sets is beyond all limits of ours.
    #[test]
    fn answers_may_take_as_long_as_they_like() {
        let bare = Bare::new();
        let open = || Channel::open(&bare.0, "direct-tcpip", 1, 1, b"").unwrap_err();
        // SAFETY: the session is alive.
        let limit = unsafe { libssh2_session_get_read_timeout(pointer(&bare.0)) };
        assert!(limit >= 24 * 60 * 60, "libssh2 gives up after {limit} s");
        // SAFETY: as above.
        unsafe { libssh2_session_set_read_timeout(pointer(&bare.0), 1) };
        assert!(open().would_block());
        std::thread::sleep(Duration::from_millis(1100));
        let failure = open();
        assert!(!failure.would_block() && !failure.is_of_channel(), "what ends connections: {failure:?}");
    }
}
