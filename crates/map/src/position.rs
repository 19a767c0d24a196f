//! Where something was written.

mod origins;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use origins::Origins;

/// A place in a source text: file, line and column, both counted from one.
///
/// Columns count characters, not bytes. Prints as `file:line:column`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The name of the text as the caller gave it, usually a path relative to the project file.
    pub file: FileName,
    /// Line, from one.
    pub line: u32,
    /// Column in characters, from one.
    pub column: u32,
}

impl Position {
    /// Makes a position.
    pub fn new(file: impl Into<FileName>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }
}

/// The name of a source text. All positions in a text share one.
///
/// Maps hold a position for nearly everything that is written in them: it is a single pointer for that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(Arc<Box<str>>);

impl Deref for FileName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for FileName {
    fn from(name: &str) -> Self {
        Self(Arc::new(name.into()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
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
