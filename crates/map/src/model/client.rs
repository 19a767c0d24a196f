//! Client configurations: one Docker engine each, and the way to it (map-model §4).

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;

use crate::names::ClientName;
use crate::position::Origins;
use crate::value::{Late, Value};

/// The clients of a run, by name.
pub type Clients = IndexMap<ClientName, ClientConfig>;

/// One Docker engine (map-model §4.2, §4.3). Every field may be unset; the fallbacks are
/// deployment variables, which the caller knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// Docker endpoint: a URL or a socket path.
    pub base_url: Option<String>,
    /// API version such as `1.41`, or `auto`.
    pub version: Option<String>,
    /// Request timeout.
    pub timeout: Option<Duration>,
    /// TLS on the connection.
    pub tls: Option<Tls>,
    /// Interface alias to IPv4 address.
    pub interfaces: IndexMap<String, Late<String>>,
    /// Interface alias to IPv6 address.
    pub interfaces_ipv6: IndexMap<String, Late<String>>,
    /// Registry logins by registry host.
    pub auth_configs: IndexMap<String, Auth>,
    /// Domain name of new containers; overrides the map's `default_domain`.
    pub domainname: Option<Late<String>>,
    /// Default stop timeout in seconds for configurations without their own.
    pub stop_timeout: Option<u32>,
    /// Time to wait for a container to end.
    pub wait_timeout: Option<Duration>,
    /// Overrides of what the API version decides (map-model §4.4).
    pub features: IndexMap<String, bool>,
    /// Overrides of what the host's information decides.
    pub constraints: IndexMap<String, bool>,
    /// SSH host string `[user@]host[:port]`.
    pub fabric_host: Option<String>,
    /// Remote TCP port of the Docker service.
    pub tunnel_remote_port: Option<u16>,
    /// First local port to offer.
    pub tunnel_local_port: Option<u16>,
    /// Text before every `docker` command line (CLI backend).
    pub cmd_prefix: Option<String>,
    /// `docker` program (CLI backend).
    pub default_bin: Option<String>,
    /// Run `docker` through sudo (CLI backend).
    pub use_sudo: Option<bool>,
    /// Echo commands and output (CLI backend).
    pub debug: Option<bool>,
    /// Where the properties were written.
    pub origins: Origins,
}

/// TLS on the connection to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Off or on with the system's authorities.
    Enabled(bool),
    /// On, with files: `ca_cert`, `client_cert`, `client_key`, `verify`, `assert_hostname`.
    Settings(IndexMap<String, Value>),
}

/// A registry login. Its `Debug` form hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// User name.
    pub username: Late<String>,
    /// Password; never printed.
    pub password: Late<String>,
    /// Mail address.
    pub email: Option<String>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("username", &self.username).finish_non_exhaustive()
    }
}
