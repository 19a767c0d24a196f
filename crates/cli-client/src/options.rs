//! How the `docker` program is called (clients-tasks §1.2, §1.4, §5.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dfab_client::registry::Credentials;
use dfab_tunnel::Secret;

use crate::echo::Echo;

/// Receives what is run and what it prints.
pub type EchoSink = Arc<dyn Fn(Echo) + Send + Sync>;

/// How the program is called, and how much at once.
#[derive(Clone)]
pub struct CliOptions {
    /// Program name or path; `docker` by default.
    pub binary: String,
    /// Words before the program, for example `nice -n 10`; none by default.
    pub prefix: Vec<String>,
    /// `-H URL`: the engine as seen from the host that runs the program. `None` leaves it to the
    /// program's own configuration.
    pub base_url: Option<String>,
    /// TLS between the program and its engine.
    pub tls: TlsFlags,
    /// Whether every command runs through sudo.
    pub sudo: Sudo,
    /// Reports queries and all output too, not only actions.
    pub debug: bool,
    /// Where commands and output are reported; `None` reports nothing. This crate never prints.
    pub echo: Option<EchoSink>,
    /// Channels open at a time; sshd allows 10 in one connection by default, and this crate is not
    /// alone in it. 6 by default.
    pub channels: usize,
    /// Short commands of one channel that run at a time on the host. 8 by default.
    pub processes: usize,
    /// How long the first command waits for others to share its channel. 2 ms by default.
    pub linger: Duration,
    /// How long a short command may take once there is a shell; no limit by default. What takes its time has none:
    /// pulls, pushes, builds, archives, logs, and whatever waits for a container.
    pub limit: Option<Duration>,
    /// Where logins for registries come from when a pull or push is given none. Without one that is found, the
    /// program uses what is configured on its host. None by default.
    pub credentials: Option<Arc<dyn Credentials>>,
}

/// Flags for TLS between the program and its engine. Files are on the host that runs the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFlags {
    /// `--tls`
    pub enabled: bool,
    /// `--tlsverify`
    pub verify: bool,
    /// `--tlscacert=FILE`
    pub ca_cert: Option<String>,
    /// `--tlscert=FILE`
    pub client_cert: Option<String>,
    /// `--tlskey=FILE`
    pub client_key: Option<String>,
}

/// Whether commands run through sudo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sudo {
    /// No.
    #[default]
    No,
    /// Yes, without a password: a host that asks for one is an error.
    Yes,
    /// Yes, with this password, which goes to sudo's standard input.
    WithPassword(Secret),
}

impl Default for CliOptions {
    fn default() -> Self {
        Self {
            binary: "docker".to_owned(),
            prefix: Vec::new(),
            base_url: None,
            tls: TlsFlags::default(),
            sudo: Sudo::No,
            debug: false,
            echo: None,
            channels: 6,
            processes: 8,
            linger: Duration::from_millis(2),
            limit: None,
            credentials: None,
        }
    }
}

impl CliOptions {
    /// Splits a prefix as written in a configuration into words, by POSIX shell rules.
    ///
    /// # Errors
    ///
    /// When a quotation mark is left open.
    pub fn prefix_words(text: &str) -> Result<Vec<String>, shell_words::ParseError> {
        shell_words::split(text)
    }

    /// Returns the global options of the program.
    pub(crate) fn global_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(url) = &self.base_url {
            words.extend(["-H".to_owned(), url.clone()]);
        }
        let tls = &self.tls;
        words.extend(tls.enabled.then(|| "--tls".to_owned()));
        words.extend(tls.verify.then(|| "--tlsverify".to_owned()));
        words.extend(tls.ca_cert.iter().map(|file| format!("--tlscacert={file}")));
        words.extend(tls.client_cert.iter().map(|file| format!("--tlscert={file}")));
        words.extend(tls.client_key.iter().map(|file| format!("--tlskey={file}")));
        words
    }
}

impl fmt::Debug for CliOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CliOptions")
            .field("binary", &self.binary)
            .field("prefix", &self.prefix)
            .field("base_url", &self.base_url)
            .field("tls", &self.tls)
            .field("sudo", &self.sudo)
            .field("debug", &self.debug)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
