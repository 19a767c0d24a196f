//! Why something on a connection failed, so that callers can act on it.

use std::path::PathBuf;
use std::time::Duration;

/// A failed operation. `Display` names the host; the system's own words are the `source`, and
/// [`Error::hint`] says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host name has no address.
    #[error("name lookup failed for `{host}`")]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's words.
        #[source]
        source: Cause,
    },
    /// No TCP connection, or the proxy did not give one.
    #[error("cannot connect to `{host}` on port {port} (tried {attempts} time{})", plural(*.attempts))]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// How often it was tried.
        attempts: u32,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// The server was reached, and the SSH handshake failed.
    #[error("the SSH handshake with `{host}` failed")]
    Handshake {
        /// The host.
        host: String,
        /// What went wrong.
        #[source]
        source: Cause,
    },
    /// The server's key cannot be trusted.
    #[error("the host key of `{host}` {problem}")]
    HostKey {
        /// The host.
        host: String,
        /// Its name as known_hosts files write it: the address or the alias, `[name]:port` off port 22.
        known_as: String,
        /// What is wrong with it.
        problem: Box<HostKeyProblem>,
    },
    /// The server did not let us in.
    #[error("`{host}` refused the login of `{user}` ({})", .tried.join("; "))]
    Login {
        /// The host.
        host: String,
        /// The login name.
        user: String,
        /// One line for each way that was tried or could not be, in order.
        tried: Vec<String>,
        /// What the server would accept, as it says itself.
        offered: String,
    },
    /// A question would have to be answered and nobody may be asked.
    #[error("needed to prompt for {what} (host: {host})")]
    Prompt {
        /// The host.
        host: String,
        /// What was needed.
        what: String,
    },
    /// Sudo did not take the password that was given, and nobody can be asked for another.
    #[error("sudo on `{host}` refused the password of `{user}`")]
    Sudo {
        /// The host.
        host: String,
        /// The login name, whose password sudo wants.
        user: String,
    },
    /// A stream to a Unix socket cannot be opened.
    #[error("cannot reach socket `{path}` on `{host}`: {why}")]
    Socket {
        /// The host.
        host: String,
        /// Path of the socket on it.
        path: String,
        /// What was found out about it.
        why: String,
        /// What to do about it.
        fix: Option<String>,
    },
    /// A stream to a TCP port cannot be opened.
    #[error("cannot reach `{address}` from `{host}`: {why}")]
    Forward {
        /// The host.
        host: String,
        /// Host and port as seen from there.
        address: String,
        /// The server's words.
        why: String,
    },
    /// A command cannot be started.
    #[error("cannot run `{command}` on `{host}`: {why}")]
    Exec {
        /// The host.
        host: String,
        /// The command as it was meant, without secrets.
        command: String,
        /// The server's words.
        why: String,
    },
    /// A command ended with a failure, where success was needed.
    #[error("`{command}` on `{host}` {exit}{}", stderr_tail(.stderr))]
    Command {
        /// The host.
        host: String,
        /// The command as it was meant, without secrets.
        command: String,
        /// How it ended.
        exit: crate::Exit,
        /// The end of what it wrote to its standard error.
        stderr: String,
    },
    /// An established connection broke, or the peer is gone.
    #[error("the connection to `{host}` broke")]
    Disconnected {
        /// The host.
        host: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// Something took longer than it may.
    #[error("timed out after {} s {doing} (host: {host})", .after.as_secs_f64())]
    Timeout {
        /// The host.
        host: String,
        /// What was being done, for example "waiting for the SSH handshake".
        doing: String,
        /// The limit.
        after: Duration,
    },
    /// The session was closed by its owner.
    #[error("the session with `{host}` is closed")]
    Closed {
        /// The host.
        host: String,
    },
    /// A local file cannot be read or written.
    #[error("cannot {operation} `{}`", .path.display())]
    File {
        /// "read", "write", …
        operation: &'static str,
        /// The local path.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// The input cannot be used: a bad path, address or configuration.
    #[error("{0}")]
    Input(String),
}

/// The steps on the way to a session, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The host's name is looked up.
    Lookup,
    /// A connection is made, by TCP or through a proxy.
    Connect,
    /// Both sides agree on ciphers and keys.
    Handshake,
    /// The host's key is checked.
    HostKey,
    /// We prove who we are.
    Login,
}

/// What [`Error::Timeout`] says of each stage.
pub(crate) mod doing {
    pub(crate) const LOOKUP: &str = "looking up the name";
    /// The port follows.
    pub(crate) const CONNECT: &str = "connecting to port";
    pub(crate) const HANDSHAKE: &str = "waiting for the SSH handshake";
    pub(crate) const LOGIN: &str = "logging in";
}

/// The innermost words on a failure: of the system, of libssh2 or of the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub String);

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Why a host key is refused. Fingerprints are `SHA256:…` as `ssh-keygen -l` prints them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyProblem {
    /// No known_hosts file names the host.
    #[error("is not known ({algorithm}, {fingerprint})")]
    Unknown {
        /// Key type, for example `ssh-ed25519`.
        algorithm: String,
        /// The offered key.
        fingerprint: String,
    },
    /// The host is known with another key.
    #[error(
        "has changed: it shows {algorithm} {fingerprint}, but {known_at} expects {expected_algorithm} \
         {expected}"
    )]
    Changed {
        /// Type of the offered key.
        algorithm: String,
        /// The offered key.
        fingerprint: String,
        /// Type of the known key.
        expected_algorithm: String,
        /// The known key.
        expected: String,
        /// `file:line` of the known key.
        known_at: String,
    },
    /// The key is marked `@revoked`.
    #[error("is revoked ({algorithm} {fingerprint}, {known_at})")]
    Revoked {
        /// Key type.
        algorithm: String,
        /// The offered key.
        fingerprint: String,
        /// `file:line` of the mark.
        known_at: String,
    },
}

impl Error {
    /// Returns what to do about it, as a sentence fragment, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Lookup { .. } => "check the spelling of the host name, or set HostName in ~/.ssh/config".into(),
            Self::Connect { .. } => {
                "check that the host is up, that sshd listens on this port, and that no firewall is in between"
                    .into()
            }
            Self::HostKey { known_as, problem, .. } => match &**problem {
                HostKeyProblem::Unknown { .. } => format!(
                    "compare the fingerprint with the host's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` \
                     there), then add the key with `ssh-keyscan{} >> ~/.ssh/known_hosts` or use --accept-new",
                    keyscan_words(known_as)
                ),
                HostKeyProblem::Changed { known_at, .. } => format!(
                    "if the host was reinstalled, remove the old key ({known_at}, or `ssh-keygen -R {}`); \
                     otherwise somebody may be listening in",
                    crate::quote::shell(known_as)
                ),
                HostKeyProblem::Revoked { .. } => {
                    "do not connect: this key was marked as compromised; give the host a new one".into()
                }
            },
            Self::Login { user, .. } => format!(
                "check the user name (`{user}`), name a key with -i or load it into the agent, or give a password \
                 with -p or -I"
            ),
            Self::Prompt { .. } => {
                "give the answer beforehand (-p, -I or an agent), or allow prompts".into()
            }
            Self::Sudo { .. } => {
                "give the right one (DFAB_SUDO_PASSWORD, --sudo-password or --initial-sudo-password-prompt; -p where it is \
                 that of the login), or allow prompts"
                    .into()
            }
            Self::Socket { fix: Some(fix), .. } => fix.clone(),
            Self::Forward { .. } => {
                "check `AllowTcpForwarding` and `PermitOpen` in the host's sshd_config, and that the port is open there"
                    .into()
            }
            Self::Timeout { .. } => {
                "check that the host is up and that no firewall drops the packets, or give it more time (-t to connect, \
                 -T for a command)"
                    .into()
            }
            Self::Disconnected { .. } => {
                "check the host and the network, then run the command again".into()
            }
            _ => return None,
        })
    }

    /// Returns at which step [`crate::Session::connect`] failed with this error; `None` when nothing was
    /// tried, as with a wrong option.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Lookup { .. } => Some(Stage::Lookup),
            // A jump host refuses to forward as a firewall does.
            Self::Connect { .. } | Self::Forward { .. } => Some(Stage::Connect),
            Self::Handshake { .. } => Some(Stage::Handshake),
            Self::HostKey { .. } => Some(Stage::HostKey),
            Self::Login { .. } | Self::Prompt { .. } | Self::Disconnected { .. } => Some(Stage::Login),
            Self::Timeout { doing, .. } => match doing.as_str() {
                doing::LOOKUP => Some(Stage::Lookup),
                doing::HANDSHAKE => Some(Stage::Handshake),
                doing::LOGIN => Some(Stage::Login),
                _ => Some(Stage::Connect),
            },
            _ => None,
        }
    }

    /// Whether the connection itself is gone, so that a new one may help.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. } | Self::Closed { .. })
    }

    /// Returns the error that a stream of ours carries in an [`std::io::Error`], or wraps another.
    pub fn from_io(host: &str, error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::Disconnected { host: host.to_owned(), source: error.into() },
        }
    }

    /// Returns the error as streams carry it; [`Error::from_io`] takes it out again.
    pub fn into_io(self) -> std::io::Error {
        let kind = match &self {
            Self::Timeout { .. } => std::io::ErrorKind::TimedOut,
            Self::Closed { .. } => std::io::ErrorKind::NotConnected,
            Self::Disconnected { .. } => std::io::ErrorKind::ConnectionAborted,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, self)
    }
}

/// Returns the arguments with which ssh-keyscan asks the host that known_hosts calls so.
fn keyscan_words(known_as: &str) -> String {
    let parts = known_as.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    match parts {
        Some((name, port)) => format!(" -p {port} {}", crate::quote::shell(name)),
        None => format!(" {}", crate::quote::shell(known_as)),
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn stderr_tail(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_host_and_operation() {
        let cases = [
            (
                Error::Connect { host: "web1".into(), port: 22, attempts: 1, source: "refused".into() },
                "cannot connect to `web1` on port 22 (tried 1 time)",
            ),
            (
                Error::Connect { host: "web1".into(), port: 22, attempts: 3, source: "refused".into() },
                "cannot connect to `web1` on port 22 (tried 3 times)",
            ),
            (
                Error::Timeout {
                    host: "web1".into(),
                    doing: "waiting for the SSH handshake".into(),
                    after: Duration::from_millis(1500),
                },
                "timed out after 1.5 s waiting for the SSH handshake (host: web1)",
            ),
            (
                Error::Command {
                    host: "web1".into(),
                    command: "false".into(),
                    exit: crate::Exit::Status(1),
                    stderr: " no \n".into(),
                },
                "`false` on `web1` ended with status 1: no",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn the_stage_of_a_failure_is_told() {
        let late = |doing: &str| {
            let (host, doing) = ("h".to_owned(), doing.to_owned());
            Error::Timeout { host, doing, after: Duration::from_secs(1) }.stage()
        };
        assert_eq!(late(doing::LOOKUP), Some(Stage::Lookup));
        assert_eq!(late(&format!("{} 22", doing::CONNECT)), Some(Stage::Connect));
        assert_eq!(late(doing::HANDSHAKE), Some(Stage::Handshake));
        assert_eq!(late(doing::LOGIN), Some(Stage::Login));
        assert_eq!(Error::Input("x".into()).stage(), None);
        assert!(Stage::Lookup < Stage::Connect && Stage::HostKey < Stage::Login);
    }

    #[test]
    fn display_leaves_the_source_to_the_reporter() {
        let error = Error::Disconnected { host: "h".into(), source: "reset by peer".into() };
        assert!(!error.to_string().contains("reset"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "reset by peer");
    }

    #[test]
    fn the_hint_names_the_host_as_known_hosts_does() {
        let hint = |known_as: &str| {
            let problem = HostKeyProblem::Unknown { algorithm: "a".into(), fingerprint: "f".into() };
            let (host, known_as) = ("deploy@web1".to_owned(), known_as.to_owned());
            Error::HostKey { host, known_as, problem: problem.into() }.hint().unwrap()
        };
        assert!(hint("10.0.0.1").contains("`ssh-keyscan 10.0.0.1 >> ~/.ssh/known_hosts`"));
        assert!(hint("[10.0.0.1]:2222").contains("`ssh-keyscan -p 2222 10.0.0.1 >> ~/.ssh/known_hosts`"));
    }
}
