//! The texts that findings point into.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::secrets::hidden;
use super::{Finding, Findings, Place};

/// Source texts by the file name that positions carry.
///
/// Loading a map yields its sources; those of several files are put together with
/// [`Sources::extend`], so that one report can show lines of all of them. Values of passwords, tokens and
/// other secrets in them are replaced by `*`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources(HashMap<String, Text>);

/// A text and where its lines are, by byte: found when the first of them is asked for, since most texts
/// have no findings.
#[derive(Clone)]
struct Text {
    text: String,
    lines: OnceLock<Vec<Range<usize>>>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl Sources {
    /// Makes the sources of one file.
    pub fn of(file: impl Into<String>, text: &str) -> Self {
        let mut sources = Self::default();
        sources.insert(file, text);
        sources
    }

    /// Adds a file, replacing an earlier text of the same name.
    pub fn insert(&mut self, file: impl Into<String>, text: &str) {
        self.0.insert(file.into(), Text { text: text.to_owned(), lines: OnceLock::new() });
    }

    /// Takes over all files of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns line `line` (from one) of `file`, without its end and with its secrets hidden.
    pub fn line(&self, file: &str, line: u32) -> Option<String> {
        let Text { text, lines } = self.0.get(file)?;
        let lines = lines.get_or_init(|| ranges(text).collect());
        lines.get(line.checked_sub(1)? as usize).map(|range| hidden(&text[range.clone()]))
    }

    /// Adds the source line to a place that has none.
    pub fn fill(&self, place: &mut Place) {
        if place.line_text.is_empty()
            && let Some(line) = self.line(&place.position.file, place.position.line)
        {
            place.line_text = line;
        }
    }

    /// Adds the source lines to all places of a finding.
    pub fn fill_finding(&self, finding: &mut Finding) {
        let places = finding.place.iter_mut().chain(finding.related.iter_mut().map(|(place, _)| place));
        places.for_each(|place| self.fill(place));
    }

    /// Adds the source lines to all places of all findings.
    pub fn fill_all(&self, findings: &mut Findings) {
        findings.0.iter_mut().for_each(|finding| self.fill_finding(finding));
    }
}

/// The names of the files: the texts may hold secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Splits a text at the line breaks that YAML knows (`\n`, `\r\n`, `\r`), so that line numbers agree
/// with the reader's.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    ranges(text).map(|range| &text[range])
}

/// Returns where the lines of a text are, by byte and without their breaks.
fn ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        match bytes[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(length) => {
                let end = start + length;
                next = Some(end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 });
                Some(start..end)
            }
            None => {
                next = None;
                Some(start..bytes.len())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_every_break_that_yaml_knows() {
        assert_eq!(lines("a\r\nb\rc\n\nd").collect::<Vec<_>>(), ["a", "b", "c", "", "d"]);
        let sources = Sources::of("m.yaml", "one\ntwo");
        assert_eq!(sources.line("m.yaml", 2).as_deref(), Some("two"));
        assert_eq!(sources.line("m.yaml", 3), None);
        assert_eq!(sources.line("m.yaml", 0), None);
        assert_eq!(Sources::of("f", "a\r\npassword: x").line("f", 2).as_deref(), Some("password: *"));
    }
}
