//! How containers outside of a run join the networks of the run, as far as the map says.
//!
//! A network that is made anew loses all its containers, those that were not asked for included. They are
//! connected again by the run that does it, with the aliases, links and addresses of the map.

use std::cell::RefCell;

use super::clients::Targets;
use super::maker::{Maker, Owner};
use super::{Desired, Object, Role, Session};
use crate::deps::instances;
use crate::image::ImageDefaults;
use crate::item::Item;
use crate::model::Map;
use crate::names::{container_name, network_name};
use crate::volumes::Volumes;

/// Records the endpoints of the map's containers in the networks of the run. Those of the run itself are
/// among them; their own steps connect them.
///
/// An endpoint with a value that cannot be looked up is left out: the run does not need it for anything else.
pub(super) fn record(
    session: &Session<'_>,
    targets: &Targets<'_>,
    map: &Map,
    volumes: &Volumes<'_>,
    images: &ImageDefaults,
    desired: &mut Desired,
) {
    let is_network =
        |entry: &&super::Entry| matches!(entry.object, Object::Network(_)) && entry.id.map == map.name;
    let networks: Vec<_> = desired
        .entries
        .iter()
        .filter(is_network)
        .filter(|entry| entry.role != Role::Follower)
        .map(|entry| (entry.client.clone(), entry.name.clone()))
        .collect();
    if networks.is_empty() {
        return;
    }
    for (config, container) in &map.containers {
        for endpoint in &container.networks {
            let network = network_name(&map.name, &endpoint.network_name);
            for client in targets.known_of_config(map, config) {
                let joined = (client, network.clone());
                let Some(target) = targets.get(&joined.0).filter(|_| networks.contains(&joined)) else {
                    continue;
                };
                let findings = RefCell::default();
                let maker = Maker { session, map, volumes, images, target: &target, findings: &findings };
                let owner = Owner::new("configuration", config, &container.origins);
                let made = maker.endpoint(owner, endpoint);
                let Some(spec) = made.filter(|_| findings.borrow().is_empty()) else { continue };
                let members = desired.peers.entry(joined).or_default();
                for item in instances(config, container) {
                    if let Item::Container { instance, .. } = item {
                        let name = container_name(&map.name, config, instance.as_deref());
                        members.insert(name, spec.clone());
                    }
                }
            }
        }
    }
}
