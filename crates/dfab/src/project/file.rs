//! The project file: finding it, reading it, and what is wrong with it (cli §2).

use std::path::{Path, PathBuf};

use dfab_map::diagnostic::{Finding, FindingKind, Findings, Sources, nearest};
use dfab_map::value::Value;
use dfab_map::yaml::{Content, Entry, Node};
use indexmap::IndexMap;

use super::steps::{self, ProjectTask};
use super::{Variables, value};
use crate::failure::{Failure, Result};

/// The keys of a project file.
const KEYS: [&str; 7] = ["description", "env", "maps", "clients", "hosts", "roles", "tasks"];

/// A project, or what stands for one where there is no file.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Directory that paths of the project are relative to.
    pub root: PathBuf,
    /// The project file as messages name it; `None` without one.
    pub file: Option<String>,
    /// `description:`, shown on top of `--list`.
    pub description: Option<String>,
    /// Where each map is, in document order.
    pub maps: IndexMap<String, Source>,
    /// Where the clients are.
    pub clients: Option<Source>,
    /// Default hosts.
    pub hosts: Vec<String>,
    /// Roles that are default hosts too: the variable `roles`, see [`crate::settings::fill`].
    pub default_roles: Vec<String>,
    /// Hosts by role.
    pub roles: IndexMap<String, Vec<String>>,
    /// Tasks of the project.
    pub tasks: IndexMap<String, ProjectTask>,
    /// Texts that findings point into.
    pub sources: Sources,
}

/// Where a map or the clients are written.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file of their own.
    File(PathBuf),
    /// In the project file.
    Inline(Box<Node>),
}

impl Project {
    /// Finds and reads the project; `env` goes to `variables`.
    ///
    /// `named` is `-f`. Without a project file the project is empty and its root is `directory`.
    ///
    /// # Errors
    ///
    /// A configuration failure when a named file does not exist, or with everything that is wrong
    /// in it.
    pub fn load(named: Option<&Path>, directory: &Path, variables: &mut Variables) -> Result<Self> {
        let Some(path) = find(named, directory, variables)? else {
            return Ok(Self { root: directory.to_owned(), ..Self::default() });
        };
        let name = shown(&path, directory);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::configuration(format!("failed to read the project file `{name}`")).because(&error)
        })?;
        let root =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(directory).to_owned();
        let wrong = |findings: Findings| {
            Failure::findings(
                format!("the project file `{name}` is wrong"),
                findings,
                Sources::of(name.clone(), &text),
            )
        };
        let node = dfab_map::yaml::parse(&text, &name).map_err(&wrong)?;
        let mut project = Self {
            root,
            file: Some(name.clone()),
            sources: Sources::of(name.clone(), &text),
            ..Self::default()
        };
        let mut findings = Vec::new();
        project.read(&node, variables, &mut findings);
        if findings.is_empty() { Ok(project) } else { Err(wrong(Findings(findings))) }
    }

    /// As [`Project::load`], for completion: what is wrong in the file is left out, and a file that cannot be
    /// read is no file.
    pub fn load_leniently(named: Option<&Path>, directory: &Path, variables: &mut Variables) -> Self {
        let mut project = Self { root: directory.to_owned(), ..Self::default() };
        let Ok(Some(path)) = find(named, directory, variables) else { return project };
        let name = shown(&path, directory);
        project.root = path.parent().unwrap_or(directory).to_owned();
        project.file = Some(name.clone());
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(node) = dfab_map::yaml::parse(&text, &name)
        {
            project.read(&node, variables, &mut Vec::new());
        }
        project
    }

    /// Tells whether maps or clients are read from files of their own, which something may write until then.
    pub fn reads_files(&self) -> bool {
        let sources = || self.maps.values().chain(&self.clients);
        self.file.is_none() || sources().any(|source| matches!(source, Source::File(_)))
    }

    fn read(&mut self, node: &Node, variables: &mut Variables, findings: &mut Vec<Finding>) {
        if node.is_null() {
            return;
        }
        let Some(entries) = node.mapping() else {
            let message = format!("a project file is a mapping, found {}", node.describe());
            findings.push(node.error(FindingKind::Load, message));
            return;
        };
        // The variables first: other keys may use `!env`.
        for key in KEYS {
            if let Some(entry) = entries.iter().find(|entry| entry.key.text == key) {
                self.read_key(key, entry, variables, findings);
            }
            if key == "env" {
                variables.settle_some();
            }
        }
        for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.text.as_str())) {
            findings.push(unknown_key(entry, &KEYS, "the project file"));
        }
    }

    fn read_key(&mut self, key: &str, entry: &Entry, variables: &mut Variables, findings: &mut Vec<Finding>) {
        let node = &entry.value;
        if node.is_null() {
            return;
        }
        match key {
            "description" => match node.text() {
                Some(text) => self.description = Some(text.to_owned()),
                None => findings.push(expected(node, "description", "a text")),
            },
            "env" => read_env(node, variables, findings),
            "maps" => {
                for entry in mapping(node, "maps", "map names, each with a file or the map itself", findings)
                {
                    if let Some(source) = self.source(&entry.value, "maps", variables, findings) {
                        self.maps.insert(entry.key.text.to_string(), source);
                    }
                }
            }
            "clients" => self.clients = self.source(node, "clients", variables, findings),
            "hosts" => self.hosts = texts(node, "hosts", variables, findings),
            "roles" => {
                for entry in mapping(node, "roles", "role names, each with its hosts", findings) {
                    // Fabric's long form: a mapping with `hosts` and settings of the role.
                    let hosts = entry.value.get("hosts").unwrap_or(&entry.value);
                    let hosts = texts(hosts, "roles", variables, findings);
                    self.roles.insert(entry.key.text.to_string(), hosts);
                }
            }
            "tasks" => self.tasks = steps::read(node, findings),
            _ => unreachable!("`KEYS` has no other key"),
        }
        let hosts: Vec<&String> = match key {
            "hosts" => self.hosts.iter().collect(),
            "roles" => self.roles.values().flatten().collect(),
            _ => Vec::new(),
        };
        for host in hosts {
            if let Err(failure) = super::Host::parse(host) {
                let finding = node.error(FindingKind::InvalidInput, failure.message);
                findings.push(finding.hint(failure.hints.join("; ")));
            }
        }
    }

    fn source(
        &self,
        node: &Node,
        key: &str,
        variables: &Variables,
        findings: &mut Vec<Finding>,
    ) -> Option<Source> {
        if let Content::Mapping(_) = node.content
            && node.tag.is_none()
        {
            return Some(Source::Inline(Box::new(node.clone())));
        }
        match value::value(node, variables) {
            Ok(Value::String(path)) if !path.is_empty() => {
                Some(Source::File(self.root.join(variables.expand_home(&path))))
            }
            Ok(_) => {
                findings.push(expected(node, key, "a file name, or the mapping itself"));
                None
            }
            Err(finding) => {
                findings.push(finding);
                None
            }
        }
    }
}

/// Reads `env:` from top to bottom. What `--set` fixes is left out.
fn read_env(node: &Node, variables: &mut Variables, findings: &mut Vec<Finding>) {
    let mut left: Vec<&Entry> = mapping(node, "env", "variable names and values", findings).iter().collect();
    left.retain(|entry| !variables.is_fixed(&entry.key.text));
    loop {
        let mut wrong = Vec::new();
        left.retain(|entry| match value::value(&entry.value, variables) {
            Ok(value) => {
                variables.insert(&entry.key.text, value);
                false
            }
            Err(finding) => {
                wrong.push(finding);
                true
            }
        });
        // An entry may ask for a value of `--set` that asks for another entry.
        if left.is_empty() || !variables.settle_some() {
            findings.append(&mut wrong);
            return;
        }
    }
}

/// Returns a path as messages show it: relative to the working directory where it is below.
pub fn shown(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}

fn find(named: Option<&Path>, directory: &Path, variables: &Variables) -> Result<Option<PathBuf>> {
    if let Some(named) = named {
        let path = directory.join(variables.expand_home(&named.to_string_lossy()));
        return if path.is_file() {
            Ok(Some(path))
        } else if path.is_dir() {
            match in_directory(&path) {
                Some(path) => Ok(Some(path)),
                None => {
                    Err(Failure::configuration(format!("there is no `dfab.yaml` in `{}`", named.display())))
                }
            }
        } else {
            Err(Failure::configuration(format!("there is no project file `{}`", named.display())).hint(
                "`-f` names the project file; without it `dfab.yaml` is looked for here and in the parents",
            ))
        };
    }
    Ok(directory.ancestors().find_map(in_directory))
}

fn in_directory(directory: &Path) -> Option<PathBuf> {
    ["dfab.yaml", "dfab.yml"].iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

/// Makes the finding of a key that is not known, with the nearest one.
pub(super) fn unknown_key(entry: &Entry, known: &[&str], place: &str) -> Finding {
    let message = format!("unknown key `{}` in {place}", entry.key.text);
    let finding = Finding::error(FindingKind::UnknownKey, message).at(entry.key.place());
    match nearest(&entry.key.text, known.iter().copied()) {
        Some(near) => finding.hint(format!("did you mean `{near}`?")),
        None => finding.hint(format!("known keys: {}", crate::text::list(known, 12))),
    }
}

pub(super) fn expected(node: &Node, key: &str, what: &str) -> Finding {
    node.error(FindingKind::InvalidInput, format!("`{key}` takes {what}, found {}", node.describe()))
}

fn mapping<'a>(node: &'a Node, key: &str, what: &str, findings: &mut Vec<Finding>) -> &'a [Entry] {
    node.mapping().unwrap_or_else(|| {
        findings.push(expected(node, key, &format!("a mapping of {what}")));
        &[]
    })
}

/// Reads one text or a list of texts.
fn texts(node: &Node, key: &str, variables: &Variables, findings: &mut Vec<Finding>) -> Vec<String> {
    let items = match value::value(node, variables) {
        Ok(Value::List(items)) => items,
        Ok(single) => vec![single],
        Err(finding) => {
            findings.push(finding);
            return Vec::new();
        }
    };
    let text = |item: Value| match item {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    };
    let texts: Option<Vec<String>> = items.into_iter().map(text).collect();
    texts.unwrap_or_else(|| {
        findings.push(expected(node, key, "a host or a list of hosts"));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfab_map::diagnostic::RenderOptions;

    fn load(text: &str) -> Result<(Project, Variables)> {
        load_with(text, &[])
    }

    fn load_with(text: &str, set: &[&str]) -> Result<(Project, Variables)> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("dfab.yaml"), text).unwrap();
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let mut variables = Variables::for_tests("/home/u");
        for set in set {
            variables.set(set)?;
        }
        let project = Project::load(None, &below, &mut variables)?;
        assert_eq!(project.root, directory.path());
        Ok((project, variables))
    }

    #[test]
    fn a_project_is_found_in_a_parent_and_read() {
        let text = "
env:
  docker_timeout: 20
  key_filename: !path ~/.ssh/deploy
maps:
  example_map: maps/example_map.yaml
  small: {web: {image: nginx}}
clients: clients.yaml
hosts: [deploy@web1:22]
roles:
  app: [app1, app2]
  db: {hosts: db1, backup: true}
";
        let (project, variables) = load(text).unwrap();
        assert_eq!(project.maps.keys().collect::<Vec<_>>(), ["example_map", "small"]);
        assert!(
            matches!(&project.maps["example_map"], Source::File(path) if path.ends_with("maps/example_map.yaml"))
        );
        assert!(matches!(&project.maps["small"], Source::Inline(_)));
        assert_eq!(project.hosts, ["deploy@web1:22"]);
        assert_eq!((project.roles["app"].len(), project.roles["db"].len()), (2, 1));
        assert_eq!(variables.get("key_filename"), Some(&Value::String("/home/u/.ssh/deploy".into())));
    }

    /// The hosts of `env: {target: prod1}`, `hosts: [!env target]` were prod1, whatever `--set target` said.
    #[test]
    fn what_is_set_for_the_run_counts_in_all_of_the_file() {
        let text = "
hosts: [!env target]
roles: {app: [!env target, !env second]}
env: {target: prod1, second: !env target, place: maps, unused: !env nobody}
maps: {m: !env file}
";
        let hosts = |set: &[&str]| {
            let (project, _) = load_with(text, set).unwrap();
            let Source::File(map) = &project.maps["m"] else { panic!("{:?}", project.maps) };
            let map = map.file_name().unwrap().to_string_lossy().into_owned();
            format!("{:?} {:?} {map}", project.hosts, project.roles["app"])
        };
        for (set, expected) in [
            (&["file=a", "unused=1"][..], r#"["prod1"] ["prod1", "prod1"] a"#),
            (&["file=a", "unused=1", "target=new"], r#"["new"] ["new", "new"] a"#),
            (&["file=a", "unused=1", "second=new"], r#"["prod1"] ["prod1", "new"] a"#),
            // A value that asks for a variable of the file, and is asked for in it.
            (&["file=!env place", "unused=!env place"], r#"["prod1"] ["prod1", "prod1"] maps"#),
            (&["file=a", "unused=1", "target=!env place"], r#"["maps"] ["maps", "maps"] a"#),
        ] {
            assert_eq!(hosts(set), expected, "{set:?}");
        }
        let wrong = load_with(text, &["file=a"]).unwrap_err().findings.unwrap().0;
        assert_eq!(wrong.0[0].message, "deployment variable `nobody` is not set");
        assert!(wrong.0[0].hint.as_deref().unwrap().contains("--set nobody=VALUE"));
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let text = "mpas: {a: b.yaml}\nhosts: [1: 2]\nroles: [web]\nenv: {a: !env_lazy b}\nmaps: {m: [x]}\n";
        let failure = load(text).unwrap_err();
        let (findings, sources) = *failure.findings.unwrap();
        let shown = dfab_map::diagnostic::render_all(&findings.0, &sources, RenderOptions::default());
        let lines: Vec<&str> =
            shown.lines().filter(|line| line.starts_with("error") || line.contains("help:")).collect();
        assert_eq!(
            lines,
            [
                "error[invalid_input]: `!env_lazy` has no meaning here",
                "  = help: write the value itself",
                "error[invalid_input]: `maps` takes a file name, or the mapping itself, found a list of one element",
                "error[invalid_input]: `hosts` takes a host or a list of hosts, found a list of one element",
                "error[invalid_input]: `roles` takes a mapping of role names, each with its hosts, found a list of one element",
                "error[unknown_key]: unknown key `mpas` in the project file",
                "  = help: did you mean `maps`?",
            ]
        );
    }

    #[test]
    fn a_wrong_host_is_found_where_it_stands() {
        let findings = load("hosts: [web:x]\nroles: {a: b}\n").unwrap_err().findings.unwrap().0;
        let places: Vec<String> = findings.0.iter().map(ToString::to_string).collect();
        assert_eq!(places.len(), 1, "{places:?}");
    }

    #[test]
    fn a_named_file_must_exist() {
        let mut variables = Variables::for_tests("/");
        let failure =
            Project::load(Some(Path::new("nowhere.yaml")), Path::new("/tmp"), &mut variables).unwrap_err();
        assert_eq!(failure.message, "there is no project file `nowhere.yaml`");
    }

    #[test]
    fn without_a_file_the_project_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::load(None, directory.path(), &mut Variables::for_tests("/")).unwrap();
        assert!(project.maps.is_empty() && project.file.is_none());
    }
}
