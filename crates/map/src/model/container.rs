//! A container configuration and its tuples in normal form (map-model §2; notation of §0.4).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::HostPath;
use crate::names::{ClientName, ConfigName, InstanceName, NetworkName, VolumeAlias};
use crate::position::Origins;
use crate::value::{Late, Value};

/// The three states of a single-valued property (map-model §0.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// Not written: inherited, else the default.
    #[default]
    Unset,
    /// Written as nothing: overrides an inherited value with "nothing".
    Null,
    /// Written.
    Value(T),
}

impl<T> Setting<T> {
    /// Returns the value when one is set.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Null => None,
        }
    }

    /// Tells whether the property was not written at all.
    pub fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }
}

/// A container configuration (map-model §2.1). `Container::default()` is the empty configuration:
/// one unnamed instance of the image named as the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// A template only (`abstract`); never inherited.
    pub is_abstract: bool,
    /// Parents, in order; never inherited.
    pub extends: Vec<ConfigName>,
    /// Image as written; unset is the configuration's own name.
    pub image: Setting<String>,
    /// One container per name; empty is one unnamed instance.
    pub instances: Vec<InstanceName>,
    /// Clients that this configuration runs on; empty is the map's.
    pub clients: Vec<ClientName>,
    /// Container paths that become anonymous volumes.
    pub shares: Vec<Late<String>>,
    /// Volumes from the host.
    pub binds: Vec<Bind>,
    /// Volumes owned by this configuration.
    pub attaches: Vec<Attach>,
    /// Volumes of other configurations.
    pub uses: Vec<Use>,
    /// Legacy links.
    pub links: Vec<Link>,
    /// Container ports, published or not.
    pub exposes: Vec<Port>,
    /// Network endpoints, the first of which is part of creation.
    pub networks: Vec<Endpoint>,
    /// Network mode. `Null` never occurs: an explicit null is [`NetworkMode::None`] (K6).
    pub network_mode: Setting<NetworkMode>,
    /// Commands to run after start.
    pub exec_commands: Vec<ExecCommand>,
    /// Health check. `Null` never occurs: an explicit null is a disabled check (D18).
    pub healthcheck: Setting<HealthCheck>,
    /// User of the process, and owner of attached volumes.
    pub user: Setting<Late<User>>,
    /// `chmod` mode of attached volumes, as its source text.
    pub permissions: Setting<Late<String>>,
    /// Seconds before a stop becomes a kill.
    pub stop_timeout: Setting<u32>,
    /// Signal that stops the container.
    pub stop_signal: Setting<Signal>,
    /// Time to wait after each start.
    pub start_delay: Setting<Duration>,
    /// The container exists to keep data.
    pub persistent: Setting<bool>,
    /// Extra create arguments, keyed as in the Docker SDK for Python.
    pub create_options: Options,
    /// Extra host-config arguments, likewise.
    pub host_config: Options,
    /// Where the properties were written.
    pub origins: Origins,
}

/// An option mapping (map-model §2.17): layers in order, a later one updating the earlier key by key.
///
/// A layer is a mapping whose values may be late one level down, or a late value that yields a
/// mapping (map-model §11.2). Neighbouring known layers are always merged into one, so a map
/// without late mappings has one layer at most.
///
/// Copies share their layers until one of them is changed: many configurations have all from a parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Option<Arc<Vec<Layer>>>);

/// One layer of [`Options`].
pub type Layer = Late<IndexMap<String, Value>>;

impl Options {
    /// Makes options of one known mapping.
    pub fn known(entries: IndexMap<String, Value>) -> Self {
        let mut options = Self::default();
        options.push(Late::Known(entries));
        options
    }

    /// Returns the layers in order.
    pub fn layers(&self) -> &[Layer] {
        self.0.as_ref().map_or(&[], |layers| layers)
    }

    /// Tells whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.layers().is_empty()
    }

    /// Updates the options with a further layer, key by key (map-model §5.2).
    pub fn push(&mut self, layer: Layer) {
        if layer.known().is_some_and(IndexMap::is_empty) {
            return;
        }
        let layers = Arc::make_mut(self.0.get_or_insert_default());
        match (layers.last_mut(), layer) {
            (Some(Late::Known(known)), Late::Known(entries)) => known.extend(entries),
            (_, layer) => layers.push(layer),
        }
    }

    /// Updates the options with all layers of `other`.
    pub fn update(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else {
            other.layers().iter().for_each(|layer| self.push(layer.clone()));
        }
    }
}

/// `config` or `config.instance`, as written in `links`, `uses`, `network_mode` and groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The configuration.
    pub config: ConfigName,
    /// The instance, if one is named.
    pub instance: Option<InstanceName>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{}.{instance}", self.config),
            None => write!(f, "{}", self.config),
        }
    }
}

/// A volume from the host: `S(name, access)` or `H(path, host_path, access)` (map-model §2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// An alias: container path from `volumes`, host path from `host`.
    Alias {
        /// The alias.
        name: VolumeAlias,
        /// Mounted read-only.
        readonly: bool,
    },
    /// A direct pair of paths.
    Path {
        /// Path inside the container.
        path: Late<String>,
        /// Path on the host, relative ones to the host root.
        host_path: HostPath,
        /// Mounted read-only.
        readonly: bool,
    },
}

/// A volume owned by the configuration: `S(name)` or `U(name, path)` (map-model §2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The alias.
    pub name: VolumeAlias,
    /// Mount path; `None` is the alias' default path.
    pub path: Option<Late<String>>,
}

/// A volume, or all volumes, of another configuration (map-model §2.7).
///
/// Whether `name` is an attached alias or a container reference is decided against the whole map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// `alias`, `config.alias`, `config` or `config.instance`.
    pub name: String,
    /// Own mount path, for attached volumes only.
    pub path: Option<Late<String>>,
    /// Mounted read-only.
    pub readonly: bool,
}

/// A link: `L(container, alias)` (map-model §2.8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The linked container.
    pub container: Reference,
    /// Alias; `None` is the dashed form of the reference.
    pub alias: Option<String>,
}

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortProtocol {
    /// The default.
    Tcp,
    /// `/udp`
    Udp,
    /// `/sctp`
    Sctp,
}

/// A container port: `P(exposed, host, iface, version)` (map-model §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Port number inside the container.
    pub exposed_port: u16,
    /// Protocol.
    pub protocol: PortProtocol,
    /// Where it is published; `None` is exposed only.
    pub published: Option<PublishedPort>,
}

/// The host side of a published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// Port number on the host.
    pub host_port: Late<u16>,
    /// Interface alias of the client; `None` is all addresses.
    pub interface: Option<Late<String>>,
    /// Look the interface up among the IPv6 addresses.
    pub ipv6: Late<bool>,
}

impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl Port {
    /// Returns `number/protocol`, the engine's key of the port.
    pub fn key(&self) -> String {
        format!("{}/{}", self.exposed_port, self.protocol)
    }
}

/// A network endpoint: `N(…)` (map-model §2.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Network of the map, or a preset name.
    pub network_name: NetworkName,
    /// Network aliases.
    pub aliases: Vec<Late<String>>,
    /// Links inside this network.
    pub links: Vec<Link>,
    /// Fixed IPv4 address.
    pub ipv4_address: Option<Late<String>>,
    /// Fixed IPv6 address.
    pub ipv6_address: Option<Late<String>>,
    /// Link-local addresses.
    pub link_local_ips: Vec<Late<String>>,
}

/// How a container joins the network (map-model §2.11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// Networking disabled.
    None,
    /// `bridge`
    Bridge,
    /// `host`
    Host,
    /// `container:NAME` of a container that no map manages.
    Unmanaged(String),
    /// The network of another configuration.
    Container(Reference),
}

/// A command: one text, split by POSIX shell rules where it is used, or a list of words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandLine {
    /// A text.
    Text(Late<String>),
    /// Words.
    Words(Vec<Late<String>>),
}

/// A command to run in the container after its start: `X(cmd, user, policy)` (map-model §2.12).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecCommand {
    /// The command.
    pub cmd: CommandLine,
    /// User; `None` is the configuration's.
    pub user: Option<Late<String>>,
    /// When it runs.
    pub policy: ExecPolicy,
}

/// When a command runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExecPolicy {
    /// After every start.
    #[default]
    Restart,
    /// Once, after creation.
    Initial,
}

/// A health check: `K(…)`, times in nanoseconds (map-model §2.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is run.
    pub test: HealthTest,
    /// Time between checks.
    pub interval: Option<u64>,
    /// Time after which a check has failed.
    pub timeout: Option<u64>,
    /// Failures in a row that make a container unhealthy.
    pub retries: Option<u32>,
    /// Time in which failures do not count.
    pub start_period: Option<u64>,
}

/// The test of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthTest {
    /// Disabled: sent as `["NONE"]`.
    Disabled,
    /// A shell text: sent as `["CMD-SHELL", text]`.
    Shell(String),
    /// Words starting with `CMD` or `CMD-SHELL`.
    Words(Vec<String>),
}

/// A user specification (map-model §2.14).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// User name or number; the user of the process.
    pub user: String,
    /// Group; counts for volume ownership only (K7).
    pub group: Option<String>,
}

impl User {
    /// Returns the argument for `chown`: without a group the user name doubles as group.
    pub fn ownership(&self) -> String {
        format!("{}:{}", self.user, self.group.as_deref().unwrap_or(&self.user))
    }
}

/// A signal, by its name with `SIG` (`SIGTERM`); numbers 1–31 are turned into names, real-time ones
/// are `SIGRTMIN+n`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signal(pub String);
