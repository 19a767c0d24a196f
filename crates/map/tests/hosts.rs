//! One map for several hosts: what each of them gets (map-model §14, the multi-host variant).

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use std::fmt::Write;

use dfab_map::desired::{Object, Session, Settings};
use dfab_map::extend::extended;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::merge::{Patch, update};
use dfab_map::model::Map;
use dfab_map::plan::{ActionKind, PlanOptions};
use dfab_map::property::Property;
use dfab_map::value::Tables;
use indexmap::IndexMap;

const EXAMPLE: &str = include_str!("../../../examples/example_map/example_map.yaml");
const HOSTS: &str = include_str!("../../../examples/example_map/example_hosts.yaml");
const CLIENTS: &str = include_str!("../../../examples/example_map/example_clients.yaml");

/// The documentation's update of its example.
const VARIANT: &str = "\
web_server:
  clients: web1
  uses: []
app_server:
  clients: [apps1, apps2]
  attaches: app_log
  exposes: [[8443, 8443, private]]
";

/// The variables that the example's project file sets.
fn variables() -> Tables {
    let mut tables = Tables::default();
    for (name, value) in [
        ("registry_prefix", "registry.example.com"),
        ("nginx_config_path", "config/nginx"),
        ("app1_config_path", "config/app1"),
        ("app2_config_path", "config/app2"),
        ("app1_data_path", "data/app1"),
        ("app2_data_path", "data/app2"),
        ("app1_private_address", "10.0.0.21"),
        ("app2_private_address", "10.0.0.22"),
        ("app3_private_address", "10.0.0.23"),
    ] {
        tables.variables.insert(name.to_owned(), value.into());
    }
    tables
}

fn options<'a>(file: &'a str, lookup: &'a Tables) -> LoadOptions<'a> {
    LoadOptions { file, name: None, lookup }
}

fn map(text: &str) -> Map {
    load::map(text, &options("m.yaml", &variables())).unwrap_or_else(|findings| panic!("{findings}")).value
}

/// Returns, for each container on each host: the SSH host and client, the container, its host name,
/// and what it publishes where (no address stands for all of them); or what is wrong.
fn resolved(map: &Map, clients: &str) -> String {
    let lookup = variables();
    let map = extended(map).unwrap_or_else(|findings| panic!("{findings}"));
    let clients = load::clients(clients, &options("clients.yaml", &lookup)).unwrap().value;
    let item = |config: &_, instance| ItemId {
        map: map.name.clone(),
        item: Item::Container { config: Clone::clone(config), instance },
    };
    let mut selected = Vec::new();
    for (config, container) in &map.containers {
        match container.instances.is_empty() {
            true => selected.push(item(config, None)),
            false => selected.extend(container.instances.iter().map(|name| item(config, Some(name.clone())))),
        }
    }
    let maps = IndexMap::from([(map.name.clone(), map)]);
    let session = Session {
        maps: &maps,
        clients: &clients,
        defaults: Vec::new(),
        lookup: &lookup,
        settings: Settings::default(),
    };
    let desired = match session.desired(ActionKind::Create, &selected, &PlanOptions::default()) {
        Ok(desired) => desired,
        Err(findings) => return findings.to_string(),
    };
    let mut text = String::new();
    for entry in &desired.entries {
        let Object::Container(container) = &entry.object else { continue };
        let config = &clients[&entry.client];
        let ssh_host = config.fabric_host.as_ref().unwrap();
        let properties = &container.spec.properties;
        let hostname = properties[&Property::Hostname].as_str().unwrap();
        write!(text, "{ssh_host} ({}): {}, host name {hostname}", entry.client, entry.name).unwrap();
        for (port, bindings) in properties[&Property::PortBindings].as_object().unwrap() {
            for binding in bindings.as_array().unwrap() {
                let part = |key: &str| binding[key].as_str().unwrap_or_default();
                write!(text, ", {}:{} -> {port}", part("HostIp"), part("HostPort")).unwrap();
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn each_host_of_the_example_gets_its_containers_on_its_own_address() {
    assert_eq!(
        resolved(&map(HOSTS), CLIENTS),
        "\
web_host (web): example_hosts.web_server, host name example-hosts-web-server-web, :443 -> 443/tcp, :80 -> 80/tcp
app_host1 (apps1): example_hosts.app_server, host name example-hosts-app-server-apps1, 10.0.0.21:8443 -> 8443/tcp
app_host2 (apps2): example_hosts.app_server, host name example-hosts-app-server-apps2, 10.0.0.22:8443 -> 8443/tcp
app_host3 (apps3): example_hosts.app_server, host name example-hosts-app-server-apps3, 10.0.0.23:8443 -> 8443/tcp
"
    );
}

#[test]
fn the_documentations_update_of_its_example_moves_it_to_several_hosts() {
    let lookup = variables();
    let load = LoadOptions { name: Some("update"), ..options("update.yaml", &lookup) };
    let patch = Patch::written(load::map(VARIANT, &load).unwrap().value);
    let clients = "\
web1: {fabric_host: web_host}
apps1: {fabric_host: app_host1, interfaces: {private: 10.0.0.21}}
apps2: {fabric_host: app_host2, interfaces: {private: 10.0.0.22}}
";
    // The instances stay: the documentation leaves it to the reader that two of them cannot publish
    // the same port of one host.
    assert_eq!(
        resolved(&update(&map(EXAMPLE), &patch), clients),
        "\
web_host (web1): example_map.web_server, host name example-map-web-server-web1, :443 -> 443/tcp, :80 -> 80/tcp
app_host1 (apps1): example_map.app_server.instance1, host name example-map-app-server-instance1-apps1, 10.0.0.21:8443 -> 8443/tcp
app_host2 (apps2): example_map.app_server.instance1, host name example-map-app-server-instance1-apps2, 10.0.0.22:8443 -> 8443/tcp
app_host1 (apps1): example_map.app_server.instance2, host name example-map-app-server-instance2-apps1, 10.0.0.21:8443 -> 8443/tcp
app_host2 (apps2): example_map.app_server.instance2, host name example-map-app-server-instance2-apps2, 10.0.0.22:8443 -> 8443/tcp
"
    );
}

#[test]
fn a_host_without_the_interface_is_named() {
    let clients = CLIENTS.replace("    private: !env app2_private_address\n", "    public: 192.0.2.22\n");
    assert_ne!(clients, CLIENTS);
    assert_eq!(
        resolved(&map(HOSTS), &clients),
        "m.yaml:32:7: `exposes.8443/tcp` of configuration `app_server` in map `example_hosts`: \
         client `apps2` has no address for the interface `private`"
    );
}
