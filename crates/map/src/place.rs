//! Findings that point at where a map's property was written.

use crate::diagnostic::{Finding, Place, Subject};
use crate::position::{Origins, Position};

/// Says that a finding is about a property of a configuration.
pub(crate) fn in_configuration(map: &str, config: &str, property: &str) -> Subject {
    let object = Some(("configuration", config.to_owned()));
    Subject { map: Some(map.to_owned()), object, property: Some(property.to_owned()) }
}

/// Says that a finding is about a map.
pub(crate) fn in_map(map: &str) -> Subject {
    Subject { map: Some(map.to_owned()), ..Subject::default() }
}

/// Adds the place of `path` inside an object, `text` being what stands there.
pub(crate) fn written_at(mut finding: Finding, origins: &Origins, path: &str, text: &str) -> Finding {
    finding.place = place_of(origins, path, text);
    finding
}

/// Returns the place of `path` inside an object, if it is known.
///
/// The line's text is left empty: whoever renders the finding has the sources.
pub(crate) fn place_of(origins: &Origins, path: &str, text: &str) -> Option<Place> {
    let (found, position) = origins.find(path)?;
    // An element's position is that of its text; a property's is that of its key.
    let is_element = found == path && path.contains('.');
    Some(place(position, if is_element { text } else { found.rsplit('.').next().unwrap_or_default() }))
}

/// Makes a place that covers `text`.
pub(crate) fn place(position: &Position, text: &str) -> Place {
    let length = u32::try_from(text.chars().count().max(1)).unwrap_or(u32::MAX);
    Place { position: position.clone(), line_text: String::new(), length }
}
