//! Where something was written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use compact_str::CompactString;

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
///
/// Copies share their records until one of them is changed: every stage of the work on a map keeps a
/// copy.
#[derive(Clone, Default)]
pub struct Origins(Arc<BTreeMap<CompactString, Position>>);

impl Origins {
    /// Records the position of `path`, replacing an earlier one.
    pub fn set(&mut self, path: impl AsRef<str>, position: Position) {
        Arc::make_mut(&mut self.0).insert(CompactString::new(path), position);
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
        let mut positions = other.at_or_below(path).peekable();
        if positions.peek().is_some() {
            Arc::make_mut(&mut self.0)
                .extend(positions.map(|(key, position)| (key.clone(), position.clone())));
        }
    }

    /// Forgets every position recorded at or below `path`.
    pub fn forget(&mut self, path: &str) {
        let keys: Vec<CompactString> = self.at_or_below(path).map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            let positions = Arc::make_mut(&mut self.0);
            keys.iter().for_each(|key| drop(positions.remove(key.as_str())));
        }
    }

    /// Takes over the position that `other` records for the object itself.
    pub fn adopt_own(&mut self, other: &Self) {
        if let Some((path, position)) = other.0.get_key_value("") {
            Arc::make_mut(&mut self.0).insert(path.clone(), position.clone());
        }
    }

    /// Takes over the position that `other` records for `path` itself, where none is known yet.
    pub fn adopt_missing(&mut self, path: &str, other: &Self) {
        if !self.0.contains_key(path)
            && let Some((path, position)) = other.0.get_key_value(path)
        {
            Arc::make_mut(&mut self.0).insert(path.clone(), position.clone());
        }
    }

    /// Returns what is recorded for `path` and below it. Everything is below the empty path, which is
    /// the object itself.
    fn at_or_below(&self, path: &str) -> impl Iterator<Item = (&CompactString, &Position)> {
        let (own, below) = match path {
            "" => (None, String::new()),
            _ => (self.0.get_key_value(path), format!("{path}.")),
        };
        let start: (Bound<&str>, Bound<&str>) = (Bound::Included(&below), Bound::Unbounded);
        let rest = self.0.range::<str, _>(start);
        own.into_iter().chain(rest.take_while(move |(key, _)| key.starts_with(&below)))
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
    fn what_is_below_a_path_can_be_taken_over_and_forgotten() {
        let mut other = Origins::default();
        for (line, path) in ["", "a", "a-b", "a.b", "a.b.c", "ab", "b"].into_iter().enumerate() {
            other.set(path, Position::new("m.yaml", line as u32 + 1, 1));
        }
        let paths = |origins: &Origins| origins.0.keys().map(ToString::to_string).collect::<Vec<_>>();
        let mut origins = Origins::default();
        origins.adopt("a", &other);
        assert_eq!(paths(&origins), ["a", "a.b", "a.b.c"]);
        origins.forget("a.b");
        assert_eq!(paths(&origins), ["a"]);
        origins.adopt("", &other);
        assert_eq!(paths(&origins), paths(&other));
        origins.forget("");
        assert_eq!(paths(&origins), [""; 0]);
        assert_eq!(paths(&other).len(), 7, "copies do not see it");
    }

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
