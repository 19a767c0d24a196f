//! What an engine holds, in canonical form: a snapshot with nothing chosen and nothing dropped.
//!
//! Backends make these values from the engine's answers. Differences between engine generations
//! end there; see [`crate::spec`] for the form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::property::Property;
use crate::spec::{EndpointSpec, NetworkSpec, Properties, VolumeSpec};

/// What a plan wants to know about one engine beyond its lists of containers, networks, volumes and
/// images, which are always read whole (see [`crate::desired::Desired::wanted`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Containers to inspect, by name. Those that do not exist are left out of the answer.
    pub containers: BTreeSet<String>,
    /// Containers whose process list is needed when they run: those with exec commands to check. A
    /// subset of `containers`.
    pub processes: BTreeSet<String>,
    /// Whether [`EngineInfo::unsupported`] matters (some container has limits): costs `GET /info`.
    pub limits: bool,
}

/// The state of one engine. All names are without a leading `/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What the engine can do.
    pub engine: EngineInfo,
    /// Every container by name, those that were asked for with [`ContainerDetail`].
    pub containers: BTreeMap<String, ObservedContainer>,
    /// Every network by name; where two share a name, the one created first.
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// Every volume by name.
    pub volumes: BTreeMap<String, ObservedVolume>,
    /// Image ID by normalised reference: `repository:tag` and `repository@digest`, without
    /// `docker.io/` and `library/` (engine D-37).
    pub images: BTreeMap<String, String>,
}

/// What an engine can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Negotiated API version, for example (1, 41).
    pub api_version: (u32, u32),
    /// Engine version, for example `20.10.24`.
    pub engine_version: String,
    /// Limits that the engine accepts but cannot hold, because its kernel lacks them (engine §1.5):
    /// they are stored as something else and are therefore not compared. Read from `GET /info`
    /// (`MemoryLimit`, `SwapLimit`, `KernelMemory`, `CpuCfsPeriod`, `CpuCfsQuota`, `CPUShares`,
    /// `CPUSet`, `OomKillDisable`, `PidsLimit`) when [`Wanted::limits`] asks for it, else empty.
    pub unsupported: BTreeSet<Property>,
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedContainer {
    /// Container ID.
    pub id: String,
    /// Running or not.
    pub state: ContainerState,
    /// ID of the image it was made from.
    pub image_id: String,
    /// All labels, image's and ours included.
    pub labels: BTreeMap<String, String>,
    /// What inspection adds; `None` for containers that were only listed.
    pub detail: Option<ContainerDetail>,
}

/// What `GET /containers/{id}/json` adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerDetail {
    /// The properties as the engine stores them.
    pub properties: Properties,
    /// Mounts by path inside the container.
    pub mounts: BTreeMap<String, Mount>,
    /// Endpoints by Docker name of the network.
    pub endpoints: BTreeMap<String, EndpointSpec>,
    /// `NetworkID` of each endpoint, by Docker name of the network. Empty texts (before the first
    /// start) are left out. An ID that is not the network's own shows that the network was made anew
    /// behind the container's back.
    pub network_ids: BTreeMap<String, String>,
    /// Process list of a running container with exec commands to check: (user, command line).
    pub processes: Option<Vec<(String, String)>>,
}

/// The state of a container (engine §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Never started.
    Created,
    /// Running, also when paused.
    Running,
    /// In a restart back-off; counts as running.
    Restarting,
    /// Ended with this code.
    Exited(i64),
    /// `Dead` or being removed.
    Dead,
}

impl ContainerState {
    /// Tells whether the engine has to stop it before it can be removed.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Restarting)
    }
}

/// `created`, `running`, `exited (0)`, …
impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Running => f.write_str("running"),
            Self::Restarting => f.write_str("restarting"),
            Self::Exited(code) => write!(f, "exited ({code})"),
            Self::Dead => f.write_str("dead"),
        }
    }
}

/// A mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Volume name, or path on the host without a trailing slash.
    pub source: String,
    /// Whether `source` is a volume.
    pub is_volume: bool,
    /// Writable.
    pub writable: bool,
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedNetwork {
    /// Network ID.
    pub id: String,
    /// Its settings; `labels` holds all labels, ours included, and `own_labels` is empty.
    pub spec: NetworkSpec,
    /// Names of the containers that are connected, running or not.
    pub containers: BTreeSet<String>,
    /// IDs of further networks of this name. Engines before API 1.44 let several have one (engine D-03), and
    /// then take the name for none of them.
    pub others: Vec<String>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Its settings; `labels` holds all labels, ours included, and `own_labels` is empty.
    pub spec: VolumeSpec,
    /// Names of the containers that mount it, running or not. The list of containers shows them
    /// (`Mounts` of `GET /containers/json`).
    pub holders: BTreeSet<String>,
}

/// Returns the key of an image reference in [`Observed::images`]: without `docker.io/` and
/// `library/`, which engines drop and users may write.
pub fn image_key(reference: &str) -> String {
    let name = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|p| reference.strip_prefix(p))
        .unwrap_or(reference);
    name.strip_prefix("library/").unwrap_or(name).to_owned()
}
