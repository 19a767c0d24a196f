//! The names that a project has, as far as its files can be read.

use std::path::Path;

use dfab_map::names::container_name;
use indexmap::IndexMap;

use super::line::Position;
use crate::project::{self, Project, Variables, settings_text};

/// Names for candidates.
#[derive(Debug, Default)]
pub struct Names {
    /// Tasks of the project with their descriptions.
    pub tasks: Vec<(String, String)>,
    /// Hosts of the project file, of its roles and of its clients.
    pub hosts: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Deployment variables.
    pub variables: Vec<String>,
    /// Maps.
    pub maps: IndexMap<String, MapNames>,
}

/// The names of one map.
#[derive(Debug, Default)]
pub struct MapNames {
    /// Configurations that have containers, each with its instances.
    pub configurations: IndexMap<String, Vec<String>>,
    /// Groups.
    pub groups: Vec<String>,
}

impl Names {
    /// Reads the project that a line means. What cannot be read has no names.
    pub fn read(position: &Position) -> Self {
        match std::env::current_dir() {
            Ok(directory) => Self::of(position, &directory, Variables::new()),
            Err(_) => Self::default(),
        }
    }

    /// As [`Names::read`], in this directory.
    pub fn of(position: &Position, directory: &Path, mut variables: Variables) -> Self {
        if let Ok(Some(text)) = settings_text(None, &variables) {
            variables.read_settings(&text);
        }
        // What is wrong in `--set` is said when the line is run.
        for set in &position.set {
            let _ = variables.set(set);
        }
        let project = Project::load_leniently(position.file.as_deref(), directory, &mut variables);
        variables.settle_some();
        let mut names = Self {
            tasks: project
                .tasks
                .iter()
                .map(|(name, task)| (name.clone(), task.description.clone().unwrap_or_default()))
                .collect(),
            hosts: project.hosts.clone(),
            roles: project.roles.keys().cloned().collect(),
            variables: variables.names().map(str::to_owned).collect(),
            ..Self::default()
        };
        names.hosts.extend(project.roles.values().flatten().cloned());
        names.hosts.extend(client_hosts(&project, &variables));
        let mut seen = std::collections::HashSet::new();
        names.hosts.retain(|host| seen.insert(host.clone()));
        for map in project.map_names() {
            let found = map_names(&project, &map, &variables);
            names.maps.insert(map, found);
        }
        names
    }

    /// Returns the map that is meant where none is named: the only one.
    pub fn only_map(&self) -> Option<&MapNames> {
        match self.maps.len() {
            1 => self.maps.values().next(),
            _ => None,
        }
    }

    /// Returns the names of all containers of the maps, as engines know them.
    pub fn containers(&self) -> impl Iterator<Item = String> {
        self.maps.iter().flat_map(|(map, names)| {
            names.configurations.iter().flat_map(move |(config, instances)| match instances.as_slice() {
                [] => vec![container_name(map, config, None)],
                many => many.iter().map(|instance| container_name(map, config, Some(instance))).collect(),
            })
        })
    }
}

fn client_hosts(project: &Project, variables: &Variables) -> Vec<String> {
    let Ok(Some(loaded)) = project::load_clients(project, variables) else { return Vec::new() };
    loaded.value.values().filter_map(|client| client.fabric_host.clone()).collect()
}

fn map_names(project: &Project, name: &str, variables: &Variables) -> MapNames {
    let loaded = project::load_map(project, name, variables).ok();
    if let Some(map) = loaded.and_then(|loaded| dfab_map::extend::extended(&loaded.value).ok()) {
        let configurations = map.containers.iter().filter(|(_, container)| !container.is_abstract);
        let instances = |container: &dfab_map::model::Container| {
            container.instances.iter().map(ToString::to_string).collect()
        };
        return MapNames {
            configurations: configurations.map(|(name, c)| (name.to_string(), instances(c))).collect(),
            groups: map.groups.keys().map(ToString::to_string).collect(),
        };
    }
    // A map that is wrong, or lacks a variable, has names all the same.
    project::map_node(project, name).map(|node| written_names(&node)).unwrap_or_default()
}

/// Returns the names as they are written, without inheritance (map-model §1.3).
fn written_names(root: &dfab_map::yaml::Node) -> MapNames {
    let mut names = MapNames::default();
    for entry in root.mapping().unwrap_or_default() {
        match entry.key.text.as_str() {
            "volumes" | "networks" | "host" => {}
            "groups" => {
                let groups = entry.value.mapping().unwrap_or_default();
                names.groups.extend(groups.iter().map(|group| group.key.text.to_string()));
            }
            "containers" => names.configurations.extend(written_names(&entry.value).configurations),
            name if entry.value.mapping().is_some() => {
                let is_abstract = entry.value.get("abstract").is_some_and(|node| node.text() == Some("true"));
                let instances = match entry.value.get("instances") {
                    None => Vec::new(),
                    Some(node) => node
                        .list()
                        .unwrap_or(std::slice::from_ref(node))
                        .iter()
                        .filter_map(|item| item.text().map(str::to_owned))
                        .collect(),
                };
                if !is_abstract {
                    names.configurations.insert(name.to_owned(), instances);
                }
            }
            _ => {}
        }
    }
    names
}
