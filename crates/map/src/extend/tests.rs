//! Inheritance, case by case. What is expected is written as a map of its own, so that every
//! property is compared.

use super::*;
use crate::fixtures::{extended_map, map, shown};

const EXAMPLE: &str = "\
p: {abstract: true, image: p, user: pu, instances: [a], shares: [/p, /q], binds: {x: ro, /d: /h1},
    uses: [u1, {u2: ro}], attaches: {v: /v1}, links: [l1, [l1, al]], networks: [n1, [n2, al1]],
    exec_commands: [c1, [c2, root]], network_mode: bridge, healthcheck: {test: x, retries: 3},
    persistent: true, create_options: {a: 1, env: {A: 1, B: 2}, l: [1]}, stop_timeout: 5, clients: c1}
q: {abstract: true, extends: p, image: q, shares: [/q, /r]}
r: {abstract: true, user: ru, binds: {x: rw}}
k: {extends: [q, r], binds: {/d: [/h2, ro], y: ro}, uses: [[u1, ro]], attaches: v, links: [[l1, al2], l1],
    networks: [[n2, al2], n3], exec_commands: [c1, [c2, other]], instances: [b, a],
    create_options: {env: {C: 3}, l: [2]}, healthcheck: {test: y}, clients: c2, persistent: false}
";

#[test]
fn the_worked_example() {
    // §5.3
    let expected = map("\
k:
  image: q
  user: ru
  stop_timeout: 5
  network_mode: bridge
  persistent: false
  instances: [a, b]
  clients: [c1, c2]
  shares: [/p, /q, /r]
  binds: [[x, rw], [/d, [/h2, ro]], [y, ro]]
  uses: [[u1, ro], [u2, ro]]
  attaches: [v]
  links: [l1, [l1, al], [l1, al2]]
  networks: [n1, {n2: {aliases: al2}}, n3]
  exec_commands: [c1, [c2, root], [c2, other]]
  healthcheck: {test: y}
  create_options: {a: 1, env: {C: 3}, l: [2]}
");
    assert_eq!(extended_map(EXAMPLE), expected);
}

#[test]
fn each_property_follows_its_rule() {
    // Section, map, extended map.
    for (section, text, expected) in [
        (
            "§5.3 diamond (K10)",
            "g: {image: g}\np1: {extends: g, image: p1}\np2: {extends: g}\nk: {extends: [p1, p2]}",
            "g: {image: g}\np1: {image: p1}\np2: {image: g}\nk: {image: g}",
        ),
        (
            "§0.6 null overrides",
            "p: {abstract: true, user: u, stop_timeout: 5}\nk: {extends: p, user: , stop_timeout: }",
            "k: {user: , stop_timeout: }",
        ),
        (
            "§0.6 false and 0 are values",
            "p: {abstract: true, persistent: true, stop_timeout: 5}\nk: {extends: p, persistent: false, stop_timeout: 0}",
            "k: {persistent: false, stop_timeout: 0}",
        ),
        ("§2.3 abstract is not inherited", "p: {abstract: true}\nk: {extends: p}", "k: {}"),
        (
            "§5.1 what is not abstract can be extended",
            "p: {image: i}\nk: {extends: p}",
            "p: {image: i}\nk: {image: i}",
        ),
        (
            "§5.2 an empty list has no effect",
            "p: {abstract: true, links: a}\nk: {extends: p, links: []}",
            "k: {links: a}",
        ),
        (
            "§5.2 links are compared whole (K14)",
            "p: {abstract: true, links: [a, [a, x]]}\nk: {extends: p, links: [[a, x], [a, y]]}",
            "k: {links: [a, [a, x], [a, y]]}",
        ),
        (
            "§5.2 networks are replaced whole",
            "p: {abstract: true, networks: {n: {aliases: a, ipv4_address: 10.0.0.2}}}\nk: {extends: p, networks: {n: {aliases: b}}}",
            "k: {networks: {n: {aliases: b}}}",
        ),
        (
            "§5.2 healthcheck is replaced whole",
            "p: {abstract: true, healthcheck: {test: a, retries: 2}}\nk: {extends: p, healthcheck: {test: b}}",
            "k: {healthcheck: {test: b}}",
        ),
        (
            "§2.13 null disables an inherited check",
            "p: {abstract: true, healthcheck: {test: a}}\nk: {extends: p, healthcheck: }",
            "k: {healthcheck: NONE}",
        ),
        (
            "§5.2 options one level deep",
            "p: {abstract: true, host_config: {a: {x: 1}, b: [1]}}\nk: {extends: p, host_config: {a: {y: 2}, c: 3}}",
            "k: {host_config: {a: {y: 2}, b: [1], c: 3}}",
        ),
        (
            "§5.2 exposes: all of a port are replaced (D27)",
            "p: {abstract: true, exposes: [[80, 8080], [443, 443], [80, 8081], [80, 8082]]}\nk: {extends: p, exposes: [[80, 1], [80, 2], 22]}",
            "k: {exposes: [[80, 1], [80, 2], [443, 443], 22]}",
        ),
        (
            "§5.2 exposes: protocols are ports of their own",
            "p: {abstract: true, exposes: [[53, 53]]}\nk: {extends: p, exposes: [[53/udp, 53]]}",
            "k: {exposes: [[53, 53], [53/udp, 53]]}",
        ),
        (
            "§5.2 exec_commands as lists (D28)",
            "p: {abstract: true, exec_commands: [[[/bin/sh, -c, x], root]]}\nk: {extends: p, exec_commands: [[[/bin/sh, -c, x], root], [[/bin/sh, -c, y], root]]}",
            "k: {exec_commands: [[[/bin/sh, -c, x], root], [[/bin/sh, -c, y], root]]}",
        ),
        (
            "K9 an inherited path is lost",
            "p: {abstract: true, attaches: {v: /v}}\nk: {extends: p, attaches: v}",
            "k: {attaches: v}",
        ),
        (
            "D43 late values are compared by source",
            "p: {abstract: true, shares: [!env_lazy a, /x], user: !env_lazy u}\nk: {extends: p, shares: [!env_lazy b, !env_lazy a]}",
            "k: {shares: [!env_lazy a, /x, !env_lazy b], user: !env_lazy u}",
        ),
        (
            "§11.2 a late mapping of options stays a layer",
            "p: {abstract: true, create_options: {a: 1}}\nq: {abstract: true, create_options: !env_lazy o}\nk: {extends: [p, q], create_options: {a: 2}}",
            "k: {}",
        ),
        ("D11 only abstract configurations", "p: {abstract: true}\nq: {abstract: true, extends: p}", ""),
    ] {
        let (extended, mut expected) = (extended_map(text), map(&format!("name: m\n{expected}")));
        if section.starts_with("§11.2") {
            let layers = extended.containers["k"].create_options.layers();
            let known: Vec<bool> = layers.iter().map(|layer| layer.known().is_some()).collect();
            assert_eq!(known, [true, false, true], "{section}");
            expected.containers["k"].create_options = extended.containers["k"].create_options.clone();
        }
        assert_eq!(extended, expected, "{section}");
        assert_eq!(super::extended(&extended).unwrap(), extended, "{section}: extending again");
    }
}

#[test]
fn inputs_stay_as_they_are() {
    // §5.6 (D32)
    let written = map(EXAMPLE);
    let before = written.clone();
    let _ = extended(&written).unwrap();
    assert_eq!(written, before);
}

#[test]
fn values_keep_the_place_they_were_written_at() {
    let text = "\
name: m
p:
  abstract: true
  image: i
  uses: [u1, u2]
  create_options:
    a: 1
    b: 2
k:
  extends: p
  uses:
  - u3
  - u2: ro
  create_options:
    b: 3
";
    let extended = extended_map(text);
    let origins = &extended.containers["k"].origins;
    for (path, line) in [
        ("", 9),
        ("image", 4),
        ("uses.u1", 5),
        ("uses.u2", 13),
        ("uses.u3", 12),
        ("create_options.a", 7),
        ("create_options.b", 15),
        ("nothing", 9),
    ] {
        assert_eq!(origins.get(path).map(|position| position.line), Some(line), "{path}");
    }
}

#[test]
fn missing_parents_and_circles_are_all_found() {
    // §5.4 (D29), check 3
    let text = "\
name: m
a: {extends: [base, bas]}
base: {abstract: true}
b: {extends: b}
c: {extends: d}
d: {extends: [base, e]}
e: {extends: c}
f: {extends: unheard_of}
";
    let findings = extended(&map(text)).unwrap_err();
    insta::assert_snapshot!(shown(&findings.0, text), @r"
    error[integrity]: `bas` is no configuration of the map (check 3)
     --> m.yaml:2:21
      |
    2 | a: {extends: [base, bas]}
      |                     ^^^ `extends` of configuration `a` in map `m`
      |
      = help: did you mean `base`?

    error[integrity]: `unheard_of` is no configuration of the map (check 3)
     --> m.yaml:8:14
      |
    8 | f: {extends: unheard_of}
      |              ^^^^^^^^^^ `extends` of configuration `f` in map `m`

    error[cycle]: configuration `b` extends itself (check 3)
     --> m.yaml:4:14
      |
    4 | b: {extends: b}
      |              ^ `extends` of configuration `b` in map `m`

    error[cycle]: circular inheritance: c -> d -> e -> c (check 3)
     --> m.yaml:5:14
      |
    5 | c: {extends: d}
      |              ^ `extends` of configuration `c` in map `m`
      |
     ::: m.yaml:6:21
      |
    6 | d: {extends: [base, e]}
      |                     - `d` extends `e`
      |
     ::: m.yaml:7:14
      |
    7 | e: {extends: c}
      |              - `e` extends `c`
    ");
}
