//! SSH connections as async byte streams: one connection per host, any number of streams, remote
//! commands and files over it.
//!
//! ```no_run
//! use dfab_tunnel::{ConnectOptions, Session};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = ConnectOptions::new("web1.example.com", "deploy");
//! options.auth.agent = Some("/run/user/1000/ssh-agent.socket".into());
//! options.host_keys.files = vec!["/home/me/.ssh/known_hosts".into()];
//! let session = Session::connect(options).await?;
//! let mut stream = session.open_unix("/var/run/some.sock").await?;
//! stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).await?;
//! session.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! * **Unix only**, and a tokio runtime with I/O and time is needed.
//! * **Opening is serial.** libssh2 opens one channel of a connection at a time, a round trip each.
//!   A TCP port that takes its time, for example behind a firewall that drops packets, keeps others waiting
//!   for a second; then Unix sockets and commands go by a second connection, which is made for that where
//!   nobody needs to be asked, and other TCP ports wait until the server gives up. Keep streams and use
//!   them again. Connections through a shared jump host ([`options::ConnectOptions::jumps`]) share a further one.
//! * **Commands are counted by the server** (`MaxSessions`, 10 by default). Eight at a time run on a
//!   connection, others wait; where the server allows fewer, they wait for each other. Streams by socat
//!   and `dial-stdio` are commands; `direct-streamlocal` and `direct-tcpip` are not.
//! * **Ending a command** reaches its process group; one under sudo without a terminal sees only the end
//!   of its input. See [`Process`]. When this process is killed (`kill -9`, power), nobody is left to send a
//!   signal: the server closes the channels, so that commands with a terminal are hung up, and those
//!   without see the end of their input and a closed output. One that neither reads nor writes runs on.
//! * **Environment variables and words of a command** can be seen by other users of the host. Secrets
//!   go by standard input; passwords for sudo do.
//! * **Host certificates are not checked** (`@cert-authority` lines are passed over); user certificates
//!   beside a key (`<key>-cert.pub`) are offered. No SHA-1 signatures, no DSA, no GSSAPI, no FIDO keys
//!   other than through an agent.
//! * **The agent** is asked on the connection's thread. One that waits for a person delays only that
//!   login, by `auth_timeout` at most for a signature and 10 s for its list; then the other keys follow.
//! * **Uploads** are limited by the server's receive window (2 MiB in OpenSSH): at most 40 MiB/s over
//!   50 ms. Downloads are not.
//!
//! # Errors
//!
//! [`Error`] names the host and what was tried; [`Error::hint`] says what to do. Streams carry it
//! inside [`std::io::Error`]; [`Error::from_io`] takes it out.
//!
//! # How it works
//!
//! Each connection has one thread that alone touches its libssh2 session, in non-blocking mode; callers
//! and that thread meet in bounded buffers. Start reading at `session.rs`, then `owner/mod.rs`, which
//! says how the rules of libssh2 are held, then `unix.rs` for the ways to a socket.
//!
//! This crate knows nothing of Docker but the name of one command, and nothing of what travels through
//! its streams. It reads no environment variable, no home directory and no terminal: all that comes as
//! values. It prints nothing; [`options::Events`] and `tracing` tell what happens.

mod cache;
mod command;
pub mod config;
mod dial;
mod error;
mod files;
mod forward;
mod glob;
pub mod known_hosts;
pub mod options;
mod owner;
mod port;
mod process;
pub mod quote;
mod raw;
mod secret;
mod session;
mod stream;
mod unix;
pub mod unpack;
mod wake;

/// The servers of the live tests, which name this crate as all other callers do.
#[cfg(test)]
extern crate self as dfab_tunnel;
#[cfg(test)]
#[path = "../tests/live/sshd.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]
mod sshd;

pub use cache::{Login, Sessions};
pub use command::{Command, Sudo};
pub use dial::authority;
pub use error::{Cause, Error, HostKeyProblem, Stage};
pub use files::{Progress, Transfer};
pub use forward::{Behind, Forward, LocalPorts};
pub use options::{ConnectOptions, Way};
pub use process::{Exit, Finished, Output, Process, Signal, Stdin};
pub use secret::Secret;
pub use session::{Arrival, Pty, Session};
pub use stream::Stream;

/// Locks a mutex. No code of ours panics while it holds one; should it happen all the same, the data
/// is still the best there is.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
