//! SSH sessions of a run, and engines reached through them.

use std::sync::Arc;

use async_trait::async_trait;
use dfab_client::Connector;
use dfab_client::connector::Stream;
use dfab_client::error::Source;

use crate::endpoint::Address;
use crate::project::Host;
use crate::settings::SshSettings;

/// The SSH sessions of a run: one for each login, opened when it is first needed.
pub struct Sessions {
    settings: SshSettings,
}

impl Sessions {
    /// Makes an empty set.
    pub fn new(settings: SshSettings) -> Self {
        Self { settings }
    }

    /// Closes all sessions.
    pub async fn close(&self) {
        let _ = &self.settings;
    }
}

/// Opens streams to an engine through an SSH session.
pub struct SshConnector {
    _sessions: Arc<Sessions>,
    _host: Host,
    _address: Address,
    name: String,
}

impl SshConnector {
    /// Makes a connector; nothing is connected yet.
    pub fn new(sessions: Arc<Sessions>, host: Host, address: Address, name: String) -> Self {
        Self { _sessions: sessions, _host: host, _address: address, name }
    }
}

#[async_trait]
impl Connector for SshConnector {
    fn host(&self) -> &str {
        &self.name
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        Err("SSH connections are not part of this build yet".into())
    }
}
