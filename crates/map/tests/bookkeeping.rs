//! Every row of the tables of map-model §2, §3, §7, every worked example of §8.7, every check of §9 and
//! every defect of §12 has a row in the data of a test.
//!
//! `spec_rows.txt` is the list; a row that loses its test makes this one fail. The tests themselves say
//! whether the rows hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const LIST: &str = include_str!("spec_rows.txt");
const FORMS: &str = include_str!("../src/load/tests/forms.txt");

/// Returns the forms of `forms.txt` by the section and property of their header.
fn forms() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut forms: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut section = "";
    for line in FORMS.lines() {
        if let Some(header) = line.strip_prefix("# ") {
            section = header;
        } else if let Some((written, _)) = line.split_once("=>") {
            forms.entry(section).or_default().extend(written.split(" | ").map(str::trim));
        }
    }
    forms
}

/// Line breaks and indentation are the formatter's.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_row_of_the_specification_has_a_row_in_a_test() {
    let forms = forms();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut missing = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let parts: Vec<&str> = line.split(" :: ").collect();
        let found = match parts[..] {
            // A form of a table of accepted forms.
            [section, form] => {
                let form = if form == "(nothing)" { "" } else { form };
                forms.get(section).is_some_and(|known| known.contains(form))
            }
            // What stands in the data of another test.
            [_, file, needle] => files
                .entry(file)
                .or_insert_with(|| {
                    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                    on_one_line(
                        &std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}")),
                    )
                })
                .contains(&on_one_line(needle)),
            _ => panic!("no row: {line}"),
        };
        let chapter = line.trim_start_matches('§').split([' ', '.', '-']).next().unwrap_or_default();
        *counts.entry(chapter.to_owned()).or_default() += 1;
        if !found {
            missing.push(line);
        }
    }
    assert!(missing.is_empty(), "without a row in a test:\n{}", missing.join("\n"));
    // The list is whole: as many rows as the specification has.
    for (rows, prefix) in [(13, "§9 check "), (46, "§12 D"), (29, "§8.7 example ")] {
        let listed: BTreeSet<&str> = LIST
            .lines()
            .filter(|line| line.starts_with(prefix))
            .filter_map(|line| line.split(" :: ").next())
            .collect();
        assert_eq!(listed.len(), rows, "{prefix}");
    }
    assert!(counts["2"] > 180 && counts["3"] > 15 && counts["7"] > 12, "{counts:?}");
}
