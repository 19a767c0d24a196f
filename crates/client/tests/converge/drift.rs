//! Things that happen to an engine behind dfab's back: containers killed, stopped, removed, changed and
//! replaced, volumes and networks gone, networks detached and attached, images that get another content.

use std::collections::BTreeMap;
use std::time::Duration;

use dfab_client::Backend;
use dfab_map::image::ImageName;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, Properties};
use serde_json::json;

use super::random::Random;
use super::world::World;

/// Does up to four things, chosen by `seed`, and returns what they were.
pub async fn disturb(world: &World, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let mut done = Vec::new();
    for _ in 0..=random.below(4) {
        let containers: Vec<String> = world.backend.list_containers().await.unwrap().into_keys().collect();
        let containers: Vec<String> =
            containers.into_iter().filter(|name| name.starts_with("conv.")).collect();
        if containers.is_empty() {
            break;
        }
        let name = &containers[random.below(containers.len())];
        let what = match random.below(12) {
            9 => retag(world, &mut random).await,
            10 => lose_volume(world.backend.as_ref(), &mut random).await,
            11 => impostor(world.backend.as_ref(), name).await,
            choice => one(world.backend.as_ref(), name, choice, &mut random).await,
        };
        done.extend(what);
    }
    done
}

/// Does one thing to a container; `None` where the engine refuses it.
async fn one(backend: &dyn Backend, name: &str, choice: usize, random: &mut Random) -> Option<String> {
    let second = Some(Duration::from_secs(1));
    match choice {
        0 => backend.kill_container(name, None).await.ok().map(|()| format!("kill {name}")),
        1 => backend.stop_container(name, second).await.ok().map(|()| format!("stop {name}")),
        2 | 3 => backend.remove_container(name, false, true).await.ok().map(|()| format!("remove {name}")),
        4 => {
            let changes = Properties::from([
                (Property::CpuShares, json!(256)),
                (Property::RestartPolicy, json!({"Name": "always"})),
            ]);
            backend.update_container(name, &changes).await.ok().map(|()| format!("update {name}"))
        }
        5 | 6 => {
            let detail = backend.inspect_container(name).await.ok()??.detail?;
            let network = detail.endpoints.into_keys().next()?;
            let done = backend.disconnect_network(name, &network).await;
            done.ok().map(|()| format!("disconnect {name} from {network}"))
        }
        7 => {
            let detail = backend.inspect_container(name).await.ok()??.detail?;
            // Engine 20.10 keeps the endpoint of one without network; in a network that goes, it cannot be removed
            // while another container has the name.
            let without_network = detail.properties.contains_key(&Property::NetworkDisabled);
            let networks =
                if without_network { &["bridge"][..] } else { &["bridge", "conv.front", "conv.back"] };
            let network = networks[random.below(networks.len())];
            let endpoint = EndpointSpec { network: network.into(), ..EndpointSpec::default() };
            backend
                .connect_network(name, &endpoint)
                .await
                .ok()
                .map(|()| format!("connect {name} to {network}"))
        }
        _ => {
            // A network that is removed while stopped containers are its members.
            let network = ["conv.front", "conv.back"][name.len() % 2];
            for (member, listed) in backend.list_containers().await.ok()? {
                if listed.networks.contains(network) {
                    backend.stop_container(&member, second).await.ok()?;
                }
            }
            backend.remove_network(network).await.ok().map(|()| format!("remove network {network}"))
        }
    }
}

/// The image's name now means another image.
async fn retag(world: &World, random: &mut Random) -> Option<String> {
    let variant = random.below(3);
    world.make_image(variant).await;
    Some(format!("image conv-image is variant {variant}"))
}

/// Someone removes a volume, for which its containers have to go first.
async fn lose_volume(backend: &dyn Backend, random: &mut Random) -> Option<String> {
    let volumes: Vec<String> =
        backend.list_volumes().await.ok()?.into_keys().filter(|name| name.starts_with("conv.")).collect();
    let volume = volumes.get(random.below(volumes.len().max(1)))?;
    for (holder, listed) in backend.list_containers().await.ok()? {
        if listed.volumes.contains(volume) {
            backend.remove_container(&holder, true, true).await.ok()?;
        }
    }
    backend.remove_volume(volume).await.ok().map(|()| format!("remove volume {volume}"))
}

/// Someone makes a container by hand under a name of ours.
async fn impostor(backend: &dyn Backend, name: &str) -> Option<String> {
    backend.remove_container(name, false, true).await.ok()?;
    let spec = ContainerSpec {
        name: name.to_owned(),
        image: ImageName::expand("busybox", None, None).ok()?,
        properties: Properties::from([(Property::Command, json!(["sh"]))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    };
    backend.create_container(&spec).await.ok().map(|_| format!("another container {name}"))
}
