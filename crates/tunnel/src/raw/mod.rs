//! The few calls of libssh2 that the `ssh2` crate cannot make. The only `unsafe` of the crate.
//!
//! * [`buffers`]: what libssh2 sends and receives goes through memory of ours, never through its socket.
//! * [`channel`]: `ssh2::Channel` has neither the receive window of a streamlocal channel, nor signals, nor
//!   "no exit status was sent", and frees itself with a call that may not finish.
//! * [`session`]: `ssh2::Session` cannot say how long answers are waited for, and panics over one.
#![allow(unsafe_code)]

mod buffers;
mod channel;
mod session;

use libssh2_sys as sys;

#[cfg(test)]
pub(crate) use self::buffers::tests::{refusals_left, refuse};
pub(crate) use self::buffers::{Buffers, agent_deadline, agent_is_silent, forget, install};
pub(crate) use self::channel::{Channel, Output};
pub(crate) use self::session::auth_methods;

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

#[cfg(test)]
mod tests {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        // In libssh2.h; libssh2-sys does not declare it.
        fn libssh2_version(required: c_int) -> *const c_char;
    }

    /// Design §5: before 1.11.1 libssh2 has holes in its memory, and stops for ever when keys are exchanged under
    /// load. A build against the system's library would bring those back.
    #[test]
    fn libssh2_is_not_older_than_the_floor() {
        // SAFETY: the call only compares numbers.
        let version = unsafe { libssh2_version(0x01_0b_01) };
        assert!(!version.is_null(), "libssh2 is older than 1.11.1");
    }
}
