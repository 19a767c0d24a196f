//! Every row of clients-tasks §4.7–§4.13, §5.5–§5.6, §6, §7, §10 and every defect of §12.1 has a test that shows it.
//!
//! `rows/clients_tasks.txt` is the list; a row that loses its test makes this one fail. The tests themselves say
//! whether the rows hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const LIST: &str = include_str!("../rows/clients_tasks.txt");

/// Line breaks and indentation are the formatter's, and so is the comma before a closing bracket.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace(",]", "]").replace(",)", ")")
}

#[test]
fn every_row_of_clients_tasks_has_a_test() {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let (mut missing, mut rows) = (Vec::new(), BTreeSet::new());
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let parts: Vec<&str> = line.split(" :: ").collect();
        let [row, file, needle] = parts[..] else { panic!("no row: {line}") };
        assert!(rows.insert(row), "twice: {row}");
        let text = files.entry(file).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            on_one_line(&text)
        });
        let is_test = needle.strip_prefix("fn ").is_none_or(|name| {
            let name = name.trim_end_matches("()");
            text.contains(&format!("]fn{name}(")) || text.contains(&format!("]asyncfn{name}("))
        });
        if !is_test || !text.contains(&on_one_line(needle)) {
            missing.push(line);
        }
    }
    assert!(missing.is_empty(), "without a test:\n{}", missing.join("\n"));
    // The list is whole: the worked examples of §4.8 and §4.9, the table of §6.2, and every defect.
    for (section, count) in [("§4.8 ", 14), ("§4.9 ", 14), ("§6.2 ", 12), ("§7.3 ", 11), ("§12 D-", 66)]
    {
        assert_eq!(rows.iter().filter(|row| row.starts_with(section)).count(), count, "{section}");
    }
}
