//! The tasks as data: names, parameters, help. `--list`, `-d`, `--help`, completions and the
//! messages about wrong names and arguments all come from this one table.

use futures_util::future::LocalBoxFuture;
use serde_json::json;

use crate::cli::Arguments;
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::run::Run;
use crate::tasks;

/// The namespace of work on a host by its `docker` program.
const UTILITIES: &str = "cli";

/// One task.
pub struct Task {
    /// `actions`, `cli`, `docker`, `map`; empty for a task without one.
    pub namespace: &'static str,
    /// Name inside the namespace.
    pub name: &'static str,
    /// Other names, with their namespace if they have one.
    pub aliases: &'static [&'static str],
    /// One line for lists: imperative, with a full stop as Fabric's lists have.
    pub about: &'static str,
    /// What else a user should know; may be empty.
    pub help: &'static str,
    /// Positional arguments and keywords, in groups that tasks share.
    pub parameters: &'static [&'static [Parameter]],
    /// The words after the name in a usage line, where the parameters do not say it well enough.
    pub words: Option<&'static str>,
    /// Where it runs.
    pub scope: Scope,
    /// Does the work. The future stays on its thread: maps are looked things up in, which need not be
    /// shared between threads.
    pub run: for<'a> fn(&'a Run, &'a Arguments) -> LocalBoxFuture<'a, Result<Report>>,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Once for each host of the run; locally when there is none.
    EachHost,
    /// On the first host only.
    FirstHost,
    /// Once; the maps' clients, else all hosts of the run together, are worked on.
    Clients,
    /// Once, on this machine; hosts do not matter.
    Here,
}

/// One parameter of a task.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name in `snake_case`; the option is the same in kebab case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: ParameterKind,
    /// How it is given.
    pub place: Place,
    /// The value when it is not given, as help shows it; empty is none.
    pub default: &'static str,
    /// Help text: a fragment without a full stop.
    pub help: &'static str,
}

/// What values a parameter takes (clients-tasks §0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// A truth value.
    Bool,
    /// A whole number.
    Integer,
    /// Items separated by `;`, or given several times.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// How a parameter is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A word that must be given.
    Required,
    /// A word that may be left out, or the keyword.
    Optional,
    /// All further words.
    Rest,
    /// As keyword only.
    Keyword,
}

impl ParameterKind {
    /// Returns the word for documents.
    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::List => "list",
            Self::Choice(_) => "choice",
        }
    }
}

impl Parameter {
    /// A word that must be given.
    pub const fn required(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: ParameterKind::Text, place: Place::Required, default: "", help }
    }

    /// A word or keyword that may be left out.
    pub const fn optional(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, place: Place::Optional, default, help }
    }

    /// A keyword.
    pub const fn keyword(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, place: Place::Keyword, default, help }
    }

    /// All further words.
    pub const fn rest(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: ParameterKind::List, place: Place::Rest, default: "", help }
    }

    /// Returns the option's name: kebab case.
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }
}

impl Task {
    /// Returns `namespace.name`.
    pub fn full_name(&self) -> String {
        if self.namespace.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.namespace, self.name)
        }
    }

    /// Tells whether it prints a table whose columns `--format` chooses.
    pub fn is_table(&self) -> bool {
        self.namespace == "docker" && self.name.starts_with("list_")
    }

    /// Returns the parameters in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.parameters.iter().flat_map(|group| group.iter())
    }

    /// Returns the row of the task in the document of `-d`.
    pub fn to_json(&self) -> serde_json::Value {
        let parameter = |parameter: &Parameter| {
            json!({
                "name": parameter.name,
                "option": format!("--{}", parameter.option()),
                "kind": parameter.kind.as_str(),
                "choices": match parameter.kind {
                    ParameterKind::Choice(words) => Some(words),
                    _ => None,
                },
                "required": parameter.place == Place::Required,
                "default": (!parameter.default.is_empty()).then_some(parameter.default),
                "description": parameter.help,
            })
        };
        json!({
            "name": self.full_name(),
            "description": self.about,
            "help": self.help,
            "usage": format!("dfab {}", self.usage()),
            "parameters": self.parameters().map(parameter).collect::<Vec<_>>(),
        })
    }

    /// Returns the words of the call for a usage line: `actions.update [MAP] CONFIG [INSTANCE]...`.
    pub fn usage(&self) -> String {
        let mut usage = self.full_name();
        if let Some(words) = self.words {
            return format!("{usage} {words}");
        }
        for parameter in self.parameters() {
            let name = parameter.name.to_uppercase();
            match parameter.place {
                Place::Required => usage.push_str(&format!(" {name}")),
                Place::Optional => usage.push_str(&format!(" [{name}]")),
                Place::Rest => usage.push_str(&format!(" [{name}]...")),
                Place::Keyword => {}
            }
        }
        usage
    }
}

/// Returns every task, in the order of lists: by namespace, then by name.
pub fn tasks() -> impl Iterator<Item = &'static Task> {
    tasks::ALL.iter().flat_map(|tasks| tasks.iter())
}

/// Returns the task called `name`: its full name, an alias, or its plain name when only one task
/// has it. Dashes count as underscores.
pub fn find(name: &str) -> Option<&'static Task> {
    find_full(name).or_else(|| {
        let name = &name.replace('-', "_");
        // Fabric knew `save_image` before there were utilities of that name.
        let of = |is_utility: bool| {
            let mut plain =
                tasks().filter(move |task| task.name == name && (task.namespace == UTILITIES) == is_utility);
            let first = plain.next()?;
            plain.next().is_none().then_some(first)
        };
        of(false).or_else(|| of(true))
    })
}

/// As [`find`], by full name or alias only: these names a project cannot take for its own tasks.
pub fn find_full(name: &str) -> Option<&'static Task> {
    let name = name.replace('-', "_");
    tasks().find(|task| {
        task.aliases.contains(&name.as_str())
            || (task.namespace.is_empty() && task.name == name)
            || name
                .split_once('.')
                .is_some_and(|(space, plain)| task.namespace == space && task.name == plain)
    })
}

/// Returns the failure for a task that does not exist, with the nearest name.
pub fn unknown(name: &str, further: impl IntoIterator<Item = String>) -> Failure {
    let full: Vec<String> = tasks().map(Task::full_name).chain(further).collect();
    let failure = Failure::usage(format!("there is no task `{name}`"));
    if tasks().any(|task| !name.is_empty() && task.namespace == name) {
        return failure.hint(format!(
            "its tasks are called `{name}.…`: write the dot and the name; `dfab --list` shows them"
        ));
    }
    let near = dfab_map::diagnostic::nearest(name, full.iter().map(String::as_str))
        .map(str::to_owned)
        .or_else(|| {
            let plain = name.rsplit('.').next().unwrap_or(name);
            let near = dfab_map::diagnostic::nearest(plain, tasks().map(|task| task.name))?;
            tasks().find(|task| task.name == near).map(Task::full_name)
        });
    match near {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`dfab --list` shows all tasks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parameters_are_unique_and_well_formed() {
        let mut names = std::collections::BTreeSet::new();
        for task in tasks() {
            assert!(names.insert(task.full_name()), "{} is there twice", task.full_name());
            assert!(task.about.ends_with('.'), "{}: the line has no full stop", task.full_name());
            let mut parameters = std::collections::BTreeSet::new();
            for parameter in task.parameters() {
                assert!(parameters.insert(parameter.name), "{}: {} twice", task.full_name(), parameter.name);
                assert!(!parameter.help.ends_with('.'), "{}: {}", task.full_name(), parameter.name);
            }
            for alias in task.aliases {
                assert!(find(alias).is_some_and(|found| found.full_name() == task.full_name()), "{alias}");
            }
        }
    }

    #[test]
    fn a_task_is_found_by_its_full_name_its_plain_name_and_its_aliases() {
        for (given, expected) in [
            ("docker.version", Some("docker.version")),
            ("version", Some("docker.version")),
            ("check_version", Some("docker.version")),
            ("list-images", Some("docker.list_images")),
            ("update", Some("actions.update")),
            ("save_image", Some("docker.save_image")),
            ("flatten_image", Some("cli.flatten_image")),
            ("actions.version", None),
            ("nothing", None),
        ] {
            assert_eq!(find(given).map(Task::full_name).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_mistyped_task_gets_the_nearest_name() {
        for (given, expected) in [
            ("actions.updaet", "did you mean `actions.update`?"),
            ("docker.update", "did you mean `actions.update`?"),
            ("lst_images", "did you mean `docker.list_images`?"),
            ("xyzzy", "`dfab --list` shows all tasks"),
            (
                "docker",
                "its tasks are called `docker.…`: write the dot and the name; `dfab --list` shows them",
            ),
        ] {
            assert_eq!(unknown(given, []).hints, [expected], "{given}");
        }
    }
}
