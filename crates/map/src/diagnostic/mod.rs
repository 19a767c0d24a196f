//! Findings: what is wrong in a text or a map, where, and what to do (map-model §0.5).
//!
//! A [`Finding`] is data. [`render`] turns it into text for people, [`Finding::to_json`] into a value
//! for programs. Findings made from a model [`Position`] know no source line; [`Sources`] adds it.

mod json;
mod render;
mod secrets;
mod sources;

use std::fmt;

pub use render::{RenderOptions, render, render_all};
pub use sources::Sources;
pub(crate) use sources::lines;

use crate::position::Position;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its kind, which callers may act on.
    pub kind: FindingKind,
    /// Errors stop the work; warnings do not.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment without a full stop, names in backticks.
    pub message: String,
    /// What it is about: `exposes[0]` of configuration `web` in map `shop`.
    pub subject: Subject,
    /// Where, if it has a place in a text.
    pub place: Option<Place>,
    /// Further places that belong to it, each with a short text (`first given here`).
    pub related: Vec<(Place, String)>,
    /// What to do: the nearest known name, the accepted forms.
    pub hint: Option<String>,
}

/// What a finding is about (map-model §0.5); parts that do not apply are `None`.
///
/// Prints as `` `exposes[0]` of configuration `web` in map `shop` ``.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Name of the map.
    pub map: Option<String>,
    /// Kind and name of the object in it: `configuration`, `volume`, `network`, `client`.
    pub object: Option<(&'static str, String)>,
    /// Property inside the object, with element index (from zero) or key: `exposes[0]`.
    pub property: Option<String>,
}

/// A place in a text, with what is needed to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File, line and column of its first character.
    pub position: Position,
    /// The whole source line, without its end.
    pub line_text: String,
    /// How many characters of that line belong to it, at least one.
    pub length: u32,
}

/// The kinds of findings (map-model §0.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// Shape, type, length or range is not accepted for its property.
    InvalidInput,
    /// A key that is not a property of the object it appears in.
    UnknownKey,
    /// A cross-reference check of map-model §9.
    Integrity,
    /// A map, configuration, group, instance, network or client in a command does not exist.
    UnknownReference,
    /// Circular inheritance or dependency.
    Cycle,
    /// A late value could not be resolved when needed.
    Unresolved,
    /// Not valid YAML, wrong top-level type, no name.
    Load,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The work cannot go on.
    Error,
    /// Worth knowing; the work goes on.
    Warning,
}

/// All findings of a piece of work, in the order of their places. Never empty when used as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl FindingKind {
    /// Returns the word that JSON output uses: `invalid_input`, `unknown_key`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::UnknownKey => "unknown_key",
            Self::Integrity => "integrity",
            Self::UnknownReference => "unknown_reference",
            Self::Cycle => "cycle",
            Self::Unresolved => "unresolved",
            Self::Load => "load",
        }
    }
}

impl Finding {
    /// Makes an error without a place.
    pub fn error(kind: FindingKind, message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, message.into());
        let (subject, place, related, hint) = (Subject::default(), None, Vec::new(), None);
        Self { kind, severity, message, subject, place, related, hint }
    }

    /// Makes a warning without a place.
    pub fn warning(kind: FindingKind, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(kind, message) }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = subject;
        self
    }

    /// Adds a further place with a short text.
    #[must_use]
    pub fn with_related(mut self, place: Place, text: impl Into<String>) -> Self {
        self.related.push((place, text.into()));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Findings {
    /// Tells whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl Subject {
    /// Tells whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.map.is_none() && self.object.is_none() && self.property.is_none()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.property.as_ref().map(|property| format!("`{property}`")),
            self.object.as_ref().map(|(kind, name)| format!("{kind} `{name}`")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(" of "))?;
        match &self.map {
            Some(map) if parts.is_empty() => write!(f, "map `{map}`"),
            Some(map) => write!(f, " in map `{map}`"),
            None => Ok(()),
        }
    }
}

/// A place that knows its first character only; [`Sources`] adds the line when it is shown.
impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self { position, line_text: String::new(), length: 1 }
    }
}

/// One line: `file:line:column: subject: message`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}: ", place.position)?;
        }
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject)?;
        }
        f.write_str(&self.message)
    }
}

/// One line a finding.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Finding::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Findings {}

/// Returns the known name nearest to `name`, when one is near enough to be meant.
///
/// Near enough is as in cargo: a Damerau-Levenshtein distance of at most a third of the length. Where
/// nothing is, the beginning of exactly one known name is taken for it (`ipv4` for `ipv4_address`).
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    // A name of which nothing is left is another name.
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    let mut beginning = Vec::new();
    let near = known
        .into_iter()
        .inspect(|candidate| beginning.extend(candidate.starts_with(name).then_some(*candidate)))
        // The distance is at least the difference in length, which is cheap to see.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    match (near, &beginning[..]) {
        (None, [only]) if length > 2 => Some(only),
        _ => near,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_may_be_meant() {
        let known = ["exec_commands", "exposes", "ipv4_address", "ipv6_address", "image"];
        for (name, expected) in [
            ("exec_comands", Some("exec_commands")),
            ("imgae", Some("image")),
            ("ipv4", Some("ipv4_address")),
            ("ipv", None),
            ("", None),
            ("version", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
