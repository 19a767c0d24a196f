//! Engines that are reached without SSH: a Unix socket or a TCP address of this machine's network.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::{TcpStream, UnixStream};

use crate::connector::{Connector, Stream};
use crate::error::Source;

/// How engines without a host name are called in messages.
pub const LOCAL: &str = "local engine";

/// Connects to a Unix socket or a TCP address.
#[derive(Clone, Debug)]
pub struct LocalConnector {
    host: String,
    endpoint: Endpoint,
}

#[derive(Clone, Debug)]
enum Endpoint {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
}

/// Why a local endpoint cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The socket file is not there: the engine is not installed or not running.
    #[error("there is no socket `{}`; is the Docker engine installed and running?", .0.display())]
    NoSocket(PathBuf),
    /// The socket is there, but nothing accepts connections.
    #[error("nothing listens on the socket `{}`; is the Docker engine running?", .0.display())]
    NotListening(PathBuf),
    /// The user may not use the socket.
    #[error("no permission to use the socket `{}`; is the user in the group `docker`?", .0.display())]
    Permission(PathBuf),
    /// Any other failure of a Unix socket.
    #[error("cannot connect to the socket `{}`", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A TCP address that cannot be connected to.
    #[error("cannot connect to `{address}`")]
    Address {
        /// `host:port`
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LocalConnector {
    /// Connects to a Unix socket, usually `/var/run/docker.sock`.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { host: LOCAL.into(), endpoint: Endpoint::Unix(path.into()) }
    }

    /// Connects to a TCP address without TLS.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self { host: shown(&host, port), endpoint: Endpoint::Tcp { host, port } }
    }

    /// Replaces the name that messages use.
    #[must_use]
    pub fn named(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }
}

#[async_trait]
impl Connector for LocalConnector {
    fn host(&self) -> &str {
        &self.host
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        match &self.endpoint {
            Endpoint::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(Box::new(unix_failure(path, error))),
            },
            Endpoint::Tcp { host, port } => match TcpStream::connect((host.as_str(), *port)).await {
                Ok(stream) => {
                    // Requests are small and answered one by one: waiting for more bytes only delays.
                    stream.set_nodelay(true)?;
                    // A build may be silent for hours, but a host that is gone does not answer these.
                    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
                    rustix::net::sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60))?;
                    Ok(Box::new(stream))
                }
                Err(source) => Err(Box::new(Unreachable::Address { address: shown(host, *port), source })),
            },
        }
    }
}

/// Writes an address as URLs do: IPv6 in brackets.
fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn unix_failure(path: &Path, source: io::Error) -> Unreachable {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => Unreachable::NoSocket(path),
        io::ErrorKind::ConnectionRefused => Unreachable::NotListening(path),
        io::ErrorKind::PermissionDenied => Unreachable::Permission(path),
        _ => Unreachable::Socket { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_urls_have_them() {
        for (host, shown) in [("::1", "[::1]:2375"), ("10.0.0.1", "10.0.0.1:2375")] {
            assert_eq!(LocalConnector::tcp(host, 2375).host(), shown);
        }
    }
}
