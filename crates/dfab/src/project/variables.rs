//! Deployment variables: what a fabfile sets in `fabric.api.env`, and what `!env` reads.

use std::path::{Path, PathBuf};

use dfab_map::diagnostic::Finding;
use dfab_map::value::{Lookup, Value};
use dfab_map::yaml::{Content, Node, Tag};
use indexmap::IndexMap;

use crate::failure::{Failure, Result};

/// The deployment variables of a run, and what else a map may ask of this machine.
///
/// A later [`Origin`] wins, in whatever order values come.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: IndexMap<String, (Origin, Value)>,
    /// Values of `--set` with `!env` in them. They wait for the variables of the project file.
    waiting: IndexMap<String, Node>,
    home: Option<String>,
}

/// Where a variable was set (clients-tasks §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the settings file.
    Settings,
    /// Under `env:` in the project file.
    Project,
    /// By `--set`.
    Call,
}

impl Variables {
    /// Makes an empty set that knows this process' home directory.
    pub fn new() -> Self {
        let home = std::env::var("HOME").ok().filter(|home| !home.is_empty());
        Self { home, ..Self::default() }
    }

    /// Makes an empty set with this home directory.
    #[cfg(test)]
    pub fn for_tests(home: &str) -> Self {
        Self { home: Some(home.to_owned()), ..Self::default() }
    }

    /// Returns a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).map(|(_, value)| value)
    }

    /// Returns where a variable was set.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.values.get(name).map(|(origin, _)| *origin)
    }

    /// Returns the names of all variables, in the order in which they were set first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Tells whether `--set` has a value for this name, which then holds whatever the files say.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.waiting.contains_key(name) || self.origin(name) == Some(Origin::Call)
    }

    /// Sets a variable of the project file, unless `--set` has.
    pub fn insert(&mut self, name: &str, value: Value) {
        self.put(name, Origin::Project, value);
    }

    fn put(&mut self, name: &str, origin: Origin, value: Value) {
        let later = self.origin(name).is_none_or(|known| known <= origin);
        if later && (origin == Origin::Call || !self.waiting.contains_key(name)) {
            self.values.insert(name.to_owned(), (origin, value));
        }
    }

    /// Takes `NAME=VALUE` pairs of one `--set`: the value is read as YAML, `NAME` alone is true,
    /// `NAME=` is the empty text. Pairs are separated by commas outside brackets and quotes; `\,` is
    /// a literal comma.
    ///
    /// This comes before the project file, which may use the variable. A value with `!env` in it has to wait for the
    /// variables of that file, until [`Variables::settle`].
    ///
    /// # Errors
    ///
    /// A usage failure when there is no name, or the value is no YAML.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let pairs = pairs(text);
        for (number, pair) in pairs.iter().enumerate() {
            let before = number.checked_sub(1).and_then(|before| pairs[before].split_once('='));
            if let Some((list, first)) = before
                && HOST_LISTS.contains(&list.trim())
                && !pair.contains('=')
            {
                // The second host would become a variable that is true, and the run leave it out.
                return Err(Failure::usage(format!(
                    "`--set {text}`: a comma ends the value of `{}`",
                    list.trim()
                ))
                .hint(format!(
                    "write `--set '{}=[{}, {}]'`",
                    list.trim(),
                    first.trim(),
                    pair.trim()
                )));
            }
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value)),
                None => (pair.trim(), None),
            };
            if name.is_empty() {
                return Err(
                    Failure::usage(format!("`--set {text}` has no name")).hint("write `--set NAME=VALUE`")
                );
            }
            self.waiting.shift_remove(name);
            let value = match value {
                None => Value::Bool(true),
                Some("") => Value::String(String::new()),
                Some(value) => {
                    let node = dfab_map::yaml::parse(value, &format!("--set {name}")).map_err(|error| {
                        Failure::usage(format!("the value of `--set {name}` is no YAML"))
                            .because(&error)
                            .hint("quote texts with special characters: --set 'NAME=\"a: b\"'")
                    })?;
                    if asks_for_variables(&node) {
                        // Nobody must take the value that it replaces for it.
                        self.values.shift_remove(name);
                        self.waiting.insert(name.to_owned(), node);
                        continue;
                    }
                    super::value::value(&node, self).map_err(|finding| unresolved(name, &finding))?
                }
            };
            self.put(name, Origin::Call, value);
        }
        Ok(())
    }

    /// Reads the values of `--set` that wait for other variables, as far as those are there, and tells whether there
    /// were any.
    pub fn settle_some(&mut self) -> bool {
        let before = self.waiting.len();
        // One may ask for another: the last round settles none.
        loop {
            let left = self.waiting.len();
            for (name, node) in std::mem::take(&mut self.waiting) {
                match super::value::value(&node, self) {
                    Ok(value) => self.put(&name, Origin::Call, value),
                    Err(_) => drop(self.waiting.insert(name, node)),
                }
            }
            if self.waiting.len() == left {
                return left < before;
            }
        }
    }

    /// As [`Variables::settle_some`], after the project file: nothing is left to wait for.
    ///
    /// # Errors
    ///
    /// A usage failure for a value that asks for a variable that nobody sets.
    pub fn settle(&mut self) -> Result<()> {
        self.settle_some();
        let wrong = |(name, node): (&String, &Node)| {
            super::value::value(node, self).err().map(|finding| unresolved(name, &finding))
        };
        self.waiting.iter().find_map(wrong).map_or(Ok(()), Err)
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
            self.put(name.trim(), Origin::Settings, value);
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
        self.get(name).cloned()
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

/// The variables that hold lists of hosts.
const HOST_LISTS: [&str; 3] = ["hosts", "roles", "exclude_hosts"];

fn asks_for_variables(node: &Node) -> bool {
    node.tag == Some(Tag::Env)
        || match &node.content {
            Content::Scalar(_) => false,
            Content::List(items) => items.iter().any(asks_for_variables),
            Content::Mapping(entries) => entries.iter().any(|entry| asks_for_variables(&entry.value)),
        }
}

fn unresolved(name: &str, finding: &Finding) -> Failure {
    let failure = Failure::usage(format!("`--set {name}`: {}", finding.message));
    match &finding.hint {
        Some(hint) => failure.hint(hint.clone()),
        None => failure,
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
/// A configuration failure when the file cannot be read; only `~/.fabricrc` need not be there.
pub fn settings_text(named: Option<&Path>, variables: &Variables) -> Result<Option<String>> {
    let path = named.map_or_else(|| variables.expand_home("~/.fabricrc"), Path::to_owned);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        // In a home directory of somebody else nothing can be seen, nor is anything meant for us.
        Err(_) if named.is_none() && !path.try_exists().unwrap_or(false) => Ok(None),
        Err(error) => {
            let message = format!("failed to read the settings file `{}`", path.display());
            Err(Failure::configuration(message).because(&error))
        }
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

    fn values(variables: &Variables) -> String {
        let values: IndexMap<_, _> =
            variables.values.iter().map(|(name, (_, value))| (name, value)).collect();
        format!("{values:?}")
    }

    fn shown(text: &str) -> String {
        let mut variables = Variables::for_tests("/home/u");
        variables.set(text).unwrap();
        values(&variables)
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
        // Fabric's way to read it, too: only web1 was worked on.
        let failure = variables.set("a=1,hosts=web1,web2").unwrap_err();
        assert_eq!(failure.message, "`--set a=1,hosts=web1,web2`: a comma ends the value of `hosts`");
        assert_eq!(failure.hints, ["write `--set 'hosts=[web1, web2]'`"]);
        variables.set("hosts=web1,parallel=true").unwrap();
    }

    #[test]
    fn a_value_that_asks_for_variables_waits_for_the_project_file() {
        let mut variables = Variables::for_tests("/");
        variables.read_settings("a = old\nb = old\n");
        variables.set("a=!env b,list=[!env a, x]").unwrap();
        // Neither what `--set` replaces nor what the project file replaces is taken for it.
        assert_eq!(variables.get("a"), None);
        variables.insert("a", Value::String("project".to_owned()));
        variables.insert("b", Value::String("new".to_owned()));
        variables.settle().unwrap();
        assert_eq!(
            values(&variables),
            r#"{"b": String("new"), "a": String("new"), "list": List([String("new"), String("x")])}"#
        );
        variables.set("c=!env nothing").unwrap();
        let failure = variables.settle().unwrap_err();
        assert_eq!(failure.message, "`--set c`: deployment variable `nothing` is not set");
        variables.set("c=1").unwrap();
        variables.settle().unwrap();
        assert_eq!(variables.get("c").map(|value| format!("{value:?}")).as_deref(), Some("Number(1)"));
    }

    #[test]
    fn a_settings_file_has_names_and_values() {
        let mut variables = Variables::for_tests("/");
        variables.read_settings("# mine\nuser = deploy\ndocker_timeout=20\n\nkey = a: b\nflag\n");
        assert_eq!(
            values(&variables),
            r#"{"user": String("deploy"), "docker_timeout": Number(20), "key": String("a: b"), "flag": String("")}"#
        );
    }

    #[test]
    fn only_the_settings_file_of_the_home_directory_may_be_missing() {
        let home = tempfile::tempdir().unwrap();
        let variables = Variables::for_tests(&home.path().to_string_lossy());
        assert!(settings_text(None, &variables).unwrap().is_none());
        assert!(settings_text(None, &Variables::for_tests("/dev/null")).unwrap().is_none());
        assert!(settings_text(Some(&home.path().join("none")), &variables).is_err());
        std::fs::write(home.path().join(".fabricrc"), b"hosts = \xff\n").unwrap();
        let failure = settings_text(None, &variables).unwrap_err();
        assert!(failure.message.contains(".fabricrc"), "it may name the hosts: {failure}");
    }

    #[test]
    fn homes_of_other_users_come_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nweb:x:33:33:Web,,,:/var/www:/usr/sbin/nologin\n";
        assert_eq!(home_in(passwd, "web").as_deref(), Some("/var/www"));
        assert_eq!(home_in(passwd, "nobody"), None);
    }
}
