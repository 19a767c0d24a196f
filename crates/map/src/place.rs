//! Findings that point at where a map's property was written.

use crate::diagnostic::{Finding, Place};
use crate::position::{Origins, Position};

/// Adds the place of `path` inside an object, `text` being the name that is wrong there.
///
/// The line's text is left empty: whoever renders the finding has the sources.
pub(crate) fn written_at(finding: Finding, origins: &Origins, path: &str, text: &str) -> Finding {
    match origins.get(path) {
        Some(position) => finding.at(place(position, text)),
        None => finding,
    }
}

/// Makes a place that covers `text`.
pub(crate) fn place(position: &Position, text: &str) -> Place {
    let length = u32::try_from(text.chars().count().max(1)).unwrap_or(u32::MAX);
    Place { position: position.clone(), line_text: String::new(), length }
}
