//! What a connection needs to know, as plain values. Nothing here reads the environment, the home
//! directory or a terminal; [`crate::config`] fills these values from `ssh_config` texts.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::{Login, Secret, Sessions};

/// Everything about one connection: where to, as whom, proven how, checked how.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Host name or address to connect to. IPv6 addresses stand without brackets.
    pub host: String,
    /// TCP port of the SSH server; 22 by default.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Name for messages, usually the host as the user wrote it. Empty: `host`.
    pub label: String,
    /// Name looked up in known_hosts instead of `host` (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// Time for one attempt to reach the server and exchange keys (`ConnectTimeout`, `-t`); 10 s.
    pub connect_timeout: Duration,
    /// How often to try to reach the server (`ConnectionAttempts`, `-n`); 1. Between attempts passes
    /// one second. Refused logins and host keys are not tried again.
    pub attempts: u32,
    /// Time for the login, not counting the time a person takes to answer a prompt; 30 s.
    pub auth_timeout: Duration,
    /// Time for opening one stream or starting one command; 30 s.
    pub open_timeout: Duration,
    /// Watch over a silent peer; `None` leaves it to TCP, which may take hours.
    pub keepalive: Option<Keepalive>,
    /// Whether to offer zlib compression (`Compression yes`).
    pub compression: bool,
    /// How to prove who we are.
    pub auth: Auth,
    /// How to check who they are.
    pub host_keys: HostKeys,
    /// How to get to the server when not by a TCP connection of our own.
    pub proxy: Proxy,
    /// Whose connections to jump hosts are used, so that there is one to each for all that goes through it. Gone, as by
    /// default: a connection makes its own.
    pub jumps: Weak<Sessions>,
    /// How to get to a Unix socket of the remote host.
    pub way: Way,
    /// Most exec-based channels at once: `sshd` refuses more than `MaxSessions` (10 by default) for
    /// one connection. 8 by default; `direct-*` streams do not count.
    pub max_exec_channels: usize,
    /// Who is told what happens on the connection; nobody by default.
    pub events: Events,
}

impl ConnectOptions {
    /// Returns the defaults for a login: port 22, no keys, no agent, strict host keys with no known
    /// hosts. Fields are public; set what differs.
    pub fn new(host: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 22,
            user: user.into(),
            label: String::new(),
            host_key_alias: None,
            connect_timeout: Duration::from_secs(10),
            attempts: 1,
            auth_timeout: Duration::from_secs(30),
            open_timeout: Duration::from_secs(30),
            keepalive: Some(Keepalive::default()),
            compression: false,
            auth: Auth::default(),
            host_keys: HostKeys::default(),
            proxy: Proxy::None,
            jumps: Weak::new(),
            way: Way::Auto,
            max_exec_channels: 8,
            events: Events::default(),
        }
    }

    /// Returns the name for messages.
    pub fn label(&self) -> &str {
        if self.label.is_empty() { &self.host } else { &self.label }
    }
}

/// When a silent peer counts as gone (`ServerAliveInterval`, `ServerAliveCountMax`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// After this much silence the peer is asked for an answer.
    pub interval: Duration,
    /// After this many unanswered questions the connection is given up.
    pub count_max: u32,
}

impl Default for Keepalive {
    /// 15 s and 3, so that a dead peer is noticed after a minute.
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), count_max: 3 }
    }
}

/// Ways to prove who we are, tried in the order keys that were named, agent, other keys,
/// keyboard-interactive, password, as far as the server offers them.
#[derive(Clone)]
pub struct Auth {
    /// Socket of an SSH agent; `None` (`-a`) asks none.
    pub agent: Option<PathBuf>,
    /// Private key files in the order to try (`-i`, `IdentityFile`). Files that do not exist are
    /// passed over when `optional` says so.
    pub keys: Vec<KeyFile>,
    /// Of the agent's keys offer only those that `keys` names (`IdentitiesOnly`).
    pub identities_only: bool,
    /// Password for the login, for locked keys and for keyboard-interactive prompts without echo.
    pub password: Option<Secret>,
    /// Who answers what is not known yet; `None` never asks (`--abort-on-prompts`).
    pub prompt: Option<Arc<dyn Prompt>>,
    /// Whether keys may be used (`PubkeyAuthentication`); true.
    pub keys_allowed: bool,
    /// Whether keyboard-interactive may be used (`KbdInteractiveAuthentication`); true.
    pub interactive_allowed: bool,
    /// Whether a password may be used (`PasswordAuthentication`); true.
    pub password_allowed: bool,
}

impl Default for Auth {
    /// Nothing given, everything allowed.
    fn default() -> Self {
        Self {
            agent: None,
            keys: Vec::new(),
            identities_only: false,
            password: None,
            prompt: None,
            keys_allowed: true,
            interactive_allowed: true,
            password_allowed: true,
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("agent", &self.agent)
            .field("keys", &self.keys)
            .field("identities_only", &self.identities_only)
            .field("password", &self.password)
            .field("prompt", &self.prompt.is_some())
            .finish_non_exhaustive()
    }
}

/// A private key file; a certificate is expected beside it as `<path>-cert.pub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Path of the private key, ready to open; or of a public one whose private key an agent holds.
    pub path: PathBuf,
    /// Whether the file may be missing, as the default keys of `~/.ssh` may.
    pub optional: bool,
}

impl KeyFile {
    /// A key that was named and must exist.
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), optional: false }
    }

    /// A key that is used if it is there.
    pub fn if_present(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), optional: true }
    }
}

/// Answers questions during the login. Called on the connection's own thread, which may wait for a
/// person; the login's time limit does not run meanwhile.
pub trait Prompt: Send + Sync {
    /// Returns the answer, or `None` to give up this way to log in.
    fn ask(&self, question: &Question) -> Option<Secret>;
}

impl<F: Fn(&Question) -> Option<Secret> + Send + Sync> Prompt for F {
    fn ask(&self, question: &Question) -> Option<Secret> {
        self(question)
    }
}

/// What is asked, of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The host as messages name it.
    pub host: String,
    /// The login name.
    pub user: String,
    /// Whose password it is, where it is one: tells hosts apart that messages name alike.
    pub login: Login,
    /// What is needed.
    pub kind: QuestionKind,
    /// What was answered last and turned out to be wrong; `None` when nothing was. Whoever remembers answers must not
    /// give this one again.
    pub wrong: Option<Secret>,
}

impl Question {
    /// Makes one about a connection.
    pub fn new(options: &ConnectOptions, kind: QuestionKind, wrong: Option<Secret>) -> Self {
        Self {
            host: options.label().to_owned(),
            user: options.user.clone(),
            login: Login::from(options),
            kind,
            wrong,
        }
    }
}

/// What is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionKind {
    /// The login password.
    Password,
    /// The passphrase of this key file.
    Passphrase(PathBuf),
    /// The password that sudo wants.
    SudoPassword,
    /// The server's own question (keyboard-interactive); `echo` says whether typing may be shown.
    Server {
        /// The question as the server words it.
        text: String,
        /// Whether the answer may be shown while it is typed.
        echo: bool,
    },
}

/// What happens on a connection besides what was asked for. Told from the connection's thread or the
/// caller's task; the function must not wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A host key was accepted that was not known before.
    NewHostKey {
        /// The host.
        host: String,
        /// Key type.
        algorithm: String,
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// The preferred way to a Unix socket does not work and another is used for this connection.
    Fallback {
        /// The host.
        host: String,
        /// The socket.
        path: String,
        /// The way that is used.
        way: Way,
        /// Why not the preferred one.
        why: String,
    },
    /// A stream to a Unix socket runs this command on the host (`socat_quiet: false` shows it).
    StreamCommand {
        /// The host.
        host: String,
        /// The command line.
        command: String,
    },
}

/// A function that is told of [`Event`]s.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<Listener>>);

type Listener = dyn Fn(&Event) + Send + Sync;

impl Events {
    /// Tells `listener` of everything.
    pub fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn tell(&self, event: &Event) {
        if let Some(listener) = &self.0 {
            listener(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Events(…)" } else { "Events" })
    }
}

/// How the server's host key is checked.
#[derive(Debug, Clone, Default)]
pub struct HostKeys {
    /// The user's known_hosts files (`UserKnownHostsFile`); missing ones are passed over.
    pub files: Vec<PathBuf>,
    /// The machine's known_hosts files (`GlobalKnownHostsFile`); missing ones are passed over.
    pub global_files: Vec<PathBuf>,
    /// What to do with a host that is in none of them.
    pub unknown: UnknownHost,
    /// Where [`UnknownHost::Accept`] writes new keys; `None` keeps them for this connection only.
    pub learn_to: Option<PathBuf>,
}

/// What to do with a host that no known_hosts file names. A key that differs from the known one is
/// always refused, and so is a revoked one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownHost {
    /// Refuse it (`StrictHostKeyChecking yes`).
    #[default]
    Refuse,
    /// Accept it, and remember it when a file to learn to is given (`accept-new`).
    Accept,
}

/// How to get to the server.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// By TCP.
    #[default]
    None,
    /// Through other servers, nearest first (`ProxyJump`): each is logged in to by itself, and the
    /// next connection runs in a `direct-tcpip` channel of it. See [`ConnectOptions::jumps`].
    Jump(Vec<ConnectOptions>),
    /// Over the standard streams of a local command (`ProxyCommand`), run by `/bin/sh -c`.
    Command(String),
}

/// How to get to a Unix socket of the remote host (`docker_tunnel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Way {
    /// The first of the others that works, remembered for the connection.
    #[default]
    Auto,
    /// An SSH channel of type `direct-streamlocal@openssh.com`. One round trip, no process.
    Streamlocal,
    /// `socat STDIO UNIX-CONNECT:…` on an exec channel.
    Socat,
    /// `docker system dial-stdio` on an exec channel.
    DialStdio,
}

impl Way {
    /// Returns the word that project files use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Streamlocal => "streamlocal",
            Self::Socat => "socat",
            Self::DialStdio => "dial-stdio",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::Streamlocal, Self::Socat, Self::DialStdio]
            .into_iter()
            .find(|way| way.as_str() == text)
            .ok_or_else(|| {
                format!("unknown way `{text}`; known are `auto`, `streamlocal`, `socat` and `dial-stdio`")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_read_back_as_they_are_written() {
        for way in [Way::Auto, Way::Streamlocal, Way::Socat, Way::DialStdio] {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        assert!("ssh".parse::<Way>().unwrap_err().contains("`dial-stdio`"));
    }

    #[test]
    fn options_do_not_show_passwords() {
        let mut options = ConnectOptions::new("h", "u");
        options.auth.password = Some(Secret::new("hunter2"));
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
