//! Logs and events through the `docker` program: commands that go on for as long as somebody reads.
//!
//! Each has a channel of its own, and a watcher beside it on the host that ends the program when the
//! channel's input does: a `docker logs --follow` that is given up would otherwise stay there until
//! its container writes again.

use dfab_client::backend::{Backend, Result};
use dfab_client::error::{Cause, Error, Source};
use dfab_client::streams::{
    Event, EventOptions, Events, LineSplitter, LogLine, LogLines, LogOptions, Output, Top,
};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::SemaphorePermit;

use crate::backend::CliBackend;
use crate::command::{self, Command};
use crate::failure::{self, Unusable};
use crate::frame::Finished;
use crate::host::{Host, token};
use crate::options::Sudo;
use crate::shell::{Exit, Running};
use crate::{frame, parse, script};

/// The end of a standard error that is kept for a message.
const ERROR_TAIL: usize = 4 << 10;

impl CliBackend {
    pub(crate) async fn lines_of_log(
        &self,
        name: &str,
        options: LogOptions,
        follow: bool,
    ) -> Result<LogLines<'_>> {
        let operation = format!("read the log of container `{name}`");
        let command = self.built(&operation, command::log_stream(name, options, follow))?;
        // The program says that there is no such container where it writes the log.
        self.container_health(name).await.map_err(|error| Error { operation: operation.clone(), ..error })?;
        let source = Opened::new(self, operation, &command).await?;
        let log = LogReader { source, stdout: LineSplitter::default(), stderr: LineSplitter::default() };
        let wanted = move |line: &Result<LogLine>| match line {
            Ok(line) => options.only.is_none_or(|only| only == line.output),
            Err(_) => true,
        };
        let lines = stream::unfold(log, |mut log| async { Some((log.next().await?, log)) });
        Ok(lines.filter(move |line| std::future::ready(wanted(line))).boxed())
    }

    pub(crate) async fn stream_events(&self, options: &EventOptions) -> Result<Events<'_>> {
        let command = command::events(options);
        let source = Opened::new(self, command.operation.clone(), &command).await?;
        let reader = EventReader { source, lines: LineSplitter::default() };
        Ok(stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) }).boxed())
    }

    pub(crate) async fn table_of_processes(&self, name: &str, ps_args: &[String]) -> Result<Top> {
        let operation = format!("list the processes of container `{name}`");
        let words: Vec<&str> = ps_args.iter().map(String::as_str).collect();
        let finished = self.call(&operation, || command::top(name, &words)).await?;
        Top::from_json(&parse::top(&finished.stdout)).map_err(|cause| self.error(operation, cause))
    }
}

/// A program that runs, and its error once it has failed.
struct Opened<'a> {
    backend: &'a CliBackend,
    operation: String,
    streamed: Option<Streamed<'a>>,
    failed: Option<Error>,
}

impl<'a> Opened<'a> {
    async fn new(backend: &'a CliBackend, operation: String, command: &Command) -> Result<Self> {
        let place = backend.host.place().await.map_err(|most| {
            let text = format!(
                "{most} logs and event streams are followed at a time by the docker command line; the API backend \
                 follows more"
            );
            backend.error(&*operation, Cause::Unsupported(text))
        })?;
        let streamed = backend.host.streamed(command, place).await;
        let streamed = streamed
            .map_err(|unusable| backend.error(&*operation, Cause::Unreachable(Box::new(unusable))))?;
        Ok(Self { backend, operation, streamed: Some(streamed), failed: None })
    }

    /// Returns the next bytes; `None` at the end, after which [`Opened::failed`] says how it ended.
    async fn next(&mut self) -> Option<(Output, Vec<u8>)> {
        let streamed = self.streamed.as_mut()?;
        match streamed.next().await {
            Ok(Some(piece)) => Some(piece),
            Ok(None) => {
                let streamed = self.streamed.take()?;
                let host = &self.backend.host;
                let cause = match streamed.end(host).await {
                    Ok(finished) if finished.status == 0 => return None,
                    Ok(finished) => failure::cause(&finished, host.name(), &host.options),
                    Err(unusable) => Cause::Unreachable(Box::new(unusable)),
                };
                self.failed = Some(self.backend.error(&*self.operation, cause));
                None
            }
            Err(error) => {
                self.fail(Cause::Unreachable(Box::new(error)));
                None
            }
        }
    }

    fn fail(&mut self, cause: Cause) {
        self.streamed = None;
        self.failed = Some(self.backend.error(&*self.operation, cause));
    }
}

struct LogReader<'a> {
    source: Opened<'a>,
    stdout: LineSplitter,
    stderr: LineSplitter,
}

impl LogReader<'_> {
    async fn next(&mut self) -> Option<Result<LogLine>> {
        loop {
            for (output, lines) in [(Output::Stdout, &mut self.stdout), (Output::Stderr, &mut self.stderr)] {
                if let Some(text) = lines.next_line() {
                    return Some(Ok(LogLine { output, text }));
                }
            }
            if self.source.streamed.is_none() {
                return self.source.failed.take().map(Err);
            }
            match self.source.next().await {
                Some((Output::Stdout, bytes)) => self.stdout.push(&bytes),
                Some((Output::Stderr, bytes)) => self.stderr.push(&bytes),
                None => {
                    self.stdout.finish();
                    self.stderr.finish();
                }
            }
        }
    }
}

struct EventReader<'a> {
    source: Opened<'a>,
    lines: LineSplitter,
}

impl EventReader<'_> {
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            while let Some(line) = self.lines.next_line() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match parse::json(&line).and_then(Event::from_json) {
                    Ok(event) => return Some(Ok(event)),
                    Err(cause) => {
                        self.lines = LineSplitter::default();
                        self.source.fail(cause);
                    }
                }
            }
            if self.source.streamed.is_none() {
                return self.source.failed.take().map(Err);
            }
            if let Some((Output::Stdout, bytes)) = self.source.next().await {
                self.lines.push(&bytes);
            }
        }
    }
}

/// A command whose output is read while it runs. Dropping it ends the command.
pub(crate) struct Streamed<'a> {
    /// Never written to: its end is what the watcher waits for.
    _stdin: Box<dyn AsyncWrite + Send + Unpin>,
    stdout: Option<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    stderr: Option<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    exit: BoxFuture<'static, std::result::Result<Exit, Source>>,
    errors: Vec<u8>,
    _place: [SemaphorePermit<'a>; 2],
}

impl Streamed<'_> {
    async fn next(&mut self) -> std::io::Result<Option<(Output, Vec<u8>)>> {
        loop {
            let (output, bytes) = tokio::select! {
                bytes = piece(&mut self.stdout), if self.stdout.is_some() => (Output::Stdout, bytes?),
                bytes = piece(&mut self.stderr), if self.stderr.is_some() => (Output::Stderr, bytes?),
                else => return Ok(None),
            };
            if bytes.is_empty() {
                // The other one may go on.
                match output {
                    Output::Stdout => self.stdout = None,
                    Output::Stderr => self.stderr = None,
                }
                continue;
            }
            if output == Output::Stderr {
                self.errors.extend_from_slice(&bytes);
                let surplus = self.errors.len().saturating_sub(ERROR_TAIL);
                self.errors.drain(..surplus);
            }
            return Ok(Some((output, bytes)));
        }
    }

    async fn end(self, host: &Host) -> std::result::Result<Finished, Unusable> {
        let exit = self.exit.await.map_err(|source| host.lost(source))?;
        // What the program says of its own failure is its last line; the others are the container's.
        let text = self.errors.trim_ascii_end();
        let last = text.iter().rposition(|byte| *byte == b'\n').map_or(text, |at| &text[at + 1..]);
        host.finished(exit, Vec::new(), last.to_vec())
    }
}

/// Returns the next bytes of a stream, none at its end. Nothing is lost when it is dropped half way.
async fn piece<R: AsyncBufRead + Unpin>(stream: &mut Option<R>) -> std::io::Result<Vec<u8>> {
    let Some(stream) = stream else { return Ok(Vec::new()) };
    let bytes = stream.fill_buf().await?.to_vec();
    stream.consume(bytes.len());
    Ok(bytes)
}

impl Host {
    /// Runs one command in a channel of its own, its output being read while it runs.
    ///
    /// # Errors
    ///
    /// When no shell answers.
    async fn streamed<'a>(
        &self,
        command: &Command,
        place: [SemaphorePermit<'a>; 2],
    ) -> std::result::Result<Streamed<'a>, Unusable> {
        self.sent(command);
        let token = token();
        let line = script::followed(command, &self.options, &token);
        let Running { mut stdin, stdout, stderr, exit } = self.start(&line).await?;
        if let Sudo::WithPassword(password) = &self.options.sudo {
            let line = format!("{}\n", password.reveal());
            let written = stdin.write_all(line.as_bytes()).await;
            written.map_err(|error| self.lost(Box::new(error)))?;
        }
        let (mut stdout, mut stderr) = (BufReader::new(stdout), BufReader::new(stderr));
        let (begun, greeted) =
            tokio::join!(frame::skip_greeting(&mut stdout, &token), errors_before(&mut stderr, &token));
        if let Err(broken) = begun {
            drop(stdin);
            let exit = exit.await.map_err(|source| self.lost(source))?;
            return Err(self.no_shell(broken, &exit, &greeted));
        }
        Ok(Streamed {
            _stdin: stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            exit,
            errors: Vec::new(),
            _place: place,
        })
    }
}

/// Skips a standard error up to the line `token`, and returns the beginning of what was skipped.
async fn errors_before(stderr: &mut (impl AsyncBufRead + Unpin), token: &str) -> Vec<u8> {
    let (mut kept, mut line) = (Vec::new(), Vec::new());
    // An end without the token is told through the standard output.
    while stderr.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        if line.strip_suffix(b"\n") == Some(token.as_bytes()) {
            break;
        }
        if kept.len() < ERROR_TAIL {
            kept.append(&mut line);
        }
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests;
