//! Loading the maps and clients that a project names.

use std::path::Path;

use dfab_map::diagnostic::{Finding, Findings, Sources};
use dfab_map::load::{self, LoadOptions, Loaded};
use dfab_map::model::{Clients, Map};

use super::file::{Source, shown};
use super::{Project, Variables};
use crate::failure::{Failure, Result};

impl Project {
    /// Returns the names of all maps that this project can load, in document order.
    ///
    /// Without a project file these are the YAML files of the directory that are no clients file: any
    /// map `M` is read from `M.yaml` or `M.yml` (cli §2).
    pub fn map_names(&self) -> Vec<String> {
        if self.file.is_some() {
            return self.maps.keys().cloned().collect();
        }
        let mut names: Vec<String> = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_yaml =
                    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
                let name = path.file_stem()?.to_str()?.to_owned();
                (is_yaml && path.is_file() && dfab_map::names::MapName::new(&name).is_ok()).then_some(name)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn map_source(&self, name: &str) -> Option<Source> {
        if let Some(source) = self.maps.get(name) {
            return Some(source.clone());
        }
        if self.file.is_some() {
            return None;
        }
        let candidates = ["yaml", "yml"].map(|extension| self.root.join(format!("{name}.{extension}")));
        candidates.into_iter().find(|path| path.is_file()).map(Source::File)
    }
}

/// Loads one map of the project under the name that the project gives it.
///
/// # Errors
///
/// A configuration failure when there is no such map, its file cannot be read, or it is wrong.
pub fn load_map(project: &Project, name: &str, variables: &Variables) -> Result<Loaded<Map>> {
    let Some(source) = project.map_source(name) else {
        return Err(unknown_map(project, name));
    };
    let what = format!("map `{name}`");
    let lookup = variables;
    read(
        project,
        &source,
        &what,
        |text, file| load::map(text, &LoadOptions { file, name: Some(name), lookup }),
        |node, sources, file| load::map_node(node, sources, &LoadOptions { file, name: Some(name), lookup }),
    )
}

/// Returns what is written for a map, as far as it is YAML.
pub fn map_node(project: &Project, name: &str) -> Option<dfab_map::yaml::Node> {
    match project.map_source(name)? {
        Source::File(path) => dfab_map::yaml::parse(&std::fs::read_to_string(path).ok()?, name).ok(),
        Source::Inline(node) => Some(*node),
    }
}

/// Loads the clients of the project; none when it names none.
///
/// # Errors
///
/// As [`load_map`].
pub fn load_clients(project: &Project, variables: &Variables) -> Result<Option<Loaded<Clients>>> {
    let Some(source) = &project.clients else { return Ok(None) };
    let lookup = variables;
    read(
        project,
        source,
        "clients",
        |text, file| load::clients(text, &LoadOptions { file, name: None, lookup }),
        |node, sources, file| load::clients_node(node, sources, &LoadOptions { file, name: None, lookup }),
    )
    .map(Some)
}

/// Returns the failure for a map that the project does not have.
pub fn unknown_map(project: &Project, name: &str) -> Failure {
    let known = project.map_names();
    let failure = Failure::configuration(format!("container map `{name}` not found"));
    match (&project.file, known.is_empty()) {
        (_, false) => failure.nearest(name, "maps", known.iter().map(String::as_str)),
        (Some(file), true) => failure.hint(format!("name it under `maps:` in `{file}`")),
        (None, true) => {
            failure.hint(format!("there is no project file, and no `{name}.yaml` in this directory"))
        }
    }
}

fn read<T>(
    project: &Project,
    source: &Source,
    what: &str,
    of_text: impl FnOnce(&str, &str) -> std::result::Result<Loaded<T>, Findings>,
    of_node: impl FnOnce(dfab_map::yaml::Node, Sources, &str) -> std::result::Result<Loaded<T>, Findings>,
) -> Result<Loaded<T>> {
    match source {
        Source::File(path) => {
            let file = display(project, path);
            let text = std::fs::read_to_string(path).map_err(|error| {
                let failure =
                    Failure::configuration(format!("failed to read {what} from `{file}`")).because(&error);
                match (&project.file, error.kind()) {
                    (Some(project), std::io::ErrorKind::NotFound) => {
                        failure.hint(format!("`{project}` names this file; paths in it are relative to it"))
                    }
                    _ => failure,
                }
            })?;
            of_text(&text, &file).map_err(|findings| {
                Failure::findings(count(what, &findings), findings, Sources::of(file.clone(), &text))
            })
        }
        Source::Inline(node) => {
            let file = project.file.clone().unwrap_or_default();
            of_node((**node).clone(), project.sources.clone(), &file).map_err(|findings| {
                Failure::findings(count(what, &findings), findings, project.sources.clone())
            })
        }
    }
}

/// Returns a file of the project as messages name it: relative to the working directory.
fn display(project: &Project, path: &Path) -> String {
    let directory = std::env::current_dir().unwrap_or_else(|_| project.root.clone());
    shown(path, &directory)
}

fn count(what: &str, findings: &Findings) -> String {
    let is_error = |finding: &&Finding| finding.severity == dfab_map::diagnostic::Severity::Error;
    let errors = findings.0.iter().filter(is_error).count();
    format!("{what} has {}", crate::text::count(errors, "error"))
}
