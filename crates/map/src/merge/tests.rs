//! Combining maps, row by row of map-model §5.5; what is expected is written as a map of its own.

use super::*;
use crate::fixtures::{EXAMPLE, extended_map, map};
use crate::load::{self, LoadOptions};
use crate::model::Clients;
use crate::names::ClientName;
use crate::value::{Late, Tables};

/// A map-shaped document as the argument of *update*.
fn update_by_document(map: &Map, text: &str) -> Map {
    let lookup = Tables::default();
    let options = LoadOptions { file: "update.yaml", name: Some("other"), lookup: &lookup };
    let loaded = load::map(text, &options).unwrap_or_else(|findings| panic!("{text}\n{findings}"));
    update(map, &Patch::written(loaded.value))
}

#[test]
fn each_part_follows_its_row() {
    let merge_all = |map: &Map, text: &str| merge(map, &self::map(text), Lists::AndScalars);
    let merge_lists = |map: &Map, text: &str| merge(map, &self::map(text), Lists::Only);
    let overwrite = |map: &Map, text: &str| update(map, &Patch::whole(self::map(text)));
    type Combine<'a> = &'a dyn Fn(&Map, &str) -> Map;
    let [update, merge, lists, whole]: [(&str, Combine<'_>); 4] = [
        ("update", &update_by_document),
        ("merge", &merge_all),
        ("merge of lists", &merge_lists),
        ("update by a map", &overwrite),
    ];
    // Row of §5.5, map, other, how, combined map.
    for (row, base, other, (how, combine), expected) in [
        (
            "scalars",
            "repository: a\ndefault_tag: x",
            "repository: b",
            update,
            "repository: b\ndefault_tag: x",
        ),
        ("scalars", "repository: a\ndefault_tag: x", "repository: b", merge, "repository: b\ndefault_tag: x"),
        ("scalars", "repository: a", "repository: b", lists, "repository: a"),
        ("scalars", "repository: a\ndefault_tag: x", "repository: b", whole, "repository: b"),
        ("scalars, null", "repository: a", "repository: ", update, ""),
        ("scalars, null", "repository: a", "repository: ", merge, "repository: a"),
        ("flags", "set_hostname: true", "set_hostname: false", merge, "set_hostname: false"),
        ("clients", "clients: [a, b]", "clients: [b, c]", update, "clients: [b, c]"),
        ("clients", "clients: [a, b]", "clients: [b, c]", merge, "clients: [a, b, c]"),
        ("clients", "clients: [a, b]", "clients: [b, c]", lists, "clients: [a, b, c]"),
        ("groups", "groups: {g: [a], h: [b]}", "groups: {g: [c]}", update, "groups: {g: [c]}"),
        ("groups", "groups: {g: [a], h: [b]}", "groups: {g: [c]}", merge, "groups: {g: [c], h: [b]}"),
        ("groups", "groups: {g: [a]}", "groups: {g: [c], i: [c]}", lists, "groups: {g: [a]}"),
        (
            "existing configuration",
            "a: {image: i, links: b}",
            "a: {links: c}",
            update,
            "a: {image: i, links: c}",
        ),
        (
            "existing configuration",
            "a: {image: i, links: b}",
            "a: {links: c, user: u}",
            merge,
            "a: {image: i, links: [b, c], user: u}",
        ),
        (
            "existing configuration",
            "a: {image: i, links: b, create_options: {x: 1}}",
            "a: {links: c, image: j, create_options: {x: 2}}",
            lists,
            "a: {image: i, links: [b, c], create_options: {x: 1}}",
        ),
        ("existing configuration", "a: {image: i, links: b}", "a: {links: c}", whole, "a: {links: c}"),
        ("update clears a list", "a: {uses: b}", "a: {uses: []}", update, "a: {}"),
        ("merge does not", "a: {uses: b}", "a: {uses: []}", merge, "a: {uses: b}"),
        (
            "abstract and extends",
            "a: {abstract: true, extends: b}",
            "a: {abstract: false, extends: c}",
            update,
            "a: {extends: c}",
        ),
        (
            "abstract and extends",
            "a: {abstract: true, extends: b}",
            "a: {abstract: false, extends: c}",
            merge,
            "a: {abstract: true, extends: b}",
        ),
        (
            "new configuration",
            "a: {}",
            "b: {image: i, extends: a}",
            update,
            "a: {}\nb: {image: i, extends: a}",
        ),
        (
            "new configuration",
            "a: {}",
            "b: {image: i, extends: a}",
            merge,
            "a: {}\nb: {image: i, extends: a}",
        ),
        (
            "new configuration",
            "a: {}",
            "b: {image: i, extends: a}",
            lists,
            "a: {}\nb: {image: i, extends: a}",
        ),
        (
            "volumes",
            "volumes: {v: {default_path: /a, driver: nfs}}",
            "volumes: {v: {default_path: /b}}",
            update,
            "volumes: {v: {default_path: /b, driver: nfs}}",
        ),
        (
            "volumes, a text resets (§3.1)",
            "volumes: {v: {default_path: /a, driver: nfs}}",
            "volumes: {v: /b}",
            update,
            "volumes: {v: /b}",
        ),
        (
            "volumes, a text is the path",
            "volumes: {v: {default_path: /a, driver: nfs}}",
            "volumes: {v: /b}",
            merge,
            "volumes: {v: {default_path: /b, driver: nfs}}",
        ),
        (
            "volumes",
            "volumes: {v: {driver_options: {a: 1, b: 2}}}",
            "volumes: {v: {driver_options: {b: 3}}}",
            merge,
            "volumes: {v: {driver_options: {a: 1, b: 3}}}",
        ),
        (
            "volumes, a text (D30)",
            "volumes: {v: /a}",
            "volumes: {v: /b, w: /w}",
            lists,
            "volumes: {v: /a, w: /w}",
        ),
        (
            "volumes, a given default (D31)",
            "volumes: {v: {driver: nfs}}",
            "volumes: {v: {driver: local}}",
            merge,
            "volumes: {v: {driver: local}}",
        ),
        (
            "networks",
            "networks: {n: {driver: overlay, internal: true}}",
            "networks: {n: {internal: false}}",
            update,
            "networks: {n: {driver: overlay, internal: false}}",
        ),
        (
            "networks, a given default (D31)",
            "networks: {n: {driver: overlay, internal: true}}",
            "networks: {n: {driver: bridge, internal: false}}",
            merge,
            "networks: {n: {driver: bridge, internal: false}}",
        ),
        (
            "networks",
            "networks: {n: {internal: true}}",
            "networks: {n: {internal: false}, o: }",
            lists,
            "networks: {n: {internal: true}, o: }",
        ),
        ("host paths", "host: {a: x, b: y}", "host: {b: z, c: w}", update, "host: {a: x, b: z, c: w}"),
        ("host paths", "host: {a: x, b: y}", "host: {b: z, c: w}", merge, "host: {a: x, b: z, c: w}"),
        ("host paths", "host: {a: x, b: y}", "host: {b: z, c: w}", lists, "host: {a: x, b: z, c: w}"),
        ("host paths", "host: {a: x, b: y}", "host: {b: z, c: w}", whole, "host: {a: x, b: z, c: w}"),
        ("host root", "host_root: /a", "host: {root: /b}", update, "host_root: /b"),
        ("host root", "host_root: /a", "host_root: /b", merge, "host_root: /b"),
        ("host root (D46)", "host_root: /a", "repository: r", merge, "host_root: /a\nrepository: r"),
        ("host root", "host_root: /a", "host_root: /b", lists, "host_root: /a"),
        ("host root", "host_root: /a", "repository: r", whole, "repository: r"),
    ] {
        let (base, before) = (map(&format!("name: m\n{base}")), map(&format!("name: m\n{base}")));
        // The other side has a name of its own, which never counts.
        let combined = combine(&base, &format!("name: other\n{other}"));
        assert_eq!(combined, map(&format!("name: m\n{expected}")), "§5.5 {row}, {how}");
        assert_eq!(base, before, "§5.6 {row}, {how}: inputs stay (D32)");
    }
}

#[test]
fn defaults_fill_what_the_map_leaves_open() {
    // §1.6 (D8): map, defaults, result.
    for (case, map, defaults, expected) in [
        (
            "scalars if unset",
            "repository: a",
            "repository: b\ndefault_tag: t",
            "repository: a\ndefault_tag: t",
        ),
        ("a set flag stays", "set_hostname: true", "set_hostname: false", "set_hostname: true"),
        (
            "lists if empty",
            "clients: [a]",
            "clients: [b]\ngroups: {g: [x]}",
            "clients: [a]\ngroups: {g: [x]}",
        ),
        ("groups if empty", "groups: {h: [y]}", "groups: {g: [x]}", "groups: {h: [y]}"),
        ("host root", "host: {a: x}", "host: {root: /r, a: z, b: y}", "host: {a: x, b: y}\nhost_root: /r"),
        (
            "the map's volumes win",
            "volumes: {v: {default_path: /a}}",
            "volumes: {w: /w, v: {default_path: /b, driver: nfs}}",
            "volumes: {v: {default_path: /a, driver: nfs}, w: /w}",
        ),
        (
            "the map's order stays",
            "b: {image: i}",
            "a: {image: x}\nb: {user: u, image: j}",
            "b: {image: i, user: u}\na: {image: x}",
        ),
        ("abstract defaults are none", "b: {}", "a: {abstract: true}", "b: {}"),
    ] {
        let (map, defaults) =
            (self::map(&format!("name: m\n{map}")), self::map(&format!("name: d\n{defaults}")));
        let result = with_defaults(&map, &defaults);
        let expected = self::map(&format!("name: m\n{expected}"));
        assert_eq!(result, expected, "§1.6 {case}");
        assert!(result.containers.keys().eq(expected.containers.keys()), "§1.6 {case}");
    }
}

#[test]
fn the_multi_host_variant_changes_what_it_names() {
    // §14, end
    let variant = "\
web_server:
  clients: web1
  uses: []
app_server:
  clients: [apps1, apps2]
  attaches: app_log
  exposes: [[8443, 8443, private]]
";
    let map = update_by_document(&map(EXAMPLE), variant);
    let extended = crate::extend::extended(&map).unwrap();
    let web_server = &extended.containers["web_server"];
    assert!(web_server.uses.is_empty());
    assert_eq!(web_server.image, extended_map(EXAMPLE).containers["web_server"].image);
    let clients =
        |name: &str| extended.containers[name].clients.iter().map(ClientName::as_str).collect::<Vec<_>>();
    assert_eq!(clients("web_server"), ["web1"]);
    assert_eq!(clients("app_server"), ["apps1", "apps2"]);
    let app_server = &extended.containers["app_server"];
    assert_eq!(app_server.attaches.len(), 1);
    let published = app_server.exposes[0].published.as_ref().unwrap();
    assert_eq!(published.interface, Some(Late::from("private")));
    // "The two have no edge between them."
    let graph = crate::deps::Dependencies::new(&extended, &Tables::default()).unwrap();
    let names: Vec<String> =
        graph.items().flat_map(|item| graph.edges(item)).map(ToString::to_string).collect();
    assert!(!names.iter().any(|name| name.starts_with("C ")), "{names:?}");
    // The clients must exist.
    let messages = |clients: &Clients| crate::check::clients(&extended, clients).len();
    assert_eq!(messages(&Clients::new()), 3);
    let known = ["web1", "apps1", "apps2"].map(|name| (ClientName::new(name).unwrap(), Default::default()));
    assert_eq!(messages(&Clients::from(known)), 0);
}

#[test]
fn positions_follow_the_values() {
    let base = map("name: m\na:\n  image: i\n  links: [b]\n");
    let update = update_by_document(&base, "\n\n\n\na:\n  links: [c]\n");
    let merged = merge(&base, &map("name: m\n\n\n\n\n\na:\n  links: [c]\n  user: u\n"), Lists::AndScalars);
    let line = |map: &Map, path: &str| {
        map.containers["a"].origins.get(path).map(|at| (at.file.to_string(), at.line))
    };
    assert_eq!(line(&update, "image"), Some(("m.yaml".to_owned(), 3)));
    assert_eq!(line(&update, "links.c"), Some(("update.yaml".to_owned(), 6)));
    assert_eq!(line(&merged, "links.b"), Some(("m.yaml".to_owned(), 4)));
    assert_eq!(line(&merged, "links.c"), Some(("m.yaml".to_owned(), 8)));
    assert_eq!(line(&merged, "user"), Some(("m.yaml".to_owned(), 9)));
}
