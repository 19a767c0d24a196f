//! Pulling, and answers that are streams of lines with errors inside.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use dfab_map::image::{ImageName, ImageVersion};
use dfab_map::model::Auth;
use http::header::HeaderValue;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::transfers::Activity;
use super::transport::Body;
use super::{ApiBackend, encoded, failure, message, request};
use crate::backend::{PullProgress, Result};
use crate::error::Cause;
use crate::registry::{self, TOKEN_USER};

impl ApiBackend {
    pub(super) async fn pull(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let operation = format!("pull image `{image}`");
        let failed = |cause| self.error(operation.clone(), cause);
        let (ImageVersion::Tag(version) | ImageVersion::Digest(version)) = &image.version;
        let repository = encoded(&image.repository);
        let path = format!("/images/create?fromImage={repository}&tag={}", encoded(version));
        let mut request = request(Method::POST, &path, None).map_err(failed)?;
        if let Some(auth) = self.login_for(&operation, image, auth).await? {
            let header = registry_auth(&auth, image.registry()).map_err(failed)?;
            request.headers_mut().insert("X-Registry-Auth", header);
        }
        self.lines(&operation, request, None, Some(self.options.stream_timeout), |line| {
            if let Some(error) = stream_error(&line) {
                return Err(error);
            }
            progress(pull_progress(&line));
            Ok(())
        })
        .await
    }

    /// Returns the login that was given, else the one that is found.
    pub(super) async fn login_for(
        &self,
        operation: &str,
        image: &ImageName,
        given: Option<&Auth>,
    ) -> Result<Option<Auth>> {
        let found = registry::login_for(self.options.credentials.as_deref(), image, given).await;
        found.map_err(|cause| self.error(operation, cause))
    }

    /// Sends a request and hands each line of the answer, a JSON value, to `each`.
    ///
    /// `silence` is the longest time between two pieces of the answer. A request that carries data may not stand
    /// still for longer than any other stream; `None` lets an engine that has all of it work as long as it needs.
    pub(super) async fn lines(
        &self,
        operation: &str,
        request: Request<Body>,
        upload: Option<Activity>,
        silence: Option<Duration>,
        mut each: impl FnMut(Value) -> std::result::Result<(), Cause>,
    ) -> Result<()> {
        self.engine().await?;
        let limit = self.options.stream_timeout;
        let mut body = match upload {
            None => self.within(operation, silence, self.opened(request)).await?,
            Some(upload) => tokio::select! {
                body = self.within(operation, None, self.opened(request)) => body?,
                () = upload.silent_for(limit, silence.is_none()) => {
                    return Err(self.error(operation, Cause::Timeout(limit)));
                }
            },
        };
        let mut lines = Lines::default();
        loop {
            let frame = self.within(operation, silence, async { Ok(body.frame().await) }).await?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| self.error(operation, failure::body(error)))?;
            if let Ok(bytes) = frame.into_data() {
                lines.push(&bytes);
            }
            while let Some(line) = lines.next() {
                line.and_then(&mut each).map_err(|cause| self.error(operation, cause))?;
            }
        }
        match lines.rest() {
            Some(line) => line.and_then(each).map_err(|cause| self.error(operation, cause)),
            None => Ok(()),
        }
    }

    /// Sends a request and returns the body of a successful answer.
    pub(super) async fn opened(&self, request: Request<Body>) -> std::result::Result<Incoming, Cause> {
        self.answered(request).await.map(Response::into_body)
    }

    /// Sends a request and returns a successful answer, its body unread.
    pub(super) async fn answered(
        &self,
        request: Request<Body>,
    ) -> std::result::Result<Response<Incoming>, Cause> {
        let response: Response<Incoming> = self.transport.send(request).await.map_err(failure::failed)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(failure::body)?.to_bytes();
        Err(failure::refused(status, &message(&body)))
    }
}

/// Splits a stream of bytes into lines of JSON, wherever the pieces are cut.
#[derive(Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &Bytes) {
        self.pending.extend_from_slice(bytes);
    }

    pub(super) fn next(&mut self) -> Option<std::result::Result<Value, Cause>> {
        loop {
            let end = self.pending.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if let Some(value) = parsed(&line) {
                return Some(value);
            }
        }
    }

    pub(super) fn rest(&mut self) -> Option<std::result::Result<Value, Cause>> {
        parsed(&std::mem::take(&mut self.pending))
    }
}

fn parsed(line: &[u8]) -> Option<std::result::Result<Value, Cause>> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    Some(serde_json::from_slice(line).map_err(|error| Cause::Answer(error.to_string())))
}

/// The error that a stream carries: the status was sent long before it happened.
pub(super) fn stream_error(line: &Value) -> Option<Cause> {
    let detail = line.get("errorDetail");
    let message = detail.and_then(|detail| detail.get("message")).or_else(|| line.get("error"))?;
    let code = detail.and_then(|detail| detail.get("code")).and_then(Value::as_u64);
    let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Some(failure::refused(status, message.as_str().unwrap_or_default()))
}

fn pull_progress(line: &Value) -> PullProgress {
    let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let bytes = |field: &str| line.get("progressDetail")?.get(field)?.as_u64();
    PullProgress { layer: text("id"), status: text("status"), bytes: bytes("current").zip(bytes("total")) }
}

/// A registry login as the Engine API's `AuthConfig`.
pub(super) fn credentials(auth: &Auth, registry: Option<&str>) -> std::result::Result<Value, Cause> {
    let registry = registry.unwrap_or("https://index.docker.io/v1/");
    let (Some(username), Some(password)) = (auth.username.known(), auth.password.known()) else {
        return Err(Cause::Input(format!("the login for `{registry}` was not looked up")));
    };
    if username == TOKEN_USER {
        return Ok(json!({"identitytoken": password, "serveraddress": registry}));
    }
    let mut login = json!({"username": username, "password": password, "serveraddress": registry});
    if let Some(email) = &auth.email {
        login["email"] = email.clone().into();
    }
    Ok(login)
}

/// The header that carries a registry login: URL-safe base64 of JSON. Never logged.
pub(super) fn registry_auth(auth: &Auth, registry: Option<&str>) -> std::result::Result<HeaderValue, Cause> {
    let login = credentials(auth, registry)?;
    let mut header = HeaderValue::from_str(&URL_SAFE.encode(login.to_string()))
        .map_err(|_| Cause::Input("the registry login cannot be sent".into()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use dfab_map::value::Late;

    use super::*;

    #[test]
    fn lines_are_found_wherever_the_stream_is_cut() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in ["{\"a\":", "1}\r\n\r\n{\"a\"", ":2}\n{\"a\":3}"] {
            lines.push(&Bytes::from(piece));
            while let Some(line) = lines.next() {
                found.push(line.unwrap()["a"].clone());
            }
        }
        found.push(lines.rest().unwrap().unwrap()["a"].clone());
        assert_eq!(found, [1, 2, 3]);
        assert!(lines.rest().is_none());
    }

    #[test]
    fn an_error_inside_the_stream_is_an_error_of_the_call() {
        let line = json!({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"});
        assert_eq!(stream_error(&line).unwrap().to_string(), "the engine refused (500): manifest unknown");
        assert!(stream_error(&json!({"status": "Pulling fs layer"})).is_none());
    }

    #[test]
    fn a_login_is_hidden_and_url_safe() {
        let auth = Auth { username: "u".into(), password: Late::Known("~~~???>>>".into()), email: None };
        let header = registry_auth(&auth, Some("registry.example.com")).unwrap();
        assert!(header.is_sensitive());
        let text = header.to_str().unwrap();
        assert!(!text.contains(['+', '/']), "{text}");
        let login: Value = serde_json::from_slice(&URL_SAFE.decode(text).unwrap()).unwrap();
        assert_eq!(login["password"], "~~~???>>>");
    }
}
