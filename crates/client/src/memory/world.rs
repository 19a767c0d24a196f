//! What the engine in memory holds.

use std::collections::BTreeMap;

use dfab_map::observed::{ContainerState, Mount};
use dfab_map::spec::{EndpointSpec, NetworkSpec, Properties, VolumeSpec};

use crate::backend::Health;
use crate::error::Cause;

/// A refusal in Docker's terms.
pub(super) type Refusal<T = ()> = Result<T, Cause>;

pub(super) fn refuse<T>(status: u16, message: impl Into<String>) -> Refusal<T> {
    Err(Cause::Refused { status, message: message.into() })
}

/// How containers of an image behave once they are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// They run until they are stopped, at once and by any signal that stops.
    Runs,
    /// They run, and only SIGKILL ends them.
    IgnoresSignals,
    /// They end at once with this code, having printed this.
    Ends(i64, String),
    /// They run, and report this health.
    Checked(Health),
}

pub(super) struct World {
    pub containers: BTreeMap<String, Container>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, Volume>,
    /// ID by image key.
    pub images: BTreeMap<String, String>,
    /// What can be pulled: ID by image key.
    pub registry: BTreeMap<String, String>,
    /// By ID.
    pub image_contents: BTreeMap<String, Image>,
    ids: u64,
}

pub(super) struct Image {
    pub id: String,
    pub behaviour: Behaviour,
    pub defaults: Properties,
}

#[derive(Clone)]
pub(super) struct Container {
    pub id: String,
    pub image_id: String,
    pub state: ContainerState,
    pub labels: BTreeMap<String, String>,
    pub properties: Properties,
    pub mounts: BTreeMap<String, Mount>,
    pub endpoints: BTreeMap<String, EndpointSpec>,
    pub network_ids: BTreeMap<String, String>,
    /// User and command line of everything that runs in it.
    pub processes: Vec<(String, String)>,
    pub log: String,
    pub behaviour: Behaviour,
}

pub(super) struct Network {
    pub id: String,
    pub spec: NetworkSpec,
    /// Container ID by name of the endpoints that the engine will not release by itself, as Docker 20.10 those of
    /// containers without network.
    pub kept_endpoints: BTreeMap<String, String>,
}

pub(super) struct Volume {
    pub spec: VolumeSpec,
    pub anonymous: bool,
    /// Commands of helper containers that were run on it.
    pub prepared: Vec<String>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            image_contents: BTreeMap::new(),
            ids: 0,
        };
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let spec = NetworkSpec { name: name.into(), driver: driver.into(), ..NetworkSpec::default() };
            let id = world.fresh_id();
            world.networks.insert(name.into(), Network { id, spec, kept_endpoints: BTreeMap::new() });
        }
        world
    }

    /// 64 hexadecimal digits that differ at the front, as Docker's IDs do.
    pub(super) fn fresh_id(&mut self) -> String {
        self.ids += 1;
        format!("{:016x}{:048x}", self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.ids)
    }

    pub(super) fn container(&mut self, name: &str) -> Refusal<&mut Container> {
        match self.containers.get_mut(name) {
            Some(container) => Ok(container),
            None => refuse(404, format!("No such container: {name}")),
        }
    }

    pub(super) fn end(&mut self, name: &str, exit_code: i64) {
        if let Some(container) =
            self.containers.get_mut(name).filter(|container| container.state.is_running())
        {
            container.state = ContainerState::Exited(exit_code);
            container.processes.clear();
        }
    }

    /// Makes a volume that is not there, as Docker does for mounts.
    pub(super) fn ensure_volume(&mut self, spec: VolumeSpec, anonymous: bool) {
        let volume = Volume { spec, anonymous, prepared: Vec::new() };
        self.volumes.entry(volume.spec.name.clone()).or_insert(volume);
    }

    pub(super) fn create_volume(&mut self, spec: &VolumeSpec) -> Refusal {
        let mut stored = spec.clone();
        stored.labels.append(&mut stored.own_labels);
        match self.volumes.get(&spec.name) {
            Some(volume)
                if volume.spec.driver != spec.driver || volume.spec.driver_opts != spec.driver_opts =>
            {
                let driver = &volume.spec.driver;
                refuse(
                    409,
                    format!("a volume `{}` of driver `{driver}` exists with other settings", spec.name),
                )
            }
            _ => {
                self.ensure_volume(stored, false);
                Ok(())
            }
        }
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Refusal {
        if !self.volumes.contains_key(name) {
            return refuse(404, format!("get {name}: no such volume"));
        }
        let holds = |container: &Container| {
            container.mounts.values().any(|mount| mount.is_volume && mount.source == name)
        };
        if let Some((holder, _)) = self.containers.iter().find(|(_, container)| holds(container)) {
            return refuse(409, format!("remove {name}: volume is in use - [{holder}]"));
        }
        self.volumes.remove(name);
        Ok(())
    }

    pub(super) fn pull(&mut self, key: &str) -> Refusal {
        match self.registry.get(key) {
            Some(id) => {
                self.images.insert(key.to_owned(), id.clone());
                Ok(())
            }
            None => refuse(404, format!("manifest for {key} not found: manifest unknown")),
        }
    }
}
