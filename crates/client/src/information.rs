//! What information tasks ask an engine for: its answers as they are, for tables and scripts.
//!
//! Plans never use these; see [`mod@crate::observe`] for the state that they are made from.

/// Something to ask an engine for. The answer is JSON in the shape of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Information {
    /// `GET /version`: an object.
    Version,
    /// `GET /info`: an object.
    System,
    /// `GET /images/json`: an array; with `all` intermediate images too.
    Images {
        /// Intermediate images too.
        all: bool,
    },
    /// `GET /containers/json`: an array; with `all` also what does not run.
    Containers {
        /// Also what does not run.
        all: bool,
    },
    /// `GET /networks`: an array.
    Networks,
    /// `GET /volumes`: an object with `Volumes` and `Warnings`.
    Volumes,
}

impl Information {
    /// Returns the operation for messages, as a fragment after "failed to".
    pub fn operation(self) -> &'static str {
        match self {
            Self::Version => "ask for the engine's version",
            Self::System => "ask for the engine's settings",
            Self::Images { .. } => "list images",
            Self::Containers { .. } => "list containers",
            Self::Networks => "list networks",
            Self::Volumes => "list volumes",
        }
    }

    /// Returns the path of the Engine API, without the version.
    pub fn path(self) -> &'static str {
        match self {
            Self::Version => "/version",
            Self::System => "/info",
            Self::Images { all: false } => "/images/json",
            Self::Images { all: true } => "/images/json?all=1",
            Self::Containers { all: false } => "/containers/json",
            Self::Containers { all: true } => "/containers/json?all=1",
            Self::Networks => "/networks",
            Self::Volumes => "/volumes",
        }
    }
}
