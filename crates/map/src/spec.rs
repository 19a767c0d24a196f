//! What an engine is asked for, and what it shows, in one canonical form.
//!
//! The desired side ([`crate::desired`]) and the observed side ([`crate::observed`]) use the same
//! values, so that comparing is field by field. Values are JSON in the *engine's own shape* (Engine
//! API field names and units) after normalisation: absent, null and empty are all
//! [`serde_json::Value::Null`]; a number given as text is a number; sets are sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::image::ImageName;
use crate::property::Property;

/// The comparable properties of a container, without the image, the networks and our own labels.
pub type Properties = BTreeMap<Property, Value>;

/// Everything that creates a container: `POST /containers/create`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerSpec {
    /// Container name.
    pub name: String,
    /// Image, expanded.
    pub image: ImageName,
    /// Values of `Config` and `HostConfig`; a property that is not in here is not sent.
    pub properties: Properties,
    /// The endpoint that is part of creation; the others are connected afterwards.
    pub first_endpoint: Option<EndpointSpec>,
    /// Labels of ours (`dfab.map`, …), beside those that [`Property::Labels`] sets.
    pub own_labels: BTreeMap<String, String>,
}

/// A network endpoint of a container: `POST /networks/{id}/connect`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Docker name of the network.
    pub network: String,
    /// Aliases that the map asks for; engines add the short container ID, which is not listed here.
    pub aliases: BTreeSet<String>,
    /// Links inside the network, as `container:alias`.
    pub links: BTreeSet<String>,
    /// Fixed IPv4 address, in canonical form.
    pub ipv4_address: Option<String>,
    /// Fixed IPv6 address, compressed.
    pub ipv6_address: Option<String>,
    /// Link-local addresses.
    pub link_local_ips: BTreeSet<String>,
}

/// Everything that creates a volume: `POST /volumes/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Volume name.
    pub name: String,
    /// Driver, `local` where the map gives none.
    pub driver: String,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels of the map.
    pub labels: BTreeMap<String, String>,
    /// Labels of ours.
    pub own_labels: BTreeMap<String, String>,
}

/// Everything that creates a network: `POST /networks/create`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSpec {
    /// Network name.
    pub name: String,
    /// Driver, `bridge` where the map gives none.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// No outside access.
    pub internal: bool,
    /// IPv6 enabled; `None` leaves it to the engine.
    pub enable_ipv6: Option<bool>,
    /// Attachable by hand (swarm scope).
    pub attachable: Option<bool>,
    /// `IPAM` in the engine's shape; `Null` leaves it to the engine.
    pub ipam: Value,
    /// Labels of the map.
    pub labels: BTreeMap<String, String>,
    /// Labels of ours.
    pub own_labels: BTreeMap<String, String>,
}

/// How a container is stopped (engine §6.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopSpec {
    /// A signal other than SIGTERM: sent by `kill`, then waited for, then SIGKILL.
    pub signal: Option<String>,
    /// Time before the engine kills; `None` is the engine's default.
    pub timeout: Option<Duration>,
}

/// A script run (engine §7.2): create, connect, start, wait, read exit code and log, remove.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptSpec {
    /// The container, with the script's directory mounted and its command set.
    pub container: ContainerSpec,
    /// Endpoints beside the first, connected before the start.
    pub endpoints: Vec<EndpointSpec>,
    /// Time to wait after the start.
    pub start_delay: Option<Duration>,
    /// How long to wait for the end; `None` is without limit.
    pub wait_timeout: Option<Duration>,
    /// Log lines with time stamps.
    pub timestamps: bool,
    /// Only the last lines of the log; `None` is all.
    pub tail: Option<u32>,
    /// Stop (after 3 seconds) and remove the container at the end, also after an error.
    pub remove: bool,
}

/// Ownership and mode of a volume (engine §6.11), set once after creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrepareSpec {
    /// Volume name.
    pub volume: String,
    /// Argument of `chown -R`, for example `2000:2000`.
    pub owner: Option<String>,
    /// Argument of `chmod -R`.
    pub mode: Option<String>,
    /// It may be done by a command on the engine's host, where the backend can run one
    /// (`prepare_local`).
    pub local: bool,
    /// Images whose container may do it, in order of preference; the first that is present, or can
    /// be pulled, is taken.
    pub images: Vec<ImageName>,
    /// A path at which every listed image of the map has content that Docker would copy into the
    /// empty volume; the helper mounts the volume there first, so that the copied content gets the
    /// owner too. `None` when nothing can be copied.
    pub content_from: Option<(ImageName, String)>,
}
