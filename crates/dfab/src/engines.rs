//! The engines of a run: from a target to a backend, each made once and used by all tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector};
use dfab_map::desired::Target;
use dfab_map::model::{ClientConfig, Tls};
use dfab_map::names::ClientName;
use dfab_tunnel::{Behind, Forward, LocalPorts};
use tokio::task::JoinHandle;

use crate::cli::options::BackendKind;
use crate::console::Console;
use crate::endpoint::{Address, Endpoint};
use crate::failure::{Failure, Result};
use crate::project::Host;
use crate::settings::Settings;
use crate::ssh::{Sessions, SshConnector};

/// Makes backends, and keeps them until the end of the run.
pub struct Engines {
    settings: Settings,
    /// The SSH sessions of the run.
    pub sessions: Arc<Sessions>,
    /// By what makes two targets the same engine, spoken to in the same way.
    backends: Mutex<HashMap<String, Arc<dyn Backend>>>,
    /// Numbers the local ports that lead to remote engines, where they are asked for.
    ports: Arc<LocalPorts>,
    forwards: Mutex<Vec<JoinHandle<Option<Forward>>>>,
    console: Arc<Console>,
}

impl Engines {
    /// Makes an empty set.
    pub fn new(settings: Settings, sessions: Arc<Sessions>, console: Arc<Console>) -> Self {
        Self {
            settings,
            sessions,
            backends: Mutex::default(),
            ports: Arc::default(),
            forwards: Mutex::default(),
            console,
        }
    }

    /// Closes local ports, then SSH sessions.
    pub async fn close(&self) {
        let forwards: Vec<_> =
            self.forwards.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for forward in forwards {
            if !forward.is_finished() {
                forward.abort();
            } else if let Ok(Some(forward)) = forward.await {
                forward.close().await;
            }
        }
        self.sessions.close().await;
    }

    /// Offers a port on 127.0.0.1 that leads to a remote engine, for other programs (clients-tasks
    /// §2.5, design §5): dfab itself needs none. Ports count up over the whole run.
    fn offer_port(&self, start: u16, host: Host, address: &Address, name: String) {
        let behind = match address {
            Address::Unix(path) => Behind::Unix(path.clone()),
            Address::Tcp { host, port, .. } => Behind::Tcp(host.clone(), *port),
        };
        let (ports, sessions) = (Arc::clone(&self.ports), Arc::clone(&self.sessions));
        let console = Arc::clone(&self.console);
        let offering = tokio::spawn(async move {
            // A host that cannot be reached is reported by whoever needs it.
            let session = sessions.session(&host).await.ok()?;
            let forward = async {
                let (listener, _) = ports.listen(Some(start)).await?;
                Forward::serve(listener, session, behind)
            };
            match forward.await {
                Ok(forward) => {
                    console.progress_line(
                        Some(&name),
                        &format!("docker: {} leads to this engine", forward.address()),
                    );
                    Some(forward)
                }
                Err(error) => {
                    console.warn(Some(&name), &format!("no local port is offered: {error}"));
                    None
                }
            }
        });
        self.forwards.lock().unwrap_or_else(PoisonError::into_inner).push(offering);
    }

    /// Returns the backend of a target. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A configuration failure when the target's settings make no way to an engine.
    pub fn backend(&self, target: &Target) -> Result<Arc<dyn Backend>> {
        let config = &target.config;
        let host =
            config.fabric_host.as_deref().filter(|host| !host.is_empty()).map(Host::parse).transpose()?;
        let url = config.base_url.as_deref().or(self.settings.docker_base_url.as_deref());
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let remote_port = config.tunnel_remote_port.or(self.settings.tunnel_remote_port);
        if self.settings.backend == BackendKind::Cli {
            return self.program_backend(target, host);
        }
        let endpoint = Endpoint::new(host, url, docker_host.as_deref(), remote_port)?;
        self.refuse_tls(config, &endpoint, &target.name)?;
        let version = match config.version.as_deref().or(self.settings.docker_api_version.as_deref()) {
            None | Some("auto") => None,
            Some(text) => Some(api_version(text).ok_or_else(|| {
                Failure::configuration(format!("`{text}` is no API version (client `{}`)", target.name))
                    .hint("write for example \"1.41\", with quotes in YAML, or auto")
            })?),
        };
        let timeout = config.timeout.unwrap_or(self.settings.docker_timeout);
        let name = shown_name(target, endpoint.host.as_ref());
        let key = format!("{name} {endpoint:?} {version:?} {timeout:?}");
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = backends.get(&key) {
            return Ok(Arc::clone(backend));
        }
        let options = ApiOptions { version, timeout, ..ApiOptions::default() };
        let backend: Arc<dyn Backend> = match endpoint {
            Endpoint { host: Some(host), address } => {
                if let Some(start) = config.tunnel_local_port.or(self.settings.tunnel_local_port) {
                    self.offer_port(start, host.clone(), &address, name.clone());
                }
                let connector = SshConnector::new(Arc::clone(&self.sessions), host, address, name);
                Arc::new(ApiBackend::new(Arc::new(connector), options))
            }
            Endpoint { host: None, address: Address::Unix(path) } => {
                Arc::new(ApiBackend::new(Arc::new(LocalConnector::unix(path)), options))
            }
            Endpoint { host: None, address: Address::Tcp { host, port, .. } } => {
                Arc::new(ApiBackend::new(Arc::new(LocalConnector::tcp(host, port)), options))
            }
        };
        backends.insert(key, Arc::clone(&backend));
        Ok(backend)
    }

    fn program_backend(&self, target: &Target, host: Option<Host>) -> Result<Arc<dyn Backend>> {
        let config = &target.config;
        if config.version.is_some() || self.settings.docker_api_version.is_some() {
            self.console
                .warn(None, "the `docker` program chooses the API version; `version` has no effect on it");
        }
        let name = shown_name(target, host.as_ref());
        let key = format!("{name} docker {config:?}");
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = backends.get(&key) {
            return Ok(Arc::clone(backend));
        }
        let backend = crate::program_backend::backend(
            config,
            host,
            name,
            &self.settings,
            &self.sessions,
            &self.console,
        )?;
        backends.insert(key, Arc::clone(&backend));
        Ok(backend)
    }

    /// Returns how many requests all backends have sent.
    pub fn requests(&self) -> u64 {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        backends.values().map(|backend| backend.requests()).sum()
    }

    fn refuse_tls(&self, config: &ClientConfig, endpoint: &Endpoint, name: &ClientName) -> Result<()> {
        let asked = match &config.tls {
            Some(Tls::Enabled(enabled)) => *enabled,
            Some(Tls::Settings(_)) => true,
            None => self.settings.docker_tls || matches!(endpoint.address, Address::Tcp { tls: true, .. }),
        };
        match (&endpoint.address, asked) {
            (_, false) => Ok(()),
            (Address::Unix(path), true) => Err(Failure::configuration(format!(
                "client `{name}`: TLS cannot be combined with the socket `{path}`"
            ))
            .hint("leave out `tls` and `docker_tls`, or name a TCP address in `base_url`")),
            (Address::Tcp { .. }, true) => Err(Failure::configuration(format!(
                "client `{name}`: TLS to an engine is not implemented yet"
            ))
            .hint("reach the engine through SSH: set `fabric_host` and the socket or plain port there")),
        }
    }
}

/// Returns how messages call an engine: the host as it was given, else the client's name, else that
/// it is the local one.
fn shown_name(target: &Target, host: Option<&Host>) -> String {
    match host {
        Some(host) => host.text.clone(),
        None if target.name.is_default() => dfab_client::local::LOCAL.to_owned(),
        None => target.name.to_string(),
    }
}

fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
