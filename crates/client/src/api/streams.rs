//! Logs and events over the Engine API: answers that go on for as long as somebody reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{Method, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::images::Lines;
use super::{ApiBackend, encoded, followed_at_once, request};
use crate::backend::Result;
use crate::error::{Cause, Error};
use crate::streams::{Event, EventOptions, Events, Frames, LogLine, LogLines, LogOptions, Output};

/// The version in which an engine says by the content type how its log stream is made.
const SAYS_CONTENT: (u32, u32) = (1, 42);

impl ApiBackend {
    pub(super) async fn whole_log(&self, name: &str, options: LogOptions) -> Result<Vec<u8>> {
        let mut log = self.open_log(name, options, false).await?;
        let mut frames = Frames::merged(log.terminal);
        while let Some(bytes) = self.next_piece(&mut log).await? {
            frames.push(&bytes).map_err(|cause| self.error(&*log.operation, cause))?;
        }
        frames.finish().map_err(|cause| self.error(&*log.operation, cause))?;
        Ok(frames.into_merged())
    }

    pub(super) async fn lines_of_log(
        &self,
        name: &str,
        options: LogOptions,
        follow: bool,
    ) -> Result<LogLines<'_>> {
        let log = self.open_log(name, options, follow).await?;
        let lines = LogReader { frames: Frames::new(log.terminal), input: Input::Open(log) };
        Ok(stream::unfold(lines, |mut lines| async {
            let line = lines.next(self).await?;
            Some((line, lines))
        })
        .boxed())
    }

    pub(super) async fn stream_events(&self, options: &EventOptions) -> Result<Events<'_>> {
        let operation = "watch the engine's events".to_owned();
        let place = self.place(&operation).await?;
        let mut query = Vec::new();
        query.extend(options.since.map(|since| format!("since={since}")));
        query.extend(options.until.map(|until| format!("until={until}")));
        if !options.filters.is_empty() {
            query.push(format!("filters={}", encoded(&options.filters_json().to_string())));
        }
        let path = format!("/events?{}", query.join("&"));
        let body = self.open_stream(&operation, &path, true).await?.into_body();
        let open = Open { operation, body, silence: None, terminal: false, _place: Some(place) };
        let reader = EventReader { lines: Lines::default(), input: Input::Open(open) };
        Ok(stream::unfold(reader, |mut reader| async {
            let event = reader.next(self).await?;
            Some((event, reader))
        })
        .boxed())
    }

    /// Takes a place among the streams without an end: with all connections in their hands, no other
    /// call could be made.
    async fn place(&self, operation: &str) -> Result<OwnedSemaphorePermit> {
        // How many there are is known after the negotiation.
        self.engine().await?;
        Arc::clone(&self.following).try_acquire_owned().map_err(|_| {
            let connections = self.connections();
            let text = format!(
                "{} logs and event streams of this engine are followed at a time: there are {connections} connections \
                 to it at most, and other calls need some of them",
                followed_at_once(connections)
            );
            self.error(operation, Cause::Unsupported(text))
        })
    }

    /// As [`Self::place`], and waits for one that is free.
    pub(super) async fn free_place(&self) -> Result<OwnedSemaphorePermit> {
        self.engine().await?;
        Ok(Arc::clone(&self.following).acquire_owned().await.expect("the semaphore is never closed"))
    }

    async fn open_log(&self, name: &str, options: LogOptions, follow: bool) -> Result<Open> {
        let operation = format!("read the log of container `{name}`");
        let place = if follow { Some(self.place(&operation).await?) } else { None };
        let path = log_path(name, options, follow);
        let response = self.open_stream(&operation, &path, follow).await?;
        let content = response.headers().get(http::header::CONTENT_TYPE);
        let content = content.and_then(|content| content.to_str().ok()).unwrap_or_default();
        let says_content = self.engine().await?.api_version >= SAYS_CONTENT;
        let terminal = match content {
            "application/vnd.docker.multiplexed-stream" => false,
            "application/vnd.docker.raw-stream" if says_content => true,
            // The older generations do not say.
            _ => self.has_terminal(&operation, name).await?,
        };
        let silence = (!follow).then_some(self.options.stream_timeout);
        Ok(Open { operation, body: response.into_body(), silence, terminal, _place: place })
    }

    async fn has_terminal(&self, operation: &str, name: &str) -> Result<bool> {
        let path = format!("/containers/{}/json", encoded(name));
        let answer = self.json(operation, Method::GET, &path, None).await?;
        Ok(answer.pointer("/Config/Tty").and_then(Value::as_bool).unwrap_or_default())
    }

    async fn open_stream(&self, operation: &str, path: &str, follow: bool) -> Result<Response<Incoming>> {
        self.engine().await?;
        let request = request(Method::GET, path, None).map_err(|cause| self.error(operation, cause))?;
        // An engine answers before the first line of a log that is followed; one that reads a log
        // backwards for its tail may take its time.
        let deadline = if follow { self.options.timeout } else { self.options.stream_timeout };
        self.within(operation, Some(deadline), self.answered(request)).await
    }

    /// Returns the next bytes of a stream; `None` at its end.
    async fn next_piece(&self, open: &mut Open) -> Result<Option<Bytes>> {
        loop {
            let body = &mut open.body;
            let frame = self.within(&open.operation, open.silence, async { Ok(body.frame().await) }).await?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(self.error(&*open.operation, super::failure::body(error)));
                }
                // Trailers carry nothing.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// The path of a log. Fractions of a second are kept; engines read them.
fn log_path(name: &str, options: LogOptions, follow: bool) -> String {
    let tail = options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let mut path = format!(
        "/containers/{}/logs?follow={follow}&stdout={}&stderr={}&timestamps={}&tail={tail}",
        encoded(name),
        options.only != Some(Output::Stderr),
        options.only != Some(Output::Stdout),
        options.timestamps,
    );
    for (name, moment) in [("since", options.since), ("until", options.until)] {
        if let Some(moment) = moment {
            path.push_str(&format!("&{name}={moment}"));
        }
    }
    path
}

/// A stream that an engine has opened. Dropping it closes its connection.
struct Open {
    operation: String,
    body: Incoming,
    /// The longest silence; `None` where silence is ordinary.
    silence: Option<Duration>,
    terminal: bool,
    _place: Option<OwnedSemaphorePermit>,
}

/// Where a reader stands. Whole lines that came before an error are handed out before it.
enum Input {
    Open(Open),
    Failed(Error),
    Ended,
}

impl Input {
    /// Returns the error that ended the stream, once.
    fn end(&mut self) -> Option<Error> {
        match std::mem::replace(self, Self::Ended) {
            Self::Failed(error) => Some(error),
            Self::Open(_) | Self::Ended => None,
        }
    }
}

struct LogReader {
    frames: Frames,
    input: Input,
}

impl LogReader {
    async fn next(&mut self, backend: &ApiBackend) -> Option<Result<LogLine>> {
        loop {
            if let Some(line) = self.frames.next_line() {
                return Some(Ok(line));
            }
            let Input::Open(open) = &mut self.input else {
                return self.input.end().map(Err);
            };
            let failed = match backend.next_piece(open).await {
                Ok(Some(bytes)) => match self.frames.push(&bytes) {
                    Ok(()) => continue,
                    Err(cause) => Some(backend.error(&*open.operation, cause)),
                },
                Ok(None) => self.frames.finish().err().map(|cause| backend.error(&*open.operation, cause)),
                Err(error) => {
                    // What has come of a line is shown; that the stream broke is the error's part.
                    let _ = self.frames.finish();
                    Some(error)
                }
            };
            self.input = failed.map_or(Input::Ended, Input::Failed);
        }
    }
}

struct EventReader {
    lines: Lines,
    input: Input,
}

impl EventReader {
    async fn next(&mut self, backend: &ApiBackend) -> Option<Result<Event>> {
        loop {
            let Input::Open(open) = &mut self.input else {
                return self.input.end().map(Err);
            };
            if let Some(line) = self.lines.next() {
                match line.and_then(Event::from_json) {
                    Ok(event) => return Some(Ok(event)),
                    Err(cause) => self.input = Input::Failed(backend.error(&*open.operation, cause)),
                }
                continue;
            }
            match backend.next_piece(open).await {
                Ok(Some(bytes)) => self.lines.push(&bytes),
                Ok(None) => self.input = Input::Ended,
                Err(error) => self.input = Input::Failed(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Moment;

    #[test]
    fn a_logs_path_says_every_option() {
        let all = LogOptions {
            tail: Some(5),
            timestamps: true,
            since: Some(Moment(Duration::from_millis(1500))),
            until: Some(Moment(Duration::from_secs(2))),
            only: Some(Output::Stderr),
        };
        for (options, follow, expected) in [
            (LogOptions::default(), false, "follow=false&stdout=true&stderr=true&timestamps=false&tail=all"),
            (
                all,
                true,
                "follow=true&stdout=false&stderr=true&timestamps=true&tail=5&since=1.500000000&until=2.000000000",
            ),
        ] {
            assert_eq!(log_path("m/a", options, follow), format!("/containers/m%2Fa/logs?{expected}"));
        }
    }
}
