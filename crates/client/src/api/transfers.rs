//! Images and archives over the Engine API: what moves many bytes, or answers with many lines.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use dfab_map::image::{ImageName, ImageVersion};
use dfab_map::model::Auth;
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, Request};
use http_body_util::{BodyDataStream, Either, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::{ReaderStream, StreamReader};

use super::images::{credentials, registry_auth, stream_error};
use super::transport::Body;
use super::{ApiBackend, encoded, request};
use crate::backend::Result;
use crate::error::{Cause, Error};
use crate::transfer::{BuildOptions, Progress, Reader};

type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl ApiBackend {
    pub(super) async fn try_login(&self, registry: Option<&str>, auth: &Auth) -> Result<bool> {
        let operation = format!("log in at `{}`", registry.unwrap_or("Docker Hub"));
        let body = credentials(auth, registry).map_err(|cause| self.error(&operation, cause))?;
        match self.json(&operation, Method::POST, "/auth", Some(&body)).await {
            Ok(answer) => Ok(answer.get("Status").and_then(Value::as_str) == Some("Login Succeeded")),
            // Engines hand the registry's refusal on as 401 or as 500 with its text.
            Err(Error { cause: Cause::Refused { status, message }, .. })
                if status == 401 || message.to_lowercase().contains("unauthorized") =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn push(&self, image: &ImageName, auth: Option<&Auth>, tell: Tell<'_>) -> Result<()> {
        let operation = format!("push image `{image}`");
        let failed = |cause| self.error(&operation, cause);
        let ImageVersion::Tag(tag) = &image.version else {
            return Err(failed(Cause::Input("an image is pushed by its tag, not by a digest".into())));
        };
        let path = format!("/images/{}/push?tag={}", image.repository, encoded(tag));
        let mut request = request(Method::POST, &path, None).map_err(failed)?;
        // Without the header, an engine refuses the request itself; an empty login is anonymous.
        let header = match self.login_for(&operation, image, auth).await? {
            Some(auth) => registry_auth(&auth, image.registry()).map_err(failed)?,
            None => http::HeaderValue::from_static("e30="),
        };
        request.headers_mut().insert("X-Registry-Auth", header);
        self.lines(&operation, request, None, self.silence(), |line| report(&line, tell)).await
    }

    pub(super) async fn build(
        &self,
        context: Reader,
        options: &BuildOptions,
        tell: Tell<'_>,
    ) -> Result<Option<String>> {
        let operation = format!("build image `{}`", options.tag);
        let path = format!("/build?{}", build_query(options));
        let (request, activity) = self.upload(&operation, Method::POST, &path, context)?;
        let mut id = None;
        let each = |line: Value| {
            if let Some(text) = line.get("stream").and_then(Value::as_str) {
                if let Some(found) = built_id(text, options.quiet) {
                    id = Some(found.to_owned());
                }
                text.lines().for_each(|line| tell(Progress::Line(line.to_owned())));
                return Ok(());
            }
            if let Some(found) = line.pointer("/aux/ID").and_then(Value::as_str) {
                id.get_or_insert_with(|| found.to_owned());
                return Ok(());
            }
            report(&line, tell)
        };
        // One step of a Dockerfile may say nothing for hours. Connections have their own way to find a dead host.
        let lines = self.lines(&operation, request, Some(activity), None, each);
        match options.timeout {
            None => lines.await?,
            Some(limit) => match tokio::time::timeout(limit, lines).await {
                Ok(result) => result?,
                // The engine stops a build whose client is gone.
                Err(_) => return Err(self.error(&operation, Cause::Timeout(limit))),
            },
        }
        Ok(id)
    }

    pub(super) async fn load(&self, data: Reader, tell: Tell<'_>) -> Result<()> {
        let operation = "load images";
        let (request, activity) = self.upload(operation, Method::POST, "/images/load?quiet=1", data)?;
        let each = |line: Value| match line.get("stream").and_then(Value::as_str) {
            Some(text) => {
                text.lines().for_each(|line| tell(Progress::Line(line.to_owned())));
                Ok(())
            }
            None => report(&line, tell),
        };
        // The engine says nothing before it has unpacked all.
        self.lines(operation, request, Some(activity), None, each).await
    }

    pub(super) async fn import(&self, data: Reader, repository: &str, tag: &str) -> Result<()> {
        let operation = format!("import image `{repository}:{tag}`");
        let path = format!("/images/create?fromSrc=-&repo={}&tag={}", encoded(repository), encoded(tag));
        let (request, activity) = self.upload(&operation, Method::POST, &path, data)?;
        self.lines(&operation, request, Some(activity), self.silence(), |line| report(&line, &|_| {})).await
    }

    pub(super) async fn copy_to(&self, name: &str, path: &str, data: Reader) -> Result<()> {
        let operation = format!("copy to `{path}` in container `{name}`");
        let target = format!("/containers/{}/archive?path={}", encoded(name), encoded(path));
        let (request, activity) = self.upload(&operation, Method::PUT, &target, data)?;
        self.lines(&operation, request, Some(activity), self.silence(), |_| Ok(())).await
    }

    fn silence(&self) -> Option<Duration> {
        Some(self.options.stream_timeout)
    }

    /// Sends a request whose answer is a stream of bytes.
    pub(super) async fn download(&self, operation: &str, path: &str) -> Result<Reader> {
        self.engine().await?;
        let request = request(Method::GET, path, None).map_err(|cause| self.error(operation, cause))?;
        let body = self.within(operation, Some(self.options.stream_timeout), self.opened(request)).await?;
        let silence = self.options.stream_timeout;
        Ok(Box::new(Download {
            reader: reader(body),
            silence,
            deadline: Box::pin(tokio::time::sleep(silence)),
        }))
    }

    /// Makes a request whose body is read from `data`, and the clock that shows its progress.
    fn upload(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        data: Reader,
    ) -> Result<(Request<Body>, Activity)> {
        let mut request = request(method, path, None).map_err(|cause| self.error(operation, cause))?;
        let activity = Activity::default();
        let (clock, end) = (activity.clone(), activity.clone());
        let frames = ReaderStream::with_capacity(data, 64 * 1024).map(move |chunk| {
            clock.touch(false);
            chunk.map(Frame::data)
        });
        let frames = frames.chain(futures_util::stream::poll_fn(move |_| {
            end.touch(true);
            Poll::Ready(None)
        }));
        *request.body_mut() = Either::Right(StreamBody::new(Box::pin(frames)));
        let tar = http::HeaderValue::from_static("application/x-tar");
        request.headers_mut().insert(http::header::CONTENT_TYPE, tar);
        Ok((request, activity))
    }
}

/// When something of an upload last moved, and whether it is complete. It may take hours, but it may not stand still.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<(Instant, bool)>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), false))))
    }
}

impl Activity {
    fn touch(&self, is_complete: bool) {
        *self.0.lock().expect("nothing panics while it holds the lock") = (Instant::now(), is_complete);
    }

    /// Ends when nothing has moved for as long as `silence`; never after a complete upload that `may_rest`.
    pub(super) async fn silent_for(&self, silence: Duration, may_rest: bool) {
        loop {
            let (last, is_complete) = *self.0.lock().expect("nothing panics while it holds the lock");
            if may_rest && is_complete {
                return std::future::pending().await;
            }
            match silence.checked_sub(last.elapsed()) {
                None => return,
                Some(rest) => tokio::time::sleep(rest + Duration::from_millis(1)).await,
            }
        }
    }
}

type ByteStream = Pin<Box<dyn futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send>>;

fn reader(body: Incoming) -> StreamReader<ByteStream, bytes::Bytes> {
    let stream: ByteStream = Box::pin(BodyDataStream::new(body).map_err(std::io::Error::other));
    StreamReader::new(stream)
}

/// A stream of bytes that fails when the engine falls silent.
struct Download {
    reader: StreamReader<ByteStream, bytes::Bytes>,
    silence: Duration,
    deadline: Pin<Box<tokio::time::Sleep>>,
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.reader).poll_read(cx, buffer) {
            let next = Instant::now() + self.silence;
            self.deadline.as_mut().reset(next);
            return Poll::Ready(result);
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let text = format!("the engine sent nothing for {} s", self.silence.as_secs());
                Poll::Ready(Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

/// Returns the ID of the image in a text of a build's stream: a quiet one is nothing but the ID.
fn built_id(text: &str, is_quiet: bool) -> Option<&str> {
    let text = text.trim_end();
    let is_id = |hash: &str| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
    match text.strip_prefix("Successfully built ") {
        None => (is_quiet && text.strip_prefix("sha256:").is_some_and(is_id)).then_some(text),
        found => found,
    }
}

/// Turns a line of a stream into progress, or into the error that it carries.
fn report(line: &Value, tell: Tell<'_>) -> std::result::Result<(), Cause> {
    if let Some(cause) = stream_error(line) {
        return Err(cause);
    }
    let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let bytes = |field: &str| line.get("progressDetail")?.get(field)?.as_u64();
    match (text("status"), text("id")) {
        (status, _) if status.is_empty() => {}
        (status, id) if id.is_empty() => tell(Progress::Line(status)),
        (status, id) => tell(Progress::Layer { id, status, bytes: bytes("current").zip(bytes("total")) }),
    }
    Ok(())
}

fn build_query(options: &BuildOptions) -> String {
    let mut query = vec![("t", options.tag.clone())];
    let flags = [
        ("nocache", options.nocache),
        ("pull", options.pull),
        ("q", options.quiet),
        ("rm", options.rm),
        ("forcerm", options.forcerm),
    ];
    // The engine's own default of `rm` is true, so that false has to be said.
    query.extend(flags.map(|(name, value)| (name, value.to_string())));
    let limits = &options.limits;
    let numbers =
        [("memory", limits.memory), ("memswap", limits.memory_swap), ("cpushares", limits.cpu_shares)];
    query.extend(numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string()))));
    let texts = [
        ("cpusetcpus", &limits.cpuset_cpus),
        ("dockerfile", &options.dockerfile),
        ("target", &options.target),
        ("networkmode", &options.network_mode),
        ("platform", &options.platform),
    ];
    query.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    if !options.buildargs.is_empty() {
        query.push(("buildargs", json!(options.buildargs).to_string()));
    }
    if !options.labels.is_empty() {
        query.push(("labels", json!(options.labels).to_string()));
    }
    if !options.cache_from.is_empty() {
        query.push(("cachefrom", json!(options.cache_from).to_string()));
    }
    // One parameter for each: the engine takes all that have this name.
    query.extend(options.extra_hosts.iter().map(|host| ("extrahosts", host.clone())));
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    query.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_tells_its_image() {
        let id = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(built_id("Successfully built 0123456789ab\n", false), Some("0123456789ab"));
        assert_eq!(built_id(&format!("{id}\n"), true), Some(&*id));
        assert_eq!(built_id(&id, false), None, "a command has printed it");
        assert_eq!(built_id("sha256:short", true), None);
    }

    #[test]
    fn a_build_query_says_what_differs_from_the_engines_defaults() {
        let mut options = BuildOptions { tag: "reg:5000/app:1".into(), ..BuildOptions::default() };
        options.buildargs.insert("A".into(), "b c&d".into());
        options.dockerfile = Some("sub/Dockerfile".into());
        options.extra_hosts = vec!["a:10.0.0.1".into(), "b:::1".into()];
        assert_eq!(
            build_query(&options),
            "t=reg%3A5000%2Fapp%3A1&nocache=false&pull=false&q=false&rm=false&forcerm=false\
             &dockerfile=sub%2FDockerfile&buildargs=%7B%22A%22%3A%22b%20c%26d%22%7D&extrahosts=a%3A10.0.0.1&extrahosts=b%3A%3A%3A1"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_movement() {
        let (activity, limit) = (Activity::default(), Duration::from_secs(3));
        let within = async |seconds, may_rest| {
            let wait = activity.silent_for(limit, may_rest);
            tokio::time::timeout(Duration::from_secs(seconds), wait).await.is_ok()
        };
        assert_eq!((within(2, true).await, within(2, true).await), (false, true));
        activity.touch(false);
        assert_eq!((within(2, true).await, within(2, true).await), (false, true));
        activity.touch(true);
        assert_eq!((within(1000, true).await, within(1, false).await), (false, true));
    }
}
