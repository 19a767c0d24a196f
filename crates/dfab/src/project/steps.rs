//! Tasks of the project: `tasks:` in the project file, each a list of steps.

use dfab_map::diagnostic::{Finding, FindingKind};
use dfab_map::value::{Lookup, Value};
use dfab_map::yaml::Node;
use indexmap::IndexMap;

use super::Variables;
use super::file::{expected, unknown_key};
use crate::failure::{Failure, Result};

/// A task that the project file defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectTask {
    /// One line for lists.
    pub description: Option<String>,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// Run on these hosts instead of those of the call.
    pub hosts: Vec<String>,
    /// Run only on hosts of this role.
    pub when_role: Option<String>,
    /// Where it stands, for messages.
    pub source: String,
}

/// What a step does. Texts may have `{{ NAME }}` in them, see [`interpolate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Calls a task: the words of a command line.
    Task(String),
    /// Runs a command on each host.
    Run(String),
    /// Runs a command on each host as root.
    Sudo(String),
    /// Runs a command on this machine.
    Local(String),
    /// Uploads a file or directory: local path, remote path.
    Put(String, String),
    /// Downloads a file: remote path, local path.
    Get(String, String),
}

impl std::fmt::Display for StepKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(call) => f.write_str(call),
            Self::Run(command) => write!(f, "run: {command}"),
            Self::Sudo(command) => write!(f, "sudo: {command}"),
            Self::Local(command) => write!(f, "local: {command}"),
            Self::Put(from, to) => write!(f, "put: {from} -> {to}"),
            Self::Get(from, to) => write!(f, "get: {from} -> {to}"),
        }
    }
}

const TASK_KEYS: [&str; 2] = ["description", "steps"];
const KINDS: [&str; 6] = ["task", "run", "sudo", "local", "put", "get"];
const STEP_KEYS: [&str; 8] = ["task", "run", "sudo", "local", "put", "get", "hosts", "when_role"];

/// First words of a call that are no task.
const OWN_WORDS: [&str; 3] = ["help", crate::complete::COMMAND, crate::man::COMMAND];

/// Reads `tasks:`.
pub(super) fn read(node: &Node, findings: &mut Vec<Finding>) -> IndexMap<String, ProjectTask> {
    let Some(entries) = node.mapping() else {
        findings.push(expected(node, "tasks", "a mapping of task names, each with its steps"));
        return IndexMap::new();
    };
    let mut tasks = IndexMap::new();
    for entry in entries {
        let name = &entry.key.text;
        if name.is_empty()
            || OWN_WORDS.contains(&name.as_str())
            || name.contains([':', ','])
            || name.contains(char::is_whitespace)
            || name.starts_with('-')
        {
            let message = format!("`{name}` cannot be the name of a task");
            let finding = Finding::error(FindingKind::InvalidInput, message).at(entry.key.place());
            findings.push(match OWN_WORDS.contains(&name.as_str()) {
                true => finding.hint("as the first word of a call it means something else"),
                false => finding.hint("leave out blanks, `:`, `,` and a leading `-`"),
            });
        } else if let Some(builtin) = crate::registry::find_full(name) {
            let message = format!("`{name}` already means `{}`", builtin.full_name());
            let finding = Finding::error(FindingKind::InvalidInput, message).at(entry.key.place());
            findings.push(finding.hint("give the task another name"));
        }
        tasks.insert(name.to_string(), task(&entry.value, findings));
    }
    tasks
}

fn task(node: &Node, findings: &mut Vec<Finding>) -> ProjectTask {
    if node.list().is_some() || node.text().is_some() {
        return ProjectTask { description: None, steps: steps(node, findings) };
    }
    let Some(entries) = node.mapping() else {
        findings.push(expected(node, "tasks", "a list of steps, or `description` and `steps`"));
        return ProjectTask::default();
    };
    let mut task = ProjectTask::default();
    for entry in entries {
        match entry.key.text.as_str() {
            "description" => match entry.value.text() {
                Some(text) => task.description = Some(text.to_owned()),
                None => findings.push(expected(&entry.value, "description", "a text")),
            },
            "steps" => task.steps = steps(&entry.value, findings),
            _ => findings.push(unknown_key(entry, &TASK_KEYS, "a task")),
        }
    }
    task
}

fn steps(node: &Node, findings: &mut Vec<Finding>) -> Vec<Step> {
    let nodes = node.list().unwrap_or(std::slice::from_ref(node));
    nodes.iter().filter_map(|node| step(node, findings)).collect()
}

fn step(node: &Node, findings: &mut Vec<Finding>) -> Option<Step> {
    let source = node.position.to_string();
    if let Some(text) = node.text() {
        return Some(Step {
            kind: StepKind::Task(text.to_owned()),
            hosts: Vec::new(),
            when_role: None,
            source,
        });
    }
    let Some(entries) = node.mapping() else {
        findings.push(expected(
            node,
            "steps",
            "task calls, or mappings with one of `run`, `sudo`, `put`, `get`, `local`",
        ));
        return None;
    };
    let mut kind = None;
    let (mut hosts, mut when_role) = (Vec::new(), None);
    for entry in entries {
        let key = entry.key.text.as_str();
        let text = entry.value.text();
        match key {
            _ if KINDS.contains(&key) && kind.is_some() => {
                let message = format!("`{key}` is a second thing to do in one step");
                findings.push(
                    entry.value.error(FindingKind::InvalidInput, message).hint("make it a step of its own"),
                );
            }
            "put" | "get" => match pair(&entry.value) {
                Some((from, to)) => {
                    kind = Some(if key == "put" { StepKind::Put(from, to) } else { StepKind::Get(from, to) });
                }
                None => findings.push(expected(&entry.value, key, "two paths: `[from, to]`")),
            },
            _ if KINDS.contains(&key) => match text {
                Some(text) => {
                    let make = match key {
                        "task" => StepKind::Task,
                        "run" => StepKind::Run,
                        "sudo" => StepKind::Sudo,
                        _ => StepKind::Local,
                    };
                    kind = Some(make(text.to_owned()));
                }
                None => findings.push(expected(&entry.value, key, "a text")),
            },
            "hosts" => match (entry.value.list(), text) {
                // None would mean those of the call.
                (Some(items), _) if !items.is_empty() && items.iter().all(|item| item.text().is_some()) => {
                    hosts = items.iter().filter_map(Node::text).map(str::to_owned).collect();
                }
                (None, Some(text)) => hosts = vec![text.to_owned()],
                _ => findings.push(expected(&entry.value, "hosts", "a host or a list of hosts")),
            },
            "when_role" => match text {
                Some(text) => when_role = Some(text.to_owned()),
                None => findings.push(expected(&entry.value, "when_role", "the name of a role")),
            },
            _ => findings.push(unknown_key(entry, &STEP_KEYS, "a step")),
        }
    }
    if let Some(StepKind::Local(_)) = kind
        && when_role.is_none()
        && let Some(entry) = entries.iter().find(|entry| entry.key.text == "hosts")
    {
        let message = "`hosts` has no effect: `local` runs on this machine";
        findings
            .push(entry.value.error(FindingKind::InvalidInput, message).hint("leave it out, or write `run`"));
    }
    match kind {
        Some(kind) => Some(Step { kind, hosts, when_role, source }),
        None => {
            let message = "the step says nothing to do";
            findings.push(
                node.error(FindingKind::InvalidInput, message)
                    .hint(format!("give one of {}", crate::text::list(&KINDS, 9))),
            );
            None
        }
    }
}

fn pair(node: &Node) -> Option<(String, String)> {
    match node.list()? {
        [from, to] => Some((from.text()?.to_owned(), to.text()?.to_owned())),
        _ => None,
    }
}

/// Replaces `{{ NAME }}` by the deployment variable, quoted for a shell where `quoted` says so.
///
/// A list becomes several words. Other braces stay.
///
/// # Errors
///
/// A configuration failure for a variable that is not set, or has no form as a word.
pub fn interpolate(text: &str, variables: &Variables, quoted: bool) -> Result<String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        result.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            return Err(Failure::configuration(format!("`{text}`: `}}}}` is missing after `{{{{`")));
        };
        let name = name.trim();
        let value = variables.variable(name).ok_or_else(|| {
            Failure::configuration(format!("`{text}`: the deployment variable `{name}` is not set"))
                .hint(format!("set it under `env:` in the project file, or with `--set {name}=VALUE`"))
        })?;
        let word = word(&value, quoted).ok_or_else(|| {
            Failure::configuration(format!("`{text}`: the deployment variable `{name}` is a mapping"))
        })?;
        result.push_str(&word);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn word(value: &Value, quoted: bool) -> Option<String> {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.as_str().to_owned(),
        Value::String(text) => text.clone(),
        Value::List(items) => {
            let words: Option<Vec<String>> = items.iter().map(|item| word(item, quoted)).collect();
            return words.map(|words| words.join(" "));
        }
        Value::Mapping(_) | Value::Lazy(_) => return None,
    };
    Some(if quoted { dfab_tunnel::quote::shell(&text).into_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(text: &str) -> (IndexMap<String, ProjectTask>, Vec<String>) {
        let mut findings = Vec::new();
        let tasks = read(&dfab_map::yaml::parse(text, "dfab.yaml").unwrap(), &mut findings);
        (tasks, findings.iter().map(Finding::to_string).collect())
    }

    #[test]
    fn steps_are_task_calls_or_commands() {
        let text = "
deploy:
  description: Deploy the site.
  steps:
  - docker.login
  - put: [site.tar.gz, /srv/site.tar.gz]
    when_role: web
  - sudo: tar -xf {{ archive }} -C /srv
    hosts: [a, b]
  - actions.update example_map web_server
check: docker.version
";
        let (tasks, findings) = tasks(text);
        assert!(findings.is_empty(), "{findings:?}");
        let deploy = &tasks["deploy"];
        assert_eq!(deploy.description.as_deref(), Some("Deploy the site."));
        assert_eq!(deploy.steps.len(), 4);
        assert_eq!(deploy.steps[1].when_role.as_deref(), Some("web"));
        assert_eq!(deploy.steps[2].hosts, ["a", "b"]);
        assert_eq!(tasks["check"].steps[0].kind, StepKind::Task("docker.version".into()));
    }

    #[test]
    fn wrong_steps_are_found() {
        let text = "docker.version: []\na b: []\nc: [{run: x, local: y}, {rnu: x}, {hosts: a}, [1]]\n\
                    d: [{run: x, hosts: []}, {local: x, hosts: a}, {local: x, hosts: a, when_role: web}]\nhelp: []\n";
        assert_eq!(
            tasks(text).1,
            [
                "dfab.yaml:1:1: `docker.version` already means `docker.version`",
                "dfab.yaml:2:1: `a b` cannot be the name of a task",
                "dfab.yaml:3:21: `local` is a second thing to do in one step",
                "dfab.yaml:3:26: unknown key `rnu` in a step",
                "dfab.yaml:3:25: the step says nothing to do",
                "dfab.yaml:3:35: the step says nothing to do",
                "dfab.yaml:3:47: `steps` takes task calls, or mappings with one of `run`, `sudo`, `put`, `get`, `local`, found a list of one element",
                "dfab.yaml:4:21: `hosts` takes a host or a list of hosts, found an empty list",
                "dfab.yaml:4:44: `hosts` has no effect: `local` runs on this machine",
                "dfab.yaml:5:1: `help` cannot be the name of a task",
            ]
        );
    }

    #[test]
    fn values_are_interpolated_and_quoted() {
        let mut variables = Variables::for_tests("/");
        for set in ["name='it is'", "list=[a, b c]", "port=80"] {
            variables.set(set).unwrap();
        }
        assert_eq!(
            interpolate("echo {{ name }} {{list}} ${X}", &variables, true).unwrap(),
            "echo 'it is' a 'b c' ${X}"
        );
        assert_eq!(interpolate("{{name}}:{{port}}", &variables, false).unwrap(), "it is:80");
        assert!(interpolate("{{ nothing }}", &variables, true).is_err());
        assert!(interpolate("{{ name", &variables, true).is_err());
    }
}
