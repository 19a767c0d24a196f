//! Why a run failed, in the form in which it is reported: kind, message, causes, hint (style §5).

use dfab_map::diagnostic::{Findings, Sources};

/// The result of work that may end in a report to the user.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failed run.
///
/// `message` and `causes` are lower-case fragments without a full stop; the console and the JSON
/// document print them, nobody else does.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure, which decides the exit code.
    pub kind: Kind,
    /// What failed, on which object.
    pub message: String,
    /// Why, from the outermost cause to the innermost.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// Findings in texts, with the texts to show them in.
    pub findings: Option<Box<(Findings, Sources)>>,
}

/// The kinds of failures, by the words that JSON output uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The call is wrong: `usage`.
    Usage,
    /// The project file, a map or the clients are wrong: `configuration`.
    Configuration,
    /// A host cannot be reached, or does not let us in: `connection`.
    Connection,
    /// An engine refused or broke: `engine`.
    Engine,
    /// A script or a command that a task ran has failed: `task`.
    Task,
    /// The user stopped the run: `interrupted`.
    Interrupted,
    /// A fault of dfab, or of the machine it runs on: `internal`.
    Internal,
}

impl Kind {
    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Connection => "connection",
            Self::Engine => "engine",
            Self::Task => "task",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }
}

impl Failure {
    /// Makes a failure without causes.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), findings: None }
    }

    /// The call is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The project file, a map or the clients are wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Kind::Configuration, message)
    }

    /// Makes a failure that shows findings in texts.
    pub fn findings(message: impl Into<String>, findings: Findings, sources: Sources) -> Self {
        let mut failure = Self::configuration(message);
        failure.findings = Some(Box::new((findings, sources)));
        failure
    }

    /// Makes one failure of several, each after a text that says where; the only one stays as it is. All of them are
    /// said, and what to do about each.
    pub fn of_several(
        message: impl FnOnce(usize) -> String,
        mut failures: Vec<(String, Self)>,
    ) -> Option<Self> {
        if failures.len() < 2 {
            return failures.pop().map(|(_, failure)| failure);
        }
        let mut combined = Self::new(failures[0].1.kind, message(failures.len()));
        for (place, failure) in failures {
            combined.causes.push(format!("{place}{}", failure.one_line()));
            for hint in failure.hints {
                if !combined.hints.contains(&hint) {
                    combined.hints.push(hint);
                }
            }
            combined.findings = combined.findings.or(failure.findings);
        }
        Some(combined)
    }

    /// Makes one failure of those of the steps of a task, each with the place where the step stands. `what` is said before
    /// that.
    pub fn of_steps(what: &str, mut failures: Vec<(&str, Self)>) -> Option<Self> {
        if let [(source, failure)] = failures.as_mut_slice() {
            failure.causes.insert(0, std::mem::take(&mut failure.message));
            failure.message = format!("{what} {source}");
        }
        let failures =
            failures.into_iter().map(|(source, failure)| (format!("{source}: "), failure)).collect();
        Self::of_several(|count| format!("{what} {count} of its steps"), failures)
    }

    /// Returns the message and the causes in one line.
    pub fn one_line(&self) -> String {
        std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds `did you mean …` when there is a known name near `name`, else the list of known names.
    #[must_use]
    pub fn nearest<'a>(self, name: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match dfab_map::diagnostic::nearest(name, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.hint(format!("known {what}: {}", crate::text::list(&known, 12))),
        }
    }

    /// Adds the error and its sources as causes; of a failure that comes back from a library, all that it says.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.extend(chain(error));
        let innermost = std::iter::successors(Some(error), |error| error.source()).last();
        if let Some(failure) = innermost.and_then(|error| error.downcast_ref::<Self>()) {
            self.causes.extend(failure.causes.iter().cloned());
            self.hints.extend(failure.hints.iter().cloned());
        }
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// So that a failure can pass through libraries, which take any error.
impl std::error::Error for Failure {}

/// Returns an error's own text and those of its sources, outermost first. A source that only
/// repeats the text above it is left out.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.ends_with(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_ip` on a host that refuses said that a command could not be run, and not why.
    #[test]
    fn a_failure_that_passes_through_a_library_keeps_its_causes_and_hints() {
        let mut inner = Failure::new(Kind::Connection, "failed to run `ip`").hint("use --accept-new");
        inner.causes.push("the host key is not known".to_owned());
        let wrapped = dfab_tasks::host::Error::Broken("ip".to_owned(), inner.into());
        let outer = Failure::new(Kind::Connection, "failed to ask").because(&wrapped);
        assert_eq!(outer.causes, ["failed to run `ip`", "the host key is not known"]);
        assert_eq!(outer.hints, ["use --accept-new"]);
    }
}
