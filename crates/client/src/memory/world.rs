//! What the engine in memory holds.

use std::collections::BTreeMap;

use dfab_map::observed::{ContainerState, Mount, image_key};
use dfab_map::spec::{EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use serde_json::{Value, json};

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
    /// What it was committed on.
    pub parent: Option<String>,
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

    /// Finds an image by reference or ID.
    pub(super) fn contents(&self, image: &str) -> Refusal<&Image> {
        let id = self.images.get(&image_key(image)).map_or(image, String::as_str);
        let is_there = self.images.values().any(|known| known == id);
        match self.image_contents.get(id).filter(|_| is_there) {
            Some(image) => Ok(image),
            None => refuse(404, format!("No such image: {image}")),
        }
    }

    /// Makes an image of a container, that behaves as the container does.
    pub(super) fn commit(&mut self, container: &str, key: String) -> Refusal<String> {
        let container = self.container(container)?.clone();
        let parent = self.image_contents.get(&container.image_id);
        let image = Image {
            defaults: parent.map(|parent| parent.defaults.clone()).unwrap_or_default(),
            parent: Some(container.image_id),
            behaviour: container.behaviour,
            id: self.fresh_id(),
        };
        let id = image.id.clone();
        self.images.insert(key, id.clone());
        self.image_contents.insert(id.clone(), image);
        Ok(id)
    }

    /// One layer for each image that this one stands on, the newest first.
    pub(super) fn history(&self, image: &str) -> Refusal<Value> {
        let mut layers = Vec::new();
        let mut next = Some(self.contents(image)?);
        while let Some(image) = next {
            layers.push(json!({"Id": image.id}));
            next = image.parent.as_ref().and_then(|parent| self.image_contents.get(parent));
        }
        Ok(layers.into())
    }

    pub(super) fn tag(&mut self, image: &str, key: String) -> Refusal {
        let id = self.contents(image)?.id.clone();
        self.images.insert(key, id);
        Ok(())
    }

    /// Takes a name from an image, which goes with its last one.
    pub(super) fn untag(&mut self, image: &str, force: bool) -> Refusal {
        let key = image_key(image);
        let Some(id) = self.images.get(&key) else {
            return refuse(404, format!("No such image: {image}"));
        };
        let is_last = self.images.values().filter(|known| *known == id).count() == 1;
        let mut users = self.containers.iter().filter(|(_, container)| container.image_id == *id);
        match users.find(|(_, container)| !force || container.state.is_running()) {
            Some((name, _)) if is_last => {
                refuse(409, format!("conflict: unable to remove {image}: container {name} is using it"))
            }
            _ => {
                self.images.remove(&key);
                Ok(())
            }
        }
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
