//! Properties over combinations of the table's rows, and over arbitrary texts.

use proptest::prelude::*;

use super::forms::{Case, cases};
use super::*;
use crate::{extend, show};

/// The accepted rows that can stand in a configuration.
fn accepted() -> Vec<Case> {
    cases()
        .into_iter()
        .filter(|case| !case.is_refused() && !case.property().contains('.') && case.form != "(absent)")
        .collect()
}

/// A map of some configurations, each extending earlier ones, with random rows as properties.
fn map_text() -> impl Strategy<Value = String> {
    let rows = accepted().len();
    let configuration =
        (proptest::collection::vec(0..rows, 0..8), proptest::collection::vec(0..8usize, 0..3));
    proptest::collection::vec(configuration, 1..6).prop_map(|configurations| {
        let rows = accepted();
        let mut text = "name: m\n".to_owned();
        for (number, (chosen, parents)) in configurations.iter().enumerate() {
            text.push_str(&format!("c{number}:\n"));
            let parents: Vec<String> = parents
                .iter()
                .filter(|parent| **parent < number)
                .map(|parent| format!("c{parent}"))
                .collect();
            text.push_str(&format!("  extends: [{}]\n", parents.join(", ")));
            let mut given = vec!["extends"];
            for row in chosen {
                let case = &rows[*row];
                if !given.contains(&case.property()) {
                    given.push(case.property());
                    text.push_str(&format!("  {}: {}\n", case.property(), case.form));
                }
            }
        }
        text
    })
}

#[test]
fn every_accepted_row_is_shown_and_loaded_again_unchanged() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| !case.is_refused() && !case.property().starts_with("client.")) {
        let map = load(&case.document()).unwrap().value;
        let shown = show::map(&map);
        match load(&shown) {
            Ok(again) if again.value == map && again.warnings.is_empty() => {}
            Ok(again) => wrong.push(format!("{} {}\n{shown}\n{:?}", case.section, case.form, again.warnings)),
            Err(findings) => wrong.push(format!("{} {}\n{shown}\n{findings}", case.section, case.form)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

/// Pieces that YAML and the loader treat specially, to reach further than random characters do.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "name: m\n",
        "a:\n",
        "  binds:\n",
        "  - ",
        "exposes",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "*x",
        "&x ",
        "<<: *x",
        "!env p",
        "!env_lazy q",
        "!path $SITE",
        "!!str ",
        "\"",
        "'",
        "\n",
        "\n  ",
        "\n    ",
        "|\n",
        ">\n",
        "? ",
        "- ",
        "80",
        "8080:80",
        "ro",
        "null",
        "~",
        "yes",
        "0750",
        "/c",
        "healthcheck: ",
        "networks: ",
        "volumes:\n",
        "host: ",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r\n",
        "\u{85}",
        "\u{feff}",
        "ä",
        "🦀",
        "\0",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => ".{0,6}",
    ]
}

proptest! {
    #[test]
    fn the_extended_map_is_shown_and_loaded_again_unchanged(text in map_text()) {
        let written = load(&text).map_err(|findings| TestCaseError::fail(format!("{findings}\n{text}")))?.value;
        let shown = show::map(&written);
        prop_assert_eq!(&load(&shown).map_err(|findings| TestCaseError::fail(findings.to_string()))?.value, &written);
        let extended = extend::extended(&written).map_err(|findings| TestCaseError::fail(findings.to_string()))?;
        let shown = show::map(&extended);
        prop_assert_eq!(&load(&shown).map_err(|findings| TestCaseError::fail(findings.to_string()))?.value, &extended);
    }

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        exercise(&text);
    }

    #[test]
    fn what_is_written_is_read_back(pieces in proptest::collection::vec(piece(), 0..30)) {
        if let Ok(node) = yaml::parse(&pieces.concat(), "f") {
            let text = yaml::write(&node);
            let again = yaml::parse(&text, "f").map_err(|findings| TestCaseError::fail(format!("{findings}\n{text}")))?;
            prop_assert_eq!(Value::from(&again), Value::from(&node), "{}", text);
        }
    }
}

/// Does with a text what the tool does with a file.
fn exercise(text: &str) {
    match load(text) {
        Ok(Loaded { value: map, .. }) => {
            let _ = crate::check::check_written(&map, crate::check::Options::default());
            let _ = show::map(&map);
        }
        Err(findings) => {
            let _ = (shown(&findings), findings.to_json());
        }
    }
    let _ = load_clients(text).map_err(|findings| shown(&findings));
}
