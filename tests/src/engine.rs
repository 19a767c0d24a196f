//! The engine of a lab's host through the crates, without the `dfab` binary: one SSH session, and the socket behind it.

use std::sync::Arc;

use dfab_client::Connector;
use dfab_client::connector::Stream;
use dfab_client::error::Source;
use dfab_tunnel::options::{Auth, HostKeys, KeyFile};
use dfab_tunnel::{ConnectOptions, Session};

use crate::Host;

/// The engine's socket on a host, through its one SSH session.
pub struct Socket {
    host: String,
    session: Arc<Session>,
}

impl Socket {
    /// The socket of the host that `session` is with.
    pub fn new(host: &Host<'_>, session: &Arc<Session>) -> Socket {
        Socket { host: host.name.clone(), session: Arc::clone(session) }
    }
}

#[async_trait::async_trait]
impl Connector for Socket {
    fn host(&self) -> &str {
        &self.host
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        Ok(Box::new(self.session.open_unix("/var/run/docker.sock").await?))
    }
}

/// How `deploy` logs in to a host: with the lab's key, and the host key that the lab knows.
pub fn login_options(host: &Host<'_>) -> ConnectOptions {
    ConnectOptions {
        auth: Auth { keys: vec![KeyFile::named(host.lab.client_key())], ..Auth::default() },
        host_keys: HostKeys { files: vec![host.lab.known_hosts()], ..HostKeys::default() },
        ..ConnectOptions::new(&host.address, "deploy")
    }
}

/// Logs in.
///
/// # Panics
///
/// When the host does not let `deploy` in.
pub async fn login(options: ConnectOptions) -> Arc<Session> {
    Arc::new(Session::connect(options).await.expect("the lab lets `deploy` in"))
}
