//! A Docker engine as a pure function: what the engine's state is after a call. It refuses what an
//! engine refuses, so that a plan in a wrong order fails.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::names::PRESET_NETWORKS;
use dfab_map::observed::{
    ContainerDetail, ContainerState, Mount, Observed, ObservedContainer, ObservedNetwork, ObservedVolume,
    image_key,
};
use dfab_map::plan::{Call, Step};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties};
use serde_json::{Value, json};

/// One engine.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    /// What an observation shows.
    pub state: Observed,
    /// What a pull brings, by reference.
    pub registry: BTreeMap<String, String>,
    /// How often each container's commands were run, and volumes were prepared.
    pub effects: Vec<String>,
    counter: u32,
}

impl Engine {
    /// Makes an engine with its preset networks.
    pub fn installed() -> Self {
        let mut engine = Self::default();
        for name in PRESET_NETWORKS {
            engine.add_network(NetworkSpec {
                name: name.to_owned(),
                driver: name.to_owned(),
                ..NetworkSpec::default()
            });
        }
        engine
    }

    /// Carries out all calls of a step, as far as `budget` allows.
    pub fn step(&mut self, step: &Step, budget: &mut usize) -> Result<(), String> {
        for call in &step.calls {
            if *budget == 0 {
                return Err("interrupted".to_owned());
            }
            *budget -= 1;
            self.call(call).map_err(|problem| format!("{} {call}: {problem}", step.id))?;
        }
        Ok(())
    }

    /// Carries out one call.
    pub fn call(&mut self, call: &Call) -> Result<(), String> {
        match call {
            Call::PullImage { image, .. } => {
                let reference = image.to_string();
                let id = self.registry.get(&reference).cloned().ok_or("not in the registry")?;
                self.state.images.insert(image_key(&reference), id);
            }
            Call::CreateNetwork(spec) => {
                refuse(self.state.networks.contains_key(&spec.name), "the network exists")?;
                self.add_network(spec.clone());
            }
            Call::RemoveNetwork { name } => {
                let network = self.state.networks.get(name).ok_or("no such network")?;
                let active = network.containers.iter().any(|name| {
                    self.state.containers.get(name).is_some_and(|container| container.state.is_running())
                });
                refuse(active, "the network has active endpoints")?;
                self.state.networks.remove(name);
            }
            Call::CreateVolume(spec) => {
                self.state.volumes.entry(spec.name.clone()).or_insert_with(|| {
                    let mut spec = spec.clone();
                    spec.labels.extend(std::mem::take(&mut spec.own_labels));
                    ObservedVolume { spec, holders: BTreeSet::new() }
                });
            }
            Call::RemoveVolume { name } => {
                let volume = self.state.volumes.get(name).ok_or("no such volume")?;
                refuse(!volume.holders.is_empty(), "the volume is held")?;
                self.state.volumes.remove(name);
            }
            Call::PrepareVolume(spec) => {
                refuse(!self.state.volumes.contains_key(&spec.volume), "no such volume")?;
                self.effects.push(format!("prepared {}", spec.volume));
            }
            Call::CreateContainer(spec) => self.create(spec)?,
            Call::StartContainer { name, .. } => self.start(name)?,
            Call::StopContainer { name, .. } => {
                if let Some(container) = self.state.containers.get_mut(name)
                    && container.state.is_running()
                {
                    container.state = ContainerState::Exited(0);
                }
            }
            Call::KillContainer { name, .. } => {
                let container = self.container(name)?;
                refuse(!container.state.is_running(), "the container does not run")?;
                container.state = ContainerState::Exited(137);
            }
            Call::RemoveContainer { name, force, .. } => {
                if let Some(container) = self.state.containers.get(name) {
                    refuse(container.state.is_running() && !force, "the container runs")?;
                    self.forget(name);
                }
            }
            Call::UpdateContainer { name, properties } => {
                let detail = self.detail(name)?;
                for (property, value) in properties {
                    match value.get("Name") == Some(&json!("no")) {
                        true => drop(detail.properties.remove(property)),
                        false => drop(detail.properties.insert(*property, value.clone())),
                    }
                }
            }
            Call::Connect { container, endpoint } => self.connect(container, endpoint)?,
            Call::Disconnect { container, network } => {
                refuse(!self.state.networks.contains_key(network), "no such network")?;
                self.disconnect(container, network);
            }
            Call::Exec { container, command, user } => {
                refuse(!self.container(container)?.state.is_running(), "the container does not run")?;
                let detail = self.detail(container)?;
                let own = detail.properties.get(&Property::User).and_then(Value::as_str);
                let user = user.as_deref().or(own).unwrap_or("root");
                let user = user.split(':').next().unwrap_or_default().to_owned();
                detail.processes.get_or_insert_default().push((user, command.join(" ")));
                self.effects.push(format!("ran {} in {container}", command.join(" ")));
            }
            Call::WaitHealthy { name, .. } => {
                refuse(!self.container(name)?.state.is_running(), "the container does not run")?;
            }
            Call::RunScript(script) => {
                self.create(&script.container)?;
                let name = &script.container.name;
                script.endpoints.iter().try_for_each(|endpoint| self.connect(name, endpoint))?;
                self.effects.push(format!("ran the script in {name}"));
                if script.remove {
                    self.forget(name);
                }
            }
        }
        Ok(())
    }

    fn add_network(&mut self, mut spec: NetworkSpec) {
        spec.labels.extend(std::mem::take(&mut spec.own_labels));
        let (name, id) = (spec.name.clone(), self.id("n"));
        self.state
            .networks
            .insert(name, ObservedNetwork { id, spec, containers: BTreeSet::new(), others: Vec::new() });
    }

    fn create(&mut self, spec: &ContainerSpec) -> Result<(), String> {
        refuse(self.state.containers.contains_key(&spec.name), "the name is taken")?;
        let key = image_key(&spec.image.to_string());
        let image_id = self.state.images.get(&key).cloned().ok_or("no such image")?;
        let properties: Properties = spec
            .properties
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(p, v)| (*p, v.clone()))
            .collect();
        let texts = |property| -> Vec<String> {
            let list = properties.get(&property).and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for link in texts(Property::Links) {
            let name = link.split(':').next().unwrap_or_default();
            refuse(!self.state.containers.contains_key(name), &format!("no container {name} to link to"))?;
        }
        let mut mounts = BTreeMap::new();
        for from in texts(Property::VolumesFrom) {
            let name = from.split(':').next().unwrap_or_default();
            let other = self.container(name).map_err(|_| format!("no container {name} with volumes"))?;
            mounts.extend(other.detail.clone().unwrap_or_default().mounts);
        }
        for share in texts(Property::Shares) {
            let source = self.id("anonymous");
            mounts.entry(share).or_insert(Mount { source, is_volume: true, writable: true });
        }
        for bind in texts(Property::Binds) {
            let parts: Vec<&str> = bind.split(':').collect();
            let is_volume = !parts[0].starts_with('/');
            if is_volume {
                let volume = self.state.volumes.get(parts[0]);
                refuse(volume.is_none(), &format!("an engine would make the volume {} up", parts[0]))?;
            }
            let writable = parts.get(2) != Some(&"ro");
            mounts.insert(parts[1].to_owned(), Mount { source: parts[0].to_owned(), is_volume, writable });
        }
        for mount in mounts.values().filter(|mount| mount.is_volume) {
            if let Some(volume) = self.state.volumes.get_mut(&mount.source) {
                volume.holders.insert(spec.name.clone());
            }
        }
        let mut labels = spec.own_labels.clone();
        if let Some(Value::Object(members)) = properties.get(&Property::Labels) {
            labels
                .extend(members.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())));
        }
        let mode =
            properties.get(&Property::NetworkMode).and_then(Value::as_str).unwrap_or("default").to_owned();
        let id = self.id("c");
        let detail = ContainerDetail { properties, mounts, ..ContainerDetail::default() };
        let state = ContainerState::Created;
        let container = ObservedContainer { id, state, image_id, labels, detail: Some(detail) };
        self.state.containers.insert(spec.name.clone(), container);
        match (&spec.first_endpoint, mode.as_str()) {
            (Some(endpoint), _) => self.connect(&spec.name, &endpoint.clone())?,
            (None, "default" | "bridge") => {
                self.connect(
                    &spec.name,
                    &EndpointSpec { network: "bridge".to_owned(), ..EndpointSpec::default() },
                )?;
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn start(&mut self, name: &str) -> Result<(), String> {
        let networks: BTreeMap<String, String> =
            self.state.networks.iter().map(|(name, network)| (name.clone(), network.id.clone())).collect();
        let mode = self.detail(name)?.properties.get(&Property::NetworkMode).cloned().unwrap_or_default();
        if let Some(other) = mode.as_str().and_then(|mode| mode.strip_prefix("container:")) {
            let running =
                self.state.containers.get(other).is_some_and(|container| container.state.is_running());
            refuse(!running, &format!("container {other}, whose network it shares, does not run"))?;
        }
        let limits = self.detail(name)?.properties.get(&Property::MemLimit).and_then(Value::as_i64);
        let detail = self.detail(name)?;
        for (network, id) in &detail.network_ids {
            refuse(networks.get(network) != Some(id), &format!("network {network} ({id}) not found"))?;
        }
        if let Some(limit) = limits {
            detail.properties.entry(Property::MemswapLimit).or_insert(json!(limit * 2));
        }
        detail.processes = Some(vec![("root".to_owned(), "init".to_owned())]);
        self.container(name)?.state = ContainerState::Running;
        Ok(())
    }

    fn connect(&mut self, container: &str, endpoint: &EndpointSpec) -> Result<(), String> {
        let network = self.state.networks.get_mut(&endpoint.network).ok_or("no such network")?;
        refuse(!network.containers.insert(container.to_owned()), "already connected")?;
        let id = network.id.clone();
        let detail = self.detail(container)?;
        detail.endpoints.insert(endpoint.network.clone(), endpoint.clone());
        detail.network_ids.insert(endpoint.network.clone(), id);
        Ok(())
    }

    /// Disconnects a container, connected or not.
    pub fn disconnect(&mut self, container: &str, network: &str) {
        if let Some(network) = self.state.networks.get_mut(network) {
            network.containers.remove(container);
        }
        if let Ok(detail) = self.detail(container) {
            detail.endpoints.remove(network);
            detail.network_ids.remove(network);
        }
    }

    /// Removes a container, whatever its state.
    pub fn forget(&mut self, name: &str) {
        self.state.containers.remove(name);
        self.state.networks.values_mut().for_each(|network| _ = network.containers.remove(name));
        self.state.volumes.values_mut().for_each(|volume| _ = volume.holders.remove(name));
        // An engine drops links to what is gone.
        for container in self.state.containers.values_mut() {
            let Some(detail) = &mut container.detail else { continue };
            if let Some(Value::Array(links)) = detail.properties.get_mut(&Property::Links) {
                links.retain(|link| !link.as_str().is_some_and(|link| link.starts_with(&format!("{name}:"))));
            }
        }
    }

    fn container(&mut self, name: &str) -> Result<&mut ObservedContainer, String> {
        self.state.containers.get_mut(name).ok_or_else(|| format!("no container {name}"))
    }

    /// Returns what inspection shows of a container.
    pub fn detail(&mut self, name: &str) -> Result<&mut ContainerDetail, String> {
        self.container(name)?.detail.as_mut().ok_or_else(|| format!("{name} was not inspected"))
    }

    fn id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{:04}", self.counter)
    }
}

fn refuse(when: bool, message: &str) -> Result<(), String> {
    if when { Err(message.to_owned()) } else { Ok(()) }
}
