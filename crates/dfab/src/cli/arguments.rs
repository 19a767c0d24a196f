//! Arguments of a task call, bound to the task's parameters and read by their types
//! (clients-tasks §0.3).

use std::collections::BTreeMap;

use super::Call;
use crate::failure::{Failure, Result};
use crate::registry::{Parameter, ParameterKind, Place, Task};

/// The arguments of one call by parameter name. A parameter that was not given is not in here.
///
/// Further words ([`Place::Rest`]) are kept as they are; only lists given by keyword are split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    values: BTreeMap<&'static str, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Bool(bool),
    Integer(i64),
    List(Vec<String>),
}

impl Arguments {
    /// Binds `call` to the parameters of `task`.
    ///
    /// # Errors
    ///
    /// A usage failure when an argument is missing, unknown, given twice, too much, or not of its
    /// parameter's type.
    pub fn bind(task: &Task, call: &Call) -> Result<Self> {
        let name = task.full_name();
        let wrong = |problem: String| {
            Failure::usage(format!("task `{name}`: {problem}")).hint(format!("usage: dfab {}", task.usage()))
        };
        let mut arguments = Self::default();
        let mut words = call.positional.iter();
        let places = task.parameters().filter(|parameter| parameter.place != Place::Keyword);
        for parameter in places {
            if parameter.place == Place::Rest {
                let rest: Vec<String> = words.by_ref().filter(|word| !word.is_empty()).cloned().collect();
                if !rest.is_empty() {
                    arguments.values.insert(parameter.name, Value::List(rest));
                }
            } else if let Some(word) = words.next() {
                arguments.values.insert(parameter.name, read(parameter, word).map_err(&wrong)?);
            }
        }
        // `task:` has one empty argument, which is none where a task takes none.
        if let Some(word) = words.find(|word| !word.is_empty()) {
            let failure = wrong(format!("`{word}` is one argument too many"));
            let many = crate::registry::find(word).is_some();
            return Err(if many {
                failure.hint("several tasks in one run: `dfab task1: task2:`")
            } else {
                failure
            });
        }
        for (keyword, value) in &call.keywords {
            let Some(parameter) = task.parameters().find(|parameter| parameter.name == keyword) else {
                let known = task.parameters().map(|parameter| parameter.name);
                return Err(wrong(format!("there is no argument `{keyword}`")).nearest(
                    keyword,
                    "arguments",
                    known,
                ));
            };
            let value = read(parameter, value).map_err(&wrong)?;
            match (arguments.values.get_mut(parameter.name), value) {
                // A list may be given in several pieces.
                (Some(Value::List(items)), Value::List(more)) => items.extend(more),
                (Some(_), _) => return Err(wrong(format!("`{keyword}` is given twice"))),
                (None, value) => {
                    arguments.values.insert(parameter.name, value);
                }
            }
        }
        let missing = |parameter: &&'static Parameter| {
            parameter.place == Place::Required && !arguments.values.contains_key(parameter.name)
        };
        match task.parameters().find(missing) {
            Some(parameter) => Err(wrong(format!("{} is missing", parameter.name.to_uppercase()))),
            None => Ok(arguments),
        }
    }

    /// Tells whether the parameter was given.
    pub fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Returns a text, if given.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns a truth value, if given.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.values.get(name) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns a truth value; false when it is not given.
    pub fn flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    /// Returns a number, if given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns a list; empty when it is not given.
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }
}

/// Reads a truth value as it is written on a command line (clients-tasks §0.3).
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "" | "false" | "no" | "off" | "n" | "f" | "0" | "none" => Some(false),
        _ => None,
    }
}

fn read(parameter: &Parameter, text: &str) -> Result<Value, String> {
    let name = parameter.name;
    match parameter.kind {
        ParameterKind::Text => Ok(Value::Text(text.to_owned())),
        ParameterKind::Bool => boolean(text)
            .map(Value::Bool)
            .ok_or_else(|| format!("invalid boolean value `{text}` for argument `{name}`")),
        ParameterKind::Integer => text
            .trim()
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("invalid integer value `{text}` for argument `{name}`")),
        ParameterKind::List => Ok(Value::List(list(text))),
        ParameterKind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
        ParameterKind::Choice(words) => {
            Err(format!("`{text}` is no value for argument `{name}`; expected one of {}", words.join(", ")))
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(';').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(task: &str, call: &str) -> Result<Arguments> {
        Arguments::bind(crate::registry::find(task).unwrap(), &Call::read(call).unwrap())
    }

    /// engine D-66: the source takes any text for true.
    #[test]
    fn truth_values_are_read_as_the_specification_says() {
        let cases = [
            ("", Some(false)),
            ("True", Some(true)),
            ("YES", Some(true)),
            ("t", Some(true)),
            ("1", Some(true)),
            ("False", Some(false)),
            ("none", Some(false)),
            ("0", Some(false)),
            ("maybe", None),
        ];
        for (text, expected) in cases {
            assert_eq!(boolean(text), expected, "`{text}`");
        }
    }

    #[test]
    fn documented_invocations_bind() {
        assert_eq!(bind("list_containers", "list_containers:").unwrap().boolean("list_all"), Some(false));
        let short = bind("list_containers", "list_containers:short_image=False").unwrap();
        assert_eq!((short.boolean("short_image"), short.boolean("list_all")), (Some(false), None));
        let update = bind("update", "update:example_map,web_server,force_update=a;b").unwrap();
        assert_eq!(update.list("force_update"), ["a", "b"]);
        assert_eq!(update.list("target"), ["example_map", "web_server"]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let cases = [
            ("version", "version:x", "task `docker.version`: `x` is one argument too many"),
            (
                "list_images",
                "list_images:fullids=1",
                "task `docker.list_images`: there is no argument `fullids`",
            ),
            (
                "list_images",
                "list_images:maybe",
                "task `docker.list_images`: invalid boolean value `maybe` for argument `list_all`",
            ),
            (
                "list_images",
                "list_images:1,list_all=1",
                "task `docker.list_images`: `list_all` is given twice",
            ),
            ("perform", "perform", "task `actions.perform`: ACTION is missing"),
        ];
        for (task, call, expected) in cases {
            let message = bind(task, call).expect_err(call).message;
            assert_eq!(message, expected);
        }
    }
}
