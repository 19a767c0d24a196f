//! The backend over the Engine API.
//!
//! Requests whose answers bollard's types would narrow (lists, inspections, creation) are written
//! and read as JSON by [`crate::engine_json`]; the others go through bollard. Both use one pool of
//! connections, one negotiated version and one mapping of errors.

pub(crate) mod broken;
mod containers;
mod failure;
mod images;
mod negotiate;
mod streams;
mod transfers;
mod transport;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bytes::Bytes;
use dfab_map::observed::EngineInfo;
use http::{Method, Request};
use http_body_util::{BodyExt, Either, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};

use self::transport::{Body, Transport};
use crate::backend::Result;
use crate::connector::Connector;
use crate::engine_json;
use crate::error::{Cause, Error};
use crate::registry::Credentials;

/// The oldest API version that is spoken (design §4, O-02).
pub const OLDEST_API: (u32, u32) = (1, 40);

/// The newest API version that this crate knows; a newer engine is asked to speak this one.
pub const NEWEST_API: (u32, u32) = (1, 51);

/// How an engine is spoken to.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The API version to use; `None` takes the newest that both sides know.
    pub version: Option<(u32, u32)>,
    /// Time for an answer to an ordinary request.
    pub timeout: Duration,
    /// Longest silence in a stream such as a pull's. An engine that builds or loads what it has received may be
    /// silent for longer.
    pub stream_timeout: Duration,
    /// Connections at a time; fewer where the way to the engine bears fewer ([`Connector::most`]).
    pub connections: usize,
    /// Where logins for registries come from when a pull or push is given none.
    pub credentials: Option<Arc<dyn Credentials>>,
}

impl Default for ApiOptions {
    /// 60 seconds an answer, 5 minutes between two lines of a stream, 18 connections: of eight scripts at a time
    /// each may be waited for while its log is followed, and two are left for other calls.
    fn default() -> Self {
        Self {
            version: None,
            timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(300),
            connections: 18,
            credentials: None,
        }
    }
}

/// A Docker engine, spoken to by the Engine API.
///
/// Nothing is sent before the first call. Dropping it closes its connections.
pub struct ApiBackend {
    connector: Arc<dyn Connector>,
    host: String,
    transport: Arc<Transport>,
    docker: Docker,
    options: ApiOptions,
    engine: OnceCell<EngineInfo>,
    /// Connections that streams without an end may hold; two are left for all other calls.
    following: Arc<Semaphore>,
}

impl ApiBackend {
    /// Makes a backend over `connector`.
    pub fn new(connector: Arc<dyn Connector>, options: ApiOptions) -> Self {
        let host = connector.host().to_owned();
        let transport = Arc::new(Transport::new(Arc::clone(&connector), options.connections.max(1)));
        let sender = Arc::clone(&transport);
        let docker = Docker::connect_with_custom_transport(
            move |request| {
                let transport = Arc::clone(&sender);
                async move { transport.send(request).await.map_err(failure::into_bollard) }
            },
            Some("http://localhost"),
            // Deadlines are ours, one per operation; bollard's own is put out of the way.
            u64::from(u32::MAX),
            bollard::API_DEFAULT_VERSION,
        )
        .expect("a custom transport is only stored");
        let following = Arc::new(Semaphore::new(followed_at_once(options.connections)));
        Self { connector, host, transport, docker, options, engine: OnceCell::new(), following }
    }

    /// Returns what the engine can do, negotiating the API version at the first call.
    async fn engine(&self) -> Result<&EngineInfo> {
        let negotiate = async || {
            let info = self.negotiate().await?;
            self.keep_to_the_way();
            Ok(info)
        };
        self.engine.get_or_try_init(negotiate).await
    }

    /// Gives up the connections that the way to the engine does not bear. How it is reached is known since the
    /// negotiation, which needs one; all others wait for its end.
    fn keep_to_the_way(&self) {
        let (allowed, most) = (self.options.connections.max(1), self.connections());
        self.transport.forget(allowed - most);
        self.following.forget_permits(followed_at_once(allowed) - followed_at_once(most));
    }

    /// How many connections may be open at a time, as far as is known.
    fn connections(&self) -> usize {
        let allowed = self.options.connections.max(1);
        self.connector.most().map_or(allowed, |most| most.clamp(1, allowed))
    }

    /// Sends a request with the negotiated version and returns the answer's JSON, `Null` for an
    /// empty one.
    async fn json(&self, operation: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.engine().await?;
        self.exchange(operation, Some(self.options.timeout), method, path, body).await
    }

    async fn exchange(
        &self,
        operation: &str,
        deadline: Option<Duration>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let request = request(method, path, body).map_err(|cause| self.error(operation, cause))?;
        let exchange = async {
            let response = self.transport.send(request).await.map_err(failure::failed)?;
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(failure::body)?.to_bytes();
            if !status.is_success() {
                return Err(failure::refused(status.as_u16(), &message(&body)));
            }
            if body.is_empty() {
                return Ok(Value::Null);
            }
            serde_json::from_slice(&body).map_err(|error| Cause::Answer(error.to_string()))
        };
        self.within(operation, deadline, exchange).await
    }

    /// Makes a call through bollard, with the negotiated version and a deadline.
    async fn call<T>(
        &self,
        operation: &str,
        deadline: Option<Duration>,
        call: impl Future<Output = std::result::Result<T, bollard::errors::Error>>,
    ) -> Result<T> {
        self.engine().await?;
        self.within(operation, deadline, async { call.await.map_err(failure::bollard) }).await
    }

    async fn within<T>(
        &self,
        operation: &str,
        deadline: Option<Duration>,
        call: impl Future<Output = std::result::Result<T, Cause>>,
    ) -> Result<T> {
        let result = match deadline {
            None => call.await,
            Some(deadline) => match tokio::time::timeout(deadline, call).await {
                Ok(result) => result,
                Err(_) => Err(Cause::Timeout(deadline)),
            },
        };
        result.map_err(|cause| self.error(operation, cause))
    }

    fn error(&self, operation: impl Into<String>, cause: Cause) -> Error {
        Error { operation: operation.into(), host: self.host.clone(), cause }
    }

    /// Maps what [`engine_json`] could not read.
    fn unreadable(&self, operation: &str) -> impl Fn(engine_json::Unreadable) -> Error + '_ {
        let operation = operation.to_owned();
        move |error| self.error(operation.clone(), Cause::Answer(error.to_string()))
    }
}

/// How many of so many connections streams without an end may hold.
fn followed_at_once(connections: usize) -> usize {
    connections.saturating_sub(2).max(1)
}

fn request(method: Method, path: &str, body: Option<&Value>) -> std::result::Result<Request<Body>, Cause> {
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let mut request = Request::builder().method(method).uri(format!("http://localhost{path}"));
    if body.is_some() {
        request = request.header(http::header::CONTENT_TYPE, "application/json");
    }
    request.body(Either::Left(Full::new(bytes))).map_err(|error| Cause::Input(error.to_string()))
}

/// The engine's message in an error answer: `{"message": …}`, else the text as it is.
fn message(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")).and_then(Value::as_str);
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

/// Percent-encodes a name for use inside a path or query.
fn encoded(name: &str) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, &KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_from_json_or_taken_as_it_is() {
        assert_eq!(message(br#"{"message":"No such image"}"#), "No such image");
        assert_eq!(message(b"404 page not found\n"), "404 page not found\n");
    }
}
