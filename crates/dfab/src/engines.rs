//! The engines of a run: from a target to a backend, each made once and used by all tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dfab_cli_client::CliBackend;
use dfab_client::{ApiBackend, ApiOptions, Backend, Connector, LocalConnector, TlsConnector};
use dfab_map::desired::Target;
use dfab_tunnel::{Forward, LocalPorts};

use crate::cli::options::BackendKind;
use crate::console::Console;
use crate::endpoint::{Address, Endpoint};
use crate::failure::{Failure, Result};
use crate::project::Host;
use crate::settings::Settings;
use crate::ssh::{Sessions, SshConnector};

/// An engine behind SSH, and how it is reached.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The SSH host.
    pub host: Host,
    /// Where the engine listens, as seen from there.
    pub address: Address,
    /// How messages call it.
    pub name: String,
    /// The first local port for other programs, where one was asked for.
    pub local_port: Option<u16>,
}

/// Makes backends, and keeps them until the end of the run.
pub struct Engines {
    settings: Settings,
    /// The SSH sessions of the run.
    pub sessions: Arc<Sessions>,
    /// By what makes two targets the same engine, spoken to in the same way.
    backends: Mutex<HashMap<String, Arc<dyn Backend>>>,
    /// Likewise, those that are `docker` programs.
    programs: Mutex<HashMap<String, Arc<CliBackend>>>,
    /// Numbers the local ports that lead to remote engines, where they are asked for.
    ports: LocalPorts,
    forwards: Mutex<Vec<Forward>>,
    console: Arc<Console>,
}

impl Engines {
    /// Makes an empty set.
    pub fn new(settings: Settings, sessions: Arc<Sessions>, console: Arc<Console>) -> Self {
        Self {
            settings,
            sessions,
            backends: Mutex::default(),
            programs: Mutex::default(),
            ports: LocalPorts::default(),
            forwards: Mutex::default(),
            console,
        }
    }

    /// Closes local ports, then SSH sessions.
    pub async fn close(&self) {
        let forwards: Vec<_> =
            self.forwards.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        futures_util::future::join_all(forwards.into_iter().map(Forward::close)).await;
        self.sessions.close().await;
    }

    /// Returns how a target's engine behind SSH is reached; `None` for an engine of this machine.
    ///
    /// # Errors
    ///
    /// A configuration failure when the target's settings make no way to an engine.
    pub fn remote(&self, target: &Target) -> Result<Option<Remote>> {
        let endpoint = self.endpoint(target)?;
        let Endpoint { host: Some(host), address } = endpoint else { return Ok(None) };
        Ok(Some(self.remote_at(target, host, address)))
    }

    fn remote_at(&self, target: &Target, host: Host, address: Address) -> Remote {
        let name = shown_name(target, Some(&host));
        let local_port = target.config.tunnel_local_port.or(self.settings.tunnel_local_port);
        Remote { host, address, name, local_port }
    }

    /// Opens a port on 127.0.0.1 that leads to a remote engine, for other programs (clients-tasks §2.5, design
    /// §5): dfab itself needs none. Ports count up over the whole run from `start`; without one the system
    /// chooses. The port stands at once, and each connection to it connects to the host where that is needed.
    ///
    /// # Errors
    ///
    /// [`dfab_tunnel::Error::Input`] when there is no free port.
    pub fn open_port(&self, remote: &Remote, start: Option<u16>) -> Result<Forward, dfab_tunnel::Error> {
        let (listener, busy) = self.ports.listen(start)?;
        for port in busy {
            let text = format!("local port {port} is in use by another program: it is passed over");
            self.console.note(Some(&remote.name), &text);
        }
        let connector = Arc::new(self.connector(remote));
        let (console, remote) = (Arc::clone(&self.console), remote.clone());
        Forward::serve_with(listener, move || {
            let (connector, console, remote) = (Arc::clone(&connector), Arc::clone(&console), remote.clone());
            async move {
                let stream = connector.stream().await;
                if let Err(error) = &stream {
                    let why = crate::failure::chain(error).join(": ");
                    let text = format!("a request to {} was not forwarded: {why}", remote.address);
                    console.warn(Some(&remote.name), &text);
                    connector.forget_unreachable(error).await;
                }
                stream
            }
        })
    }

    /// Returns what opens streams to a remote engine.
    pub fn connector(&self, remote: &Remote) -> SshConnector {
        let Remote { host, address, name, .. } = remote.clone();
        SshConnector::new(Arc::clone(&self.sessions), host, address, name)
    }

    /// Opens the port that was asked for by `docker_tunnel_local_port`, for the time of the run.
    fn offer_port(&self, remote: &Remote, start: u16) {
        match self.open_port(remote, Some(start)) {
            Ok(forward) => {
                let text = format!("docker: {} leads to this engine", forward.address());
                self.console.progress_line(Some(&remote.name), &text);
                self.forwards.lock().unwrap_or_else(PoisonError::into_inner).push(forward);
            }
            Err(error) => {
                self.console.warn(Some(&remote.name), &format!("no local port is offered: {error}"));
            }
        }
    }

    /// Returns where a target's engine is.
    ///
    /// # Errors
    ///
    /// As [`Engines::remote`].
    pub fn endpoint(&self, target: &Target) -> Result<Endpoint> {
        let config = &target.config;
        let host = ssh_host(target)?;
        let url = config.base_url.as_deref().or(self.settings.docker_base_url.as_deref());
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let remote_port = config.tunnel_remote_port.or(self.settings.tunnel_remote_port);
        Endpoint::new(host, url, docker_host.as_deref(), remote_port)
    }

    /// Returns the backend of a target. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A configuration failure when the target's settings make no way to an engine.
    pub fn backend(&self, target: &Target) -> Result<Arc<dyn Backend>> {
        let config = &target.config;
        if self.settings.backend == BackendKind::Cli {
            return Ok(self.program(target)?);
        }
        let endpoint = self.endpoint(target)?;
        let url = config.base_url.as_deref().or(self.settings.docker_base_url.as_deref());
        let is_docker_host = endpoint.host.is_none() && url.is_none_or(|url| url.trim().is_empty());
        let environment = crate::tls::Environment::read(is_docker_host);
        let tls = crate::tls::options(target, &self.settings, &endpoint, &environment)?;
        let version = match config.version.as_deref().or(self.settings.docker_api_version.as_deref()) {
            None | Some("auto") => None,
            Some(text) => Some(api_version(text).ok_or_else(|| {
                Failure::configuration(format!("`{text}` is no API version (client `{}`)", target.name))
                    .hint("write for example \"1.41\", with quotes in YAML, or auto")
            })?),
        };
        let timeout = config.timeout.unwrap_or(self.settings.docker_timeout);
        let name = shown_name(target, endpoint.host.as_ref());
        let secured = tls.as_ref().map(|tls| (&tls.check, tls.files()));
        let key = format!("{name} {endpoint:?} {version:?} {timeout:?} {secured:?}");
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = backends.get(&key) {
            return Ok(Arc::clone(backend));
        }
        let credentials = Some(Arc::new(self.settings.credentials.clone()) as _);
        let options = ApiOptions { version, credentials, ..patience(timeout) };
        let connector: Arc<dyn Connector> = match endpoint {
            Endpoint { host: Some(host), address } => {
                let remote = self.remote_at(target, host, address);
                if let Some(start) = remote.local_port {
                    self.offer_port(&remote, start);
                }
                Arc::new(self.connector(&remote))
            }
            Endpoint { host: None, address: Address::Unix(path) } => Arc::new(LocalConnector::unix(path)),
            Endpoint { host: None, address: Address::Tcp { host, port, .. } } => {
                Arc::new(LocalConnector::tcp(host, port))
            }
        };
        let connector: Arc<dyn Connector> = match tls {
            None => connector,
            Some(tls) => Arc::new(
                TlsConnector::new(connector, tls)
                    .map_err(|error| crate::tls::unusable(&target.name.to_string(), &error))?,
            ),
        };
        let backend: Arc<dyn Backend> = Arc::new(ApiBackend::new(connector, options));
        backends.insert(key, Arc::clone(&backend));
        Ok(backend)
    }

    /// Returns the `docker` program that speaks to a target's engine: on its host, else on this machine.
    ///
    /// # Errors
    ///
    /// A configuration failure when the target's settings are none for the program.
    pub fn program(&self, target: &Target) -> Result<Arc<CliBackend>> {
        let config = &target.config;
        let host = ssh_host(target)?;
        if config.version.is_some() || self.settings.docker_api_version.is_some() {
            self.console
                .warn(None, "the `docker` program chooses the API version; `version` has no effect on it");
        }
        let name = shown_name(target, host.as_ref());
        let key = format!("{name} {config:?}");
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = programs.get(&key) {
            return Ok(Arc::clone(program));
        }
        let program = crate::program_backend::backend(
            config,
            host,
            name,
            &self.settings,
            &self.sessions,
            &self.console,
        )?;
        programs.insert(key, Arc::clone(&program));
        Ok(program)
    }

    /// Returns how many requests all backends have sent.
    pub fn requests(&self) -> u64 {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let commands: u64 = programs.values().map(|program| program.requests()).sum();
        commands + backends.values().map(|backend| backend.requests()).sum::<u64>()
    }
}

/// Returns the limits of an engine that has this time for an answer: its streams have no less.
fn patience(timeout: Duration) -> ApiOptions {
    let defaults = ApiOptions::default();
    ApiOptions { timeout, stream_timeout: defaults.stream_timeout.max(timeout), ..defaults }
}

/// Returns the SSH host of a target, where it has one.
///
/// # Errors
///
/// When its `fabric_host` is no host.
pub fn ssh_host(target: &Target) -> Result<Option<Host>> {
    let host = target.config.fabric_host.as_deref().filter(|host| !host.is_empty());
    host.map(Host::parse).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing else can give a save, a pull or a push more time.
    #[test]
    fn more_time_for_an_answer_is_more_time_for_streams() {
        for (given, streams) in [(20, 300), (300, 300), (3600, 3600)] {
            let given = Duration::from_secs(given);
            let limits = patience(given);
            assert_eq!((limits.timeout, limits.stream_timeout), (given, Duration::from_secs(streams)));
        }
    }
}
