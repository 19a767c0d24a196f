//! Images, archives and registries: calls that move many bytes, or answer with many lines
//! (clients-tasks §5.6, §5.8, §5.9).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dfab_client::backend::{PullProgress, Result};
use dfab_client::error::{Cause, Error};
use dfab_client::registry;
use dfab_client::transfer::{BuildOptions, Progress, Reader};
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_tunnel::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::backend::{CliBackend, login};
use crate::command::{self, Built, Login};
use crate::failure::{self, Unusable};
use crate::frame::Finished;
use crate::host::Host;
use crate::parse;

/// Bytes that may wait for whoever reads a stream.
const BUFFER: usize = 256 << 10;

/// Bytes at the end of a log that may hold the reason of a failure.
const TAIL: usize = 4 << 10;

type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl CliBackend {
    /// `docker login --password-stdin`; the login stays on the host, as with the program itself.
    pub(crate) async fn try_login(&self, registry: Option<&str>, auth: &Auth) -> Result<bool> {
        let operation = format!("log in to {}", registry.unwrap_or("Docker index"));
        let (Some(username), Some(password)) = (auth.username.known(), auth.password.known()) else {
            return Err(self.error(operation, Cause::Input("the login was not looked up".to_owned())));
        };
        let password = Secret::new(password.clone());
        match self.call(&operation, || command::login(registry, username, &password)).await {
            Ok(_) => Ok(true),
            Err(Error { cause: Cause::Refused { status: 401, .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the login that was given, else the one that is found; else the program uses that of its host.
    async fn login_for(
        &self,
        operation: &str,
        image: &ImageName,
        given: Option<&Auth>,
    ) -> Result<Option<Login>> {
        let failed = |cause| self.error(operation, cause);
        let credentials = self.host.options.credentials.as_deref();
        let found = registry::login_for(credentials, image, given).await.map_err(failed)?;
        found.map(|auth| login(image, &auth)).transpose().map_err(failed)
    }

    /// Pulls an image, or every tag of its repository.
    pub(crate) async fn pulled(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        all_tags: bool,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let what = if all_tags { "all tags of image" } else { "image" };
        let operation = format!("pull {what} `{image}`");
        let login = self.login_for(&operation, image, auth).await?;
        let built = match all_tags {
            true => command::pull_all_tags(&image.repository, login),
            false => command::pull(&image.to_string(), login),
        };
        let command = self.built(&operation, built)?;
        let finished = self.host.live(&command, |line| progress(parse::pull_progress(line))).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    pub(crate) async fn push(&self, image: &ImageName, auth: Option<&Auth>, tell: Tell<'_>) -> Result<()> {
        let operation = format!("push image `{image}`");
        let login = self.login_for(&operation, image, auth).await?;
        let command = self.built(&operation, command::push(&image.to_string(), login))?;
        let finished = self.host.live(&command, |line| tell(progress(line))).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    /// Where the log does not name the image, as that of a newer builder, the tag is inspected.
    pub(crate) async fn build(
        &self,
        context: Reader,
        options: &BuildOptions,
        tell: Tell<'_>,
    ) -> Result<Option<String>> {
        let operation = format!("build image `{}`", options.tag);
        let mut image = None;
        let each = |line: &str| {
            if let Some(id) = parse::built_image(line) {
                image = Some(id);
            }
            tell(Progress::Line(line.to_owned()));
        };
        let finished = self.uploaded(&operation, command::build(options), context, each).await?;
        if options.quiet {
            // The ID is all that is printed.
            let id = finished.stdout.trim_ascii();
            return Ok((!id.is_empty()).then(|| String::from_utf8_lossy(id).into_owned()));
        }
        if image.is_none() {
            let inspected = self.inspect_images(&[&options.tag]).await?;
            image = inspected.first().and_then(|image| image.get("Id")?.as_str().map(str::to_owned));
        }
        Ok(image)
    }

    pub(crate) async fn load(&self, data: Reader, tell: Tell<'_>) -> Result<()> {
        let each = |line: &str| tell(Progress::Line(line.to_owned()));
        self.uploaded("load images", Ok(command::load()), data, each).await.map(drop)
    }

    pub(crate) async fn import(&self, data: Reader, repository: &str, tag: &str) -> Result<()> {
        let image = format!("{repository}:{tag}");
        let operation = format!("import image `{image}`");
        self.uploaded(&operation, command::import(Some(&image), &[], None), data, |_| {}).await.map(drop)
    }

    pub(crate) async fn copy_into(&self, name: &str, path: &str, data: Reader) -> Result<()> {
        let operation = format!("copy to `{path}` in container `{name}`");
        self.uploaded(&operation, command::copy_to(name, path), data, |_| {}).await.map(drop)
    }

    /// Runs a command that reads `data`, and hands out its lines. Returns the end of what it printed.
    async fn uploaded(
        &self,
        operation: &str,
        built: Built,
        mut data: Reader,
        each: impl FnMut(&str) + Send + Unpin,
    ) -> Result<Finished> {
        let command = self.built(operation, built)?;
        let mut lines = Lines { each, pending: Vec::new(), tail: Vec::new() };
        let result = self.host.piped(&command, &mut data, &mut lines).await;
        let tail = lines.finish();
        let mut finished = ended(&self.host, operation, &tail, result)?;
        finished.stdout = tail;
        Ok(finished)
    }

    /// Runs a command and returns its output as a stream. A command that fails before it has written
    /// anything is an error of this call, a later failure one of the stream.
    pub(crate) async fn downloaded(&self, operation: String, built: Built) -> Result<Reader> {
        let command = self.built(&operation, built)?;
        let host = Arc::clone(&self.host);
        let run = |mut sink| async move { host.piped(&command, &mut tokio::io::empty(), &mut sink).await };
        self.streamed(operation, run).await
    }

    /// As [`CliBackend::downloaded`], for whatever writes to a sink.
    pub(crate) async fn streamed<F>(
        &self,
        operation: String,
        run: impl FnOnce(DuplexStream) -> F,
    ) -> Result<Reader>
    where
        F: Future<Output = std::result::Result<io::Result<Finished>, Unusable>> + Send + 'static,
    {
        let (sink, data) = tokio::io::duplex(BUFFER);
        let (tell, result) = oneshot::channel();
        let host = Arc::clone(&self.host);
        let running = run(sink);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let result = running.await;
            // Whoever has dropped the stream does not want to know.
            let _ = tell.send(ended(&host, &operation, &[], result).map(drop));
        });
        let mut download = Download { data, result: Some(result), _task: task };
        let mut first = vec![0; 1 << 13];
        match download.read(&mut first).await {
            Ok(length) => {
                first.truncate(length);
                Ok(Box::new(io::Cursor::new(first).chain(download)))
            }
            Err(error) => Err(error.downcast::<Error>().unwrap_or_else(|error| {
                self.error("read the output of a command", Cause::Unreachable(Box::new(error)))
            })),
        }
    }
}

/// Tells a failure of a command from one of its streams. `tail` is what it has printed, where its reason may
/// stand if standard error holds none.
pub(crate) fn ended(
    host: &Host,
    operation: &str,
    tail: &[u8],
    result: std::result::Result<io::Result<Finished>, Unusable>,
) -> Result<Finished> {
    let failed = |cause| Error { operation: operation.to_owned(), host: host.name().to_owned(), cause };
    let finished = result.map_err(|unusable| failed(Cause::Unreachable(Box::new(unusable))))?;
    let mut finished = finished.map_err(|error| failed(Cause::Unreachable(Box::new(error))))?;
    if !failure::is_failure(&finished) {
        return Ok(finished);
    }
    if finished.stderr.trim_ascii().is_empty() {
        let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        finished.stderr = last.unwrap_or_default().to_vec();
    }
    Err(failed(failure::cause(&finished, host.name(), &host.options)))
}

fn progress(line: &str) -> Progress {
    match parse::pull_progress(line) {
        PullProgress { layer, status, .. } if layer.is_empty() => Progress::Line(status),
        PullProgress { layer, status, bytes } => Progress::Layer { id: layer, status, bytes },
    }
}

/// The output of a command that runs; dropping it ends the command.
struct Download {
    data: DuplexStream,
    result: Option<oneshot::Receiver<Result<()>>>,
    _task: JoinSet<()>,
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut self.data).poll_read(ctx, buffer))?;
        if buffer.filled().len() > filled || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // The output has ended; whether the command has succeeded, it says apart.
        let Some(result) = &mut self.result else { return Poll::Ready(Ok(())) };
        let result = ready!(Pin::new(result).poll(ctx));
        self.result = None;
        Poll::Ready(match result {
            Ok(result) => result.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the command was given up")),
        })
    }
}

/// A sink that hands out lines, and keeps the end of them.
struct Lines<F> {
    each: F,
    pending: Vec<u8>,
    tail: Vec<u8>,
}

impl<F: FnMut(&str)> Lines<F> {
    fn line(&mut self, line: &[u8]) {
        (self.each)(String::from_utf8_lossy(line).trim_end());
        self.tail.extend_from_slice(line);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn finish(mut self) -> Vec<u8> {
        if !self.pending.is_empty() {
            let rest = std::mem::take(&mut self.pending);
            self.line(&rest);
        }
        self.tail
    }
}

impl<F: FnMut(&str) + Unpin> AsyncWrite for Lines<F> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.line(&line);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
