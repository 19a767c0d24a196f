//! The text of ssh_config: lines, blocks, includes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Destination, Local, duration};
use crate::error::Cause;
use crate::{Error, glob};

/// A configuration that was read, with what it includes.
#[derive(Debug, Clone, Default)]
pub struct SshConfig {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    /// All of them must hold: those of the blocks around an `Include`, and the line's own.
    conditions: Vec<Condition>,
    setting: Setting,
}

#[derive(Debug, Clone)]
enum Condition {
    Host(Vec<String>),
    Match(Vec<Criterion>),
    /// A `Match` that cannot be decided here; named in a warning and never true.
    Never(Setting),
}

#[derive(Debug, Clone)]
struct Criterion {
    negated: bool,
    kind: Kind,
    patterns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    Host,
    OriginalHost,
    User,
    LocalUser,
}

/// One option with its values.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// In lower case.
    pub(super) name: String,
    pub(super) values: Vec<String>,
    /// The text after the name, as it was written.
    rest: String,
    /// `file:line`.
    place: String,
}

impl Setting {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn error(&self, why: &str) -> Error {
        Error::Input(format!("{}: {} {}: {why}", self.place, self.name, self.rest))
    }

    pub(super) fn warning(&self, why: &str) -> String {
        format!("{}: `{} {}` {why}", self.place, self.name, self.rest)
    }

    pub(super) fn value(&self) -> Result<&str, Error> {
        self.values.first().map(String::as_str).ok_or_else(|| self.error("a value is missing"))
    }

    pub(super) fn rest(&self) -> &str {
        &self.rest
    }

    pub(super) fn number<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.value()?.parse().map_err(|_| self.error("expected a number"))
    }

    pub(super) fn flag(&self) -> Result<bool, Error> {
        match self.value()?.to_ascii_lowercase().as_str() {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err(self.error("expected yes or no")),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, Error> {
        duration(self.value()?).ok_or_else(|| self.error("expected a time such as 30 or 1m30s"))
    }
}

/// How deep files may include each other, as in OpenSSH.
const DEPTH: usize = 16;

impl SshConfig {
    /// Reads a file and what it includes. A file that does not exist is an empty one.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be read; [`Error::Input`] with file and line.
    pub fn read(file: &Path, home: &Path) -> Result<Self, Error> {
        let mut config = Self::default();
        config.include(file, home, &[], 0)?;
        Ok(config)
    }

    /// Reads a text. `file` is its name for messages; included files are read relative to `~/.ssh`.
    ///
    /// # Errors
    ///
    /// As for [`SshConfig::read`].
    pub fn parse(text: &str, file: &Path, home: &Path) -> Result<Self, Error> {
        let mut config = Self::default();
        config.add(text, file, home, &[], 0)?;
        Ok(config)
    }

    fn include(&mut self, file: &Path, home: &Path, outer: &[Condition], depth: usize) -> Result<(), Error> {
        match std::fs::read(file) {
            Ok(bytes) => self.add(&String::from_utf8_lossy(&bytes), file, home, outer, depth),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                Err(Error::File { operation: "read", path: file.to_owned(), source: Cause::from(error) })
            }
        }
    }

    fn add(
        &mut self,
        text: &str,
        file: &Path,
        home: &Path,
        outer: &[Condition],
        depth: usize,
    ) -> Result<(), Error> {
        let mut conditions = outer.to_vec();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            let Some(setting) = setting(line, place)? else { continue };
            match setting.name.as_str() {
                "host" => {
                    conditions = outer.to_vec();
                    conditions.push(Condition::Host(setting.values));
                }
                "match" => {
                    conditions = outer.to_vec();
                    conditions.push(condition(&setting)?);
                }
                "include" => {
                    if depth >= DEPTH {
                        return Err(setting.error("files include each other too deeply"));
                    }
                    for value in &setting.values {
                        for path in expand(value, home) {
                            self.include(&path, home, &conditions, depth + 1)?;
                        }
                    }
                }
                _ => self.lines.push(Line { conditions: conditions.clone(), setting }),
            }
        }
        Ok(())
    }

    /// Returns the host names that `Host` lines spell out, in the order of the text: no patterns, none that is excluded.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for condition in self.lines.iter().flat_map(|line| &line.conditions) {
            let Condition::Host(patterns) = condition else { continue };
            for pattern in patterns {
                if !pattern.contains(['*', '?', '!']) && !names.contains(&pattern.as_str()) {
                    names.push(pattern);
                }
            }
        }
        names
    }

    /// Returns what applies to a destination, in the order of the text: of each option the first
    /// counts.
    pub(super) fn settings(
        &self,
        destination: &Destination,
        default_user: &str,
        local: &Local,
    ) -> Vec<&Setting> {
        let mut applying: Vec<&Setting> = Vec::new();
        for line in &self.lines {
            // What `Match host` and `Match user` compare with is what the lines so far say.
            let known = |name: &str| {
                applying
                    .iter()
                    .find(|setting| setting.name == name)
                    .and_then(|setting| setting.values.first())
            };
            let host = known("hostname").map_or(destination.host.clone(), |name| {
                name.replace("%h", &destination.host).replace("%%", "%")
            });
            let user = destination.user.clone().or_else(|| known("user").cloned());
            let user = user.unwrap_or_else(|| default_user.to_owned());
            let mut undecided = None;
            let applies = line.conditions.iter().all(|condition| match condition {
                Condition::Host(patterns) => list(patterns, &destination.host),
                Condition::Match(criteria) => criteria.iter().all(|criterion| {
                    let holds = match criterion.kind {
                        Kind::All => true,
                        Kind::Host => list(&criterion.patterns, &host),
                        Kind::OriginalHost => list(&criterion.patterns, &destination.host),
                        Kind::User => {
                            glob::list_matches(criterion.patterns.iter().map(String::as_str), &user)
                        }
                        Kind::LocalUser => {
                            glob::list_matches(criterion.patterns.iter().map(String::as_str), &local.user)
                        }
                    };
                    holds != criterion.negated
                }),
                Condition::Never(setting) => {
                    undecided = Some(setting);
                    false
                }
            });
            if applies {
                applying.push(&line.setting);
            } else if let Some(setting) = undecided
                && !applying.iter().any(|known| known.place == setting.place)
            {
                // Stands for its whole block: it becomes a warning where it is applied.
                applying.push(setting);
            }
        }
        applying
    }
}

fn list(patterns: &[String], name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let patterns: Vec<String> = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    glob::list_matches(patterns.iter().map(String::as_str), &name)
}

/// Reads one line: a name, blanks or one `=`, and values; `"…"` and `'…'` hold values together.
fn setting(line: &str, place: String) -> Result<Option<Setting>, Error> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == '"').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    let mut setting =
        Setting { name: name.to_ascii_lowercase(), values: Vec::new(), rest: rest.to_owned(), place };
    // A command is one value with all its quotes and marks.
    if setting.is("proxycommand") {
        setting.values.push(rest.to_owned());
        return Ok(Some(setting));
    }
    let mut characters = rest.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        match characters.peek() {
            None | Some('#') => break,
            Some(_) => {}
        }
        let mut value = String::new();
        let mut quote = None;
        while let Some(&character) = characters.peek() {
            match (quote, character) {
                (None, c) if c.is_whitespace() => break,
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), c) if c == open => quote = None,
                (_, '\\') => {
                    characters.next();
                    match characters.peek() {
                        Some(&escaped @ ('"' | '\'' | '\\')) => value.push(escaped),
                        Some(&other) => value.extend(['\\', other]),
                        None => {
                            value.push('\\');
                            break;
                        }
                    }
                }
                (_, c) => value.push(c),
            }
            characters.next();
        }
        if quote.is_some() {
            return Err(setting.error("a quote is open"));
        }
        setting.values.push(value);
    }
    if setting.values.is_empty() {
        return Err(setting.error("a value is missing"));
    }
    Ok(Some(setting))
}

fn condition(setting: &Setting) -> Result<Condition, Error> {
    let mut criteria = Vec::new();
    let mut words = setting.values.iter();
    while let Some(word) = words.next() {
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word.as_str()),
        };
        let kind = match name.to_ascii_lowercase().as_str() {
            "all" => Kind::All,
            "host" => Kind::Host,
            "originalhost" => Kind::OriginalHost,
            "user" => Kind::User,
            "localuser" => Kind::LocalUser,
            _ => return Ok(Condition::Never(setting.clone())),
        };
        let patterns = match kind {
            Kind::All => Vec::new(),
            _ => match words.next() {
                Some(patterns) => patterns.split(',').map(str::to_owned).collect(),
                None => return Err(setting.error("a pattern is missing")),
            },
        };
        criteria.push(Criterion { negated, kind, patterns });
    }
    Ok(Condition::Match(criteria))
}

/// Resolves `~`, paths relative to `~/.ssh`, and wildcards; in the order of names.
fn expand(pattern: &str, home: &Path) -> Vec<PathBuf> {
    let full = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if pattern.starts_with('/') => PathBuf::from(pattern),
        None => home.join(".ssh").join(pattern),
    };
    let mut found = vec![PathBuf::new()];
    for component in full.components() {
        let name = component.as_os_str().to_string_lossy().into_owned();
        if !name.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        found = found
            .iter()
            .flat_map(|folder| {
                let mut names: Vec<_> = std::fs::read_dir(folder)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                    .filter(|entry| !entry.starts_with('.') && glob::matches(&name, entry))
                    .collect();
                names.sort();
                names.into_iter().map(|entry| folder.join(entry)).collect::<Vec<_>>()
            })
            .collect();
    }
    found
}
