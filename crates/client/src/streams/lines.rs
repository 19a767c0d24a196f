//! From bytes, wherever they are cut, to lines.

use std::collections::VecDeque;

/// Splits a stream of bytes into lines without their ends, `\n` or `\r\n`.
#[derive(Debug, Default)]
pub struct LineSplitter {
    pending: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
}

impl LineSplitter {
    /// A line of more bytes is handed out in pieces of this length: memory must not grow with what a
    /// container writes.
    pub const LIMIT: usize = 1 << 20;

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = Self::LIMIT - self.pending.len();
            let piece = &bytes[..bytes.len().min(room)];
            if let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
                self.pending.extend_from_slice(&piece[..end]);
                self.end_line();
                bytes = &bytes[end + 1..];
            } else {
                self.pending.extend_from_slice(piece);
                bytes = &bytes[piece.len()..];
                if self.pending.len() == Self::LIMIT {
                    self.ready.push_back(std::mem::take(&mut self.pending));
                }
            }
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.pending);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.ready.push_back(line);
    }

    /// Returns the next whole line.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// Makes a line of what has no end: the stream is over.
    pub fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = LineSplitter::default();
        pieces.iter().for_each(|piece| splitter.push(piece));
        splitter.finish();
        std::iter::from_fn(|| splitter.next_line()).collect()
    }

    #[test]
    fn lines_are_the_same_wherever_the_stream_is_cut() {
        let text: &[u8] = b"one\n\ntwo\r\n\xff\0\nlast";
        let expected: Vec<Vec<u8>> =
            [&b"one"[..], b"", b"two", b"\xff\0", b"last"].map(<[u8]>::to_vec).to_vec();
        for cut in 0..=text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
        }
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_line_without_an_end_comes_in_pieces() {
        let long = vec![b'x'; LineSplitter::LIMIT * 2 + 3];
        let lengths: Vec<usize> = lines(&[&long, b"\nshort\n"]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LineSplitter::LIMIT, LineSplitter::LIMIT, 3, 5]);
    }
}
