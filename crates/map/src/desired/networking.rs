//! Ports, links and networks of a container (engine §4.9, §6.4, §6.9; map-model §2.8–§2.11).

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};

use super::layers::Layers;
use super::maker::{Maker, Owner};
use super::{Binding, BindingKind, Networking};
use crate::model::{self, Endpoint, Keyed, Link, NetworkMode, Port, PublishedPort};
use crate::names::{network_name, replaced};
use crate::property::Property;
use crate::spec::EndpointSpec;

impl Maker<'_> {
    /// Puts exposed and published ports into `layers`.
    pub(super) fn ports(&self, owner: Owner<'_>, container: &model::Container, layers: &mut Layers) {
        let mut ports: Vec<&Port> = container.exposes.iter().collect();
        ports.sort_by_key(|port| (port.exposed_port, port.protocol));
        let mut bindings = Map::new();
        for port in &ports {
            let path = format!("exposes.{}", Keyed::key(*port));
            if let Some(published) = &port.published
                && let Some(binding) = self.binding(owner, &path, published)
            {
                let entry = bindings.entry(Port::key(port)).or_insert_with(|| json!([]));
                if let Json::Array(list) = entry {
                    list.push(binding);
                }
            }
        }
        if !ports.is_empty() {
            let keys: Vec<String> = ports.iter().map(|port| Port::key(port)).collect();
            layers.merge(Property::ExposedPorts, json!(keys));
            layers.origin(Property::ExposedPorts.name(), container.origins.get("exposes"));
        }
        if !bindings.is_empty() {
            layers.merge(Property::PortBindings, Json::Object(bindings));
            layers.origin(Property::PortBindings.name(), container.origins.get("exposes"));
            for port in &ports {
                let path = format!("{}.{}", Property::PortBindings, Port::key(port));
                layers.origin(path, container.origins.get(&format!("exposes.{}", Port::key(port))));
            }
        }
    }

    /// Returns `{HostIp, HostPort}`; an empty address is all of the engine's.
    fn binding(&self, owner: Owner<'_>, path: &str, published: &PublishedPort) -> Option<Json> {
        let port = self.resolve(owner, path, &published.host_port)?;
        let Some(interface) = &published.interface else {
            return Some(json!({"HostIp": "", "HostPort": port.to_string()}));
        };
        let interface = self.resolve(owner, path, interface)?;
        let ipv6 = self.resolve(owner, path, &published.ipv6)?;
        let config = &self.target.config;
        let (word, addresses) = match ipv6 {
            true => ("interfaces_ipv6", &config.interfaces_ipv6),
            false => ("interfaces", &config.interfaces),
        };
        let Some(address) = addresses.get(&interface) else {
            let client = &self.target.name;
            let message = format!("client `{client}` has no address for the interface `{interface}`");
            self.fail_with_hint(
                owner,
                path,
                message,
                format!("set `{word}.{interface}` of client `{client}`"),
            );
            return None;
        };
        let client = Owner::new("client", &self.target.name, &config.origins);
        let address = self.resolve(client, &format!("{word}.{interface}"), address)?;
        Some(json!({"HostIp": compressed(&address), "HostPort": port.to_string()}))
    }

    /// Puts legacy links into `layers`, and returns the linked containers.
    pub(super) fn links(&self, container: &model::Container, layers: &mut Layers) -> Vec<Binding> {
        let mut bound_to = Vec::new();
        let mut links = Vec::new();
        for link in &container.links {
            for name in self.container_names(&link.container) {
                let text = format!("{name}:{}", self.alias(link));
                layers.origin(
                    format!("links.{text}"),
                    container.origins.get(&format!("links.{}", Keyed::key(link))),
                );
                links.push(text);
                bound_to.push(Binding { container: name, kind: BindingKind::Link });
            }
        }
        if !links.is_empty() {
            layers.merge(Property::Links, json!(links));
            layers.origin(Property::Links.name(), container.origins.get("links"));
        }
        bound_to
    }

    /// Returns how the container joins networks by its properties, and puts its mode into `layers`.
    pub(super) fn networking(
        &self,
        owner: Owner<'_>,
        container: &model::Container,
        layers: &mut Layers,
    ) -> Networking {
        layers.origin(Property::NetworkMode.name(), container.origins.get("network_mode"));
        let mode = |text: String, layers: &mut Layers| layers.merge(Property::NetworkMode, Json::from(text));
        match container.network_mode.value() {
            None | Some(NetworkMode::Bridge) => {
                // Written down although it is the default: a container that shares the network of
                // the host, or of another one, differs (D-18).
                mode("default".to_owned(), layers);
                let endpoints = self.endpoints(owner, container);
                layers.origins.adopt("networks", &container.origins);
                match endpoints.is_empty() {
                    true => self.default_networks(),
                    false => Networking::Endpoints(endpoints),
                }
            }
            Some(NetworkMode::None) => {
                mode("none".to_owned(), layers);
                Networking::Disabled
            }
            Some(NetworkMode::Host) => {
                mode("host".to_owned(), layers);
                Networking::Mode
            }
            Some(NetworkMode::Unmanaged(name)) => {
                mode(format!("container:{name}"), layers);
                Networking::Mode
            }
            Some(NetworkMode::Container(reference)) => {
                let names = self.container_names(reference);
                match names.as_slice() {
                    [name] => mode(format!("container:{name}"), layers),
                    _ => {
                        let message = format!(
                            "`{reference}` has several instances; name the one whose network is used"
                        );
                        self.fail(owner, "network_mode", message);
                    }
                }
                Networking::Mode
            }
        }
    }

    /// Settles how the container joins networks once the options are in `layers`, and what it is tied to
    /// by that. Options have priority over the property (engine §6.2), and an engine joins what they
    /// say (D-18).
    pub(super) fn settled(
        &self,
        networking: Networking,
        layers: &mut Layers,
    ) -> (Networking, Option<Binding>) {
        let (mode, disabled) = (Property::NetworkMode, Property::NetworkDisabled);
        // No engine looks at the mode of a container whose network is disabled. Here the one says the
        // other, so that a change is noticed, and so that both backends make the same container.
        if layers.get(disabled) == Some(&Json::Bool(true)) {
            layers.derive(mode, Json::from("none"), disabled);
        }
        let text = layers.get(mode).and_then(Json::as_str).unwrap_or_default().to_owned();
        if text == "none" && layers.get(disabled).is_none() {
            layers.derive(disabled, Json::from(true), mode);
        }
        let binding = text
            .strip_prefix("container:")
            .map(|name| Binding { container: name.to_owned(), kind: BindingKind::NetworkMode });
        let networking = match (text.as_str(), networking) {
            ("none", _) => Networking::Disabled,
            // Beside a mode, the check finds the property; where the mode is a late value, the engine does.
            (_, endpoints @ Networking::Endpoints(_)) => endpoints,
            ("" | "default" | "bridge", _) => self.default_networks(),
            ("host", _) => Networking::Mode,
            _ if binding.is_some() => Networking::Mode,
            // The name of a network as mode is its first endpoint.
            (network, _) => {
                let network = network.to_owned();
                Networking::Endpoints(vec![EndpointSpec { network, ..EndpointSpec::default() }])
            }
        };
        (networking, binding)
    }

    fn default_networks(&self) -> Networking {
        Networking::Default(self.session.settings.default_networks.clone())
    }

    fn endpoints(&self, owner: Owner<'_>, container: &model::Container) -> Vec<EndpointSpec> {
        container.networks.iter().filter_map(|endpoint| self.endpoint(owner, endpoint)).collect()
    }

    pub(super) fn endpoint(&self, owner: Owner<'_>, endpoint: &Endpoint) -> Option<EndpointSpec> {
        let path = format!("networks.{}", endpoint.network_name);
        if matches!(&*endpoint.network_name, "host" | "none") {
            let hint = format!("use `network_mode: {}`", endpoint.network_name);
            let message =
                format!("`{}` is no network that a container can be connected to", endpoint.network_name);
            self.fail_with_hint(owner, &path, message, hint);
            return None;
        }
        let links = endpoint.links.iter().flat_map(|link| {
            let alias = self.alias(link);
            self.container_names(&link.container).into_iter().map(move |name| format!("{name}:{alias}"))
        });
        let address = |late: &Option<_>| {
            late.as_ref()
                .and_then(|late| self.resolve::<String>(owner, &path, late))
                .map(|text| compressed(&text))
        };
        Some(EndpointSpec {
            network: network_name(&self.map.name, &endpoint.network_name),
            aliases: endpoint.aliases.iter().filter_map(|late| self.resolve(owner, &path, late)).collect(),
            links: links.collect(),
            ipv4_address: address(&endpoint.ipv4_address),
            ipv6_address: address(&endpoint.ipv6_address),
            link_local_ips: endpoint
                .link_local_ips
                .iter()
                .filter_map(|late| self.resolve::<String>(owner, &path, late))
                .map(|text| compressed(&text))
                .collect(),
        })
    }

    /// The alias of a link: as written, else the dashed form of the reference (map-model §2.8).
    fn alias(&self, link: &Link) -> String {
        let replacements = &self.session.settings.hostname_replace;
        link.alias.clone().unwrap_or_else(|| replaced(&link.container.to_string(), replacements))
    }
}

/// The one spelling of an address; what is none stays, for the engine to refuse.
fn compressed(text: &str) -> String {
    text.parse::<IpAddr>().map_or_else(|_| text.to_owned(), |address| address.to_string())
}
