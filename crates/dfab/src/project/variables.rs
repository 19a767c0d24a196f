//! Deployment variables: what a fabfile sets in `fabric.api.env`, and what `!env` reads.

use std::path::{Path, PathBuf};

use dfab_map::value::{Lookup, Value};
use indexmap::IndexMap;

use crate::failure::{Failure, Result};

/// The deployment variables of a run, and what else a map may ask of this machine.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: IndexMap<String, Value>,
    home: Option<String>,
}

impl Variables {
    /// Makes an empty set that knows this process' home directory.
    pub fn new() -> Self {
        Self { values: IndexMap::new(), home: std::env::var("HOME").ok().filter(|home| !home.is_empty()) }
    }

    /// Makes an empty set with this home directory.
    #[cfg(test)]
    pub fn for_tests(home: &str) -> Self {
        Self { values: IndexMap::new(), home: Some(home.to_owned()) }
    }

    /// Returns a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns the names of all variables, in the order in which they were set first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Sets a variable, over an earlier value.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.values.insert(name.into(), value);
    }

    /// Takes `NAME=VALUE` pairs of one `--set`: the value is read as YAML, `NAME` alone is true,
    /// `NAME=` is the empty text. Pairs are separated by commas outside brackets and quotes; `\,` is
    /// a literal comma.
    ///
    /// # Errors
    ///
    /// A usage failure when there is no name, or the value is no YAML.
    pub fn set(&mut self, text: &str) -> Result<()> {
        for pair in pairs(text) {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value)),
                None => (pair.trim(), None),
            };
            if name.is_empty() {
                return Err(
                    Failure::usage(format!("`--set {text}` has no name")).hint("write `--set NAME=VALUE`")
                );
            }
            let value = match value {
                None => Value::Bool(true),
                Some("") => Value::String(String::new()),
                Some(value) => self.yaml(value, &format!("--set {name}")).map_err(|error| {
                    Failure::usage(format!("the value of `--set {name}` is no YAML"))
                        .because(&error)
                        .hint("quote texts with special characters: --set 'NAME=\"a: b\"'")
                })?,
            };
            self.insert(name, value);
        }
        Ok(())
    }

    /// Reads a settings file: `NAME = VALUE` lines, `#` starts a comment line (clients-tasks §11.2,
    /// `-c`). Values are read as scalars of YAML, so that `20` is a number and `yes` a text.
    pub fn read_settings(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let value = value.trim();
            let value = match self.yaml(value, "settings") {
                Ok(scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => scalar,
                _ => Value::String(value.to_owned()),
            };
            self.insert(name.trim(), value);
        }
    }

    /// Returns a path with a leading `~` replaced by the home directory.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                PathBuf::from(format!("{home}{rest}"))
            }
            _ => PathBuf::from(path),
        }
    }

    fn yaml(&self, text: &str, file: &str) -> Result<Value, dfab_map::diagnostic::Findings> {
        let node = dfab_map::yaml::parse(text, file)?;
        super::value::value(&node, self).map_err(|finding| dfab_map::diagnostic::Findings(vec![finding]))
    }
}

/// Reads the process environment and the users of this machine; nothing is cached, a run asks once.
impl Lookup for Variables {
    fn variable(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned()
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        match user {
            None => self.home.clone(),
            Some(user) => home_in(&std::fs::read_to_string("/etc/passwd").ok()?, user),
        }
    }
}

/// Returns a user's home directory from the text of `/etc/passwd` (passwd(5), field 6).
fn home_in(passwd: &str, user: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(4).map(str::to_owned)).flatten()
    })
}

/// Returns the settings file of a run: the one that was named, else `~/.fabricrc` where it exists.
///
/// # Errors
///
/// A configuration failure when a named file cannot be read.
pub fn settings_text(named: Option<&Path>, variables: &Variables) -> Result<Option<String>> {
    match named {
        Some(path) => std::fs::read_to_string(path).map(Some).map_err(|error| {
            Failure::configuration(format!("failed to read the settings file `{}`", path.display()))
                .because(&error)
        }),
        None => Ok(std::fs::read_to_string(variables.expand_home("~/.fabricrc")).ok()),
    }
}

fn pairs(text: &str) -> Vec<String> {
    let mut pairs = vec![String::new()];
    let (mut depth, mut quote) = (0_u32, None);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let current = pairs.last_mut().expect("there is a first pair");
        match (character, quote) {
            ('\\', _) if characters.peek().is_some_and(|next| matches!(next, ',' | '=')) => {
                current.extend(characters.next())
            }
            (',', None) if depth == 0 => {
                pairs.push(String::new());
                continue;
            }
            ('"' | '\'', None) => {
                quote = Some(character);
                current.push(character);
            }
            (_, Some(open)) if character == open => {
                quote = None;
                current.push(character);
            }
            ('[' | '{', None) => {
                depth += 1;
                current.push(character);
            }
            (']' | '}', None) => {
                depth = depth.saturating_sub(1);
                current.push(character);
            }
            _ => current.push(character),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut variables = Variables::for_tests("/home/u");
        variables.set(text).unwrap();
        format!("{:?}", variables.values)
    }

    #[test]
    fn set_reads_yaml_values() {
        let cases = [
            ("a", r#"{"a": Bool(true)}"#),
            ("a=", r#"{"a": String("")}"#),
            ("a=1,b=x", r#"{"a": Number(1), "b": String("x")}"#),
            (r"a=x\,y", r#"{"a": String("x,y")}"#),
            ("a=[x, y],b=1", r#"{"a": List([String("x"), String("y")]), "b": Number(1)}"#),
            ("a='1,2'", r#"{"a": String("1,2")}"#),
            ("a=!path ~/x", r#"{"a": String("/home/u/x")}"#),
            ("a=tcp://h:1", r#"{"a": String("tcp://h:1")}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_set_is_refused() {
        let mut variables = Variables::for_tests("/");
        assert!(variables.set("=1").is_err());
        assert!(variables.set("a=[1").is_err());
    }

    #[test]
    fn a_settings_file_has_names_and_values() {
        let mut variables = Variables::for_tests("/");
        variables.read_settings("# mine\nuser = deploy\ndocker_timeout=20\n\nkey = a: b\nflag\n");
        assert_eq!(
            format!("{:?}", variables.values),
            r#"{"user": String("deploy"), "docker_timeout": Number(20), "key": String("a: b"), "flag": String("")}"#
        );
    }

    #[test]
    fn homes_of_other_users_come_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nweb:x:33:33:Web,,,:/var/www:/usr/sbin/nologin\n";
        assert_eq!(home_in(passwd, "web").as_deref(), Some("/var/www"));
        assert_eq!(home_in(passwd, "nobody"), None);
    }
}
