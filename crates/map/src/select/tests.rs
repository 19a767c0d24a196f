//! References and what they select, row by row.

use super::*;
use crate::fixtures::extended_map;
use crate::value::{Number, Value};

/// The maps of §6.5.
fn maps() -> Maps {
    let m = "name: m\nabs: {abstract: true}\na: {instances: [i, j]}\nb: {}\nc: {extends: abs}\ngroups: {g: [a.i, b], h: [a]}\n";
    let n = "name: n\nb: {}\nz: {instances: [k]}\ngroups: {g: [z]}\n";
    [m, n].map(extended_map).into_iter().map(|map| (map.name.clone(), map)).collect()
}

fn shown(selected: Result<Vec<ItemId>, Findings>) -> String {
    let id = |id: &ItemId| match &id.item {
        Item::Container { config, instance: None } => format!("{}.{config}", id.map),
        Item::Container { config, instance: Some(instance) } => format!("{}.{config}.{instance}", id.map),
        other => format!("{other} of {}", id.map),
    };
    match selected {
        Ok(ids) => ids.iter().map(id).collect::<Vec<_>>().join(" "),
        Err(findings) => {
            let line = |finding: &Finding| match &finding.hint {
                Some(hint) => format!("error: {} ({hint})", finding.message),
                None => format!("error: {}", finding.message),
            };
            assert!(
                findings.0.iter().all(|finding| finding.kind == FindingKind::UnknownReference),
                "{findings:?}"
            );
            findings.0.iter().map(line).collect::<Vec<_>>().join("; ")
        }
    }
}

#[test]
fn references_of_the_specification() {
    // References, default instances, result: §6.5 with `m` as the default map.
    let none: &[&str] = &[];
    for (references, instances, expected) in [
        (["a"].as_slice(), none, "m.a.i m.a.j"),
        (&["m.a"], none, "m.a.i m.a.j"),
        (&["m.a."], none, "m.a.i m.a.j"),
        (&["h"], none, "m.a.i m.a.j"),
        (&["m.a.i", "a"], none, "m.a.i m.a.j"),
        (&["m.a.i"], none, "m.a.i"),
        (&["m.a.j", "m.a.i"], none, "m.a.j m.a.i"),
        (&["a"], &["j", "i"], "m.a.j m.a.i"),
        (&["b", "a"], none, "m.a.i m.a.j m.b"),
        (&["g"], none, "m.a.i m.b"),
        (
            &["m.g.j"],
            none,
            "error: configuration `b` of map `m` has no instance `j` (it has no instances; name the configuration alone)",
        ),
        (&["m.h.j"], none, "m.a.j"),
        (&["__all__"], none, "m.a.i m.a.j m.b m.c"),
        (&["__all__.__all__"], none, "m.a.i m.a.j m.b m.c n.b n.z.k"),
        (&["__all__.b"], none, "m.b n.b"),
        (&["__all__.g"], none, "m.a.i m.b n.z.k"),
        (
            &["__all__.z"],
            none,
            "error: map `m` has no configuration or group `z` (known are `a`, `b`, `c`, `g`, `h`)",
        ),
        (
            &["a.i"],
            none,
            "error: no map `a` is configured (for instance `i` of configuration `a` write `m.a.i`)",
        ),
        (
            &["abs"],
            none,
            "error: map `m` has no configuration or group `abs` (known are `a`, `b`, `c`, `g`, `h`)",
        ),
        (
            &["zz"],
            none,
            "error: map `m` has no configuration or group `zz` (known are `a`, `b`, `c`, `g`, `h`)",
        ),
        (&["zz.b"], none, "error: no map `zz` is configured (known are `m`, `n`)"),
        (
            &[""],
            none,
            "error: the name of a configuration of map `m` is empty (known are `a`, `b`, `c`, `g`, `h`)",
        ),
        // An instance that is not declared (D34).
        (&["m.a.zz"], none, "error: configuration `a` of map `m` has no instance `zz` (known are `i`, `j`)"),
        (
            &["m.b.zz"],
            none,
            "error: configuration `b` of map `m` has no instance `zz` (it has no instances; name the configuration alone)",
        ),
        // §6.1: no wildcards; a name and its nearest one; all findings at once.
        (&["a*"], none, "error: map `m` has no configuration or group `a*` (did you mean `a`?)"),
        (
            &["m.zz", "m.a.x", "o.a"],
            none,
            "error: map `m` has no configuration or group `zz` (known are `a`, `b`, `c`, `g`, `h`); \
          error: configuration `a` of map `m` has no instance `x` (known are `i`, `j`); error: no map `o` is configured (known are `m`, `n`)",
        ),
        (
            &["m"],
            none,
            "error: `m` is a map, and it has no configuration of this name (name a configuration of the map too, or `__all__`; it has `a`, `b`, `c`)",
        ),
        (&[], none, ""),
    ] {
        let references: Vec<Reference> = references.iter().map(|text| Reference::parse(text)).collect();
        let instances: Vec<String> = instances.iter().map(|&instance| instance.to_owned()).collect();
        let selected = select(&maps(), &references, Some("m"), &instances);
        assert_eq!(shown(selected), expected, "§6.5 {references:?}");
    }
}

#[test]
fn the_default_map_is_the_only_one() {
    // §6.3
    let select = |maps: &Maps| shown(select(maps, &[Reference::config("a")], None, &[]));
    assert_eq!(select(&maps()), "error: `a` names no map, and 2 maps are configured (write `m.a`)");
    assert_eq!(
        shown(super::select(&maps(), &[Reference::config("m")], None, &[])),
        "error: `m` is a map, and it has no configuration of this name (name a configuration of the map too, or `__all__`; it has `a`, `b`, `c`)"
    );
    assert_eq!(
        shown(super::select(&maps(), &[Reference::config("zz")], None, &[])),
        "error: `zz` names no map, and 2 maps are configured (write `map.configuration`; maps are `m`, `n`)"
    );
    let mut one = maps();
    one.shift_remove("n");
    assert_eq!(select(&one), "m.a.i m.a.j");
    assert_eq!(select(&Maps::new()), "error: `a`: no map is configured");
}

#[test]
fn networks_and_volumes_are_selected_by_kind() {
    // §6.4, D33: kinds in the order container, network, volume.
    let map = extended_map(
        "a: {attaches: [{v: /v}, {w: /w}], instances: [i, j]}\nb: {}\nnetworks: {n: }\ngroups: {g: [a.i]}",
    );
    let maps = Maps::from([(map.name.clone(), map)]);
    let reference = |kind, config: &str, instances: &[&str]| Reference {
        kind,
        instances: instances.iter().map(|&name| name.to_owned()).collect(),
        ..Reference::config(config)
    };
    for (references, expected) in [
        (
            vec![
                reference(Kind::Volume, "a", &[]),
                reference(Kind::Network, "n", &[]),
                reference(Kind::Container, "b", &[]),
            ],
            "m.b N n of m V a:v of m V a:w of m",
        ),
        (vec![reference(Kind::Volume, "a", &["w"])], "V a:w of m"),
        (vec![reference(Kind::Volume, "g", &[])], "V a:v of m V a:w of m"),
        (
            vec![reference(Kind::Volume, "a", &["x"])],
            "error: configuration `a` of map `m` has no volume `x` (known are `v`, `w`)",
        ),
        (vec![reference(Kind::Network, "o", &[])], "error: map `m` has no network `o` (known are `n`)"),
        (
            vec![reference(Kind::Image, "a", &[])],
            "error: `a`: an image cannot be selected; select a configuration that needs it",
        ),
    ] {
        assert_eq!(shown(select(&maps, &references, None, &[])), expected, "§6.4 {references:?}");
    }
}

#[test]
fn words_of_a_command_line() {
    // cli §1.1, engine §1.3: words, reference as map / configuration / instances. Map `app` has a
    // configuration of its own name.
    let app = extended_map("name: app\napp: {instances: [one]}\nweb: {}\n");
    let mut maps = maps();
    maps.insert(app.name.clone(), app);
    for (words, expected) in [
        (["m", "a"].as_slice(), "m / a /"),
        (&["m", "a", "i", "j"], "m / a / i j"),
        (&["m", "a.i"], "m / a / i"),
        (&["m", "a.i.x"], "m / a / i.x"),
        (&["a"], "- / a /"),
        (&["a", "i"], "- / a / i"),
        (&["a.i"], "- / a / i"),
        (&["m.a"], "m / a /"),
        (&["m.a.i"], "m / a / i"),
        (&["m.a", "i"], "m / a / i"),
        (&["__all__"], "- / __all__ /"),
        (&["__all__.b"], "__all__ / b /"),
        (&["m", "__all__"], "m / __all__ /"),
        (&["m", "m.a"], "m / a /"),
        (&["n", "m.a"], "m / a /"),
        // A single word is the configuration, even where a map is called so.
        (&["app"], "- / app /"),
        (&["app", "app"], "app / app /"),
        (&["app", "app.one"], "app / app / one"),
        (&["app.web"], "app / web /"),
    ] {
        let reference = Reference::words(&maps, words).unwrap();
        let Reference { map, config, instances, kind } = &reference;
        let shown = format!("{} / {config} / {}", map.as_deref().unwrap_or("-"), instances.join(" "));
        assert_eq!(shown.trim_end(), expected, "cli §1.1 {words:?}");
        assert_eq!(*kind, Kind::Container);
    }
    let none: [&str; 0] = [];
    assert_eq!(Reference::words(&maps, &none).unwrap_err().message, "no configuration is named");
}

#[test]
fn structured_references() {
    // §6.2: data, references as kind map / configuration / instances.
    let text = |text: &str| Value::String(text.to_owned());
    let list = |items: &[Value]| Value::List(items.to_vec());
    let mapping = |entries: &[(&str, Value)]| {
        Value::Mapping(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    };
    let number = Value::Number(Number::from(1));
    for (value, expected) in [
        (Value::Null, ""),
        (list(&[]), ""),
        (text("m.a.i"), "container m / a / i"),
        (list(&[text("a"), text("m.b")]), "container - / a /; container m / b /"),
        (list(&[list(&[text("a.x")])]), "container - / a.x /"),
        (list(&[list(&[text("m"), text("a")])]), "container m / a /"),
        (list(&[list(&[Value::Null, text("a"), text("i")])]), "container - / a / i"),
        (list(&[list(&[text("m"), text("a"), list(&[text("i"), number.clone()])])]), "container m / a / i 1"),
        (list(&[list(&[text("m"), text("a"), list(&[text("i"), Value::Null])])]), "container m / a /"),
        (mapping(&[("config_name", text("a"))]), "container - / a /"),
        (
            list(&[mapping(&[
                ("config_name", text("n")),
                ("map_name", text("m")),
                ("config_type", text("network")),
            ])]),
            "network m / n /",
        ),
        (
            mapping(&[
                ("config_name", text("a")),
                ("instance_names", text("v")),
                ("config_type", text("volume")),
            ]),
            "volume - / a / v",
        ),
        (
            list(&[list(&[])]),
            "error: a reference in list form has 1 to 3 elements (configuration; map, configuration; map, configuration, instances), not 0",
        ),
        (mapping(&[("m", text("a"))]), "error: `m` is not a key of a reference"),
        (mapping(&[("map_name", text("m"))]), "error: a reference needs `config_name`"),
        (
            mapping(&[("config_name", text("a")), ("config_type", text("image"))]),
            "error: `config_type` is `image`, expected `container`, `network` or `volume`",
        ),
        (Value::Bool(true), "error: the reference name of a reference is a boolean, expected a text"),
    ] {
        let shown = match Reference::read(&value) {
            Ok(references) => {
                let one = |Reference { map, config, instances, kind }: &Reference| {
                    let line = format!(
                        "{kind} {} / {config} / {}",
                        map.as_deref().unwrap_or("-"),
                        instances.join(" ")
                    );
                    line.trim_end().to_owned()
                };
                references.iter().map(one).collect::<Vec<_>>().join("; ")
            }
            Err(finding) => format!("error: {}", finding.message),
        };
        assert_eq!(shown, expected, "§6.2 {value:?}");
    }
}
