//! The map itself, its volumes, host paths and networks (map-model §1, §3).

use indexmap::IndexMap;

use super::{Container, Reference, Setting, User};
use crate::names::{ClientName, ConfigName, InstanceName, MapName, NetworkName, VolumeAlias};
use crate::position::Origins;
use crate::value::{Late, Value};

/// A container map (map-model §1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The first part of every Docker name made from this map.
    pub name: MapName,
    /// Container configurations in document order. They are large: the table of their names stays small
    /// without them.
    pub containers: IndexMap<ConfigName, Box<Container>>,
    /// Volume aliases.
    pub volumes: IndexMap<VolumeAlias, Volume>,
    /// Host paths of the aliases used in `binds`.
    pub host: IndexMap<VolumeAlias, HostPath>,
    /// Prefix of relative host paths (`host_root`, `host.root`).
    pub host_root: Option<Late<String>>,
    /// User-defined networks.
    pub networks: IndexMap<NetworkName, Network>,
    /// Groups of configurations and instances.
    pub groups: IndexMap<ConfigName, Vec<Reference>>,
    /// Clients of the whole map; empty is the default client.
    pub clients: Vec<ClientName>,
    /// Prefix of image names without a `/`.
    pub repository: Option<Late<String>>,
    /// Tag of images without one; `None` is `latest`.
    pub default_tag: Option<Late<String>>,
    /// Domain name of new containers.
    pub default_domain: Option<Late<String>>,
    /// Whether containers get a generated host name; `None` is true.
    pub set_hostname: Option<bool>,
    /// Whether attached volumes are named per owning configuration; `None` is false.
    pub use_attached_parent_name: Option<bool>,
    /// Where the map's own properties were written.
    pub origins: Origins,
}

impl Map {
    /// Makes an empty map.
    pub fn new(name: MapName) -> Self {
        Self {
            name,
            containers: IndexMap::new(),
            volumes: IndexMap::new(),
            host: IndexMap::new(),
            host_root: None,
            networks: IndexMap::new(),
            groups: IndexMap::new(),
            clients: Vec::new(),
            repository: None,
            default_tag: None,
            default_domain: None,
            set_hostname: None,
            use_attached_parent_name: None,
            origins: Origins::default(),
        }
    }

    /// Tells whether attached volumes carry the name of the configuration that owns them.
    pub fn parent_names(&self) -> bool {
        self.use_attached_parent_name.unwrap_or(false)
    }
}

/// A volume alias (map-model §3.1).
///
/// Two are equal when they mean the same: an unwritten driver equals a written `local`.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    /// Mount path wherever the alias is used without its own path.
    pub default_path: Option<Late<String>>,
    /// Volume driver; `None` is `local`. Kept apart from a written `local` for merging (D31).
    pub driver: Option<String>,
    /// Options for the driver.
    pub driver_options: IndexMap<String, Value>,
    /// Further arguments for volume creation: `labels`, `driver_opts`.
    pub create_options: IndexMap<String, Value>,
    /// Owner of the volume, before the attaching configuration's `user`.
    pub user: Setting<Late<User>>,
    /// Mode of the volume, before the attaching configuration's `permissions`.
    pub permissions: Setting<Late<String>>,
    /// Where the properties were written.
    pub origins: Origins,
}

/// The path of an alias on the host (map-model §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPath {
    /// One path for every instance.
    Path(Late<String>),
    /// A path per instance; the key `default` is for a container without instance.
    PerInstance(IndexMap<InstanceName, Late<String>>),
}

/// A user-defined network (map-model §3.3).
///
/// Two are equal when they mean the same: an unwritten driver equals a written `bridge`, and an
/// unwritten `internal` equals a written `false`.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Network driver; `None` is `bridge`.
    pub driver: Option<String>,
    /// Options for the driver.
    pub driver_options: IndexMap<String, Value>,
    /// No outside access; `None` is false.
    pub internal: Option<bool>,
    /// Further arguments for network creation: `ipam`, `labels`, `enable_ipv6`, `attachable`, …
    pub create_options: IndexMap<String, Value>,
    /// Where the properties were written.
    pub origins: Origins,
}

impl Volume {
    /// Returns the driver, `local` where none is written.
    pub fn driver_or_default(&self) -> &str {
        self.driver.as_deref().unwrap_or("local")
    }
}

impl PartialEq for Volume {
    fn eq(&self, other: &Self) -> bool {
        let Self { default_path, driver: _, driver_options, create_options, user, permissions, origins: _ } =
            self;
        *default_path == other.default_path
            && self.driver_or_default() == other.driver_or_default()
            && *driver_options == other.driver_options
            && *create_options == other.create_options
            && *user == other.user
            && *permissions == other.permissions
    }
}

impl Eq for Volume {}

impl Network {
    /// Returns the driver, `bridge` where none is written.
    pub fn driver_or_default(&self) -> &str {
        self.driver.as_deref().unwrap_or("bridge")
    }

    /// Tells whether the network has no outside access.
    pub fn is_internal(&self) -> bool {
        self.internal.unwrap_or(false)
    }
}

impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        let Self { driver: _, driver_options, internal: _, create_options, origins: _ } = self;
        self.driver_or_default() == other.driver_or_default()
            && *driver_options == other.driver_options
            && self.is_internal() == other.is_internal()
            && *create_options == other.create_options
    }
}

impl Eq for Network {}
