//! Networks of the engine in memory.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::names::PRESET_NETWORKS;
use dfab_map::observed::ObservedNetwork;
use dfab_map::property::Property;
use dfab_map::spec::{EndpointSpec, NetworkSpec};
use serde_json::Value;

use super::world::{Network, Refusal, World, refuse};

impl World {
    pub(super) fn observed_network(&self, name: &str, network: &Network) -> ObservedNetwork {
        // Docker lists running containers only; the whole membership comes from the containers.
        let connected = self
            .containers
            .iter()
            .filter(|(_, container)| container.state.is_running() && container.endpoints.contains_key(name));
        ObservedNetwork {
            id: network.id.clone(),
            spec: network.spec.clone(),
            containers: connected.map(|(name, _)| name.clone()).collect(),
            others: Vec::new(),
        }
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Refusal {
        if PRESET_NETWORKS.contains(&spec.name.as_str()) {
            return refuse(403, format!("operation is not permitted on predefined {} network", spec.name));
        }
        if self.networks.contains_key(&spec.name) {
            return refuse(409, format!("network with name {} already exists", spec.name));
        }
        let mut spec = spec.clone();
        spec.labels.append(&mut spec.own_labels);
        let id = self.fresh_id();
        let kept_endpoints = BTreeMap::new();
        self.networks.insert(spec.name.clone(), Network { id, spec, kept_endpoints });
        Ok(())
    }

    pub(super) fn remove_network(&mut self, name: &str) -> Refusal {
        let Some(network) = self.networks.get(name) else {
            return refuse(404, format!("network {name} not found"));
        };
        if PRESET_NETWORKS.contains(&name) {
            return refuse(403, format!("{name} is a pre-defined network and cannot be removed"));
        }
        let holders: BTreeSet<String> = self.observed_network(name, network).containers;
        if !holders.is_empty() || !network.kept_endpoints.is_empty() {
            return refuse(409, format!("network {name} has active endpoints"));
        }
        // Stopped containers keep their endpoint, with the ID of a network that is no more.
        self.networks.remove(name);
        Ok(())
    }

    pub(super) fn connect(&mut self, container_name: &str, endpoint: &EndpointSpec) -> Refusal {
        let name = &endpoint.network;
        let Some(network) = self.networks.get(name) else {
            return refuse(404, format!("network {name} not found"));
        };
        let id = network.id.clone();
        let has_subnet = network.spec.ipam.pointer("/Config/0/Subnet").is_some();
        let has_address = endpoint.ipv4_address.is_some() || endpoint.ipv6_address.is_some();
        let container = self.container(container_name)?;
        let mode =
            container.properties.get(&Property::NetworkMode).and_then(Value::as_str).unwrap_or_default();
        if mode == "host" || mode.starts_with("container:") {
            return refuse(400, "container sharing network namespace with another cannot be connected");
        }
        if mode == "none" || matches!(name.as_str(), "none" | "host") {
            return refuse(
                400,
                "container cannot be connected to multiple networks with one of them private",
            );
        }
        let is_user_defined = !PRESET_NETWORKS.contains(&name.as_str());
        if !is_user_defined && (has_address || !endpoint.aliases.is_empty()) {
            return refuse(400, "addresses and aliases are supported on user defined networks only");
        }
        if has_address && !has_subnet {
            return refuse(400, "user specified IP address is supported only with user configured subnets");
        }
        let known = container.network_ids.get(name);
        if container.endpoints.contains_key(name) && known.is_none_or(|known| *known == id) {
            return refuse(
                403,
                format!("endpoint with name {container_name} already exists in network {name}"),
            );
        }
        let kept = container.properties.get(&Property::NetworkDisabled) == Some(&Value::Bool(true))
            && container.state.is_running();
        let container_id = container.id.clone();
        container.endpoints.insert(name.clone(), endpoint.clone());
        container.network_ids.insert(name.clone(), id);
        if let (true, Some(network)) = (kept, self.networks.get_mut(name)) {
            network.kept_endpoints.insert(container_name.to_owned(), container_id);
        }
        Ok(())
    }

    /// Returns why a container cannot have an endpoint in a network, where one of its name was kept.
    pub(super) fn taken_by_kept(&self, container_name: &str, id: &str, network: &str) -> Refusal {
        let kept = self.networks.get(network).and_then(|network| network.kept_endpoints.get(container_name));
        match kept.filter(|kept| *kept != id) {
            None => Ok(()),
            Some(_) => refuse(
                403,
                format!("endpoint with name {container_name} already exists in network {network}"),
            ),
        }
    }

    pub(super) fn network_endpoints(&self, name: &str) -> Refusal<BTreeMap<String, String>> {
        let Some(network) = self.networks.get(name) else {
            return refuse(404, format!("network {name} not found"));
        };
        let mut endpoints = network.kept_endpoints.clone();
        for container in self.observed_network(name, network).containers {
            let id = self.containers[&container].id.clone();
            endpoints.insert(container, id);
        }
        Ok(endpoints)
    }

    /// As Docker: a container of the name is disconnected instead.
    pub(super) fn remove_endpoint(&mut self, endpoint_name: &str, name: &str) -> Refusal {
        if self.containers.contains_key(endpoint_name) {
            return self.disconnect(endpoint_name, name);
        }
        let Some(network) = self.networks.get_mut(name) else {
            return refuse(404, format!("network {name} not found"));
        };
        match network.kept_endpoints.remove(endpoint_name) {
            Some(_) => Ok(()),
            None => refuse(404, format!("endpoint {endpoint_name} not found")),
        }
    }

    pub(super) fn disconnect(&mut self, container_name: &str, name: &str) -> Refusal {
        if !self.networks.contains_key(name) {
            return refuse(404, format!("network {name} not found"));
        }
        let container = self.container(container_name)?;
        if container.endpoints.remove(name).is_none() {
            return refuse(404, format!("container {container_name} is not connected to the network {name}"));
        }
        container.network_ids.remove(name);
        let id = container.id.clone();
        if let Some(network) = self.networks.get_mut(name) {
            network.kept_endpoints.retain(|_, kept| *kept != id);
        }
        Ok(())
    }
}
