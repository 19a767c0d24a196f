//! Plans as text: (map, state of the engines) -> printed plan.
//!
//! Each `.txt` file here holds scenarios; `scenario.rs` says how they are written. After a change
//! that is meant, `UPDATE_PLANS=1 cargo test -p dfab-map --test plans` writes what is printed now into
//! the files, for reading the difference before it is committed.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

mod model;
mod properties;
mod random;
mod rows;
mod scenario;

use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

#[test]
fn plans_are_as_written() {
    let update = std::env::var_os("UPDATE_PLANS").is_some();
    let mut wrong = Vec::new();
    let files = files();
    assert!(!files.is_empty(), "the scenarios are not where they should be");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let printed = scenario::run(&text);
        if printed != text {
            match update {
                true => std::fs::write(&path, printed).unwrap(),
                false => wrong.push(difference(&path, &text, &printed)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the first lines that differ, with what stands before them.
fn difference(path: &Path, expected: &str, printed: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (expected, printed): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), printed.lines().collect());
    let at = expected.iter().zip(&printed).take_while(|(a, b)| a == b).count();
    let title = expected[..at].iter().rev().find(|line| line.starts_with("== ")).unwrap_or(&"");
    let part = |lines: &[&str]| lines[at..lines.len().min(at + 8)].join("\n    ");
    format!(
        "{name}:{}: {title}\n  expected:\n    {}\n  printed:\n    {}",
        at + 1,
        part(&expected),
        part(&printed)
    )
}
