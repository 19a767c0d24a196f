//! Every check of map-model §9, with its verified cases.

use super::*;
use crate::fixtures::{EXAMPLE, map, shown};

/// Returns one line a finding, without its place: `uses: message`; warnings start with `warning`.
fn lines(text: &str, options: Options) -> String {
    let line = |finding: &Finding| {
        let severity = if finding.severity == Severity::Warning { "warning " } else { "" };
        let property = finding.subject.property.as_deref().unwrap_or("map");
        let object = finding.subject.object.as_ref().map(|(_, name)| format!("{name}.")).unwrap_or_default();
        format!("{severity}{object}{property}: {}", finding.message)
    };
    check_written(&map(text), options).iter().map(line).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_check() {
    let mut wrong = Vec::new();
    // Check of §9, case, map, findings.
    for (check, case, text, expected) in [
        (
            "1",
            "group and configuration",
            "a: {}\ngroups: {a: [a]}",
            "a.map: `a` is a configuration and a group (check 1)",
        ),
        (
            "2",
            "undefined member",
            "a: {}\ngroups: {g: [a, b]}",
            "g.map: `b` is no configuration of the map (check 2)",
        ),
        (
            "2",
            "undeclared instance",
            "a: {instances: i}\ngroups: {g: [a.i, a.j]}",
            "g.map: configuration `a` has no instance `j` (check 2)",
        ),
        (
            "2",
            "abstract member",
            "a: {abstract: true}\nb: {extends: a}\ngroups: {g: [a, b]}",
            "g.map: `a` is abstract (check 2)",
        ),
        (
            "2",
            "a group in a group",
            "a: {}\ngroups: {g: [a], h: [g]}",
            "h.map: `g` is a group, and a group cannot contain groups (check 2)",
        ),
        ("3", "missing parent", "a: {extends: b}", "a.extends: `b` is no configuration of the map (check 3)"),
        ("3", "abstract parent", "a: {extends: b}\nb: {abstract: true}", ""),
        (
            "3",
            "circle",
            "a: {extends: b}\nb: {extends: a}",
            "a.extends: circular inheritance: a -> b -> a (check 3)",
        ),
        (
            "4",
            "two attach one alias",
            "a: {attaches: {v: /v}}\nb: {attaches: {v: /v}}",
            "map: the volume source name `v` is given by `a` and by `b` (check 4)",
        ),
        (
            "4",
            "alias and sharing configuration",
            "v: {shares: /x}\nb: {attaches: {v: /v}}",
            "map: the volume source name `v` is given by `v` and by `b` (check 4)",
        ),
        ("4", "alias and configuration that shares nothing", "v: {}\nb: {attaches: {v: /v}}", ""),
        (
            "4",
            "heirs of one attaching parent",
            "p: {abstract: true, attaches: {v: /v}}\na: {extends: p}\nb: {extends: p}",
            "map: the volume source name `v` is given by `a` and by `b` (check 4)",
        ),
        (
            "4",
            "heirs, parent names on",
            "use_attached_parent_name: true\np: {abstract: true, attaches: {v: /v}}\na: {extends: p}\nb: {extends: p}",
            "",
        ),
        (
            "4",
            "instance and alias, parent names on",
            "use_attached_parent_name: true\na: {instances: [v], shares: /s, attaches: {v: /v}}",
            "map: the volume source name `a.v` is given by `a` and by `a` (check 4)",
        ),
        (
            "5",
            "shares nothing",
            "a: {uses: b}\nb: {}",
            "a.uses: `b` shares and attaches no volumes (check 5)",
        ),
        ("5", "shares", "a: {uses: b}\nb: {shares: /x}", ""),
        (
            "5",
            "instances: one must be named",
            "a: {uses: b}\nb: {shares: /x, instances: [i]}",
            "a.uses: `b` has instances, one of which must be named (check 5)",
        ),
        ("5", "instance", "a: {uses: b.i}\nb: {shares: /x, instances: [i]}", ""),
        (
            "5",
            "no such instance",
            "a: {uses: b.j}\nb: {shares: /x, instances: [i]}",
            "a.uses: nothing shares or attaches `b.j` (check 5)",
        ),
        ("5", "through another", "a: {uses: b}\nb: {uses: c}\nc: {shares: /c}", ""),
        ("5", "attaches only (D38)", "a: {uses: b}\nb: {attaches: {v: /v}}", ""),
        ("5", "unknown", "a: {uses: x}", "a.uses: nothing shares or attaches `x` (check 5)"),
        (
            "5",
            "alias without its owner, parent names on",
            "use_attached_parent_name: true\na: {uses: v}\nb: {attaches: {v: /v}}",
            "a.uses: nothing shares or attaches `v` (check 5)",
        ),
        (
            "5",
            "unknown configuration, parent names on (D44)",
            "use_attached_parent_name: true\na: {uses: b.v}",
            "a.uses: nothing shares or attaches `b.v` (check 5)",
        ),
        (
            "6",
            "no host path",
            "a: {binds: v}\nvolumes: {v: /v}",
            "a.binds: `v` has no path on the host (check 6)",
        ),
        ("6", "direct pair", "a: {binds: {/x: /y}}", ""),
        (
            "7",
            "bind without path",
            "a: {binds: v}\nhost: {v: /h}",
            "a.binds: `v` has no container path (check 7)",
        ),
        (
            "7",
            "a volume without path (D39)",
            "a: {binds: v, attaches: w}\nhost: {v: /h}\nvolumes: {v: , w: {driver: local}}",
            "a.binds: `v` has no container path (check 7); a.attaches: `w` has no container path (check 7)",
        ),
        (
            "7",
            "a path in `attaches` elsewhere is none for a bind (D39)",
            "a: {binds: v}\nb: {attaches: {v: /v}}\nhost: {v: /h}",
            "a.binds: `v` has no container path (check 7)",
        ),
        ("7", "own path", "a: {attaches: {v: /v}}", ""),
        ("7", "default path", "a: {attaches: v}\nvolumes: {v: /v}", ""),
        ("8", "unknown", "a: {links: b}", "a.links: `b` is no configuration of the map (check 8)"),
        (
            "8",
            "instances",
            "a: {links: b}\nb: {instances: [i]}",
            "a.links: `b` has instances, one of which must be named (check 8)",
        ),
        (
            "8",
            "no such instance",
            "a: {links: b.j}\nb: {instances: [i]}",
            "a.links: configuration `b` has no instance `j` (check 8)",
        ),
        (
            "8",
            "no instances",
            "a: {links: b.j}\nb: {}",
            "a.links: configuration `b` has no instance `j` (check 8)",
        ),
        ("8", "abstract", "a: {links: b}\nb: {abstract: true}", "a.links: `b` is abstract (check 8)"),
        ("8", "instance", "a: {links: b.i}\nb: {instances: [i]}", ""),
        (
            "9",
            "unknown",
            "a: {networks: [n, m]}\nnetworks: {n: }",
            "a.networks: `m` is no network of the map (check 9)",
        ),
        ("9", "preset", "a: {networks: [bridge, host, none]}", ""),
        (
            "10",
            "unknown",
            "a: {network_mode: b}",
            "a.network_mode: `b` is no configuration of the map (check 10)",
        ),
        (
            "10",
            "instances",
            "a: {network_mode: b}\nb: {instances: [i]}",
            "a.network_mode: `b` has instances, one of which must be named (check 10)",
        ),
        ("10", "unmanaged", "a: {network_mode: 'container:zz'}", ""),
        (
            "11",
            "unknown (D40)",
            "a: {networks: {n: {links: b}}}\nnetworks: {n: }",
            "a.networks.links: `b` is no configuration of the map (check 11)",
        ),
        (
            "11",
            "instances (D40)",
            "a: {networks: {n: {links: b}}}\nb: {instances: [i]}\nnetworks: {n: }",
            "a.networks.links: `b` has instances, one of which must be named (check 11)",
        ),
        (
            "12",
            "an instance without path",
            "a: {instances: [i, j], binds: v}\nvolumes: {v: /v}\nhost: {v: {i: /i, default: /d}}",
            "warning a.binds: `v` has no host path for instance `j` (check 12)",
        ),
        (
            "12",
            "no default",
            "a: {binds: v}\nvolumes: {v: /v}\nhost: {v: {i: /i}}",
            "warning a.binds: `v` has no host path for instance `default` (check 12)",
        ),
        (
            "12",
            "direct pair",
            "a: {instances: [i], binds: [[/x, {j: /j}]]}",
            "warning a.binds: `/x` has no host path for instance `i` (check 12)",
        ),
        (
            "13",
            "circle",
            "a: {links: b}\nb: {links: a}",
            "a.links: circular dependency: a -> b -> a (check 13)",
        ),
        ("13", "itself", "a: {links: a}", "a.links: configuration `a` depends on itself (check 13)"),
        (
            "§8.6",
            "self-use (D37)",
            "a: {attaches: {v: /v}, uses: v}",
            "warning a.uses: `v` is attached by `a` itself; using it has no effect",
        ),
        (
            "§2.7",
            "a path for a container's volumes",
            "a: {uses: {b: /x}}\nb: {shares: /s}",
            "a.uses: `b` is a container, whose volumes cannot be given a path",
        ),
        (
            "§2.11",
            "host and networks",
            "a: {network_mode: host, networks: n}\nnetworks: {n: }",
            "a.network_mode: the mode `host` excludes `networks`",
        ),
        (
            "§2.11",
            "reference and networks",
            "a: {network_mode: b, networks: n}\nb: {}\nnetworks: {n: }",
            "a.network_mode: the network of another container excludes `networks`",
        ),
        (
            "§2.11",
            "none and networks",
            "a: {network_mode: none, networks: n}\nnetworks: {n: }",
            "warning a.network_mode: the mode is `none`, so `networks` are not joined",
        ),
        (
            "§2.11",
            "host and links",
            "a: {network_mode: host, links: b, exposes: 80}\nb: {}\nc: {network_mode: host, host_config: {links: {b: x}}}",
            "a.network_mode: the mode `host` excludes `links`; c.network_mode: the mode `host` excludes `links`",
        ),
        (
            "§2.11",
            "reference and what the other container has",
            "a: {network_mode: b, links: c, exposes: 80}\nb: {}\nc: {}",
            "a.network_mode: the network of another container excludes `links`; \
             a.network_mode: the network of another container excludes `exposes`",
        ),
        (
            "§2.11",
            "unmanaged and options",
            "a: {network_mode: /x, host_config: {dns: 1.1.1.1, extra_hosts: {h: 1.1.1.1}, publish_all_ports: true}, \
             create_options: {ports: [80]}}",
            "a.network_mode: the network of another container excludes `ports`; \
             a.network_mode: the network of another container excludes `dns`; \
             a.network_mode: the network of another container excludes `extra_hosts`; \
             a.network_mode: the network of another container excludes `publish_all_ports`",
        ),
        (
            "§2.11",
            "a mode among the options",
            "a: {networks: n, exposes: 80, host_config: {network_mode: host}}\n\
             b: {networks: n, host_config: {network_mode: 'container:x', dns: 1.1.1.1}}\n\
             c: {networks: n, host_config: {network_mode: none}}\n\
             d: {networks: n, create_options: {network_disabled: true}}\n\
             e: {networks: n, network_mode: host, host_config: {network_mode: m.n}}\n\
             f: {networks: n, host_config: {network_mode: !env_lazy l}}\nnetworks: {n: }",
            "a.host_config.network_mode: the mode `host` excludes `networks`; \
             b.host_config.network_mode: the network of another container excludes `networks`; \
             b.host_config.network_mode: the network of another container excludes `dns`; \
             warning c.host_config.network_mode: the mode is `none`, so `networks` are not joined; \
             warning d.create_options.network_disabled: the network is disabled, so `networks` are not joined",
        ),
        (
            "§2.11",
            "options that are nothing, late or replaced",
            "a: {network_mode: /x, host_config: {dns: [], extra_hosts: , publish_all_ports: false, links: !env_lazy l}}\n\
             b: {network_mode: /x, exposes: 80, host_config: {network_mode: bridge}}\n\
             c: {network_mode: /x, create_options: {dns: [x]}, host_config: !env_lazy h}\n\
             d: {network_mode: bridge, links: a, exposes: 80, host_config: {dns: [x]}}",
            "",
        ),
        (
            "§2.17",
            "removed at its end and restarted",
            "a: {host_config: {auto_remove: true, restart_policy: {Name: on-failure}}}\n\
             b: {host_config: {auto_remove: true, restart_policy: 'no'}}\n\
             c: {host_config: {auto_remove: false, restart_policy: always}}\n\
             d: {create_options: {auto_remove: true}, host_config: {restart_policy: 'on-failure:3'}}",
            "a.host_config.auto_remove: `auto_remove` excludes `restart_policy`; \
             d.create_options.auto_remove: `auto_remove` excludes `restart_policy`",
        ),
        (
            "§3.4",
            "paths that contradict",
            "a: {attaches: {v: /v}}\nb: {attaches: {v: /w}}",
            "map: the volume source name `v` is given by `a` and by `b` (check 4); map: volume `v` is attached at `/v` by `a` and at `/w` by `b`",
        ),
        ("§14", "the documentation's example", EXAMPLE, ""),
        ("D11", "only abstract configurations", "a: {abstract: true}", ""),
        ("§9", "no configuration at all", "networks: {n: }", ""),
    ] {
        let found = lines(text, Options::default());
        if found != expected {
            wrong.push(format!("§9 check {check}: {case}\n  found    {found}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_that_only_echoes_a_missing_parent_is_left_out() {
    let text = "\
a: {extends: bas, uses: sock, links: b.i}
base: {abstract: true, attaches: {sock: /s}}
b: {extends: bas}
c: {uses: sock, links: b.i}
d: {links: x}
";
    let expected = "a.extends: `bas` is no configuration of the map (check 3); \
                    b.extends: `bas` is no configuration of the map (check 3); \
                    d.links: `x` is no configuration of the map (check 8)";
    assert_eq!(lines(text, Options::default()), expected);
}

#[test]
fn parts_can_be_switched_off() {
    // §9, first paragraph: map, findings without duplicates check, findings before acting.
    let text = "a: {attaches: {v: /v}, binds: w, links: x}\nb: {attaches: {v: /v}}\ngroups: {g: [z]}\n";
    let rest = "a.links: `x` is no configuration of the map (check 8)";
    let all =
        "a.binds: `w` has no container path (check 7); a.binds: `w` has no path on the host (check 6); ";
    let group = "g.map: `z` is no configuration of the map (check 2)";
    let no_duplicates = Options { duplicates: false, ..Options::default() };
    assert_eq!(lines(text, no_duplicates), format!("{all}{rest}; {group}"));
    assert_eq!(lines(text, Options { integrity: false, ..Options::default() }), rest);
}

#[test]
fn users_see_all_findings_of_a_map_at_once() {
    let text = "\
name: shop
web:
  uses: [app_socket, log]
  links:
  - ap
  - worker
  networks:
    frnt:
app:
  attaches: app_sock
  binds: [config]
worker:
  instances: [fast, slow]
  network_mode: web2
groups:
  all: [web, worker.fats]
networks:
  front:
volumes:
  app_sock: /run/app
host:
  config: {default: etc}
";
    let findings = check_written(&map(text), Options::default());
    insta::assert_snapshot!(shown(&findings, text), @r"
    error[integrity]: nothing shares or attaches `app_socket` (check 5)
     --> m.yaml:3:10
      |
    3 |   uses: [app_socket, log]
      |          ^^^^^^^^^^ `uses` of configuration `web` in map `shop`
      |
      = help: did you mean `app_sock`?

    error[integrity]: nothing shares or attaches `log` (check 5)
     --> m.yaml:3:22
      |
    3 |   uses: [app_socket, log]
      |                      ^^^ `uses` of configuration `web` in map `shop`

    error[integrity]: `ap` is no configuration of the map (check 8)
     --> m.yaml:5:5
      |
    5 |   - ap
      |     ^^ `links` of configuration `web` in map `shop`
      |
      = help: did you mean `app`?

    error[integrity]: `worker` has instances, one of which must be named (check 8)
     --> m.yaml:6:5
      |
    6 |   - worker
      |     ^^^^^^ `links` of configuration `web` in map `shop`
      |
      = help: write `worker.fast` or `worker.slow`

    error[integrity]: `frnt` is no network of the map (check 9)
     --> m.yaml:8:5
      |
    8 |     frnt:
      |     ^^^^ `networks` of configuration `web` in map `shop`
      |
      = help: did you mean `front`?

    error[integrity]: `config` has no container path (check 7)
      --> m.yaml:11:11
       |
    11 |   binds: [config]
       |           ^^^^^^ `binds` of configuration `app` in map `shop`
       |
       = help: add `volumes.config: /path`

    error[integrity]: `web2` is no configuration of the map (check 10)
      --> m.yaml:14:3
       |
    14 |   network_mode: web2
       |   ^^^^^^^^^^^^ `network_mode` of configuration `worker` in map `shop`
       |
       = help: did you mean `web`?

    error[integrity]: configuration `worker` has no instance `fats` (check 2)
      --> m.yaml:16:14
       |
    16 |   all: [web, worker.fats]
       |              ^^^^^^^^^^^ group `all` in map `shop`
       |
       = help: did you mean `fast`?
    ");
}

#[test]
fn clients_must_be_configured() {
    // §4.6
    let map = map("clients: [web1, __default__]\na: {clients: [web2, wbe1]}\nb: {}\n");
    let known =
        crate::model::Clients::from([(crate::names::ClientName::new("web1").unwrap(), Default::default())]);
    let findings = clients(&map, &known);
    let shown: Vec<String> =
        findings.iter().map(|finding| format!("{finding}, {:?}", finding.hint)).collect();
    let expected = [
        "m.yaml:2:15: `clients` of configuration `a` in map `m`: `web2` is no configured client, Some(\"did you mean `web1`?\")",
        "m.yaml:2:21: `clients` of configuration `a` in map `m`: `wbe1` is no configured client, Some(\"did you mean `web1`?\")",
    ];
    assert_eq!(shown, expected);
}
