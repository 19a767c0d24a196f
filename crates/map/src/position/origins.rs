//! Where the properties of an object were written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use compact_str::CompactString;

use super::Position;

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
/// copy. A configuration that extends another shares those of both, see [`Origins::inheriting`].
#[derive(Clone, Default)]
pub struct Origins {
    own: Arc<Records>,
    /// What the object has from others, as far as its own records do not replace it.
    inherited: Option<Arc<Records>>,
}

impl Origins {
    /// Records the position of `path`, replacing an earlier one.
    pub fn set(&mut self, path: impl AsRef<str>, position: Position) {
        self.records().set(CompactString::new(path), position);
    }

    /// Returns the position of `path`, else that of its nearest recorded parent.
    pub fn get(&self, path: &str) -> Option<&Position> {
        self.find(path).map(|(_, position)| position)
    }

    /// Returns the same as [`Origins::get`], with the path that is recorded: `path` or a parent of it.
    pub fn find<'a>(&self, path: &'a str) -> Option<(&'a str, &Position)> {
        let mut path = path;
        loop {
            if let Some(position) = self.exactly(path) {
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
        self.exactly(path).is_some()
    }

    /// Takes over every position that `other` records at or below `path`.
    pub fn adopt(&mut self, path: &str, other: &Self) {
        let mut positions = other.at_or_below(path).peekable();
        if positions.peek().is_some() {
            let records = self.records();
            positions.for_each(|(key, position)| records.set(key.clone(), position.clone()));
        }
    }

    /// Forgets every position recorded at or below `path`.
    pub fn forget(&mut self, path: &str) {
        let is_inherited = self.inherited.is_some() && self.at_or_below(path).next().is_some();
        if is_inherited || self.own.has_at_or_below(path) {
            self.records().remove(path);
        }
    }

    /// Takes over the position that `other` records for `path` itself, where none is known yet.
    pub fn adopt_missing(&mut self, path: &str, other: &Self) {
        if let Some(position) = other.exactly(path).filter(|_| !self.has(path)) {
            self.set(path, position.clone());
        }
    }

    /// Returns the origins of a configuration with these records that extends one with those of `parent`
    /// (map-model §5.2). Nothing is copied, unless the parent has inherited records itself.
    ///
    /// A path has its own position, else that of the parent. What the configuration writes anew has
    /// nothing of the parent's below it; lists and options do, since they are merged.
    #[must_use]
    pub fn inheriting(&self, parent: &Self) -> Self {
        Self { own: self.all(), inherited: Some(parent.all()) }
    }

    /// Returns all records in one place.
    fn all(&self) -> Arc<Records> {
        if self.inherited.is_none() {
            return Arc::clone(&self.own);
        }
        Arc::new(self.at_or_below("").map(|(key, position)| (key.clone(), position.clone())).collect())
    }

    fn exactly(&self, path: &str) -> Option<&Position> {
        self.own.get(path).or_else(|| {
            let inherited = self.inherited.as_ref()?;
            inherited.get(path).filter(|_| !self.replaces(path))
        })
    }

    /// Tells whether the object's own records replace an inherited one.
    fn replaces(&self, path: &str) -> bool {
        if self.own.get(path).is_some() {
            return true;
        }
        let Some((property, rest)) = path.split_once('.') else {
            return matches!(merged(path), Merged::Never);
        };
        let part = match merged(property) {
            Merged::Never => return true,
            Merged::No => property,
            // Elements have dots in their keys, and nothing below them outlives them.
            Merged::List => return false,
            Merged::Options => match rest.split_once('.') {
                Some((key, _)) => &path[..property.len() + 1 + key.len()],
                None => return false,
            },
        };
        self.own.get(part).is_some()
    }

    /// Returns what is recorded for `path` and below it. Everything is below the empty path, which is
    /// the object itself.
    fn at_or_below(&self, path: &str) -> impl Iterator<Item = (&CompactString, &Position)> {
        let inherited = self.inherited.iter().flat_map({
            let path = path.to_owned();
            move |records| records.at_or_below(&path)
        });
        self.own.at_or_below(path).chain(inherited.filter(|(key, _)| !self.replaces(key)))
    }

    /// Returns all records in one place, to change them.
    fn records(&mut self) -> &mut Records {
        if self.inherited.is_some() {
            self.own = self.all();
            self.inherited = None;
        }
        Arc::make_mut(&mut self.own)
    }
}

/// How the values of a property come together with inherited ones (map-model §5.2).
enum Merged {
    /// It is not inherited.
    Never,
    No,
    List,
    Options,
}

fn merged(property: &str) -> Merged {
    match property {
        "abstract" | "extends" => Merged::Never,
        "instances" | "clients" | "shares" | "links" | "exec_commands" | "binds" | "attaches" | "uses"
        | "networks" | "exposes" => Merged::List,
        "create_options" | "host_config" => Merged::Options,
        _ => Merged::No,
    }
}

/// Positions by path. Most objects have few, which lie side by side in order of their paths.
#[derive(Clone)]
enum Records {
    Few(Vec<(CompactString, Position)>),
    Many(BTreeMap<CompactString, Position>),
}

impl Records {
    /// Putting one more in between the others moves a few cache lines at most.
    const FEW: usize = 64;

    fn set(&mut self, path: CompactString, position: Position) {
        match self {
            Self::Few(records) => match records.binary_search_by(|(key, _)| key.cmp(&path)) {
                Ok(at) => records[at].1 = position,
                Err(at) if records.len() < Self::FEW => records.insert(at, (path, position)),
                Err(_) => {
                    let mut many: BTreeMap<_, _> = std::mem::take(records).into_iter().collect();
                    many.insert(path, position);
                    *self = Self::Many(many);
                }
            },
            Self::Many(records) => drop(records.insert(path, position)),
        }
    }

    fn get(&self, path: &str) -> Option<&Position> {
        match self {
            Self::Few(records) => {
                let found = records.binary_search_by(|(key, _)| key.as_str().cmp(path));
                found.ok().map(|at| &records[at].1)
            }
            Self::Many(records) => records.get(path),
        }
    }

    /// Tells whether anything is recorded for `path` or below it: rarely, while a map is read.
    fn has_at_or_below(&self, path: &str) -> bool {
        match self {
            Self::Few(records) => {
                let start = records.partition_point(|(key, _)| key.as_str() < path);
                let mut neighbours = records[start..].iter().take_while(|(key, _)| key.starts_with(path));
                neighbours.any(|(key, _)| is_at_or_below(key, path))
            }
            Self::Many(_) => self.at_or_below(path).next().is_some(),
        }
    }

    /// Removes what is recorded for `path` and below it.
    fn remove(&mut self, path: &str) {
        match self {
            Self::Few(records) => records.retain(|(key, _)| !is_at_or_below(key, path)),
            Self::Many(_) => {
                let keys: Vec<CompactString> = self.at_or_below(path).map(|(key, _)| key.clone()).collect();
                if let Self::Many(records) = self {
                    keys.iter().for_each(|key| drop(records.remove(key.as_str())));
                }
            }
        }
    }

    fn at_or_below(&self, path: &str) -> impl Iterator<Item = (&CompactString, &Position)> + use<'_> {
        // Texts that start with `path` follow each other; some of them are neighbours of `path`.
        let (few, many) = match self {
            Self::Few(records) => {
                let start = records.partition_point(|(key, _)| key.as_str() < path);
                (Some(records[start..].iter().map(|(key, position)| (key, position))), None)
            }
            Self::Many(records) => {
                let start: (Bound<&str>, Bound<&str>) = (Bound::Included(path), Bound::Unbounded);
                (None, Some(records.range::<str, _>(start)))
            }
        };
        let path = CompactString::new(path);
        let start = path.clone();
        few.into_iter()
            .flatten()
            .chain(many.into_iter().flatten())
            .take_while(move |(key, _)| key.starts_with(start.as_str()))
            .filter(move |(key, _)| is_at_or_below(key, &path))
    }
}

fn is_at_or_below(key: &str, path: &str) -> bool {
    path.is_empty() || key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Default for Records {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl FromIterator<(CompactString, Position)> for Records {
    fn from_iter<T: IntoIterator<Item = (CompactString, Position)>>(records: T) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|(path, position)| all.set(path, position));
        all
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
        let paths =
            |origins: &Origins| origins.at_or_below("").map(|(key, _)| key.to_string()).collect::<Vec<_>>();
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

    #[test]
    fn an_heir_has_its_own_positions_and_those_it_does_not_replace() {
        let origins = |file: &str, paths: &[&str]| {
            let mut origins = Origins::default();
            for (line, path) in paths.iter().enumerate() {
                origins.set(path, Position::new(file, line as u32 + 1, 1));
            }
            origins
        };
        let parent = origins(
            "parent",
            &[
                "",
                "image",
                "extends",
                "uses",
                "uses.a",
                "uses.a.b",
                "host_config",
                "host_config.x",
                "host_config.x.y",
            ],
        );
        let own = origins("own", &["", "extends", "uses", "uses.a", "host_config", "host_config.x"]);
        let heir = own.inheriting(&parent);
        // Path, file and path that are found. The third generation has them in one table.
        for (path, file, found) in [
            ("", "own", ""),
            ("image", "parent", "image"),
            ("user", "own", ""),
            ("extends", "own", "extends"),
            ("uses.a", "own", "uses.a"),
            ("uses.a.b", "parent", "uses.a.b"),
            ("uses.c", "own", "uses"),
            ("host_config.x.y", "own", "host_config.x"),
        ] {
            let place = |origins: &Origins| origins.find(path).map(|(path, at)| (path, at.file.to_string()));
            assert_eq!(place(&heir), Some((found, file.to_owned())), "{path}");
            let grandchild = Origins::default().inheriting(&heir);
            if path != "extends" {
                assert_eq!(place(&grandchild), Some((found, file.to_owned())), "{path} of a grandchild");
            }
        }
    }

    #[test]
    fn many_positions_are_kept_as_few_are() {
        let path = |number: u32| format!("host.a{}.b", number * 7919 % 1000);
        let mut origins = Origins::default();
        (0..1000).for_each(|number| origins.set(path(number), Position::new("m.yaml", number + 1, 1)));
        for number in 0..1000 {
            assert_eq!(origins.get(&path(number)).map(|at| at.line), Some(number + 1));
        }
        origins.forget("host.a1");
        assert!(!origins.has("host.a1.b") && origins.has("host.a10.b") && origins.has("host.a0.b"));
        let mut adopted = Origins::default();
        adopted.adopt("host.a2", &origins);
        assert_eq!(adopted.at_or_below("").count(), 1);
    }
}
