//! Containers of the engine in memory.

use std::collections::BTreeMap;

use dfab_map::canonical::canonical;
use dfab_map::image::ImageName;
use dfab_map::observed::{ContainerDetail, ContainerState, Mount, ObservedContainer, image_key};
use dfab_map::property::{OnChange, Property};
use dfab_map::spec::{ContainerSpec, Properties};
use serde_json::Value;

use super::creation::{
    declared_volume, endpoints, host_ports, is_true, labels, local_volume, merged, refuse_conflicts,
    stored_defaults, user,
};
use super::world::{Behaviour, Container, Refusal, World, refuse};
use crate::apply::HELPER_LABEL;
use crate::backend::Health;

impl Container {
    pub(super) fn observed(&self) -> ObservedContainer {
        ObservedContainer {
            detail: Some(ContainerDetail {
                properties: self.properties.clone(),
                mounts: self.mounts.clone(),
                endpoints: self.endpoints.clone(),
                network_ids: self.network_ids.clone(),
                processes: None,
            }),
            ..self.listed()
        }
    }

    pub(super) fn listed(&self) -> ObservedContainer {
        ObservedContainer {
            id: self.id.clone(),
            state: self.state,
            image_id: self.image_id.clone(),
            labels: self.labels.clone(),
            detail: None,
        }
    }

    pub(super) fn health(&self) -> Health {
        match &self.behaviour {
            _ if !self.state.is_running() => Health::Ended,
            Behaviour::Checked(health) => *health,
            _ => Health::Unchecked,
        }
    }

    fn text(&self, property: Property) -> &str {
        self.properties.get(&property).and_then(Value::as_str).unwrap_or_default()
    }

    fn texts(&self, property: Property) -> impl Iterator<Item = &str> {
        let value = self.properties.get(&property).and_then(Value::as_array);
        value.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl World {
    pub(super) fn rename(&mut self, name: &str, new_name: &str) -> Refusal {
        self.container(name)?;
        if self.containers.contains_key(new_name) {
            return refuse(409, format!("Conflict. The container name \"/{new_name}\" is already in use"));
        }
        if let Some(container) = self.containers.remove(name) {
            self.containers.insert(new_name.to_owned(), container);
        }
        Ok(())
    }

    /// No container of this engine is ever paused.
    pub(super) fn unpause(&mut self, name: &str) -> Refusal {
        let container = self.container(name)?;
        refuse(409, format!("Container {} is not paused", container.id))
    }

    pub(super) fn create_container(&mut self, spec: &ContainerSpec) -> Refusal {
        let name = &spec.name;
        if let Some(holder) = self.containers.get(name) {
            let id = &holder.id;
            return refuse(
                409,
                format!("Conflict. The container name \"/{name}\" is already in use by \"{id}\""),
            );
        }
        let image_id = self.image(&spec.image)?;
        let image = &self.image_contents[&image_id];
        let mut properties = merged(&image.defaults, &spec.properties);
        let mode =
            properties.get(&Property::NetworkMode).and_then(Value::as_str).unwrap_or_default().to_owned();
        refuse_conflicts(&mode, spec)?;
        let behaviour = match &image.behaviour {
            // Its command is that of the helper, not of the image.
            Behaviour::Runs if spec.own_labels.contains_key(HELPER_LABEL) => {
                Behaviour::Ends(0, String::new())
            }
            other => other.clone(),
        };
        let mut labels = labels(&properties);
        labels.extend(spec.own_labels.clone());
        let id = self.fresh_id();
        stored_defaults(&mut properties, &id, &mode);
        let mounts = self.mounts(&properties)?;
        if let Some(links) = properties.get(&Property::Links).and_then(Value::as_array) {
            let targets = links.iter().filter_map(Value::as_str).filter_map(|link| link.split(':').next());
            for target in targets {
                if !self.containers.contains_key(target) {
                    return refuse(
                        404,
                        format!("could not get container for {target}: No such container: {target}"),
                    );
                }
            }
        }
        let endpoints = endpoints(spec, &properties, &mode);
        let container = Container {
            id,
            image_id,
            state: ContainerState::Created,
            labels,
            properties,
            mounts,
            endpoints,
            network_ids: BTreeMap::new(),
            processes: Vec::new(),
            log: String::new(),
            behaviour,
        };
        self.containers.insert(name.clone(), container);
        Ok(())
    }

    fn image(&self, image: &ImageName) -> Refusal<String> {
        match self.images.get(&image_key(&image.to_string())) {
            Some(id) => Ok(id.clone()),
            None => refuse(404, format!("No such image: {image}")),
        }
    }

    /// Makes missing volumes, as Docker does, and returns all mounts by path.
    fn mounts(&mut self, properties: &Properties) -> Refusal<BTreeMap<String, Mount>> {
        let texts = |property: Property| -> Vec<String> {
            let value = properties.get(&property).and_then(Value::as_array);
            value.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut mounts = BTreeMap::new();
        for path in texts(Property::Shares) {
            mounts.insert(path, None);
        }
        for from in texts(Property::VolumesFrom) {
            let (name, mode) = from.split_once(':').unwrap_or((&from, "rw"));
            for (path, mount) in self.container(name)?.mounts.clone() {
                let writable = mount.writable && mode != "ro";
                mounts.insert(path, Some(Mount { writable, ..mount }));
            }
        }
        for bind in texts(Property::Binds) {
            let mut parts = bind.splitn(3, ':');
            let (Some(source), Some(path)) = (parts.next(), parts.next()) else {
                return refuse(400, format!("invalid volume specification: '{bind}'"));
            };
            let writable = !parts.next().unwrap_or_default().split(',').any(|option| option == "ro");
            let is_volume = !source.starts_with('/');
            if is_volume {
                self.ensure_volume(local_volume(source), false);
            }
            let source = source.to_owned();
            mounts.insert(path.to_owned(), Some(Mount { source, is_volume, writable }));
        }
        let declared = properties.get(&Property::Mounts).and_then(Value::as_array);
        for mount in declared.into_iter().flatten() {
            let text = |field: &str| mount.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_volume = text("Type") == "volume";
            if is_volume {
                self.ensure_volume(declared_volume(&text("Source"), mount), false);
            }
            let writable = mount.get("ReadOnly").and_then(Value::as_bool) != Some(true);
            mounts.insert(text("Target"), Some(Mount { source: text("Source"), is_volume, writable }));
        }
        let anonymous = |world: &mut Self| {
            let source = world.fresh_id();
            world.ensure_volume(local_volume(&source), true);
            Mount { source, is_volume: true, writable: true }
        };
        Ok(mounts.into_iter().map(|(path, mount)| (path, mount.unwrap_or_else(|| anonymous(self)))).collect())
    }

    pub(super) fn start_container(&mut self, name: &str) -> Refusal {
        let container = self.container(name)?.clone();
        if container.state.is_running() {
            return Ok(());
        }
        let mode = container.text(Property::NetworkMode);
        if let Some(other) = mode.strip_prefix("container:") {
            match self
                .containers
                .get(other)
                .or_else(|| self.containers.values().find(|found| found.id == other))
            {
                None => return refuse(404, format!("No such container: {other}")),
                Some(other) if !other.state.is_running() => {
                    return refuse(
                        409,
                        format!("cannot join network of a non running container: {}", other.id),
                    );
                }
                Some(_) => {}
            }
        }
        for (network, id) in
            container.endpoints.keys().map(|network| (network, container.network_ids.get(network)))
        {
            match self.networks.get(network) {
                Some(found) if id.is_none_or(|id| *id == found.id) => {}
                _ => return refuse(404, format!("network {} not found", id.unwrap_or(network))),
            }
            self.taken_by_kept(name, &container.id, network)?;
        }
        if container.endpoints.contains_key("bridge") {
            for link in container.texts(Property::Links) {
                let target = link.split(':').next().unwrap_or_default();
                if !self.containers.get(target).is_some_and(|target| target.state.is_running()) {
                    return refuse(500, format!("Cannot link to a non running container: /{target}"));
                }
            }
        }
        let wanted = host_ports(&container.properties);
        let running = self.containers.iter().filter(|(_, other)| other.state.is_running());
        for (_, other) in running {
            if let Some(port) = host_ports(&other.properties).intersection(&wanted).next() {
                return refuse(
                    500,
                    format!("driver failed programming external connectivity: {port} is allocated"),
                );
            }
        }
        let ids = container.endpoints.keys().filter_map(|network| {
            self.networks.get(network).map(|found| (network.clone(), found.id.clone()))
        });
        let ids: BTreeMap<String, String> = ids.collect();
        let command: Vec<&str> =
            container.texts(Property::Entrypoint).chain(container.texts(Property::Command)).collect();
        let process = (user(&container.properties).to_owned(), command.join(" "));
        if container.labels.contains_key(HELPER_LABEL) {
            self.run_helper(&container);
        }
        let container = self.container(name)?;
        container.network_ids = ids;
        match &container.behaviour {
            Behaviour::Ends(code, output) => {
                container.state = ContainerState::Exited(*code);
                container.log.push_str(output);
            }
            _ => {
                container.state = ContainerState::Running;
                container.processes = vec![process];
            }
        }
        Ok(())
    }

    /// A helper container does its work at once: what it ran is noted at its volumes.
    fn run_helper(&mut self, helper: &Container) {
        let script: Vec<&str> = helper.texts(Property::Command).collect();
        for mount in helper.mounts.values() {
            if let Some(volume) = self.volumes.get_mut(&mount.source) {
                volume.prepared.push(script.join(" "));
            }
        }
    }

    pub(super) fn stop_container(&mut self, name: &str) -> Refusal {
        let container = self.container(name)?;
        let code = if container.behaviour == Behaviour::IgnoresSignals { 137 } else { 143 };
        self.end(name, code);
        Ok(())
    }

    pub(super) fn kill_container(&mut self, name: &str, signal: &str) -> Refusal {
        let container = self.container(name)?;
        if !container.state.is_running() {
            let id = &container.id;
            return refuse(409, format!("Cannot kill container: {name}: Container {id} is not running"));
        }
        let own = container.text(Property::StopSignal);
        let stops = ["SIGTERM", "SIGINT", "SIGQUIT"].contains(&signal) || own == signal;
        // A signal that is not the container's own is an accident to Docker.
        let accident = !own.is_empty() && own != signal && signal != "SIGKILL";
        let policy = container.properties.get(&Property::RestartPolicy);
        let policy = policy.and_then(|policy| policy.get("Name")?.as_str());
        let again = accident && matches!(policy, Some("always" | "unless-stopped" | "on-failure"));
        match (&container.behaviour, signal) {
            (_, "SIGKILL") => self.end(name, 137),
            (Behaviour::IgnoresSignals, _) => {}
            _ if stops && again => container.state = ContainerState::Restarting,
            _ if stops => self.end(name, 143),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn remove_container(&mut self, name: &str, volumes: bool, force: bool) -> Refusal {
        let container = self.container(name)?;
        if container.state.is_running() && !force {
            let id = container.id.clone();
            return refuse(
                409,
                format!("You cannot remove a running container {id}. Stop the container before"),
            );
        }
        let mounts = std::mem::take(&mut container.mounts);
        self.containers.remove(name);
        for mount in mounts.into_values().filter(|mount| volumes && mount.is_volume) {
            if self.volumes.get(&mount.source).is_some_and(|volume| volume.anonymous) {
                // One that others still mount stays.
                let _ = self.remove_volume(&mount.source);
            }
        }
        Ok(())
    }

    pub(super) fn update_container(&mut self, name: &str, changes: &Properties) -> Refusal {
        let container = self.container(name)?;
        if let Some(property) = changes.keys().find(|property| property.on_change() != OnChange::Update) {
            return refuse(400, format!("`{property}` cannot be updated"));
        }
        if changes.contains_key(&Property::RestartPolicy)
            && is_true(&container.properties, Property::AutoRemove)
        {
            return refuse(
                409,
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            );
        }
        let number = |properties: &Properties, property| properties.get(&property).and_then(Value::as_i64);
        let memory = number(changes, Property::MemLimit);
        let swap = number(&container.properties, Property::MemswapLimit);
        if !changes.contains_key(&Property::MemswapLimit)
            && memory.zip(swap).is_some_and(|(memory, swap)| swap > 0 && memory > swap)
        {
            return refuse(
                409,
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            );
        }
        for (&property, value) in changes {
            match canonical(property, value) {
                Value::Null => container.properties.remove(&property),
                value => container.properties.insert(property, value),
            };
        }
        Ok(())
    }

    pub(super) fn exec(&mut self, name: &str, command: &[String], by: Option<&str>) -> Refusal {
        let container = self.container(name)?;
        if !container.state.is_running() {
            return refuse(409, format!("Container {} is not running", container.id));
        }
        let by = by.unwrap_or_else(|| user(&container.properties)).to_owned();
        container.processes.push((by.split(':').next().unwrap_or_default().to_owned(), command.join(" ")));
        Ok(())
    }
}
