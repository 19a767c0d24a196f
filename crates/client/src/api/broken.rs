//! A connection that broke while it was in use, told in the words of the stream below it.
//!
//! hyper wraps what the stream said in layers of its own (`client error (SendRequest)`, `connection error`), which
//! say nothing to a user.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A broken connection.
#[derive(Clone, Debug)]
pub(crate) struct Broken(Arc<dyn StdError + Send + Sync>);

/// What is known of it.
enum Why<'a> {
    /// The stream's own error.
    Stream(&'a (dyn StdError + Send + Sync + 'static)),
    /// The other side closed it in order, too early.
    Closed,
    /// Something else; the innermost words.
    Other(&'a (dyn StdError + 'static)),
}

impl Broken {
    pub(super) fn new(error: impl StdError + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the stream's own error, in its own type.
    pub(crate) fn stream_error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self.why() {
            Why::Stream(error) => Some(error),
            Why::Closed | Why::Other(_) => None,
        }
    }

    fn why(&self) -> Why<'_> {
        let mut why = Why::Other(self.0.as_ref());
        let mut cause: Option<&(dyn StdError + 'static)> = Some(self.0.as_ref());
        while let Some(found) = cause {
            let io = found.downcast_ref::<io::Error>();
            let hyper = found.downcast_ref::<hyper::Error>();
            if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
                || hyper.is_some_and(hyper::Error::is_incomplete_message)
            {
                return Why::Closed;
            }
            why = match io.and_then(io::Error::get_ref) {
                // The layer may be hyper's again; the last one found is the stream's.
                Some(inner) => Why::Stream(inner),
                None if matches!(why, Why::Other(_)) => Why::Other(found),
                None => why,
            };
            cause = found.source();
        }
        why
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why() {
            Why::Stream(error) => fmt::Display::fmt(error, f),
            Why::Closed => f.write_str("the engine closed the connection before its answer was complete"),
            Why::Other(_) => f.write_str("the connection broke"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.why() {
            Why::Stream(error) => error.source(),
            Why::Closed => None,
            Why::Other(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer around another error, as hyper makes them.
    #[derive(Debug)]
    struct Layer(io::Error);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("client error (SendRequest)")
        }
    }

    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn shown(error: io::Error) -> String {
        let broken = Broken::new(Layer(error));
        let source = broken.source().map(|source| format!(": {source}")).unwrap_or_default();
        format!("{broken}{source}")
    }

    #[test]
    fn the_words_of_the_stream_come_through_the_layers() {
        #[derive(Debug, thiserror::Error)]
        #[error("the connection to `web1` broke")]
        struct Ours(#[source] fmt::Error);
        let ours = || io::Error::other(Ours(fmt::Error));
        let of_formatting = format!("the connection to `web1` broke: {}", fmt::Error);
        assert_eq!(shown(ours()), of_formatting);
        assert_eq!(shown(io::Error::other(Layer(ours()))), of_formatting);
        let broken = Broken::new(Layer(ours()));
        assert!(broken.stream_error().is_some_and(|error| error.is::<Ours>()));
    }

    #[test]
    fn what_no_stream_said_is_told_from_what_the_engine_did() {
        let reset = shown(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(reset, "the connection broke: connection reset");
        let early =
            shown(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF during chunk size line"));
        assert_eq!(early, "the engine closed the connection before its answer was complete");
    }
}
