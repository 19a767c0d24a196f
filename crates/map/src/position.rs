//! Where something was written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A place in a source text: file, line and column, both counted from one.
///
/// Columns count characters, not bytes. Prints as `file:line:column`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The name of the text as the caller gave it, usually a path relative to the project file.
    pub file: Arc<str>,
    /// Line, from one.
    pub line: u32,
    /// Column in characters, from one.
    pub column: u32,
}

impl Position {
    /// Makes a position.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The positions of an object's properties, kept beside the object.
///
/// A key is the path of a property inside the object: `image`, `create_options.environment.LANG`. An
/// element of a list stands under its [`crate::model::Keyed::key`]: `exposes.80/tcp`, `uses.app.one`.
/// Entries of a map's own mappings likewise: `groups.all`, `host.data`, `clients.web1`. Looking up a path that is not recorded yields the position of
/// its nearest recorded parent; the empty path is the object itself.
///
/// Positions are not part of an object's value: all `Origins` are equal, so that two maps written
/// differently compare equal when they mean the same.
#[derive(Clone, Default)]
pub struct Origins(BTreeMap<String, Position>);

impl Origins {
    /// Records the position of `path`, replacing an earlier one.
    pub fn set(&mut self, path: impl Into<String>, position: Position) {
        self.0.insert(path.into(), position);
    }

    /// Returns the position of `path`, else that of its nearest recorded parent.
    pub fn get(&self, path: &str) -> Option<&Position> {
        self.find(path).map(|(_, position)| position)
    }

    /// Returns the same as [`Origins::get`], with the path that is recorded: `path` or a parent of it.
    pub fn find<'a>(&self, path: &'a str) -> Option<(&'a str, &Position)> {
        let mut path = path;
        loop {
            if let Some(position) = self.0.get(path) {
                return Some((path, position));
            }
            if path.is_empty() {
                return None;
            }
            path = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        }
    }

    /// Tells whether `path` itself is recorded: for a property, whether it was written at all.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Takes over every position that `other` records at or below `path`.
    pub fn adopt(&mut self, path: &str, other: &Self) {
        if path.is_empty() {
            self.0.extend(other.0.iter().map(|(key, position)| (key.clone(), position.clone())));
            return;
        }
        if let Some(position) = other.0.get(path) {
            self.0.insert(path.to_owned(), position.clone());
        }
        // Everything below starts with `path.`, and `/` is the character after `.`.
        for (key, position) in other.0.range(format!("{path}.")..format!("{path}/")) {
            self.0.insert(key.clone(), position.clone());
        }
    }

    /// Forgets every position recorded at or below `path`.
    pub fn forget(&mut self, path: &str) {
        self.0.remove(path);
        let below: Vec<String> =
            self.0.range(format!("{path}.")..format!("{path}/")).map(|(key, _)| key.clone()).collect();
        for key in below {
            self.0.remove(&key);
        }
    }

    /// Takes over the position that `other` records for `path` itself, where none is known yet.
    pub fn adopt_missing(&mut self, path: &str, other: &Self) {
        if let Some(position) = other.0.get(path)
            && !self.0.contains_key(path)
        {
            self.0.insert(path.to_owned(), position.clone());
        }
    }
}

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origins {}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origins")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrecorded_path_has_the_position_of_its_nearest_parent() {
        let mut origins = Origins::default();
        origins.set("", Position::new("m.yaml", 1, 1));
        origins.set("create_options", Position::new("m.yaml", 2, 3));
        assert_eq!(origins.get("create_options.environment.A").map(|p| p.line), Some(2));
        assert_eq!(origins.get("image").map(|p| p.line), Some(1));
        assert_eq!(Origins::default().get("image"), None);
    }
}
