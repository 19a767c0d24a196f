//! From what went wrong below to [`Cause`]: the one place that tells refused, unreachable and
//! unexpected apart.

use std::error::Error as _;
use std::io;

use bollard::errors::Error as Bollard;

use super::broken::Broken;
use super::transport::Failed;
use crate::error::Cause;

/// Statuses that engine generations do not agree on, by a part of the message. The status that
/// callers act on is the one of [`crate::Error::is_not_found`] and [`crate::Error::is_conflict`].
const STATUSES: &[(&str, u16)] = &[
    // 500 up to 24.0, 403 later.
    ("is not connected to", 404),
    // 403 for "network m.net id … has active endpoints".
    ("has active endpoints", 409),
    // 404 for the network of an endpoint inside the engine's own message, and 500 in some versions.
    ("No such container", 404),
];

/// Returns the cause for an error status and the engine's message.
pub(super) fn refused(status: u16, message: &str) -> Cause {
    let message = message.trim();
    let known = STATUSES.iter().find(|(part, _)| message.contains(part));
    let status = known.map_or(status, |(_, status)| *status);
    let message =
        if message.is_empty() { format!("status {status} without a message") } else { message.to_owned() };
    Cause::Refused { status, message }
}

/// Returns the cause for a request that was not answered.
pub(super) fn failed(failed: Failed) -> Cause {
    match failed {
        Failed::Request(error) => Cause::Input(error.to_string()),
        // As it is, so that callers find the connector's own error: see `Error::connector_error`.
        Failed::Connect(error) => Cause::Unreachable(Box::new(error)),
        Failed::Exchange(error) => Cause::Unreachable(Box::new(Broken::new(error))),
    }
}

/// Returns the cause for an answer's body that could not be read to its end.
pub(super) fn body(error: hyper::Error) -> Cause {
    Cause::Unreachable(Box::new(Broken::new(error)))
}

/// Returns the cause for an answer that came to an end before it said what it should.
pub(super) fn incomplete() -> Cause {
    Cause::Unreachable(Box::new(Broken::new(io::Error::from(io::ErrorKind::UnexpectedEof))))
}

/// Returns the cause for any error of bollard's.
pub(super) fn bollard(error: Bollard) -> Cause {
    match error {
        Bollard::DockerResponseServerError { status_code, message } => refused(status_code, &message),
        Bollard::DockerStreamError { error } => refused(500, &error),
        Bollard::IOError { err } => io_error(err),
        Bollard::HyperResponseError { err } => Cause::Unreachable(Box::new(Broken::new(err))),
        other => Cause::Answer(other.to_string()),
    }
}

/// An `io::Error` carries our own failure where it comes from the transport, or a broken body.
fn io_error(error: io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Failed>());
    match inner {
        Some(inner) => failed(inner.clone()),
        None if error.kind() == io::ErrorKind::InvalidData => Cause::Answer(error.to_string()),
        None => Cause::Unreachable(Box::new(Broken::new(error))),
    }
}

/// Wraps a failure of the transport so that it passes through bollard unharmed.
pub(super) fn into_bollard(failed: Failed) -> Bollard {
    // bollard has no variant for a foreign transport; an I/O error keeps its source.
    debug_assert!(failed.source().is_some() || matches!(failed, Failed::Connect(_)));
    Bollard::IOError { err: io::Error::other(failed) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Error;

    fn error(cause: Cause) -> Error {
        Error { operation: "test".into(), host: "h".into(), cause }
    }

    #[test]
    fn statuses_that_generations_disagree_on_are_one() {
        for (status, message, not_found, conflict) in [
            (404, "No such container: m.a", true, false),
            (500, "container m.a is not connected to the network m.n", true, false),
            (403, "error while removing network: network m.n id 1 has active endpoints", false, true),
            (409, "Conflict. The container name \"/m.a\" is already in use", false, true),
            (500, "driver failed programming external connectivity", false, false),
        ] {
            let error = error(refused(status, message));
            assert_eq!((error.is_not_found(), error.is_conflict()), (not_found, conflict), "{message}");
        }
    }

    #[test]
    fn what_the_connector_said_comes_out_of_bollard_as_the_source() {
        let said = Failed::Connect(Arc::new(io::Error::other("host key of web1 is not known")));
        let error = error(bollard(into_bollard(said)));
        assert!(error.is_unreachable());
        let source = error.cause.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("host key of web1 is not known"));
    }

    #[test]
    fn an_error_inside_a_stream_is_a_refusal() {
        let cause = bollard(Bollard::DockerStreamError { error: "manifest unknown".into() });
        assert_eq!(cause.to_string(), "the engine refused (500): manifest unknown");
    }
}
