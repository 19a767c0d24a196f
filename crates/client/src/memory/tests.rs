//! What the engine in memory refuses, with the status that the Engine API documents for it.

use std::collections::BTreeMap;
use std::time::Duration;

use dfab_map::image::ImageName;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use serde_json::json;

use super::MemoryBackend;
use crate::backend::{Backend, Result};
use crate::error::Cause;

/// (what goes well before, what is tried then, the status; 0 is no refusal)
///
/// A word with `=` is an argument of the call before it; see [`call`].
const REFUSALS: &[(&str, &str, u16)] = &[
    // POST /containers/create: 400 bad parameter, 404 no such image, 409 conflict
    ("create a", "create a", 409),
    ("", "create a image=gone", 404),
    ("", "create a links=b:b", 404),
    ("", "create a from=b", 404),
    ("create b", "create a from=b links=b:b", 0),
    ("create b", "create a mode=container:b hostname=h", 400),
    ("create b", "create a mode=container:b port=80", 400),
    ("create b; create c", "create a mode=container:b links=c:c", 400),
    ("create b", "create a mode=container:b", 0),
    ("create b", "create a mode=host links=b:b", 400),
    ("", "create a bind=/only-one-part", 400),
    ("", "create a auto_remove=true policy=always", 400),
    ("", "create a auto_remove=true policy=no", 0),
    // POST /containers/{id}/start: 304 already started, 404 no such container, 409 and 500 as engines say
    ("", "start a", 404),
    ("create a; start a", "start a", 0),
    ("create a mode=container:b", "start a", 404),
    ("create b; create a mode=container:b", "start a", 409),
    ("create b; start b; create a mode=container:b", "start a", 0),
    ("network n; create a net=n; rmnetwork n", "start a", 404),
    ("create b; create a links=b:b", "start a", 500),
    ("create b port=80; start b; create a port=80", "start a", 500),
    ("create b port=80; start b; create a port=81", "start a", 0),
    ("create b port=80; create a port=80", "start a", 0),
    // POST /containers/{id}/stop and wait: 304 already stopped, 404
    ("", "stop a", 404),
    ("create a", "stop a", 0),
    ("create a; start a; stop a", "stop a", 0),
    ("", "wait a", 404),
    ("create a; start a; stop a", "wait a", 0),
    // POST /containers/{id}/kill: 404, 409 container is not running
    ("", "kill a", 404),
    ("create a", "kill a", 409),
    ("create a; start a; stop a", "kill a", 409),
    ("create a; start a", "kill a", 0),
    // DELETE /containers/{id}: 404, 409 it runs
    ("", "remove a", 404),
    ("create a; start a", "remove a", 409),
    ("create a; start a", "remove a force=true", 0),
    ("create a; start a; stop a", "remove a", 0),
    // POST /containers/{id}/rename: 404, 409 name in use
    ("", "rename a to=b", 404),
    ("create a; create b", "rename a to=b", 409),
    ("create a; rename a to=b", "start b", 0),
    ("create a; rename a to=b", "create a", 0),
    // POST /containers/{id}/update: 404, and what an engine cannot change
    ("", "update a cpu_shares=2", 404),
    ("create a", "update a cpu_shares=2", 0),
    ("create a", "update a tty=true", 400),
    ("create a auto_remove=true", "update a policy=always", 409),
    ("create a memory=100", "update a memory=300", 409),
    ("create a memory=100", "update a memory=300 swap=600", 0),
    // POST /containers/{id}/exec, GET /containers/{id}/top: 404, 409 container is not running
    ("", "exec a", 404),
    ("create a", "exec a", 409),
    ("create a; start a; stop a", "exec a", 409),
    ("create a; start a", "exec a", 0),
    ("create a; start a; stop a", "top a", 409),
    ("", "top a", 404),
    // POST /networks/create: 403 predefined network, 409 the name is taken
    ("network n", "network n", 409),
    ("", "network bridge", 403),
    // DELETE /networks/{id}: 403 predefined network, 404, 409 as backends tell active endpoints
    ("", "rmnetwork n", 404),
    ("", "rmnetwork host", 403),
    ("network n; create a net=n; start a", "rmnetwork n", 409),
    ("network n; create a net=n; start a; stop a", "rmnetwork n", 0),
    ("network n; create a net=n; start a; disconnect a net=n", "rmnetwork n", 0),
    // POST /networks/{id}/connect: 400, 403 connected already, 404
    ("network n", "connect a net=n", 404),
    ("create a", "connect a net=n", 404),
    ("network n; create a", "connect a net=n", 0),
    ("network n; create a net=n", "connect a net=n", 403),
    ("network n; create a mode=host", "connect a net=n", 400),
    ("network n; create a mode=none", "connect a net=n", 400),
    ("network n; create b; create a mode=container:b", "connect a net=n", 400),
    ("create a", "connect a net=none", 400),
    ("network n; create a net=n", "connect a net=bridge alias=x", 400),
    ("network n; create a", "connect a net=n ip=10.0.0.5", 400),
    ("network n subnet=10.0.0.0/24; create a", "connect a net=n ip=10.0.0.5", 0),
    // POST /networks/{id}/disconnect: 404 network, container or connection
    ("create a", "disconnect a net=n", 404),
    ("network n", "disconnect a net=n", 404),
    ("network n; create a", "disconnect a net=n", 404),
    // POST /volumes/create, DELETE /volumes/{name}: 404, 409 in use or of another driver
    ("volume v", "volume v", 0),
    ("volume v", "volume v driver=nfs", 409),
    ("", "rmvolume v", 404),
    ("volume v; create a bind=v:/v", "rmvolume v", 409),
    ("volume v; create b bind=v:/v; create a from=b; remove b", "rmvolume v", 409),
    ("volume v; create a bind=v:/v; remove a", "rmvolume v", 0),
    // POST /images/create, /images/{name}/tag, DELETE /images/{name}: 404, 409 in use
    ("", "pull gone", 404),
    ("", "pull new", 0),
    ("", "tag gone as=more", 404),
    ("", "rmimage gone", 404),
    ("", "rmimage app:latest", 0),
    ("create a", "rmimage app:latest", 409),
    ("create a", "rmimage app:latest force=true", 0),
    ("create a; start a", "rmimage app:latest force=true", 409),
    ("create a; start a; tag app:latest as=more", "rmimage app:latest", 0),
    ("create a; tag app:latest as=more; rmimage app:latest", "rmimage more:latest", 409),
];

fn image(name: &str) -> ImageName {
    ImageName::expand(name, None, None).unwrap()
}

/// Makes a call: `VERB NAME KEY=VALUE…`.
async fn call(engine: &MemoryBackend, text: &str) -> Result<()> {
    let mut words = text.split_whitespace();
    let (verb, name) = (words.next().unwrap(), words.next().unwrap());
    let given: BTreeMap<&str, &str> = words.map(|word| word.split_once('=').unwrap()).collect();
    let set = |key: &str| given.get(key).copied();
    let endpoint = || EndpointSpec {
        network: set("net").unwrap_or_default().to_owned(),
        aliases: set("alias").map(str::to_owned).into_iter().collect(),
        ipv4_address: set("ip").map(str::to_owned),
        ..EndpointSpec::default()
    };
    let properties = || -> Properties {
        let value = |key: &str, value: &str| {
            Some(match key {
                "mode" => (Property::NetworkMode, json!(value)),
                "hostname" => (Property::Hostname, json!(value)),
                "links" => (Property::Links, json!([value])),
                "from" => (Property::VolumesFrom, json!([value])),
                "bind" => (Property::Binds, json!([value])),
                "port" => (Property::PortBindings, json!({"80/tcp": [{"HostPort": value}]})),
                "policy" => (Property::RestartPolicy, json!({"Name": value})),
                "auto_remove" => (Property::AutoRemove, json!(value == "true")),
                "tty" => (Property::Tty, json!(value == "true")),
                "cpu_shares" => (Property::CpuShares, json!(value.parse::<i64>().unwrap())),
                "memory" => (Property::MemLimit, json!(value.parse::<i64>().unwrap())),
                "swap" => (Property::MemswapLimit, json!(value.parse::<i64>().unwrap())),
                _ => return None,
            })
        };
        given.iter().filter_map(|(key, text)| value(key, text)).collect()
    };
    match verb {
        "create" => {
            let spec = ContainerSpec {
                name: name.to_owned(),
                image: image(set("image").unwrap_or("app")),
                properties: properties(),
                first_endpoint: set("net").map(|_| endpoint()),
                own_labels: BTreeMap::new(),
            };
            engine.create_container(&spec).await.map(drop)
        }
        "start" => engine.start_container(name).await,
        "stop" => engine.stop_container(name, None).await,
        "wait" => engine.wait_container(name, Some(Duration::from_secs(5))).await.map(drop),
        "kill" => engine.kill_container(name, None).await,
        "remove" => engine.remove_container(name, false, set("force").is_some()).await,
        "rename" => engine.rename_container(name, set("to").unwrap()).await,
        "update" => engine.update_container(name, &properties()).await,
        "exec" => engine.exec(name, &["true".to_owned()], None).await,
        "top" => engine.container_processes(name).await.map(drop),
        "network" => {
            let ipam =
                set("subnet").map(|subnet| json!({"Config": [{"Subnet": subnet}]})).unwrap_or_default();
            let driver = "bridge".to_owned();
            engine
                .create_network(&NetworkSpec { name: name.to_owned(), driver, ipam, ..Default::default() })
                .await
        }
        "rmnetwork" => engine.remove_network(name).await,
        "connect" => engine.connect_network(name, &endpoint()).await,
        "disconnect" => engine.disconnect_network(name, set("net").unwrap()).await,
        "volume" => {
            let driver = set("driver").unwrap_or("local").to_owned();
            engine.create_volume(&VolumeSpec { name: name.to_owned(), driver, ..Default::default() }).await
        }
        "rmvolume" => engine.remove_volume(name).await,
        "pull" => engine.pull_image(&image(name), None, &|_| {}).await,
        "tag" => engine.tag_image(name, set("as").unwrap(), "latest").await,
        "rmimage" => Backend::remove_image(engine, name, set("force").is_some()).await,
        other => panic!("there is no call {other}"),
    }
}

#[tokio::test]
async fn it_refuses_what_docker_refuses_and_counts_every_request() {
    let mut wrong = Vec::new();
    for (before, tried, expected) in REFUSALS {
        let engine = MemoryBackend::new("a");
        engine.add_image("app:latest");
        engine.add_to_registry("new:latest");
        let mut made = 0;
        for text in before.split("; ").filter(|text| !text.is_empty()) {
            made += 1;
            if let Err(error) = call(&engine, text).await {
                wrong.push(format!("{before}: {text}: {}", error.cause));
            }
        }
        let changes = engine.changes().len();
        let status = match call(&engine, tried).await {
            Ok(()) => 0,
            Err(error) => match error.cause {
                Cause::Refused { status, .. } => status,
                other => panic!("{before} -> {tried}: {other}"),
            },
        };
        if status != *expected {
            wrong.push(format!("{before} -> {tried}: {status} instead of {expected}"));
        }
        if engine.requests() != made + 1 || engine.changes().len() > changes + 1 {
            wrong.push(format!("{before} -> {tried}: {} requests", engine.requests()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
