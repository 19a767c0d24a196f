//! The lines of `-- settings` and `-- state`.

use std::collections::BTreeMap;

use dfab_map::names::ClientName;
use dfab_map::observed::ContainerState;
use dfab_map::plan::Call;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, VolumeSpec};
use dfab_map::value::Value;

use super::World;
use crate::model::Engine;

impl World {
    /// Changes a setting of the session (engine §8.3):
    ///
    /// ```text
    /// hostname_replace FROM=TO...     default_networks NAME...     prepare_image REF
    /// variable NAME VALUE             variable NAME KEY=VALUE...
    /// ```
    pub(super) fn setting(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        match (words.next(), words.map(str::to_owned)) {
            (Some("hostname_replace"), words) => {
                let pair =
                    |word: String| word.split_once('=').map(|(from, to)| (from.to_owned(), to.to_owned()));
                self.settings.hostname_replace = words.filter_map(pair).collect();
            }
            (Some("default_networks"), words) => self.settings.default_networks = words.collect(),
            (Some("prepare_image"), mut words) => {
                let image = words.next().unwrap_or_default();
                self.settings.prepare_image = dfab_map::image::ImageName::expand(&image, None, None)
                    .map_err(|error| error.to_string())?;
            }
            (Some("variable"), mut words) => {
                let name = words.next().unwrap_or_default();
                let words: Vec<String> = words.collect();
                let entry = |word: &String| {
                    word.split_once('=').map(|(key, value)| (key.to_owned(), Value::from(value)))
                };
                let value = match words.iter().map(entry).collect() {
                    Some(entries) => Value::Mapping(entries),
                    None => Value::String(words.join(" ")),
                };
                self.lookup.variables.insert(name, value);
            }
            _ => return Err(format!("no such setting: {line}")),
        }
        Ok(())
    }

    /// Changes an engine:
    ///
    /// ```text
    /// image REF ID        the engine has the image     no-image REF
    /// registry REF ID     a pull brings it
    /// exit NAME CODE      the container has ended      create-only NAME   it was never started
    /// dead NAME           run NAME                    restarting NAME
    /// remove NAME         the container is gone        remove-volume NAME, remove-network NAME
    /// detach NAME NET     set NAME PROPERTY JSON       unset NAME PROPERTY
    /// unlabel NAME        without our labels           rename NAME NEW
    /// process NAME USER COMMAND...                     endpoint NAME NET KEY=VALUE
    /// foreign NAME IMAGE NET...   a running container that is not ours
    /// unsupported PROPERTY        mount NAME PATH SOURCE       unmount NAME PATH      readonly NAME PATH
    /// another-network NAME ID     a second network of the name
    /// network-id NAME NET ID      network NAME driver|internal|enable_ipv6|attachable|ipam VALUE
    /// network NAME option|label KEY VALUE              volume NAME driver VALUE, option|label KEY VALUE, no-options
    /// down                nothing can be asked
    /// forget-effects      what ran and was prepared so far does not count
    /// marked NAME MARKER  a run that was interrupted has left this marker
    /// ```
    pub(super) fn change(&mut self, client: &ClientName, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "down" {
            self.down.push(client.clone());
            return Ok(());
        }
        let engine = self.engines.entry(client.clone()).or_insert_with(Engine::installed);
        let missing = || format!("no such object: {line}");
        match words.as_slice() {
            ["forget-effects"] => engine.effects.clear(),
            ["marked", name, marker] => {
                let (name, driver) = (format!("{name}.{marker}"), "local".to_owned());
                let spec = VolumeSpec { name, driver, ..Default::default() };
                engine.call(&Call::CreateVolume(spec))?;
            }
            ["image", reference, id] => {
                let image = dfab_map::observed::image_key(reference);
                drop(engine.state.images.insert(image, (*id).to_owned()));
            }
            ["no-image", reference] => drop(engine.state.images.remove(*reference)),
            ["registry", reference, id] => {
                drop(engine.registry.insert((*reference).to_owned(), (*id).to_owned()))
            }
            ["remove", name] => engine.forget(name),
            ["remove-unused", name] => {
                let unused =
                    |name: &str| match (engine.state.volumes.get(name), engine.state.networks.get(name)) {
                        (Some(volume), _) => volume.holders.is_empty(),
                        (_, Some(network)) => network.containers.is_empty(),
                        _ => false,
                    };
                if unused(name) {
                    engine.state.volumes.remove(*name);
                    engine.state.networks.remove(*name);
                }
            }
            ["remove-volume", name] => drop(engine.state.volumes.remove(*name)),
            ["remove-network", name] => drop(engine.state.networks.remove(*name)),
            ["detach", name, network] => engine.disconnect(name, network),
            ["set", name, property, rest @ ..] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                let value = serde_json::from_str(&rest.join(" ")).map_err(|error| error.to_string())?;
                drop(engine.detail(name)?.properties.insert(property, value));
            }
            ["unset", name, property] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                drop(engine.detail(name)?.properties.remove(&property));
            }
            ["process", name, user, command @ ..] => {
                let process = ((*user).to_owned(), command.join(" "));
                engine.detail(name)?.processes.get_or_insert_default().push(process);
            }
            ["mount", name, path, source] => {
                let mount = engine.detail(name)?.mounts.get_mut(*path).ok_or_else(missing)?;
                (*source).clone_into(&mut mount.source);
            }
            ["endpoint", name, network, setting] => {
                let endpoint = engine.detail(name)?.endpoints.get_mut(*network).ok_or_else(missing)?;
                let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
                let value = Some(value.to_owned()).filter(|value| !value.is_empty());
                match key {
                    "aliases" => endpoint.aliases = value.into_iter().collect(),
                    "links" => endpoint.links = value.into_iter().collect(),
                    "ipv4_address" => endpoint.ipv4_address = value,
                    "ipv6_address" => endpoint.ipv6_address = value,
                    "link_local_ips" => endpoint.link_local_ips = value.into_iter().collect(),
                    _ => return Err(missing()),
                }
            }
            ["unmount", name, path] => drop(engine.detail(name)?.mounts.remove(*path).ok_or_else(missing)?),
            ["readonly", name, path] => {
                engine.detail(name)?.mounts.get_mut(*path).ok_or_else(missing)?.writable = false;
            }
            ["another-network", name, id] => {
                engine.state.networks.get_mut(*name).ok_or_else(missing)?.others.push((*id).to_owned());
            }
            ["network-id", name, network, id] => {
                drop(engine.detail(name)?.network_ids.insert((*network).to_owned(), (*id).to_owned()));
            }
            ["network", name, field, rest @ ..] => {
                let spec = &mut engine.state.networks.get_mut(*name).ok_or_else(missing)?.spec;
                match (*field, rest) {
                    ("driver", [driver]) => (*driver).clone_into(&mut spec.driver),
                    ("internal", [value]) => spec.internal = *value == "true",
                    ("enable_ipv6", [value]) => spec.enable_ipv6 = Some(*value == "true"),
                    ("attachable", [value]) => spec.attachable = Some(*value == "true"),
                    ("option", [key, value]) => drop(spec.options.insert((*key).into(), (*value).into())),
                    ("label", [key, value]) => drop(spec.labels.insert((*key).into(), (*value).into())),
                    ("ipam", [json]) => {
                        spec.ipam = serde_json::from_str(json).map_err(|error| error.to_string())?
                    }
                    _ => return Err(missing()),
                }
            }
            ["volume", name, field, rest @ ..] => {
                let spec = &mut engine.state.volumes.get_mut(*name).ok_or_else(missing)?.spec;
                match (*field, rest) {
                    ("driver", [driver]) => (*driver).clone_into(&mut spec.driver),
                    ("option", [key, value]) => drop(spec.driver_opts.insert((*key).into(), (*value).into())),
                    ("label", [key, value]) => drop(spec.labels.insert((*key).into(), (*value).into())),
                    ("no-options", []) => spec.driver_opts.clear(),
                    _ => return Err(missing()),
                }
            }
            ["unsupported", property] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                _ = engine.state.engine.unsupported.insert(property);
            }
            ["foreign", name, image, networks @ ..] => {
                let image = dfab_map::image::ImageName::expand(image, None, None).unwrap();
                let key = dfab_map::observed::image_key(&image.to_string());
                engine.state.images.entry(key).or_insert_with(|| "sha256:foreign".to_owned());
                let spec = ContainerSpec {
                    name: (*name).to_owned(),
                    image,
                    properties: [(Property::NetworkMode, "none".into())].into(),
                    first_endpoint: None,
                    own_labels: BTreeMap::new(),
                };
                engine.call(&Call::CreateContainer(Box::new(spec)))?;
                for network in networks {
                    let endpoint = EndpointSpec { network: (*network).to_owned(), ..Default::default() };
                    engine.call(&Call::Connect { container: (*name).to_owned(), endpoint })?;
                }
                engine.call(&Call::StartContainer { name: (*name).to_owned(), delay: None })?;
            }
            [verb, name, rest @ ..] => {
                let container = engine.state.containers.get_mut(*name).ok_or_else(missing)?;
                match (*verb, rest) {
                    ("exit", [code]) => container.state = ContainerState::Exited(code.parse().unwrap()),
                    ("create-only", []) => container.state = ContainerState::Created,
                    ("dead", []) => container.state = ContainerState::Dead,
                    ("run", []) => container.state = ContainerState::Running,
                    ("restarting", []) => container.state = ContainerState::Restarting,
                    ("unlabel", []) => container.labels.retain(|key, _| !key.starts_with("dfab.")),
                    ("label", [key, value]) => drop(container.labels.insert((*key).into(), (*value).into())),
                    _ => return Err(missing()),
                }
            }
            _ => return Err(missing()),
        }
        Ok(())
    }
}
