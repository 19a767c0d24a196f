//! What every reader carries: the findings so far, and what is being read.

use crate::diagnostic::{Finding, FindingKind, Place, Severity, Subject, nearest};
use crate::names::InvalidName;
use crate::position::Origins;
use crate::yaml::{Entry, Key, Node};

/// How many findings of one severity are kept while reading: enough to sort and cut them later, and
/// a bound on memory for a text of nothing but mistakes.
const MAX_KEPT: usize = 10_000;

/// Collects findings and knows what is being read.
#[derive(Debug, Default)]
pub(super) struct Context {
    findings: Vec<Finding>,
    /// Findings beyond [`MAX_KEPT`] of their severity.
    dropped: usize,
    /// Errors and warnings among the findings.
    kept: [usize; 2],
    /// The object that is being read.
    subject: Subject,
    /// Path of the property inside the object; empty is the object itself.
    path: String,
    /// Accepted forms of the property that is being read, the hint of what has no better one.
    forms: &'static str,
    /// Positions of the object that is being read.
    pub(super) origins: Origins,
}

impl Context {
    /// Adds a finding about what is being read.
    pub(super) fn push(&mut self, finding: Finding) {
        let kept = &mut self.kept[usize::from(finding.severity == Severity::Warning)];
        if *kept >= MAX_KEPT {
            self.dropped += 1;
            return;
        }
        *kept += 1;
        let property = (!self.path.is_empty()).then(|| self.path.clone());
        self.findings.push(finding.about(Subject { property, ..self.subject.clone() }));
    }

    /// Reports a value that is not accepted; the hint shows the accepted forms.
    pub(super) fn invalid(&mut self, node: &Node, message: impl Into<String>) {
        let forms = self.forms;
        self.invalid_hint(node, message, forms);
    }

    /// Reports a value that is not accepted, with a hint of its own.
    pub(super) fn invalid_hint(&mut self, node: &Node, message: impl Into<String>, hint: impl Into<String>) {
        let finding = node.error(FindingKind::InvalidInput, message);
        self.push(with_hint(finding, hint.into()));
    }

    /// Reports a value of the wrong type: `expected …, found …`.
    pub(super) fn expected(&mut self, node: &Node, expected: &str) {
        self.invalid(node, format!("expected {expected}, found {}", node.describe()));
    }

    /// Reports a name that breaks its rule.
    pub(super) fn invalid_name(&mut self, place: Place, error: &InvalidName) {
        let hint = format!("allowed are {}", error.rule);
        self.push(Finding::error(FindingKind::InvalidInput, error.to_string()).at(place).hint(hint));
    }

    /// Reports something that is accepted but worth knowing.
    pub(super) fn warn(&mut self, node: &Node, message: impl Into<String>, hint: impl Into<String>) {
        let finding = node.error(FindingKind::InvalidInput, message);
        self.push(with_hint(Finding { severity: Severity::Warning, ..finding }, hint.into()));
    }

    /// Reports a key that is not among `known`. `what` names the owner: `a volume`.
    pub(super) fn unknown_key(&mut self, key: &Key, what: &str, known: &[&str]) {
        let message = format!("unknown key `{}` in {what}", crate::yaml::shortened(&key.text));
        let hint = match nearest(&key.text, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known keys are {}", list(known)),
        };
        self.push(Finding::error(FindingKind::UnknownKey, message).at(key.place()).hint(hint));
    }

    /// Reads an object; yields what was read and its positions, of which `key` is the first.
    pub(super) fn object<T>(
        &mut self,
        kind: &'static str,
        key: &Key,
        origins: Origins,
        read: impl FnOnce(&mut Self) -> T,
    ) -> (T, Origins) {
        let outer = std::mem::replace(&mut self.origins, origins);
        self.origins.set("", key.position.clone());
        let path = std::mem::take(&mut self.path);
        self.subject.object = Some((kind, key.text.to_string()));
        let value = read(self);
        self.subject.object = None;
        self.path = path;
        (value, std::mem::replace(&mut self.origins, outer))
    }

    /// Reads a property of the object and records where it was written.
    pub(super) fn property<T>(
        &mut self,
        key: &Key,
        forms: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.origins.forget(&key.text);
        self.origins.set(&key.text, key.position.clone());
        self.forms_of(key, forms, read)
    }

    /// Reads a property without touching recorded positions.
    pub(super) fn forms_of<T>(
        &mut self,
        key: &Key,
        forms: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = std::mem::replace(&mut self.forms, forms);
        let value = self.within(&key.text, read);
        self.forms = outer;
        value
    }

    /// Reads a part of a property: `part` is added to its path, `[0]` or `.key`.
    pub(super) fn within<T>(&mut self, part: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.path.len();
        if !part.starts_with('[') && outer > 0 {
            self.path.push('.');
        }
        self.path.push_str(part);
        let value = read(self);
        self.path.truncate(outer);
        value
    }

    /// Records where a part of the object was written.
    pub(super) fn record(&mut self, path: String, node: &Node) {
        self.origins.set(path, node.position.clone());
    }

    /// Goes through the entries of a mapping; anything else is reported. Null is empty.
    pub(super) fn entries<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Entry] {
        match node.mapping() {
            Some(entries) => entries,
            None => {
                if !node.is_null() && !node.is_failed() {
                    self.expected(node, what);
                }
                &[]
            }
        }
    }

    /// Returns the findings, which are about the map of this name, and how many were dropped.
    pub(super) fn into_findings(mut self, map: Option<&str>) -> (Vec<Finding>, usize) {
        for finding in &mut self.findings {
            finding.subject.map = map.map(str::to_owned);
        }
        (self.findings, self.dropped)
    }
}

fn with_hint(finding: Finding, hint: String) -> Finding {
    if hint.is_empty() { finding } else { finding.hint(hint) }
}

/// Lists names in backticks.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
