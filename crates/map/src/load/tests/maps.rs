//! Whole maps and client files.

use super::*;
use crate::names::ConfigName;

/// The documentation's example in YAML (map-model §14).
pub(super) use crate::fixtures::EXAMPLE as YAML;

/// The same in the spelling of the documentation's Python dictionary, tuples written as lists.
const DICTIONARY: &str = "\
{
    'repository': 'registry.example.com',
    'host_root': '/var/lib/site',
    'web_server': { # Configure container creation and startup
        'image': 'nginx',
        'binds': {'/etc/nginx': ['config/nginx', 'ro']},
        'uses': 'app_server_socket',
        'attaches': 'web_log',
        'exposes': {
            80: 80,
            443: 443,
        },
    },
    'app_server': {
        'image': 'app',
        'instances': ['instance1', 'instance2'],
        'binds': [
            {'app_config': 'ro'},
            'app_data',
        ],
        'attaches': ['app_log', 'app_server_socket'],
        'user': 2000,
        'permissions': 'u=rwX,g=rX,o=',
    },
    'volumes': { # Configure volume paths inside containers
        'web_log': '/var/log/nginx',
        'app_server_socket': '/var/lib/app/socket',
        'app_config': '/var/lib/app/config',
        'app_log': '/var/lib/app/log',
        'app_data': '/var/lib/app/data',
    },
    'host': { # Configure volume paths on the Docker host
        'app_config': {
            'instance1': 'config/app1',
            'instance2': 'config/app2',
        },
        'app_data': {
            'instance1': 'data/app1',
            'instance2': 'data/app2',
        },
    },
}
";

fn named(text: &str, name: &str, file: &str) -> Result<Loaded<Map>, Findings> {
    map(text, &LoadOptions { file, name: Some(name), lookup: &tables() })
}

#[test]
fn the_documentations_map_is_equal_in_both_spellings() {
    let yaml = load(YAML).unwrap();
    let dictionary = named(DICTIONARY, "example_map", "map.yaml").unwrap();
    assert_eq!(yaml.value, dictionary.value);
    assert!(yaml.warnings.is_empty());
    let web = &yaml.value.containers["web_server"];
    assert_eq!(notation::property(web, "binds"), "H(/etc/nginx, config/nginx, ro)");
    assert_eq!(notation::property(web, "exposes"), "P(80, 80, -, v4), P(443, 443, -, v4)");
    let app = &yaml.value.containers["app_server"];
    assert_eq!(notation::property(app, "binds"), "S(app_config, ro), S(app_data, rw)");
    assert_eq!(notation::property(app, "user"), "2000 owner 2000:2000");
    assert_eq!(
        notation::host_path(&yaml.value.host["app_data"]),
        "{instance1: data/app1, instance2: data/app2}"
    );
}

#[test]
fn map_model_10_1_the_name_has_three_sources() {
    let name = |text: &str, name: Option<&str>, file: &str| {
        map(text, &LoadOptions { file, name, lookup: &tables() }).map(|loaded| loaded.value.name.to_string())
    };
    assert_eq!(name("name: root", None, "f.yaml").as_deref(), Ok("root"));
    assert_eq!(
        name("name: root", Some("given"), "f.yaml").as_deref(),
        Ok("given"),
        "D1: no configuration `name`"
    );
    assert_eq!(name("name: root", Some(""), "dir/foo.yaml").as_deref(), Ok("foo"));
    assert_eq!(name("a: {}", Some(""), "dir/plain").as_deref(), Ok("plain"));
    assert!(
        name("a: {}", Some(""), "foo.bar.yaml")
            .unwrap_err()
            .to_string()
            .contains("`foo.bar` is not a valid map name")
    );
    assert!(name("a: {}", None, "f.yaml").unwrap_err().to_string().contains("the map has no name"));
    let loaded = named("name: {wrong: type}\na: {}", "m", "f.yaml").unwrap();
    assert_eq!(loaded.value.containers.len(), 1);
}

#[test]
fn map_model_1_3_k1_the_later_host_root_wins() {
    let root = |text: &str| load(&format!("name: m\n{text}")).unwrap().value.host_root;
    assert_eq!(root("host: {root: /a}\nhost_root: /b"), Some("/b".into()));
    assert_eq!(root("host_root: /b\nhost: {root: /a}"), Some("/a".into()));
}

#[test]
fn map_model_1_3_k2_a_split_configuration_is_combined_property_by_property() {
    let text = "name: m\na: {image: one, shares: [/x]}\ncontainers: {b: {}, a: {image: two, uses: b}}";
    let map = load(text).unwrap().value;
    let names: Vec<&str> = map.containers.keys().map(ConfigName::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    let a = &map.containers["a"];
    assert_eq!((a.image.value().map(String::as_str), a.shares.len(), a.uses.len()), (Some("two"), 1, 1));
    let later_list = load("name: m\na: {shares: [/x]}\ncontainers: {a: {shares: [/y]}}").unwrap().value;
    assert_eq!(notation::property(&later_list.containers["a"], "shares"), "/y", "no list merge");
}

#[test]
fn map_model_d2_nothing_is_empty() {
    let text =
        "name: m\ncontainers:\nvolumes:\nnetworks:\nhost:\ngroups:\nclients:\nrepository:\nset_hostname:\n";
    assert_eq!(load(text).unwrap().value, Map::new(MapName::new("m").unwrap()));
    assert_eq!(load_clients("web:\n").unwrap().value.len(), 1);
}

#[test]
fn map_model_1_3_a_reserved_name_is_a_configuration_under_containers() {
    let map = load("name: m\ncontainers: {host: {image: x}}").unwrap().value;
    assert_eq!(map.containers["host"].image.value().map(String::as_str), Some("x"));
}

#[test]
fn map_model_10_1_the_root_is_a_mapping() {
    for (text, message) in [
        ("", "the document is empty"),
        ("[a, b]", "a map is a mapping, found a list of 2 elements"),
        ("text", "a map is a mapping, found the text `text`"),
    ] {
        let findings = load(text).unwrap_err();
        assert!(findings.0[0].message.contains(message), "{text:?}: {findings}");
        assert_eq!(findings.0[0].kind, FindingKind::Load);
        assert!(load_clients(text).is_err());
    }
}

#[test]
fn map_model_10_2_both_spellings_of_nested_lists_are_equal() {
    let one = "name: m\na:\n  exec_commands:\n  - [[/bin/sh, -c, setup.sh], root]\n";
    let other = "name: m\na:\n  exec_commands:\n  -\n    - [/bin/sh, -c, setup.sh]\n    - root\n";
    assert_eq!(load(one).unwrap().value, load(other).unwrap().value);
}

#[test]
fn anchors_and_merge_keys_share_settings() {
    let text =
        "name: m\nbase: &base {image: x, abstract: true}\na: {<<: *base, abstract: false, user: app}\n";
    let a = &load(text).unwrap().value.containers["a"];
    assert_eq!((a.image.value().map(String::as_str), a.is_abstract), (Some("x"), false));
}

#[test]
fn map_model_2_17_start_options_yield_to_host_config() {
    for text in [
        "name: m\na: {start_options: {x: 1, y: 1}, host_config: {y: 2}}",
        "name: m\na: {host_config: {y: 2}, start_options: {x: 1, y: 1}}",
    ] {
        let loaded = load(text).unwrap();
        assert_eq!(notation::property(&loaded.value.containers["a"], "host_config"), "{x: 1, y: 2}");
        assert_eq!(loaded.warnings.len(), 1, "{text}");
    }
}

#[test]
fn positions_are_known_for_properties_and_their_parts() {
    let text = "\
name: m
web:
  image: nginx
  binds:
  - conf: ro
  exposes: {80: 8080}
  create_options:
    environment:
      LANG: C
      TZ: UTC
  host_config:
    dns: [a]
    extra: [A=1, B=2]
volumes:
  conf:
    default_path: /conf
host:
  conf: {one: x}
groups:
  all: [web]
";
    let map = load(text).unwrap().value;
    let web = &map.containers["web"].origins;
    let line = |path: &str| web.get(path).map(|position| position.line);
    let expected = [
        ("", 2),
        ("image", 3),
        ("binds.conf", 5),
        ("exposes.80/tcp", 6),
        ("create_options.environment", 8),
        ("create_options.environment.TZ", 10),
        ("host_config.dns", 12),
        ("host_config.extra.B", 13),
    ];
    for (path, expected) in expected {
        assert_eq!(line(path), Some(expected), "{path}");
    }
    assert_eq!(map.volumes["conf"].origins.get("default_path").map(|p| p.line), Some(16));
    assert_eq!(map.origins.get("host.conf.one").map(|p| (p.line, p.column)), Some((18, 10)));
    assert_eq!(map.origins.get("groups.all.web").map(|p| p.line), Some(20));
}

#[test]
fn a_failed_tag_is_one_finding_only() {
    let findings = load("name: m\na: {binds: !env nope, shares: !path $NOPE, exposes: {80: [!env nope, x]}}")
        .unwrap_err();
    assert_eq!(findings.0.len(), 3, "{findings}");
    assert!(findings.0.iter().all(|finding| finding.kind == FindingKind::Unresolved));
}

#[test]
fn all_findings_of_a_text_are_reported_at_once() {
    let mut text = "name: m\n".to_owned();
    for number in 0..40 {
        text.push_str(&format!("c{number}: {{exposes: x, imgae: y}}\n"));
    }
    let findings = load(&text).unwrap_err();
    assert_eq!(findings.0.len(), 80);
    let subject = findings.0[0].subject.to_string();
    assert_eq!(subject, "`exposes[0]` of configuration `c0` in map `m`");
}

#[test]
fn a_flood_of_findings_is_cut_with_a_note() {
    let mut text = "name: m\n".to_owned();
    for number in 0..12_000 {
        // Warnings must not push the errors out.
        text.push_str(&format!("c{number}: {{persistent: yes, exposes: x}}\n"));
    }
    let findings = load(&text).unwrap_err();
    assert_eq!(findings.0.len(), MAX_FINDINGS + 1);
    assert!(findings.0[0].severity == Severity::Error);
    assert!(findings.to_string().contains("23500 further findings are not shown"));
}

#[test]
fn the_multi_host_clients_have_their_own_addresses() {
    let text = "\
web: {fabric_host: web_host}
apps1: {fabric_host: app_host1, interfaces: {private: 10.0.0.21}}
apps2: {fabric_host: app_host2, interfaces: {private: 10.0.0.22}}
apps3: {fabric_host: app_host3, interfaces: {private: 10.0.0.23}, tunnel_local_port: 22024}
";
    let clients = load_clients(text).unwrap().value;
    assert_eq!(clients["apps2"].interfaces["private"], "10.0.0.22".into());
    assert_eq!(clients["apps3"].tunnel_local_port, Some(22024));
    assert_eq!(clients["web"].origins.get("fabric_host").map(|p| (p.line, p.column)), Some((1, 7)));
}

#[test]
fn a_password_never_stands_in_a_finding() {
    for text in [
        "c: {auth_configs: {r.io: {username: u, password: [s3cret]}}, timeout: x}",
        "c: {auth_configs: {r.io: {username: [u], password: s3cret}}, timeout: x}",
        "c:\n  auth_configs:\n    r.io:\n      username: u\n      password:\n      - s3cret\n",
        "c: {auth_configs: {r.io: {username: u, password: 's3cret}}}",
    ] {
        let findings = load_clients(text).unwrap_err();
        let (rendered, json) = (shown(&findings), findings.to_json().to_string());
        assert!(!rendered.contains("s3cret") && !json.contains("s3cret"), "{rendered}");
        assert!(!format!("{findings:?}").contains("s3cret"));
    }
}

#[test]
fn a_map_is_the_same_entry_by_entry_and_as_a_whole() {
    // The roots whose entries cannot be read one by one are merged, tagged and anchored ones, and no mappings.
    let roots = [
        YAML,
        DICTIONARY,
        "",
        "name",
        "[name]",
        "!env port",
        "!path {name: m, host_root: $SITE}",
        "!env {name: m}",
        "!!map {name: m, web:}",
        "&root {name: m, web: }",
        "web: {exposes: 80}\nname: m\ndb:\n",
        "web: {exposes: x}\nname: m.n\ndb: {instances: [a, a]}\n",
        "web: &web {image: a}\nname: m\ndb: *web",
        "<<: {web: {image: a}, db: }\nname: m\nweb: {image: b}",
        "name: m\nweb: {image: b}\na:\n<<: [{db: , web: {image: a}}, {name: n, x: }]\n",
        "name: m\nweb: {image: 5x, bad: }\n<<: {db: {bad: }}\n",
    ];
    let lookup = tables();
    for text in roots {
        let options = LoadOptions { file: "map.yaml", name: None, lookup: &lookup };
        let result = |loaded: Result<Loaded<Map>, Findings>| match loaded {
            Ok(loaded) => {
                let positions =
                    loaded.value.containers.values().map(|config| format!("{:?}", config.origins.get("")));
                let map = crate::show::map(&loaded.value) + &positions.collect::<Vec<_>>().join("\n");
                (map, loaded.warnings)
            }
            Err(findings) => (String::new(), findings.0),
        };
        let whole = map_node(yaml::parse(text, "map.yaml").unwrap(), Sources::of("map.yaml", text), &options);
        assert_eq!(result(map(text, &options)), result(whole), "{text}");
    }
}

#[test]
fn a_repeated_key_of_the_root_shows_both_places() {
    let text = "name: m\nweb: {image: a}\ndb:\nweb: {image: b}\nname: n\n";
    let places = |finding: &Finding| {
        let place =
            |place: &crate::diagnostic::Place| (place.position.line, place.position.column, place.length);
        (place(finding.place.as_ref().unwrap()), place(&finding.related[0].0))
    };
    let findings = load(text).unwrap_err().0;
    assert_eq!(
        findings.iter().map(places).collect::<Vec<_>>(),
        [((4, 1, 3), (2, 1, 3)), ((5, 1, 4), (1, 1, 4))]
    );
}
