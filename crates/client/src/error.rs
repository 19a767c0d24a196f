//! Why a call to an engine failed, so that callers can act on it.

use std::sync::Arc;
use std::time::Duration;

use crate::api::broken::Broken;

/// A boxed cause.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed call. `Display` says what was done, on which host; the cause is the `source`.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} on `{host}`")]
pub struct Error {
    /// What was tried, as a fragment after "failed to": ``create container `m.web` ``.
    pub operation: String,
    /// The engine's host as [`crate::Backend::host`] gives it.
    pub host: String,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The engine answered with an error status.
    #[error("the engine refused ({status}): {message}")]
    Refused {
        /// HTTP status, or the nearest one for backends without HTTP.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// The engine could not be reached, or the connection broke.
    #[error("the engine cannot be reached")]
    Unreachable(#[source] Source),
    /// No answer within the time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The engine answered with something that is not understood.
    #[error("unexpected answer of the engine: {0}")]
    Answer(String),
    /// The engine is too old or too new.
    #[error("{0}")]
    Unsupported(String),
    /// A command ended with a status other than zero.
    #[error("the command ended with status {status}{}", separated(output))]
    Failed {
        /// Exit status.
        status: i64,
        /// What it printed.
        output: String,
    },
    /// The run was cancelled while this was waited for.
    #[error("cancelled")]
    Cancelled,
    /// The call itself cannot be made from what was given.
    #[error("{0}")]
    Input(String),
}

fn separated(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

impl Error {
    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self.cause, Cause::Refused { status: 404, .. })
    }

    /// The engine answered with an error status.
    pub fn is_refused(&self) -> bool {
        matches!(self.cause, Cause::Refused { .. })
    }

    /// A name is taken, or an object is in use.
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause, Cause::Refused { status: 409, .. })
    }

    /// Returns the error of the connector, in its own type, when it could not open a connection, or of
    /// its stream when that broke.
    pub fn connector_error(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        match &self.cause {
            Cause::Unreachable(source) => {
                if let Some(broken) = source.downcast_ref::<Broken>() {
                    return broken.stream_error();
                }
                let shared = source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>();
                Some(shared.map_or(source.as_ref(), |shared| shared.as_ref()))
            }
            _ => None,
        }
    }

    /// The engine could not be reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.cause, Cause::Unreachable(_))
    }
}
