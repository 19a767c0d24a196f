//! The worked examples of map-model §8, query by query.

use super::*;
use crate::diagnostic::FindingKind;
use crate::fixtures::{EXAMPLE, extended_map, shown};
use crate::model::Link;
use crate::names::NetworkName;
use crate::select::{Maps, Reference, select};
use crate::value::{Tables, Value};

/// What is asked of a map.
enum Query {
    Forward,
    Reverse,
    /// Direct edges of the first selected item.
    Edges,
}
use Query::{Edges, Forward, Reverse};

const NETWORKS: &str = "\
proxy: {links: ['api.a', [api.b, second]], networks: {front: {links: {auth: auth-svc}}, bridge: null}}
api: {instances: [a, b], uses: [cache, sock], networks: front}
cache: {shares: /data, attaches: sock, networks: back}
auth: {network_mode: cache}
volumes: {sock: /run/sock}
networks: {front: null, back: {driver: bridge, internal: true}}
";
const INHERITANCE: &str = "\
base: {abstract: true, uses: db_data, links: queue, image: app-base}
db: {attaches: {db_data: /var/lib/db}, image: 'postgres:9.6'}
queue: {image: redis}
worker: {extends: base, instances: [fast, slow]}
web: {extends: [base], links: {worker.fast: w}, image: '/web:2'}
groups: {app: [web, worker.slow], backend: [db, queue]}
";
const PARENT_NAMES: &str = "\
use_attached_parent_name: true
generic: {abstract: true, attaches: log, user: app}
app1: {extends: generic, attaches: sock}
app2: {extends: generic, uses: app1.sock}
viewer: {uses: [app1.log, [app2.log, ro]]}
app3: {instances: [x, y], attaches: sock, shares: /s}
multi: {uses: [app3.x, app3.sock]}
volumes: {log: /var/log/app, sock: /run/app}
";
const DEEP: &str = "\
a: {uses: [b, c]}
b: {uses: [dv, f], links: e.1}
c: {}
d: {uses: e, instances: ['1', '2'], attaches: dv}
e: {instances: ['1', '2']}
f: {}
l: {links: e.1}
x: {uses: [b, f]}
volumes: {dv: /dv}
";
const SEVERAL: &str = "a: {links: p}\nb: {links: [p, q]}\nc: {links: [a, p]}\np: {}\nq: {}\n";

fn items(graph: &Dependencies, map: &Map, query: &Query, words: &[&str]) -> String {
    let maps = Maps::from([(map.name.clone(), map.clone())]);
    let references: Vec<Reference> = words.iter().map(|word| Reference::parse(word)).collect();
    let selected: Vec<Item> =
        select(&maps, &references, None, &[]).unwrap().into_iter().map(|id| id.item).collect();
    let items = match query {
        Forward => graph.forward(&selected),
        Reverse => graph.reverse(&selected),
        Edges => graph.edges(&selected[0]).cloned().collect(),
    };
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn worked_examples() {
    // Section, map, query, selection, order. The selected items stand where §8.5 puts them.
    let a = "I e:latest, C e.1, C e.2, V d:dv, I d:latest, I f:latest, C d.1, C d.2, C f, I b:latest, \
             I c:latest, C b, C c, I a:latest, C a";
    let web = "V db:db_data, I postgres:9.6, I redis:latest, C db, C queue, I app-base:latest, \
               C worker.fast, I web:2, C web";
    for (section, map, query, words, expected) in [
        (
            "§8.7 example 1",
            EXAMPLE,
            Forward,
            "web_server",
            "V app_server:app_log, V app_server:app_server_socket, I registry.example.com/app:latest, \
             C app_server.instance1, C app_server.instance2, V web_server:web_log, \
             I registry.example.com/nginx:latest, C web_server",
        ),
        (
            "§8.7 example 1",
            EXAMPLE,
            Forward,
            "app_server",
            "V app_server:app_log, V app_server:app_server_socket, I registry.example.com/app:latest, \
             C app_server.instance1, C app_server.instance2",
        ),
        (
            "§8.7 example 1",
            EXAMPLE,
            Reverse,
            "app_server",
            "C web_server, C app_server.instance1, C app_server.instance2",
        ),
        ("§8.7 example 2", NETWORKS, Edges, "proxy", "N front, C auth, C api.a, C api.b, I proxy:latest"),
        ("§8.7 example 2", NETWORKS, Edges, "m.api.a", "N front, C cache, I api:latest"),
        ("§8.7 example 2", NETWORKS, Edges, "m.api.b", "N front, C cache, I api:latest"),
        ("§8.7 example 2", NETWORKS, Edges, "cache", "N back, V cache:sock, I cache:latest"),
        ("§8.7 example 2", NETWORKS, Edges, "auth", "C cache, I auth:latest"),
        (
            "§8.7 example 2",
            NETWORKS,
            Forward,
            "proxy",
            "N back, V cache:sock, I cache:latest, C cache, I auth:latest, N front, I api:latest, C auth, \
             C api.a, C api.b, I proxy:latest, C proxy",
        ),
        (
            "§8.7 example 2",
            NETWORKS,
            Forward,
            "m.api.b",
            "N back, V cache:sock, I cache:latest, N front, C cache, I api:latest, C api.b",
        ),
        ("§8.7 example 2", NETWORKS, Reverse, "cache", "C proxy, C api.a, C api.b, C auth, C cache"),
        ("§8.7 example 2", NETWORKS, Reverse, "auth", "C proxy, C auth"),
        ("§8.7 example 3", INHERITANCE, Forward, "web", web),
        ("§8.7 example 3", INHERITANCE, Forward, "app", &format!("{web}, C worker.slow")),
        (
            "§8.7 example 3 with §8.5",
            INHERITANCE,
            Forward,
            "__all__",
            "V db:db_data, I postgres:9.6, C db, I redis:latest, C queue, I app-base:latest, C worker.fast, \
             I web:2, C web, C worker.slow",
        ),
        (
            "§8.7 example 3",
            INHERITANCE,
            Forward,
            "backend",
            "V db:db_data, I postgres:9.6, C db, I redis:latest, C queue",
        ),
        ("§8.7 example 3", INHERITANCE, Reverse, "db", "C web, C worker.fast, C worker.slow, C db"),
        (
            "§8.7 example 3",
            INHERITANCE,
            Reverse,
            "backend",
            "C web, C worker.fast, C worker.slow, C db, C queue",
        ),
        (
            "§8.7 example 4",
            PARENT_NAMES,
            Forward,
            "viewer",
            "V app1:log, V app1:sock, I app1:latest, C app1, V app2:log, I app2:latest, C app2, \
             I viewer:latest, C viewer",
        ),
        (
            "§8.7 example 4",
            PARENT_NAMES,
            Forward,
            "multi",
            "V app3:sock, I app3:latest, C app3.x, C app3.y, I multi:latest, C multi",
        ),
        ("§8.7 example 4", PARENT_NAMES, Reverse, "app1", "C viewer, C app2, C app1"),
        ("§8.7 example 4", PARENT_NAMES, Reverse, "app3", "C multi, C app3.x, C app3.y"),
        ("§8.7 example 5", DEEP, Forward, "a", a),
        ("§8.7 example 5", DEEP, Forward, "l", "I e:latest, C e.1, I l:latest, C l"),
        ("§8.7 example 5", DEEP, Forward, "a x", &format!("{a}, I x:latest, C x")),
        (
            "§8.7 example 5",
            DEEP,
            Forward,
            "l x",
            "I e:latest, C e.1, I l:latest, C l, C e.2, V d:dv, I d:latest, I f:latest, C d.1, C d.2, C f, \
             I b:latest, C b, I x:latest, C x",
        ),
        ("§8.7 example 5", DEEP, Reverse, "m.e.1", "C a, C x, C b, C d.1, C d.2, C l, C e.1"),
        ("§8.7 example 5", DEEP, Reverse, "f", "C a, C x, C b, C f"),
        ("§8.7 example 5", DEEP, Reverse, "f e", "C a, C x, C b, C d.1, C d.2, C l, C e.1, C e.2, C f"),
        (
            "§8.5 (D36)",
            SEVERAL,
            Forward,
            "a b c",
            "I p:latest, C p, I a:latest, C a, I q:latest, C q, I b:latest, C b, I c:latest, C c",
        ),
        ("§8.5, reverse", SEVERAL, Reverse, "p q", "C c, C a, C b, C p, C q"),
    ] {
        let map = extended_map(map);
        let graph = Dependencies::new(&map, &Tables::default()).unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(items(&graph, &map, &query, &words), expected, "{section}: {words:?}");
    }
}

#[test]
fn direct_edges() {
    // Section, map, configuration, edges without the image.
    for (section, map, config, expected) in [
        ("§8.2 row 1: a declared instance", "a: {network_mode: b.i}\nb: {instances: [i, j]}", "a", "C b.i"),
        ("§8.2 row 1: none named", "a: {network_mode: b}\nb: {instances: [i, j]}", "a", "C b.i, C b.j"),
        ("§8.2 row 1: not declared", "a: {network_mode: b.x}\nb: {instances: [i, j]}", "a", "C b.i, C b.j"),
        ("§8.2 row 1: no such configuration", "a: {network_mode: b}", "a", ""),
        ("§8.2 row 1: unmanaged", "a: {network_mode: 'container:b'}\nb: {}", "a", ""),
        ("§8.2 row 2: presets", "a: {networks: [bridge, n]}\nnetworks: {n: }", "a", "N n"),
        (
            "§8.2 row 3: the owner, not the volume",
            "a: {uses: v}\nb: {attaches: {v: /v}, instances: [i, j]}",
            "a",
            "C b.i, C b.j",
        ),
        ("§8.2 row 3: an instance", "a: {uses: b.i}\nb: {shares: /s, instances: [i, j]}", "a", "C b.i"),
        ("§8.2 row 4: all instances", "a: {links: b}\nb: {instances: [i, j]}", "a", "C b.i, C b.j"),
        ("§8.2 duplicates", "a: {links: [b, c], uses: c}\nb: {}\nc: {shares: /s}", "a", "C c, C b"),
        (
            "§8.2 no edges",
            "a: {binds: {/x: y}, extends: b}\nb: {}\ngroups: {g: [a, b]}\nhost_root: /r",
            "a",
            "",
        ),
        ("§8.6 missing references", "a: {links: x, uses: [y, z.z], networks: {n: {links: q}}}", "a", "N n"),
        ("§8.6 self-use (D37)", "a: {attaches: {v: /v}, uses: v}", "a", "V a:v"),
        (
            "D24 path of the owner, parent names",
            "use_attached_parent_name: true\na: {attaches: {v: /v}}\nb: {uses: a.v}",
            "b",
            "C a",
        ),
        (
            "D44 parent names, no such configuration",
            "use_attached_parent_name: true\nb: {uses: a.v}",
            "b",
            "",
        ),
    ] {
        let map = extended_map(map);
        let graph = Dependencies::new(&map, &Tables::default()).unwrap();
        let edges = items(&graph, &map, &Edges, &[config]);
        let image = format!("I {config}:latest");
        let edges = edges.strip_suffix(&image).unwrap().trim_end_matches(", ");
        assert_eq!(edges, expected, "{section}");
    }
}

#[test]
fn circles_are_refused_with_their_path() {
    // Section, map, messages.
    for (section, map, expected) in [
        ("§8.6 direct", "a: {links: a}", "configuration `a` depends on itself (check 13)"),
        (
            "§8.6 one of its own instances",
            "a: {instances: [i, j], links: a.i}",
            "configuration `a` depends on itself (check 13)",
        ),
        (
            "§8.6 longer (D29)",
            "a: {links: b}\nb: {uses: c}\nc: {network_mode: a, shares: /s}",
            "circular dependency: a -> b -> c -> a (check 13)",
        ),
        (
            "§8.6 through instances",
            "a: {instances: [i, j], links: b.x}\nb: {instances: [x], links: a.j}",
            "circular dependency: a -> b -> a (check 13)",
        ),
        (
            "§8.6 through a volume",
            "a: {uses: v}\nb: {attaches: {v: /v}, links: a}",
            "circular dependency: a -> b -> a (check 13)",
        ),
        (
            "§8.6 through an endpoint",
            "a: {networks: {n: {links: b}}}\nb: {links: a}",
            "circular dependency: a -> b -> a (check 13)",
        ),
    ] {
        let findings = Dependencies::new(&extended_map(map), &Tables::default()).unwrap_err();
        let messages: Vec<&str> = findings.0.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, [expected], "{section}");
        assert_eq!(findings.0[0].kind, FindingKind::Cycle, "{section}");
    }
}

#[test]
fn a_circle_shows_each_of_its_lines() {
    let text = "name: m\na:\n  links: b\nb:\n  uses: c\nc:\n  shares: /s\n  network_mode: a\n";
    let findings = Dependencies::new(&extended_map(text), &Tables::default()).unwrap_err();
    insta::assert_snapshot!(shown(&findings.0, text), @r"
    error[cycle]: circular dependency: a -> b -> c -> a (check 13)
     --> m.yaml:3:10
      |
    3 |   links: b
      |          ^ `links` of configuration `a` in map `m`
      |
     ::: m.yaml:5:9
      |
    5 |   uses: c
      |         - `b` needs `c` through `uses`
      |
     ::: m.yaml:8:3
      |
    8 |   network_mode: a
      |   ------------ `c` needs `a` through `network_mode`
    ");
}

#[test]
fn only_repository_and_default_tag_are_looked_up() {
    // §11.1
    let text = "repository: !env_lazy prefix\ndefault_tag: !env_lazy tag\na: {user: !env_lazy nobody}\n";
    let map = extended_map(text);
    let mut tables = Tables::default();
    tables.variables.insert("prefix".to_owned(), Value::String("r.example.com".to_owned()));
    let findings = Dependencies::new(&map, &tables).unwrap_err();
    assert_eq!(findings.0.len(), 1, "{findings}");
    assert_eq!(findings.0[0].kind, FindingKind::Unresolved);
    assert!(findings.0[0].message.contains("`tag`"), "{findings}");
    tables.variables.insert("tag".to_owned(), Value::String("v2".to_owned()));
    let graph = Dependencies::new(&map, &tables).unwrap();
    assert_eq!(items(&graph, &map, &Edges, &["a"]), "I r.example.com/a:v2");
}

#[test]
fn items_that_the_map_does_not_have_are_handed_through() {
    let map = extended_map("a: {links: b}\nb: {}");
    let graph = Dependencies::new(&map, &Tables::default()).unwrap();
    let unknown = Item::Network(NetworkName::new("elsewhere").unwrap());
    assert_eq!(graph.forward(&[unknown.clone(), unknown.clone()]), std::slice::from_ref(&unknown));
    assert_eq!(graph.reverse(std::slice::from_ref(&unknown)), [unknown]);
}

#[test]
fn volumes_networks_and_images_can_be_asked_for_what_needs_them() {
    // §8.4, last sentence.
    let map = extended_map(NETWORKS);
    let graph = Dependencies::new(&map, &Tables::default()).unwrap();
    let order = |item| graph.reverse(&[item]).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    assert_eq!(
        order(Item::Network(NetworkName::new("back").unwrap())),
        "C proxy, C api.a, C api.b, C auth, C cache, N back"
    );
    let config = ConfigName::new("cache").unwrap();
    let alias = crate::names::VolumeAlias::new("sock").unwrap();
    assert_eq!(
        order(Item::Volume { config, alias }),
        "C proxy, C api.a, C api.b, C auth, C cache, V cache:sock"
    );
}

#[test]
fn a_chain_of_a_hundred_thousand_configurations_is_ordered() {
    const LENGTH: usize = 100_000;
    let mut map = Map::new(crate::names::MapName::new("m").unwrap());
    let name = |number: usize| ConfigName::new(format!("c{number}")).unwrap();
    for number in 0..LENGTH {
        let container = crate::model::Reference { config: name(number + 1), instance: None };
        let links = (number + 1 < LENGTH).then_some(Link { container, alias: None });
        let extends = (number + 1 < LENGTH).then(|| name(number + 1));
        let (links, extends) = (Vec::from_iter(links), Vec::from_iter(extends));
        map.add(&name(number), Container { links, extends, ..Container::default() }).unwrap();
    }
    // Every configuration would inherit the links of all its parents: the chains are tried apart.
    let graph = Dependencies::new(&map, &Tables::default()).unwrap();
    let first = Item::Container { config: name(0), instance: None };
    assert_eq!(graph.forward(std::slice::from_ref(&first)).len(), 2 * LENGTH);
    map.containers.values_mut().for_each(|container| container.links.clear());
    assert_eq!(crate::extend::extended(&map).unwrap().containers.len(), LENGTH);
}
