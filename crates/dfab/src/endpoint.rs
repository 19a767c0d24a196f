//! Where an engine is: from host, URL and ports to a socket or an address (clients-tasks §2.2, §2.3).

use std::fmt;

use crate::failure::{Failure, Result};
use crate::project::Host;

/// The socket of an engine where nothing else is said.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The way to an engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// SSH host; `None` is this machine's network.
    pub host: Option<Host>,
    /// Where it listens, as seen from that host.
    pub address: Address,
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(String),
    /// A TCP port.
    Tcp {
        /// Host name or address, IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
        /// `https://`
        tls: bool,
    },
}

impl Endpoint {
    /// Works out the way to an engine.
    ///
    /// `url` is the client's `base_url`, else `docker_base_url`; `docker_host` is the process
    /// environment's `DOCKER_HOST`, which counts for local engines only; `remote_port` is the port
    /// where the URL has none.
    ///
    /// # Errors
    ///
    /// A configuration failure when the URL is none.
    pub fn new(
        host: Option<Host>,
        url: Option<&str>,
        docker_host: Option<&str>,
        remote_port: Option<u16>,
    ) -> Result<Self> {
        let url = url.filter(|url| !url.trim().is_empty());
        if host.is_some() {
            return Ok(Self { host, address: Address::parse(url.unwrap_or(DEFAULT_SOCKET), remote_port)? });
        }
        let url = url.or(docker_host.filter(|url| !url.trim().is_empty())).unwrap_or(DEFAULT_SOCKET);
        // The docker client's own way to name a remote engine: ssh://[user@]host[:port][/socket]
        if let Some(rest) = url.strip_prefix("ssh://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let socket = if path.is_empty() { DEFAULT_SOCKET.to_owned() } else { format!("/{path}") };
            return Ok(Self { host: Some(Host::parse(host)?), address: Address::Unix(socket) });
        }
        Ok(Self { host: None, address: Address::parse(url, remote_port)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Tcp { host, port, .. } => f.write_str(&dfab_tunnel::authority(host, *port)),
        }
    }
}

impl Address {
    /// Reads a Docker URL, a socket path, or `host[:port]`.
    ///
    /// # Errors
    ///
    /// A configuration failure when there is no socket path or no port.
    pub fn parse(url: &str, default_port: Option<u16>) -> Result<Self> {
        let url = url.trim();
        if url.starts_with('/') {
            return Ok(Self::Unix(url.to_owned()));
        }
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => match url.split_once(':') {
                // `unix:path`, with or without slashes; everything else with a colon is host:port.
                Some((scheme @ ("unix" | "http+unix"), rest)) => (scheme, rest),
                _ => ("tcp", url),
            },
        };
        match scheme {
            "unix" | "http+unix" => {
                let path = rest.trim_start_matches('/');
                if path.is_empty() {
                    return Err(Failure::configuration(format!("missing socket path in `{url}`"))
                        .hint("write `unix:///var/run/docker.sock`"));
                }
                Ok(Self::Unix(format!("/{path}")))
            }
            "tcp" | "http" | "https" => {
                let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
                let (host, port) = split_port(authority);
                let port = match port {
                    Some(text) => text.parse().ok().filter(|port| *port != 0),
                    None => default_port,
                };
                match port {
                    Some(port) if !host.is_empty() => {
                        Ok(Self::Tcp { host: host.to_owned(), port, tls: scheme == "https" })
                    }
                    _ => Err(Failure::configuration(format!(
                        "missing or invalid port in the engine's address `{url}`"
                    ))
                    .hint("write `tcp://host:2375`, or set `docker_tunnel_remote_port`")),
                }
            }
            other => Err(Failure::configuration(format!(
                "the engine's address `{url}` has the unknown scheme `{other}`"
            ))
            .hint("known schemes: `unix`, `tcp`, `http`, `https`, and `ssh` for DOCKER_HOST")),
        }
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some((host, after)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, after.strip_prefix(':'));
    }
    match authority.split_once(':') {
        Some((_, more)) if more.contains(':') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(result: Result<Endpoint>) -> String {
        match result {
            Err(failure) => failure.message,
            Ok(Endpoint { host, address }) => {
                let host = host.map_or("local".to_owned(), |host| host.text);
                match address {
                    Address::Unix(path) => format!("{host} {path}"),
                    Address::Tcp { host: name, port, tls } => {
                        format!("{host} {name} {port}{}", if tls { " tls" } else { "" })
                    }
                }
            }
        }
    }

    #[test]
    fn addresses_are_found_as_the_specification_says() {
        let h1 = || Some(Host::parse("h1").unwrap());
        let cases = [
            (h1(), None, None, None, "h1 /var/run/docker.sock"),
            (h1(), Some(""), Some("tcp://x:1"), None, "h1 /var/run/docker.sock"),
            (h1(), Some("/run/d.sock"), None, None, "h1 /run/d.sock"),
            (h1(), Some("unix:///run/d.sock"), None, None, "h1 /run/d.sock"),
            (h1(), Some("unix:/run/d.sock"), None, None, "h1 /run/d.sock"),
            (h1(), Some("http+unix://run/d.sock"), None, None, "h1 /run/d.sock"),
            (h1(), Some("unix://"), None, None, "missing socket path in `unix://`"),
            (h1(), Some("tcp://10.0.0.5"), None, Some(2375), "h1 10.0.0.5 2375"),
            (h1(), Some("tcp://10.0.0.5:8000"), None, Some(2375), "h1 10.0.0.5 8000"),
            (h1(), Some("10.0.0.5:2375"), None, None, "h1 10.0.0.5 2375"),
            (h1(), Some("docker.internal"), None, Some(2375), "h1 docker.internal 2375"),
            (h1(), Some("https://10.0.0.5:2376/x"), None, None, "h1 10.0.0.5 2376 tls"),
            (h1(), Some("tcp://[::1]:2375"), None, None, "h1 ::1 2375"),
            (
                h1(),
                Some("tcp://10.0.0.5"),
                None,
                None,
                "missing or invalid port in the engine's address `tcp://10.0.0.5`",
            ),
            (
                h1(),
                Some("tcp://10.0.0.5:abc"),
                None,
                Some(1),
                "missing or invalid port in the engine's address `tcp://10.0.0.5:abc`",
            ),
            (None, None, None, None, "local /var/run/docker.sock"),
            (None, None, Some("tcp://127.0.0.1:2375"), None, "local 127.0.0.1 2375"),
            (None, Some("/a"), Some("tcp://127.0.0.1:2375"), None, "local /a"),
            (None, None, Some("ssh://deploy@web1:22"), None, "deploy@web1:22 /var/run/docker.sock"),
            (
                None,
                None,
                Some("npipe:////./pipe/x"),
                None,
                "the engine's address `npipe:////./pipe/x` has the unknown scheme `npipe`",
            ),
        ];
        for (host, url, docker_host, port, expected) in cases {
            assert_eq!(
                shown(Endpoint::new(host, url, docker_host, port)),
                expected,
                "{url:?} {docker_host:?}"
            );
        }
    }
}
