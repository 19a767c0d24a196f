//! Shapes, positions, tags, merge keys, limits.

use super::*;
use crate::diagnostic::render_all;

/// Prints a tree on one line: scalars in source form (quoted ones in quotes), with tags.
fn print(node: &Node) -> String {
    let body = match &node.content {
        Content::Scalar(Scalar { text, plain: true }) => text.to_string(),
        Content::Scalar(Scalar { text, plain: false }) => format!("{text:?}"),
        Content::List(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", ")),
        Content::Mapping(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key.text, print(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    };
    node.tag.map_or(body.clone(), |tag| format!("{} {body}", tag.as_str()))
}

fn tree(text: &str) -> String {
    match parse(text, "f.yaml") {
        Ok(node) => print(&node),
        Err(findings) => findings.to_string(),
    }
}

#[test]
fn reads_every_shape() {
    let cases = [
        ("", ""),
        ("# only a comment\n", ""),
        ("\u{feff}a: 1", "{a: 1}"),
        ("a: 0750\nb: '0750'\nc:\n", r#"{a: 0750, b: "0750", c: }"#),
        ("- [a, {b: c}]\n-\n  - d\n", "[[a, {b: c}], [d]]"),
        ("a: |\n  x\n  y\n", r#"{a: "x\ny\n"}"#),
        ("{'a': 'b', \"c\": [1, 2]}", r#"{a: "b", c: [1, 2]}"#),
        ("80: 8080\n443: null", "{80: 8080, 443: null}"),
        ("a: !path $X\nb: !env_lazy v\nc: !path [a, b]", "{a: !path $X, b: !env_lazy v, c: !path [a, b]}"),
        ("a: !!str 5\nb: !!int '5'\nc: ! 5\nd: !!map {}", r#"{a: "5", b: 5, c: "5", d: {}}"#),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text:?}");
    }
}

#[test]
fn anchors_and_merge_keys() {
    let cases = [
        ("a: &x [1]\nb: *x", "{a: [1], b: [1]}"),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3, m: 4}", "{a: {k: 1, l: 2}, b: {k: 1, l: 3, m: 4}}"),
        (
            "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}",
            "{a: {k: 1}, b: {k: 2, l: 2}, c: {k: 1, l: 2}}",
        ),
        ("b: {<<: {k: 1}}", "{b: {k: 1}}"),
        ("'<<': 1", "{<<: 1}"),
        ("b: {<<: 1}", "f.yaml:1:5: a merge key `<<` takes mappings, found the number `1`"),
        ("a: &x {}\nb: {<<: *x, <<: *x}", "f.yaml:2:13: key `<<` is given twice in one mapping"),
        ("a: &x [*x]", "f.yaml:1:8: an alias stands inside the very value that it names"),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text:?}");
    }
}

#[test]
fn positions_point_at_the_first_character() {
    let root =
        parse("web:\n  exposes: [80, 443]\n  image:\n  binds:\n  - ä: ro\n    x: 1\n", "f.yaml").unwrap();
    let web = root.get("web").unwrap();
    let at = |node: &Node| (node.position.line, node.position.column, node.length);
    assert_eq!(at(web), (2, 3, 7));
    assert_eq!(at(web.get("exposes").unwrap()), (2, 12, 9));
    assert_eq!(at(&web.get("exposes").unwrap().list().unwrap()[1]), (2, 17, 3));
    assert_eq!(at(web.get("image").unwrap()), (3, 3, 5), "an empty value stands at its key");
    let binds = web.get("binds").unwrap();
    assert_eq!(at(binds), (5, 5, 1), "a list without own indentation stands at its first element");
    assert_eq!(at(binds.list().unwrap()[0].get("ä").unwrap()), (5, 8, 2));
}

#[test]
fn refuses_what_it_cannot_mean() {
    let long = |text: &str| text.to_owned();
    let cases = [
        long("a: 1\nb: 2\na: 3"),
        long("a: 1\n---\nb: 2"),
        long("a: !pat x"),
        long("a: !!python/object:os.system x"),
        long("? [a]\n: b"),
        long("~: b"),
        long("a: !!int x"),
        long("a: *nope"),
        long("a: [1, 2"),
        long("a: b: c"),
        long("a:\n\tb: 1"),
        long("a: b\0c: d"),
        long("a: b\u{85}c: d"),
        long("app: {\nimage: x\n}"),
        format!("{}1{}", "[".repeat(101), "]".repeat(101)),
    ];
    let report: Vec<String> = cases
        .iter()
        .map(|text| {
            render_all(&parse(text, "f.yaml").unwrap_err().0, &Sources::default(), Default::default())
        })
        .collect();
    insta::assert_snapshot!(report.join("\n\n"));
}

#[test]
fn both_places_of_a_duplicate_key_are_shown() {
    let findings = parse("a: 1\nb: 2\na: 3\nb: 4\na: 5", "f.yaml").unwrap_err();
    let places: Vec<(u32, u32)> = findings
        .0
        .iter()
        .map(|f| (f.place.as_ref().unwrap().position.line, f.related[0].0.position.line))
        .collect();
    assert_eq!(places, [(3, 1), (4, 2), (5, 1)]);
}

mod hostile_input {
    use super::*;
    use std::time::{Duration, Instant};

    fn refused_quickly(text: &str, message: &str) {
        let start = Instant::now();
        let findings = parse(text, "f.yaml").unwrap_err().to_string();
        assert!(findings.contains(message), "{findings}");
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    }

    #[test]
    fn alias_bombs_stop_at_the_limit_of_nodes() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        refused_quickly(&text, "more than 1000000 values");
    }

    #[test]
    fn aliases_cannot_nest_deeper_than_the_limit() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..200 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        refused_quickly(&text, "more than 100 deep");
    }

    #[test]
    fn deep_blocks_and_flows() {
        let mut block = String::new();
        for level in 0..5_000 {
            block.push_str(&format!("{}a:\n", " ".repeat(level)));
        }
        refused_quickly(&block, "more than 100 deep");
        refused_quickly(&"[".repeat(1_000_000), "more than 100 deep");
        refused_quickly(&"{a: ".repeat(1_000_000), "more than 100 deep");
        refused_quickly(&"- ".repeat(1_000_000), "more than 100 deep");
        refused_quickly(&"? ".repeat(1_000_000), "more than 100 deep");
    }

    #[test]
    fn nested_anchors_cannot_copy_without_bound() {
        let wide = format!("[{}]", "x, ".repeat(20_000));
        let text = format!("{}{wide}{}", "[&a ".repeat(0), "");
        assert!(parse(&text, "f.yaml").is_ok());
        let mut nested = wide;
        for level in 0..90 {
            nested = format!("&b{level} [{nested}]");
        }
        refused_quickly(&nested, "more than 1000000 values");
    }

    #[test]
    fn too_large_a_text() {
        refused_quickly(&" ".repeat(MAX_TEXT + 1), "more than the limit");
    }

    #[test]
    fn a_flood_of_findings_stops() {
        let text: String = (0..100_000).map(|_| "a: 1\n").collect();
        refused_quickly(&text, "reading stopped after 500 findings");
        let tags: String = (0..100_000).map(|_| "- !x a\n").collect();
        refused_quickly(&tags, "reading stopped after 500 findings");
    }
}
