//! Things that happen to an engine behind dfab's back.

use std::time::Duration;

use dfab_client::Backend;
use dfab_map::property::Property;
use dfab_map::spec::{EndpointSpec, Properties};
use serde_json::json;

use super::world::World;

/// Does up to four things, chosen by `seed`, and returns what they were.
pub async fn disturb(world: &World, seed: u64) -> Vec<String> {
    let mut random = Random(seed.wrapping_add(1));
    let mut done = Vec::new();
    for _ in 0..=random.below(4) {
        let containers: Vec<String> = world.backend.list_containers().await.unwrap().into_keys().collect();
        let containers: Vec<String> =
            containers.into_iter().filter(|name| name.starts_with("conv.")).collect();
        if containers.is_empty() {
            break;
        }
        let name = &containers[random.below(containers.len())];
        if let Some(what) = one(world.backend.as_ref(), name, random.below(9)).await {
            done.push(what);
        }
    }
    done
}

/// Does one thing to a container; `None` where the engine refuses it.
async fn one(backend: &dyn Backend, name: &str, choice: usize) -> Option<String> {
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
            let endpoint = EndpointSpec { network: "bridge".into(), ..EndpointSpec::default() };
            backend.connect_network(name, &endpoint).await.ok().map(|()| format!("connect {name} to bridge"))
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

/// A small generator of its own, so that a seed means the same for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}
