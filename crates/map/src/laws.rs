//! Properties that hold for every map, tried on random ones.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::check::{self, Options};
use crate::deps::Dependencies;
use crate::diagnostic::{FindingKind, Severity};
use crate::extend::extended;
use crate::graph;
use crate::item::Item;
use crate::merge::{Lists, merge, with_defaults};
use crate::model::{
    Attach, Bind, Clients, CommandLine, Container, Endpoint, ExecCommand, ExecPolicy, HostPath, Link, Map,
    Network, Port, PortProtocol, PublishedPort, Reference, Setting, Use, User, Volume,
};
use crate::names::{ClientName, ConfigName, InstanceName, MapName, NetworkName, VolumeAlias};
use crate::picture::Diagram;
use crate::value::{Late, Number, Tables, Value};

/// Few names, so that they meet often.
const CONFIGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const INSTANCES: [&str; 3] = ["i", "j", "k"];
const ALIASES: [&str; 3] = ["u", "v", "w"];

fn text(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(from).prop_map(str::to_owned)
}

fn late() -> impl Strategy<Value = Late<String>> {
    let at = crate::value::At::default;
    prop_oneof![
        text(&["/x", "/y"]).prop_map(Late::Known),
        text(&["p", "q"]).prop_map(move |name| Late::Lazy(Box::new(crate::value::Lazy::Env(name, at())))),
    ]
}

fn setting<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Setting<T>> {
    option::of(option::of(value)).prop_map(|value| match value {
        None => Setting::Unset,
        Some(None) => Setting::Null,
        Some(Some(value)) => Setting::Value(value),
    })
}

fn config() -> impl Strategy<Value = ConfigName> {
    select(&CONFIGS[..]).prop_map(|name| ConfigName::new(name).unwrap())
}

fn alias() -> impl Strategy<Value = VolumeAlias> {
    select(&ALIASES[..]).prop_map(|name| VolumeAlias::new(name).unwrap())
}

fn network() -> impl Strategy<Value = NetworkName> {
    select(&["n", "o", "bridge"][..]).prop_map(|name| NetworkName::new(name).unwrap())
}

fn reference() -> impl Strategy<Value = Reference> {
    let instance = option::of(select(&INSTANCES[..]).prop_map(|name| InstanceName::new(name).unwrap()));
    (config(), instance).prop_map(|(config, instance)| Reference { config, instance })
}

fn link() -> impl Strategy<Value = Link> {
    (reference(), option::of(text(&["x", "y"]))).prop_map(|(container, alias)| Link { container, alias })
}

fn port() -> impl Strategy<Value = Port> {
    (select(&[80u16, 443][..]), option::of(8080u16..8083)).prop_map(|(exposed_port, host)| Port {
        exposed_port,
        protocol: PortProtocol::Tcp,
        published: host.map(|port| PublishedPort {
            host_port: Late::Known(port),
            interface: None,
            ipv6: Late::Known(false),
        }),
    })
}

fn options() -> impl Strategy<Value = crate::model::Options> {
    let layer = vec((text(&["x", "y", "z"]), 0i64..3), 0..3).prop_map(|entries| {
        let value = |(key, number): (String, i64)| (key, Value::Number(Number::from(number)));
        Late::Known(entries.into_iter().map(value).collect::<IndexMap<_, _>>())
    });
    let lazy = Late::Lazy(Box::new(crate::value::Lazy::Env("o".to_owned(), crate::value::At::default())));
    let layers = prop_oneof![4 => layer.prop_map(|layer| vec![layer]), 1 => Just(vec![lazy])];
    option::of(layers).prop_map(|layers| {
        let mut options = crate::model::Options::default();
        layers.unwrap_or_default().into_iter().for_each(|layer| options.push(layer));
        options
    })
}

fn container() -> impl Strategy<Value = Container> {
    let binds = vec(
        prop_oneof![
            (alias(), any::<bool>()).prop_map(|(name, readonly)| Bind::Alias { name, readonly }),
            (late(), late(), any::<bool>()).prop_map(|(path, host, readonly)| Bind::Path {
                path,
                host_path: HostPath::Path(host),
                readonly
            }),
        ],
        0..3,
    );
    let attaches = vec((alias(), option::of(late())).prop_map(|(name, path)| Attach { name, path }), 0..3);
    let used = prop_oneof![
        alias().prop_map(|name| name.to_string()),
        reference().prop_map(|reference| reference.to_string()),
        (config(), alias()).prop_map(|(config, alias)| format!("{config}.{alias}")),
    ];
    let uses =
        vec((used, any::<bool>()).prop_map(|(name, readonly)| Use { name, path: None, readonly }), 0..3);
    let endpoint =
        (network(), vec(late(), 0..2), vec(link(), 0..2)).prop_map(|(network_name, aliases, links)| {
            Endpoint {
                network_name,
                aliases,
                links,
                ipv4_address: None,
                ipv6_address: None,
                link_local_ips: Vec::new(),
            }
        });
    let exec = (late(), any::<bool>()).prop_map(|(command, initial)| ExecCommand {
        cmd: CommandLine::Text(command),
        user: None,
        policy: if initial { ExecPolicy::Initial } else { ExecPolicy::Restart },
    });
    let instances = subsequence(&INSTANCES[..], 0..=2)
        .prop_map(|names| names.into_iter().map(|name| InstanceName::new(name).unwrap()).collect::<Vec<_>>());
    let clients = subsequence(&["c1", "c2"][..], 0..=2)
        .prop_map(|names| names.into_iter().map(|name| ClientName::new(name).unwrap()).collect::<Vec<_>>());
    let user = text(&["root", "app"]).prop_map(|user| Late::Known(User { user, group: None }));
    let lists = (instances, clients, vec(late(), 0..2), binds, attaches, uses);
    let more = (vec(link(), 0..3), vec(port(), 0..4), vec(endpoint, 0..2), vec(exec, 0..2));
    let single = (setting(text(&["x:1", "y"])), setting(user), setting(any::<bool>()), setting(0u32..3));
    (lists, more, single, options(), any::<bool>()).prop_map(
        |(lists, more, single, create_options, is_abstract)| {
            let (instances, clients, shares, binds, attaches, uses) = lists;
            let (links, exposes, networks, exec_commands) = more;
            let (image, user, persistent, stop_timeout) = single;
            Container {
                is_abstract,
                instances,
                clients,
                shares,
                binds,
                attaches,
                uses,
                links,
                exposes,
                networks,
                exec_commands,
                image,
                user,
                persistent,
                stop_timeout,
                create_options,
                ..Container::default()
            }
        },
    )
}

/// A map in which nothing needs to fit together.
fn any_map() -> impl Strategy<Value = Map> {
    let containers = vec((config(), container(), vec(config(), 0..2)), 0..5);
    let volume = (option::of(late()), option::of(text(&["local", "nfs"])))
        .prop_map(|(default_path, driver)| Volume { default_path, driver, ..Volume::default() });
    let volumes = vec((alias(), volume), 0..3);
    let networks = vec((network(), option::of(any::<bool>())), 0..2);
    let host = vec((alias(), late()), 0..2);
    let groups = vec((config(), vec(reference(), 0..3)), 0..2);
    let scalars = (option::of(late()), option::of(any::<bool>()), option::of(any::<bool>()));
    (containers, volumes, networks, host, groups, scalars).prop_map(
        |(containers, volumes, networks, host, groups, (repository, set_hostname, parent_names))| {
            let mut map = Map::new(MapName::new("m").unwrap());
            for (name, container, extends) in containers {
                map.containers.insert(name, Box::new(Container { extends, ..container }));
            }
            map.volumes.extend(volumes);
            map.networks.extend(
                networks
                    .into_iter()
                    .map(|(name, internal)| (name, Network { internal, ..Network::default() })),
            );
            map.host.extend(host.into_iter().map(|(name, path)| (name, HostPath::Path(path))));
            map.groups.extend(groups);
            map.repository = repository;
            map.set_hostname = set_hostname;
            map.use_attached_parent_name = parent_names;
            map
        },
    )
}

/// The same map, with everything in it that would close a circle taken out.
fn acyclic(mut map: Map) -> Map {
    loop {
        let Err(findings) = Dependencies::new(&map, &lookup()) else { return map };
        let finding = findings.0.into_iter().next().expect("a refusal has its reasons");
        let (_, name) = finding.subject.object.expect("a circle starts at a configuration");
        let container = map.containers.get_mut(name.as_str()).expect("it is of this map");
        container.uses.clear();
        container.links.clear();
        container.networks.iter_mut().for_each(|endpoint| endpoint.links.clear());
    }
}

fn lookup() -> Tables {
    let mut tables = Tables::default();
    for name in ["p", "q"] {
        tables.variables.insert(name.to_owned(), Value::String("registry".to_owned()));
    }
    tables
}

/// Compares order too, which maps and their mappings do not.
fn same(a: &Map, b: &Map) -> Result<(), TestCaseError> {
    prop_assert_eq!(a, b);
    prop_assert!(a.containers.keys().eq(b.containers.keys()));
    prop_assert!(a.volumes.keys().eq(b.volumes.keys()) && a.networks.keys().eq(b.networks.keys()));
    prop_assert!(a.host.keys().eq(b.host.keys()) && a.groups.keys().eq(b.groups.keys()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// §8.3, §8.4, §8.5: what is needed stands before what needs it, nothing is missing, nothing twice.
    #[test]
    fn every_order_is_topological(map in any_map(), picks in vec(any::<prop::sample::Index>(), 0..5)) {
        let mut map = map;
        map.containers.values_mut().for_each(|container| container.extends.clear());
        let map = acyclic(extended(&map).unwrap());
        let graph = Dependencies::new(&map, &lookup()).unwrap();
        let items: Vec<Item> = graph.items().cloned().collect();
        prop_assume!(!items.is_empty());
        let selected: Vec<Item> = picks.iter().map(|pick| pick.get(&items).clone()).collect();
        for forward in [true, false] {
            let order = if forward { graph.forward(&selected) } else { graph.reverse(&selected) };
            let place: HashMap<&Item, usize> = order.iter().enumerate().map(|(at, item)| (item, at)).collect();
            prop_assert_eq!(place.len(), order.len(), "nothing comes twice");
            prop_assert!(selected.iter().all(|item| place.contains_key(item)));
            for item in &order {
                let before: Vec<&Item> =
                    if forward { graph.edges(item).collect() } else { graph.dependents(item).collect() };
                for needed in before {
                    prop_assert!(place.get(needed).is_some_and(|at| *at < place[item]), "{} {}", needed, item);
                }
            }
            let asked: HashSet<&Item> = selected.iter().collect();
            for item in order.iter().filter(|item| !asked.contains(item)) {
                let wanted_by: Vec<&Item> =
                    if forward { graph.dependents(item).collect() } else { graph.edges(item).collect() };
                prop_assert!(wanted_by.iter().any(|other| place.contains_key(other)), "nobody asked for {}", item);
            }
        }
    }

    /// §5.5
    #[test]
    fn merging_is_associative(a in any_map(), b in any_map(), c in any_map()) {
        for lists in [Lists::AndScalars, Lists::Only] {
            let left = merge(&merge(&a, &b, lists), &c, lists);
            let right = merge(&a, &merge(&b, &c, lists), lists);
            same(&left, &right)?;
        }
    }

    #[test]
    fn merging_with_nothing_changes_nothing(a in any_map()) {
        let nothing = Map::new(a.name.clone());
        for lists in [Lists::AndScalars, Lists::Only] {
            same(&merge(&a, &nothing, lists), &a)?;
            same(&merge(&nothing, &a, Lists::AndScalars), &a)?;
        }
    }

    /// §1.6
    #[test]
    fn defaults_never_override(a in any_map(), b in any_map()) {
        let filled = with_defaults(&a, &b);
        prop_assert_eq!(&filled.repository, a.repository.as_ref().map_or(&b.repository, |_| &a.repository));
        prop_assert!(a.host.iter().all(|(alias, path)| filled.host.get(alias) == Some(path)));
        prop_assert!(a.containers.keys().eq(filled.containers.keys().take(a.containers.len())));
    }

    /// §5.1, §5.6
    #[test]
    fn extending_twice_is_extending_once(map in any_map()) {
        let before = map.clone();
        let result = extended(&map);
        prop_assert_eq!(&map, &before);
        match result {
            Ok(once) => {
                prop_assert!(once.containers.values().all(|container| !container.is_abstract && container.extends.is_empty()));
                same(&extended(&once).unwrap(), &once)?;
            }
            Err(findings) => prop_assert!(!findings.0.is_empty()),
        }
    }

    /// §9: a map without errors can be ordered and drawn; no map makes a check panic.
    #[test]
    fn a_map_that_passes_the_checks_can_be_ordered(map in any_map()) {
        let findings = check::check_written(&map, Options::default());
        let Ok(extended) = extended(&map) else {
            prop_assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
            return Ok(());
        };
        let diagram = Diagram::new(&extended, &Clients::new());
        prop_assert!(diagram.svg().ends_with("</svg>\n") && !diagram.dot().is_empty() && !diagram.mermaid().is_empty());
        let circle = findings.iter().any(|finding| finding.kind == FindingKind::Cycle);
        prop_assert_eq!(Dependencies::new(&extended, &lookup()).is_err(), circle);
    }

    /// A found circle is one, and there is an order exactly when there is none.
    #[test]
    fn circles_are_real(edges in vec(vec(0usize..12, 0..3), 12)) {
        let mut graph = graph::Graph::default();
        edges.iter().for_each(|needs| graph.push(needs.iter().copied()));
        let cycles = graph.cycles();
        let mut members = HashSet::new();
        for cycle in &cycles {
            prop_assert!(cycle.0.len() > 1 && cycle.0.first() == cycle.0.last());
            prop_assert!(cycle.0.windows(2).all(|pair| edges[pair[0]].contains(&pair[1])), "{:?}", cycle);
            prop_assert!(cycle.0[1..].iter().all(|node| members.insert(*node)), "knots have no node in common");
        }
        match graph.forward(&(0..12).collect::<Vec<_>>()) {
            Ok(order) => prop_assert!(cycles.is_empty() && order.len() == 12),
            Err(cycle) => {
                prop_assert!(!cycles.is_empty());
                prop_assert!(cycle.0.windows(2).all(|pair| edges[pair[0]].contains(&pair[1])), "{:?}", cycle);
            }
        }
    }
}
