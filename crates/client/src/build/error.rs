//! Why a Dockerfile or a build context cannot be made.

use std::io;
use std::path::PathBuf;

/// What is wrong with a Dockerfile or a build context.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A Dockerfile was written to after its last instructions.
    #[error("File cannot be changed after it has been finalized.")]
    FileFinalized,
    /// Something was added to a context after it was closed.
    #[error("the build context cannot be changed after it has been finalized")]
    ContextFinalized,
    /// A context was read before it was closed.
    #[error("the build context has to be finalized before it is read")]
    ContextOpen,
    /// A context was to be closed at once, and there is no Dockerfile in it.
    #[error("Cannot finalize the docker context tarball without a dockerfile object.")]
    WithoutDockerfile,
    /// An instruction would become two lines, the second of which is no instruction.
    #[error(
        "`{instruction} {text}` has a line break in it; end the line with a backslash, use a heredoc, or `write` raw text"
    )]
    LineBreak {
        /// The instruction, `RUN`.
        instruction: String,
        /// Its arguments.
        text: String,
    },
    /// A command text whose quotation marks do not match.
    #[error("the command `{0}` cannot be split into words: a quotation mark is not closed")]
    CommandText(String),
    /// A source path without a last element.
    #[error("`{0}` has no file name, and no target is given")]
    NoFileName(String),
    /// A variable or a user in a path that is not known.
    #[error("the path `{path}` cannot be expanded: {message}")]
    Expansion {
        /// The path as given.
        path: String,
        /// What is not known.
        message: String,
    },
    /// A path that would leave the context.
    #[error("`{0}` leads out of the build context: it has an element `..`")]
    Outside(String),
    /// A file that cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A device, a FIFO, or the like.
    #[error("`{}` is a {kind}, and cannot be part of a build context", path.display())]
    SpecialFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A name that is no text.
    #[error("the name of `{}` is not UTF-8", .0.display())]
    Name(PathBuf),
    /// An archive that is none, or is cut off.
    #[error("failed to read the archive `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A member of an archive that would be unpacked outside of the context, or is a device.
    #[error("the archive `{}` has the member `{member}`, which {reason}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A line of a `.dockerignore` that is no pattern.
    #[error("`{}`, line {line}: `{pattern}` is no pattern: {reason}", path.display())]
    Pattern {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: &'static str,
    },
}
