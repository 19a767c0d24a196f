//! The texts that findings point into.

use std::collections::HashMap;

use super::secrets::hidden;
use super::{Finding, Findings, Place};

/// Source texts by the file name that positions carry.
///
/// Loading a map yields its sources; those of several files are put together with
/// [`Sources::extend`], so that one report can show lines of all of them. Values of passwords, tokens and
/// other secrets in them are replaced by `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(HashMap<String, Text>);

/// A text split into lines once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(Vec<String>);

impl Sources {
    /// Makes the sources of one file.
    pub fn of(file: impl Into<String>, text: &str) -> Self {
        let mut sources = Self::default();
        sources.insert(file, text);
        sources
    }

    /// Adds a file, replacing an earlier text of the same name.
    pub fn insert(&mut self, file: impl Into<String>, text: &str) {
        self.0.insert(file.into(), Text(lines(text).map(hidden).collect()));
    }

    /// Takes over all files of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns line `line` (from one) of `file`, without its end.
    pub fn line(&self, file: &str, line: u32) -> Option<&str> {
        self.0.get(file)?.0.get(line.checked_sub(1)? as usize).map(String::as_str)
    }

    /// Adds the source line to a place that has none.
    pub fn fill(&self, place: &mut Place) {
        if place.line_text.is_empty()
            && let Some(line) = self.line(&place.position.file, place.position.line)
        {
            place.line_text = line.to_owned();
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

/// Splits a text at the line breaks that YAML knows (`\n`, `\r\n`, `\r`), so that line numbers agree
/// with the reader's.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        match current.find(['\n', '\r']) {
            Some(end) => {
                let after = &current[end..];
                rest = Some(after.strip_prefix("\r\n").unwrap_or(&after[1..]));
                Some(&current[..end])
            }
            None => rest.take(),
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
        assert_eq!(sources.line("m.yaml", 2), Some("two"));
        assert_eq!(sources.line("m.yaml", 3), None);
        assert_eq!(sources.line("m.yaml", 0), None);
    }
}
