//! What each engine should hold: from extended maps, clients and late values to the specifications
//! that the planner compares with the observed state (engine §6.2–§6.11).
//!
//! Everything that can be wrong without asking an engine is found here, all at once: unknown option
//! keys, unresolved late values, missing paths and interfaces, host names that are too long.

mod borrowed;
mod clients;
mod container;
mod followers;
mod items;
mod keyword;
mod layers;
mod maker;
mod mounts;
mod network;
mod networking;
mod peers;
mod read;
mod script;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::Findings;
use crate::image::ImageName;
use crate::item::{Item, ItemId};
use crate::model::{ClientConfig, Clients, ExecPolicy, Map};
use crate::names::{ClientName, MapName};
use crate::observed::Wanted;
use crate::plan::{ActionKind, PlanOptions};
use crate::position::Origins;
use crate::property::{OnChange, Property};
use crate::spec::{ContainerSpec, EndpointSpec, NetworkSpec, PrepareSpec, StopSpec, VolumeSpec};
use crate::value::Lookup;

pub(crate) use mounts::{MOUNTS, clean, own_shares};
pub(crate) use network::digested as digested_network;

/// Everything that a run works with.
pub struct Session<'a> {
    /// The maps, extended (map-model §1.7).
    pub maps: &'a IndexMap<MapName, Map>,
    /// The configured clients.
    pub clients: &'a Clients,
    /// What the default client stands for: one target per `-H` host, else one for the local engine.
    pub defaults: Vec<Target>,
    /// Where late values come from.
    pub lookup: &'a dyn Lookup,
    /// Session-wide settings.
    pub settings: Settings,
}

/// One engine of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How plans call it: the client's name, the host of a `-H` run, or `__default__`.
    pub name: ClientName,
    /// Its settings.
    pub config: ClientConfig,
    /// It stands for the default client, whose name is not part of host names.
    pub is_default: bool,
}

/// Session-wide settings (engine §8.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Image of the helper containers that set ownership and mode of volumes (`docker_prepare_image`).
    pub prepare_image: ImageName,
    /// Networks that a container joins when the map names none.
    pub default_networks: Vec<String>,
    /// What is replaced in host names and in default link aliases, one after the other: `_` and `.` by `-`.
    pub hostname_replace: Vec<(String, String)>,
}

/// What the engines should hold, as far as an action looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The action.
    pub action: ActionKind,
    /// The items on their clients, each after what it depends on.
    pub entries: Vec<Entry>,
    /// What the user should know before anything else.
    pub notices: Vec<String>,
    /// What the maps in use declare on each client of the run, to tell orphans.
    pub declared: BTreeMap<(ClientName, MapName), Declared>,
    /// Process lists of containers with exec commands are needed.
    pub check_exec: bool,
    /// How the maps' containers join the networks of an update, by client and network, and by container:
    /// those outside of the run are connected again when a network is made anew.
    pub peers: BTreeMap<(ClientName, String), BTreeMap<String, EndpointSpec>>,
    /// Containers outside of the run that are tied to some of it, and could not be made anew.
    pub unclear: Vec<Unclear>,
}

/// A container outside of a run that cannot outlive one of the run, and of which the map does not say how
/// it could be made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// Its client.
    pub client: ClientName,
    /// Its name.
    pub name: String,
    /// The containers of the run that it is tied to.
    pub tied_to: Vec<String>,
    /// What is wrong with it.
    pub findings: Findings,
}

/// What a map declares on one client: Docker names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Containers.
    pub containers: BTreeSet<String>,
    /// Networks.
    pub networks: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
}

/// An item on one client.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The item.
    pub id: ItemId,
    /// The client.
    pub client: ClientName,
    /// Its Docker name.
    pub name: String,
    /// Why it is here.
    pub role: Role,
    /// Indexes of the entries that it depends on directly.
    pub needs: Vec<usize>,
    /// What it should be.
    pub object: Object,
}

/// Why an entry is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user asked for it.
    Selected,
    /// It is visited because of another item.
    Reached,
    /// It is outside of the run, and has to follow when a container that it is tied to is made anew.
    Follower,
}

/// What an entry should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A container.
    Container(Box<Container>),
    /// A container of which only its life matters: the action creates none.
    Existing(Box<Lifecycle>),
    /// A volume.
    Volume(Box<Volume>),
    /// A network.
    Network(Box<Network>),
    /// A volume or network of which only the name matters: the action creates none.
    Named,
    /// An image.
    Image(ImageName),
}

/// A container as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// What creates it; its first endpoint is part of it.
    pub spec: ContainerSpec,
    /// How it joins networks.
    pub networking: Networking,
    /// What is mounted where, by path inside the container.
    pub mounts: BTreeMap<String, DesiredMount>,
    /// Container names that it cannot outlive: when one of them is made anew, so is this one.
    pub bound_to: Vec<Binding>,
    /// How it lives.
    pub lifecycle: Lifecycle,
    /// Time to wait for the end of a script run: the container's stop timeout, else the client's
    /// `wait_timeout`.
    pub wait_timeout: Option<Duration>,
    /// Features that the client's settings turn off (map-model §4.4).
    pub features: Features,
    /// Where its values were written: by the word of the property (`environment`), or with a key
    /// (`environment.LANG`); the empty path is the configuration itself.
    pub origins: Origins,
}

/// How a container lives: what counts for every action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Names of the volumes that it attaches (owns).
    pub attached: Vec<String>,
    /// How it is stopped.
    pub stop: StopSpec,
    /// Time to wait after each start.
    pub start_delay: Option<Duration>,
    /// It exists to keep data.
    pub persistent: bool,
    /// Commands to run after a start.
    pub exec: Vec<Exec>,
}

/// How a container joins networks (engine §4.9).
#[derive(Clone, Debug, PartialEq)]
pub enum Networking {
    /// These endpoints, in order; the first is part of creation.
    Endpoints(Vec<EndpointSpec>),
    /// Those of these default networks that exist.
    Default(Vec<String>),
    /// None at all.
    Disabled,
    /// The network of the host or of another container: only the mode counts.
    Mode,
}

/// Something that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredMount {
    /// Volume name, or cleaned path on the host.
    pub source: String,
    /// Whether `source` is a volume.
    pub is_volume: bool,
    /// Not writable.
    pub readonly: bool,
}

/// A tie to another container that does not survive its being made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The other container's name.
    pub container: String,
    /// What ties them.
    pub kind: BindingKind,
}

/// What ties a container to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindingKind {
    /// A link.
    Link,
    /// Its network.
    NetworkMode,
    /// Its volumes.
    VolumesFrom,
}

/// A command to run after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Words.
    pub command: Vec<String>,
    /// User as given to the engine.
    pub user: Option<String>,
    /// When it runs.
    pub policy: ExecPolicy,
}

/// What the client's settings say about its engine (engine §1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Limits may be changed in place (`container_update`).
    pub update_limits: bool,
    /// The restart policy may be changed in place (`container_update_restart_policy`).
    pub update_restart_policy: bool,
    /// `constraints`: whether the engine supports a limit, before what it says itself.
    pub limits: BTreeMap<Property, bool>,
}

/// A volume as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// What creates it.
    pub spec: VolumeSpec,
    /// Ownership and mode; `None` when the map sets neither.
    pub prepare: Option<PrepareSpec>,
    /// Where its values were written.
    pub origins: Origins,
}

/// A network as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// What creates it.
    pub spec: NetworkSpec,
    /// Where its values were written.
    pub origins: Origins,
}

impl Default for Settings {
    fn default() -> Self {
        let prepare_image = ImageName::expand("busybox:latest", None, None).expect("a valid reference");
        let default_networks = vec!["bridge".to_owned()];
        Self { prepare_image, default_networks, hostname_replace: crate::names::dashes() }
    }
}

impl Session<'_> {
    /// Works out what an action on `selected` looks at, and what that should be.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the map or its values as far as the action needs them. Nothing
    /// has been contacted by then.
    pub fn desired(
        &self,
        action: ActionKind,
        selected: &[ItemId],
        options: &PlanOptions,
    ) -> Result<Desired, Findings> {
        items::desired(self, action, selected, options)
    }
}

impl Entry {
    /// Returns how the container lives; `None` for what is no container.
    pub fn lifecycle(&self) -> Option<&Lifecycle> {
        match &self.object {
            Object::Container(container) => Some(&container.lifecycle),
            Object::Existing(lifecycle) => Some(lifecycle),
            _ => None,
        }
    }

    /// Tells whether the user asked for it.
    pub fn is_selected(&self) -> bool {
        self.role == Role::Selected
    }
}

impl Desired {
    /// Returns what to observe on each client. Clients without an entry are not contacted at all.
    ///
    /// Actions that create nothing need no inspection: what the lists show is enough for them.
    pub fn wanted(&self) -> IndexMap<ClientName, Wanted> {
        let mut wanted: IndexMap<ClientName, Wanted> = IndexMap::new();
        for entry in &self.entries {
            let wanted = wanted.entry(entry.client.clone()).or_default();
            if let Object::Container(container) = &entry.object {
                wanted.containers.insert(entry.name.clone());
                let in_run = entry.role != Role::Follower;
                if in_run && self.check_exec && !container.lifecycle.exec.is_empty() {
                    wanted.processes.insert(entry.name.clone());
                }
                wanted.limits |= container.spec.properties.keys().any(|property| is_limit(*property));
            }
        }
        wanted
    }

    /// Returns the entry of an item on a client.
    pub fn entry(&self, client: &ClientName, map: &MapName, item: &Item) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.client == *client && entry.id.map == *map && entry.id.item == *item)
    }
}

/// Tells whether a property is a limit, which an engine's kernel may not support.
pub(crate) fn is_limit(property: Property) -> bool {
    property.on_change() == OnChange::Update && property != Property::RestartPolicy
        || matches!(property, Property::OomKillDisable | Property::KernelMemory)
}
