//! Where volumes come from and where they go: the tables of map-model §3.2 and §3.4.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use dfab_map::desired::{Object, Session, Settings, Target};
use dfab_map::extend::extended;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients};
use dfab_map::names::{ClientName, ConfigName, InstanceName};
use dfab_map::plan::{ActionKind, PlanOptions};
use dfab_map::property::Property;
use dfab_map::value::Tables;
use indexmap::IndexMap;

/// Returns an argument of creating `m.a` or `m.a.INSTANCE`, its elements separated by blanks; or what is wrong.
fn argument(map: &str, instance: &str, property: Property) -> String {
    let lookup = Tables::default();
    let options = LoadOptions { file: "m.yaml", name: Some("m"), lookup: &lookup };
    let map = extended(&load::map(map, &options).unwrap().value).unwrap();
    let instance = (!instance.is_empty()).then(|| InstanceName::new(instance).unwrap());
    let item = Item::Container { config: ConfigName::new("a").unwrap(), instance };
    let selected = [ItemId { map: map.name.clone(), item }];
    let maps = IndexMap::from([(map.name.clone(), map)]);
    let clients = Clients::new();
    let here =
        Target { name: ClientName::default_client(), config: ClientConfig::default(), is_default: true };
    let session = Session {
        maps: &maps,
        clients: &clients,
        defaults: vec![here],
        lookup: &lookup,
        settings: Settings::default(),
    };
    let desired = match session.desired(ActionKind::Create, &selected, &PlanOptions::default()) {
        Ok(desired) => desired,
        Err(findings) => return findings.to_string(),
    };
    let container = desired.entries.iter().find_map(|entry| match &entry.object {
        Object::Container(container) if entry.name.starts_with("m.a") => Some(container),
        _ => None,
    });
    let properties = &container.unwrap().spec.properties;
    let values = properties.get(&property).and_then(|value| value.as_array()).cloned().unwrap_or_default();
    values.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn host_paths() {
    // Row of the table, root, path, instance, result or the end of the message.
    for (row, root, path, instance, expected) in [
        ("§3.2 root `/r`, path `x`", "/r", "x", "", "/r/x:/c:rw"),
        ("§3.2 root `/r/`, path `x`", "/r/", "x", "one", "/r/x:/c:rw"),
        ("§3.2 root `/r`, path `/x`", "/r", "/x", "one", "/x:/c:rw"),
        ("§3.2 root `/r`, path `./x`", "/r", "./x", "", "/r/x:/c:rw"),
        ("§3.2 root unset, path `x`", "", "x", "", "host path `x` is relative"),
        ("§3.2 root `/r`, instance `one`", "/r", "{one: a, default: d}", "one", "/r/a:/c:rw"),
        ("§3.2 root `/r`, no instance", "/r", "{one: a, default: d}", "", "/r/d:/c:rw"),
        (
            "§3.2 root `/r`, instance `two` (K8)",
            "/r",
            "{one: a, default: d}",
            "two",
            "no host path for instance `two`",
        ),
    ] {
        let root = if root.is_empty() { String::new() } else { format!("host_root: {root}\n") };
        let instances = if instance.is_empty() { "[]".to_owned() } else { format!("[{instance}]") };
        let map = format!(
            "{root}a: {{image: i, binds: v, instances: {instances}}}\nvolumes: {{v: /c}}\nhost: {{v: {path}}}\n"
        );
        let found = argument(&map, instance, Property::Binds);
        assert!(found.ends_with(expected), "{row}: {found}");
    }
}

/// The fragment of map-model §3.4, with the images that it leaves out.
const FRAGMENT: &str = "\
host_root: /r
host: {c: hc}
volumes: {c: /c, w: /w, lg: /lg, sock: /sock}
a: {image: i, shares: /s, binds: [{c: ro}, [/d, e]], attaches: [{v: /v}, w], uses: [x.sock, [b, ro], lg]}
b: {image: i, attaches: lg}
x: {image: i, instances: sock, shares: /x}
";

#[test]
fn arguments_of_a_container_with_all_kinds_of_volumes() {
    // Row of the table for named volumes, argument, its elements. The engine takes them as sets.
    for (row, property, expected) in [
        ("§3.4 volumes", Property::Shares, "/s /c /d /v /w /lg"),
        ("§3.4 binds", Property::Binds, "/r/hc:/c:ro /r/e:/d:rw m.v:/v:rw m.w:/w:rw m.lg:/lg:rw"),
        ("§3.4 volumes-from", Property::VolumesFrom, "m.x.sock m.b:ro"),
    ] {
        let sorted = |text: &str| {
            let mut elements: Vec<String> = text.split(' ').map(str::to_owned).collect();
            elements.sort();
            elements
        };
        assert_eq!(sorted(&argument(FRAGMENT, "", property)), sorted(expected), "{row}");
    }
}
