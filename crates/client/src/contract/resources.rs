//! Checks of networks, volumes, images and of observing.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::image::ImageName;
use dfab_map::observed::{Wanted, image_key};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, VolumeSpec};
use futures_util::FutureExt;
use serde_json::json;

use super::{Broken, Check, Checked, Suite, checks, conflict, equal, expect, not_found};
use crate::observe;

pub(super) const CHECKS: &[(&str, Check)] = checks![
    a_network_shows_what_was_asked_for,
    a_network_in_use_is_a_conflict,
    containers_are_connected_and_disconnected,
    a_container_joins_its_first_network_at_creation,
    endpoints_of_a_network_are_known_by_their_containers,
    a_mac_address_shows_in_every_state,
    a_volume_shows_what_was_asked_for,
    a_held_volume_is_a_conflict,
    an_image_that_cannot_be_pulled_is_an_error,
    an_image_has_the_names_that_it_was_given,
    a_container_becomes_an_image_with_one_layer_more,
];

/// Checks that count requests.
pub(super) const ALONE: &[(&str, Check)] =
    checks![every_ping_asks_the_engine, observing_costs_one_request_for_each_wanted_container];

fn network(suite: &Suite<'_>, name: &str) -> NetworkSpec {
    NetworkSpec { name: suite.name(name), driver: "bridge".into(), ..NetworkSpec::default() }
}

fn volume(suite: &Suite<'_>, name: &str) -> VolumeSpec {
    VolumeSpec { name: suite.name(name), driver: "local".into(), ..VolumeSpec::default() }
}

async fn a_network_shows_what_was_asked_for(suite: &Suite<'_>) -> Checked {
    let mut spec = network(suite, "net");
    spec.internal = true;
    spec.options = BTreeMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())]);
    spec.labels = BTreeMap::from([("contract".into(), "yes".into())]);
    spec.own_labels = BTreeMap::from([("dfab.map".into(), "contract".into())]);
    spec.ipam = json!({"Config": [{"Subnet": "10.231.17.0/24"}]});
    suite.backend.create_network(&spec).await?;
    conflict("creating it again", suite.backend.create_network(&spec).await)?;
    let found = suite.backend.list_networks().await?.remove(&spec.name);
    let found = found.ok_or_else(|| Broken("the network is not in the list".into()))?.spec;
    equal("driver", &found.driver, &spec.driver)?;
    equal("internal", found.internal, true)?;
    equal("options", &found.options, &spec.options)?;
    equal("subnet", found.ipam.pointer("/Config/0/Subnet"), Some(&json!("10.231.17.0/24")))?;
    let labels = spec.labels.into_iter().chain(spec.own_labels).collect::<BTreeMap<_, _>>();
    equal("labels", found.labels, labels)?;
    suite.backend.remove_network(&spec.name).await?;
    not_found("removing it again", suite.backend.remove_network(&spec.name).await)
}

async fn a_network_in_use_is_a_conflict(suite: &Suite<'_>) -> Checked {
    let spec = network(suite, "used");
    suite.backend.create_network(&spec).await?;
    let mut container = suite.running("user");
    container.first_endpoint = Some(EndpointSpec { network: spec.name.clone(), ..EndpointSpec::default() });
    suite.create_and_start(&container).await?;
    conflict("removing it", suite.backend.remove_network(&spec.name).await)
}

async fn containers_are_connected_and_disconnected(suite: &Suite<'_>) -> Checked {
    let spec = network(suite, "joined");
    suite.backend.create_network(&spec).await?;
    let container = suite.running("member");
    suite.backend.create_container(&container).await?;
    let aliases = BTreeSet::from(["contract-alias".to_owned()]);
    let endpoint = EndpointSpec { network: spec.name.clone(), aliases, ..EndpointSpec::default() };
    for starts in [false, true] {
        if starts {
            suite.backend.start_container(&container.name).await?;
        }
        suite.backend.connect_network(&container.name, &endpoint).await?;
        let found = suite.backend.inspect_container(&container.name).await?.and_then(|found| found.detail);
        let found = found.and_then(|mut detail| detail.endpoints.remove(&spec.name));
        equal("endpoint", found.as_ref(), Some(&endpoint))?;
        let listed = suite.backend.list_containers().await?.remove(&container.name);
        expect("the list shows it", listed.is_some_and(|listed| listed.networks.contains(&spec.name)))?;
        suite.backend.disconnect_network(&container.name, &spec.name).await?;
        let again = suite.backend.disconnect_network(&container.name, &spec.name).await;
        not_found("disconnecting it again", again)?;
    }
    let nowhere = EndpointSpec { network: suite.name("no-network"), ..EndpointSpec::default() };
    not_found("connecting to nothing", suite.backend.connect_network(&container.name, &nowhere).await)
}

async fn a_container_joins_its_first_network_at_creation(suite: &Suite<'_>) -> Checked {
    let spec = network(suite, "first");
    suite.backend.create_network(&spec).await?;
    let aliases = BTreeSet::from(["contract-first".to_owned()]);
    let endpoint = EndpointSpec { network: spec.name.clone(), aliases, ..EndpointSpec::default() };
    let mut container = suite.running("joiner");
    container.first_endpoint = Some(endpoint.clone());
    suite.create_and_start(&container).await?;
    let detail = suite.backend.inspect_container(&container.name).await?.and_then(|found| found.detail);
    let detail = detail.unwrap_or_default();
    equal("endpoints", detail.endpoints.into_values().collect::<Vec<_>>(), vec![endpoint])?;
    let id = suite.backend.list_networks().await?.remove(&spec.name).map(|network| network.id);
    equal("network ID", detail.network_ids.get(&spec.name).cloned(), id)
}

async fn endpoints_of_a_network_are_known_by_their_containers(suite: &Suite<'_>) -> Checked {
    let spec = network(suite, "ends");
    suite.backend.create_network(&spec).await?;
    equal("endpoints", suite.backend.network_endpoints(&spec.name).await?, BTreeMap::new())?;
    let mut container = suite.running("end");
    container.first_endpoint = Some(EndpointSpec { network: spec.name.clone(), ..EndpointSpec::default() });
    suite.create_and_start(&container).await?;
    let id = suite.backend.list_containers().await?.remove(&container.name).map(|found| found.container.id);
    let members = id.map(|id| (container.name.clone(), id)).into_iter().collect();
    equal("endpoints", suite.backend.network_endpoints(&spec.name).await?, members)?;
    not_found("endpoints of nothing", suite.backend.network_endpoints(&suite.name("no-network")).await)?;
    let nobody = suite.name("nobody");
    not_found("an endpoint that is not there", suite.backend.remove_endpoint(&nobody, &spec.name).await)
}

async fn a_mac_address_shows_in_every_state(suite: &Suite<'_>) -> Checked {
    let spec = network(suite, "mac");
    suite.backend.create_network(&spec).await?;
    let address = json!("02:42:ac:11:00:56");
    let mut container = suite.running("addressed");
    container.first_endpoint = Some(EndpointSpec { network: spec.name.clone(), ..EndpointSpec::default() });
    container.properties.insert(Property::MacAddress, address.clone());
    let shown = async || {
        let detail = suite.backend.inspect_container(&container.name).await?.and_then(|found| found.detail);
        Ok::<_, Broken>(detail.and_then(|mut detail| detail.properties.remove(&Property::MacAddress)))
    };
    suite.backend.create_container(&container).await?;
    equal("before the start", shown().await?, Some(address.clone()))?;
    suite.backend.start_container(&container.name).await?;
    equal("while it runs", shown().await?, Some(address.clone()))?;
    suite.backend.stop_container(&container.name, Some(std::time::Duration::from_secs(5))).await?;
    equal("after a stop", shown().await?, Some(address))
}

async fn a_volume_shows_what_was_asked_for(suite: &Suite<'_>) -> Checked {
    let mut spec = volume(suite, "data");
    spec.labels = BTreeMap::from([("contract".into(), "yes".into())]);
    spec.own_labels = BTreeMap::from([("dfab.map".into(), "contract".into())]);
    suite.backend.create_volume(&spec).await?;
    suite.backend.create_volume(&spec).await?;
    let found = suite.backend.list_volumes().await?.remove(&spec.name);
    let found = found.ok_or_else(|| Broken("the volume is not in the list".into()))?.spec;
    equal("driver", &found.driver, &spec.driver)?;
    let labels = spec.labels.into_iter().chain(spec.own_labels).collect::<BTreeMap<_, _>>();
    equal("labels", found.labels, labels)?;
    suite.backend.remove_volume(&spec.name).await?;
    not_found("removing it again", suite.backend.remove_volume(&spec.name).await)
}

async fn a_held_volume_is_a_conflict(suite: &Suite<'_>) -> Checked {
    let spec = volume(suite, "held");
    suite.backend.create_volume(&spec).await?;
    let mut container = suite.running("holder");
    let bind = json!([format!("{}:/data:ro", spec.name)]);
    container.properties.insert(Property::Binds, bind);
    suite.backend.create_container(&container).await?;
    conflict("removing it", suite.backend.remove_volume(&spec.name).await)?;
    let listed = suite.backend.list_containers().await?.remove(&container.name);
    expect("the list shows the holder", listed.is_some_and(|listed| listed.volumes.contains(&spec.name)))?;
    let detail = suite.backend.inspect_container(&container.name).await?.and_then(|found| found.detail);
    let mount = detail.and_then(|mut detail| detail.mounts.remove("/data"));
    let mount = mount.ok_or_else(|| Broken("the mount does not show".into()))?;
    equal("mount", (mount.source, mount.is_volume, mount.writable), (spec.name, true, false))
}

async fn an_image_that_cannot_be_pulled_is_an_error(suite: &Suite<'_>) -> Checked {
    match suite.backend.pull_image(&suite.fixture.absent_image, None, &|_| {}).await {
        Ok(()) => Err(Broken("pulling an image that does not exist succeeded".into())),
        Err(error) if error.is_unreachable() => Err(error.into()),
        Err(_) => Ok(()),
    }
}

async fn an_image_has_the_names_that_it_was_given(suite: &Suite<'_>) -> Checked {
    let (backend, image) = (suite.backend, &suite.fixture.image);
    let (repository, name) = suite.image("named");
    let id = backend.image_id(image).await?;
    for _ in 0..2 {
        backend.tag_image(&image.to_string(), &repository, "1").await?;
    }
    equal("ID by the new name", backend.image_id(&name).await?, id.clone())?;
    equal("ID in the list", backend.list_images().await?.remove(&image_key(&name.to_string())), id.clone())?;
    backend.remove_image(&name.to_string(), false).await?;
    equal("ID without the name", backend.image_id(&name).await?, None)?;
    equal("ID by the old name", backend.image_id(image).await?, id)?;
    not_found("removing it again", backend.remove_image(&name.to_string(), false).await)?;
    not_found("naming nothing", backend.tag_image(&name.to_string(), &repository, "2").await)
}

async fn a_container_becomes_an_image_with_one_layer_more(suite: &Suite<'_>) -> Checked {
    let (backend, container) = (suite.backend, suite.running("committed"));
    let (repository, name) = suite.image("committed");
    backend.create_container(&container).await?;
    let id = backend.commit_container(&container.name, &repository, "1").await?;
    equal("ID", backend.image_id(&name).await?, Some(id))?;
    let layers = async |image: &ImageName| {
        let history = backend.image_history(&image.to_string()).await?;
        history.as_array().map(Vec::len).ok_or_else(|| Broken(format!("a history is no list: {history}")))
    };
    equal("layers", layers(&name).await?, layers(&suite.fixture.image).await? + 1)?;
    let user = ContainerSpec { image: name.clone(), ..suite.running("of-it") };
    backend.create_container(&user).await?;
    conflict("removing it while it is used", backend.remove_image(&name.to_string(), false).await)?;
    backend.remove_container(&user.name, false, true).await?;
    backend.remove_image(&name.to_string(), false).await?;
    not_found("its history", backend.image_history(&name.to_string()).await)?;
    not_found("an image of nothing", backend.commit_container(&suite.name("none"), &repository, "1").await)
}

async fn every_ping_asks_the_engine(suite: &Suite<'_>) -> Checked {
    suite.backend.engine_info().await?;
    for _ in 0..2 {
        let before = suite.backend.requests();
        suite.backend.ping().await?;
        equal("requests of a ping", suite.backend.requests() - before, 1)?;
    }
    Ok(())
}

async fn observing_costs_one_request_for_each_wanted_container(suite: &Suite<'_>) -> Checked {
    let (first, second) = (suite.running("one"), suite.ending("two"));
    suite.create_and_start(&first).await?;
    suite.backend.create_container(&second).await?;
    let absent = suite.name("three");
    let wanted = Wanted {
        containers: BTreeSet::from([first.name.clone(), second.name.clone(), absent.clone()]),
        ..Wanted::default()
    };
    let before = suite.backend.requests();
    let observed = observe(suite.backend, &wanted).await?;
    let requests = suite.backend.requests() - before;
    expect("five requests and two inspections are enough", requests <= 5 + 2)?;
    expect("what is absent stays out", !observed.containers.contains_key(&absent))?;
    for name in [&first.name, &second.name] {
        let detail = observed.containers.get(name).and_then(|found| found.detail.as_ref());
        expect("wanted containers have their detail", detail.is_some())?;
        let members = observed.networks.get("bridge").map(|network| network.containers.contains(name));
        equal("member of `bridge`, running or not", members, Some(true))?;
    }
    let key = image_key(&suite.fixture.image.to_string());
    expect("the image is listed", observed.images.contains_key(&key))
}
