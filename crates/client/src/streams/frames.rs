//! The engine's log stream: frames of both outputs, or the bare bytes of a terminal.
//!
//! A frame is eight bytes, the output, three zero bytes and the length as a big-endian number, and
//! then the data (Engine API, "Attach to a container", stream format). Output 3 is an error of the
//! engine itself, which it has no other way to tell once the stream has begun.

use std::collections::VecDeque;

use super::{LineSplitter, LogLine, Output};
use crate::error::Cause;

/// The longest message of an engine's own error that is kept.
const ERROR_LIMIT: usize = 4 << 10;

/// Makes lines of the stream's bytes.
#[derive(Debug)]
pub(crate) struct Frames {
    terminal: bool,
    header: Vec<u8>,
    current: Option<Part>,
    remaining: usize,
    stdout: LineSplitter,
    stderr: LineSplitter,
    error: Vec<u8>,
    ready: VecDeque<LogLine>,
    /// Where the bytes of both outputs go instead, as they come.
    merged: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Output(Output),
    Error,
}

impl Frames {
    /// For a container with a terminal, or without one.
    pub(crate) fn new(terminal: bool) -> Self {
        Self {
            terminal,
            header: Vec::with_capacity(8),
            current: None,
            remaining: 0,
            stdout: LineSplitter::default(),
            stderr: LineSplitter::default(),
            error: Vec::new(),
            ready: VecDeque::new(),
            merged: None,
        }
    }

    /// As [`Frames::new`], for the bytes of both outputs in the order of writing instead of lines.
    pub(crate) fn merged(terminal: bool) -> Self {
        Self { merged: Some(Vec::new()), ..Self::new(terminal) }
    }

    /// Returns the bytes of both outputs.
    pub(crate) fn into_merged(self) -> Vec<u8> {
        self.merged.unwrap_or_default()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// The engine's own error, or [`Cause::Answer`] for what is no frame. Lines that came before are
    /// still there.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Cause> {
        if self.terminal {
            self.data(Output::Stdout, bytes);
            return Ok(());
        }
        while !bytes.is_empty() {
            let Some(part) = self.current else {
                let (head, rest) = bytes.split_at(bytes.len().min(8 - self.header.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if self.header.len() == 8 {
                    self.begin()?;
                }
                continue;
            };
            let (data, rest) = bytes.split_at(bytes.len().min(self.remaining));
            match part {
                Part::Output(output) => self.data(output, data),
                Part::Error => {
                    let room = ERROR_LIMIT.saturating_sub(self.error.len());
                    self.error.extend_from_slice(&data[..data.len().min(room)]);
                }
            }
            self.remaining -= data.len();
            bytes = rest;
            self.end_of_frame()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Cause> {
        let header = std::mem::take(&mut self.header);
        let part = match header[..4] {
            // Standard input is never in a log, but it would be the terminal's echo.
            [0 | 1, 0, 0, 0] => Part::Output(Output::Stdout),
            [2, 0, 0, 0] => Part::Output(Output::Stderr),
            [3, 0, 0, 0] => Part::Error,
            _ => return Err(Cause::Answer(format!("no frame of a log starts with {header:?}"))),
        };
        let length = header[4..].iter().fold(0_u32, |length, byte| length << 8 | u32::from(*byte));
        self.current = Some(part);
        self.remaining = usize::try_from(length).unwrap_or(usize::MAX);
        self.end_of_frame()
    }

    fn end_of_frame(&mut self) -> Result<(), Cause> {
        if self.remaining > 0 {
            return Ok(());
        }
        let ended = self.current.take();
        if ended == Some(Part::Error) {
            let message = String::from_utf8_lossy(&self.error).trim().to_owned();
            return Err(Cause::Refused { status: 500, message });
        }
        Ok(())
    }

    fn data(&mut self, output: Output, data: &[u8]) {
        if let Some(merged) = &mut self.merged {
            merged.extend_from_slice(data);
            return;
        }
        let splitter = match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        splitter.push(data);
        while let Some(text) = splitter.next_line() {
            self.ready.push_back(LogLine { output, text });
        }
    }

    /// Returns the next whole line.
    pub(crate) fn next_line(&mut self) -> Option<LogLine> {
        self.ready.pop_front()
    }

    /// Makes lines of what has no end: the stream is over.
    ///
    /// # Errors
    ///
    /// [`Cause::Answer`] when it ended inside a frame.
    pub(crate) fn finish(&mut self) -> Result<(), Cause> {
        for (output, splitter) in [(Output::Stdout, &mut self.stdout), (Output::Stderr, &mut self.stderr)] {
            splitter.finish();
            while let Some(text) = splitter.next_line() {
                self.ready.push_back(LogLine { output, text });
            }
        }
        if self.current.is_some() || !self.header.is_empty() {
            return Err(Cause::Answer("the log ended in the middle of a piece".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0], &length[..], data].concat()
    }

    /// Lines as `o:TEXT` and `e:TEXT`, and the error, of a stream cut at one place.
    fn read(terminal: bool, stream: &[u8], cut: usize) -> (Vec<String>, Option<String>) {
        let mut frames = Frames::new(terminal);
        let result = frames.push(&stream[..cut]).and_then(|()| frames.push(&stream[cut..]));
        let result = result.and_then(|()| frames.finish());
        let lines = std::iter::from_fn(|| frames.next_line()).map(|line| {
            let output = if line.output == Output::Stdout { 'o' } else { 'e' };
            format!("{output}:{line}")
        });
        (lines.collect(), result.err().map(|cause| cause.to_string()))
    }

    #[test]
    fn lines_of_both_outputs_keep_their_order_wherever_the_stream_is_cut() {
        let stream =
            [frame(1, b"a\nb"), frame(2, b"x\n"), frame(1, b""), frame(1, b"c\n"), frame(2, b"y")].concat();
        let expected = ["o:a", "e:x", "o:bc", "e:y"].map(str::to_owned).to_vec();
        for cut in 0..=stream.len() {
            assert_eq!(read(false, &stream, cut), (expected.clone(), None), "cut at {cut}");
        }
    }

    #[test]
    fn streams_that_are_no_log_or_carry_an_error_say_so_after_their_lines() {
        let whole = frame(1, b"a\n");
        for (stream, expected) in [
            (
                [whole.clone(), frame(3, b"error from daemon in stream: driver failed\n")].concat(),
                "the engine refused (500): error from daemon in stream: driver failed",
            ),
            (
                [whole.clone(), b"plain text".to_vec()].concat(),
                "unexpected answer of the engine: no frame of a log",
            ),
            ([whole.clone(), vec![1, 0, 0]].concat(), "ended in the middle"),
            ([whole.clone(), frame(1, b"abc")[..9].to_vec()].concat(), "ended in the middle"),
        ] {
            let (lines, error) = read(false, &stream, stream.len());
            assert_eq!(lines.first().map(String::as_str), Some("o:a"));
            assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{error:?}");
        }
    }

    #[test]
    fn a_terminals_bytes_are_no_frames() {
        let expected = ["o:a", "o:b"].map(str::to_owned).to_vec();
        assert_eq!(read(true, b"a\r\nb\r\n", 3), (expected, None));
    }
}
