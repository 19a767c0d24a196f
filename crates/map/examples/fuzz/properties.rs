//! What must hold for every text. The tests check it for the kept corpus (`tests/corpus.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use dfab_map::diagnostic::{Findings, RenderOptions, Sources, render_all};
use dfab_map::load::{self, LoadOptions, Loaded};
use dfab_map::model::Map;
use dfab_map::value::{Tables, Value};
use dfab_map::{check, extend, show, yaml};

/// No text of the sizes used here may take longer, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the texts of a corpus, in the order of their names.
///
/// # Errors
///
/// When the folder or a file cannot be read.
pub fn corpus(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    files.iter().map(|file| std::fs::read_to_string(file.path())).collect()
}

/// Checks a text: nothing panics or takes long; what was read is written and read back equal; a map is
/// the same and has the same findings entry by entry and as a whole; what was loaded is shown and loaded
/// back equal, as it was written and extended.
///
/// Returns the shape of what the loader said: its messages without the quoted parts.
///
/// # Errors
///
/// The property that does not hold.
pub fn hold(text: &str) -> Result<Vec<String>, String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| holds(text)));
    if start.elapsed() > PATIENCE {
        return Err(format!("took {} s", start.elapsed().as_secs()));
    }
    result.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", message.unwrap_or("without a message")))
    })
}

fn holds(text: &str) -> Result<Vec<String>, String> {
    let mut tables = Tables::default();
    tables.variables.insert("port".to_owned(), Value::from(8080));
    tables.environment.insert("SITE".to_owned(), "/srv/site".to_owned());
    tables.homes.insert(String::new(), "/home/u".to_owned());
    let options = LoadOptions { file: "f.yaml", name: None, lookup: &tables };
    let mut said = Vec::new();

    match yaml::parse(text, "f.yaml") {
        Ok(node) => {
            let written = yaml::write(&node);
            let again = yaml::parse(&written, "f.yaml")
                .map_err(|error| format!("not read back: {error}\n{written}"))?;
            if Value::from(&again) != Value::from(&node) {
                return Err(format!("read back as something else:\n{written}"));
            }
        }
        Err(findings) => say(&findings, &mut said)?,
    }
    let loaded = load::map(text, &options);
    if let Ok(node) = yaml::parse(text, "f.yaml") {
        let whole = load::map_node(node, Sources::of("f.yaml", text), &options);
        if !is_same(&loaded, &whole) {
            return Err("entry by entry it is not what it is as a whole".to_owned());
        }
    } else if loaded.is_ok() {
        return Err("loaded from no valid YAML".to_owned());
    }
    match loaded {
        Ok(loaded) => {
            let map = loaded.value;
            comes_back(&map, &options)?;
            say(&Findings(loaded.warnings), &mut said)?;
            match extend::extended(&map) {
                Ok(extended) => comes_back(&extended, &options)?,
                Err(findings) => say(&findings, &mut said)?,
            }
            say(&Findings(check::check_written(&map, check::Options::default())), &mut said)?;
        }
        Err(findings) => say(&findings, &mut said)?,
    }
    match load::clients(text, &options) {
        Ok(loaded) => said.push(format!("{} clients", loaded.value.len().min(3))),
        Err(findings) => say(&findings, &mut said)?,
    }
    said.sort();
    said.dedup();
    Ok(said)
}

fn is_same(one: &Result<Loaded<Map>, Findings>, other: &Result<Loaded<Map>, Findings>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            // The texts show the order too.
            show::map(&one.value) == show::map(&other.value) && one.warnings == other.warnings
        }
        // Beyond that, which of them are kept depends on the order of reading.
        (Err(one), Err(other)) => one == other || one.0.len() > load::MAX_FINDINGS,
        _ => false,
    }
}

fn comes_back(map: &Map, options: &LoadOptions<'_>) -> Result<(), String> {
    let shown = show::map(map);
    match load::map(&shown, options) {
        Ok(again) if again.value == *map => Ok(()),
        Ok(_) => Err(format!("shown as a different map:\n{shown}")),
        Err(findings) => Err(format!("shown as no map: {findings}\n{shown}")),
    }
}

/// Renders the findings, and notes their messages without what is quoted in them.
fn say(findings: &Findings, said: &mut Vec<String>) -> Result<(), String> {
    let text = render_all(&findings.0, &Sources::default(), RenderOptions { color: true, width: Some(100) });
    if findings.0.iter().any(|finding| finding.message.is_empty())
        || (text.is_empty() != findings.0.is_empty())
    {
        return Err("a finding says nothing".to_owned());
    }
    let _ = findings.to_json();
    said.extend(findings.0.iter().map(|finding| {
        finding
            .message
            .split('`')
            .step_by(2)
            .map(|part| part.replace(|c: char| c.is_ascii_digit(), ""))
            .collect()
    }));
    Ok(())
}
