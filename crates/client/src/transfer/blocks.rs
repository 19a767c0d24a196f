//! What a thread makes becomes a stream, block by block.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::Reader;

/// The writing end of [`produced`]. It waits while the reader has enough blocks.
#[derive(Debug)]
pub struct Blocks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    block: Vec<u8>,
    /// Bytes of a block.
    size: usize,
}

/// Runs `produce` on a thread of its own and returns what it writes, as a stream. Needs a Tokio runtime.
///
/// Bytes travel in blocks of `size`, of which `waiting` lie between the two at most. An error of `produce` is one of the
/// stream, which would otherwise end as if it were whole; when the stream is dropped, `produce` gets `BrokenPipe`.
pub fn produced(
    size: usize,
    waiting: usize,
    produce: impl FnOnce(&mut Blocks) -> io::Result<()> + Send + 'static,
) -> Reader {
    let (sender, blocks) = mpsc::channel(waiting);
    tokio::task::spawn_blocking(move || {
        let mut sink = Blocks { sender, block: Vec::with_capacity(size), size };
        if let Err(error) = produce(&mut sink).and_then(|()| sink.flush()) {
            // Nobody may be there to read it.
            let _ = sink.sender.blocking_send(Err(error));
        }
    });
    let stream = futures_util::stream::unfold(blocks, async |mut blocks| {
        blocks.recv().await.map(|block: io::Result<Bytes>| (block, blocks))
    });
    Box::new(StreamReader::new(Box::pin(stream)))
}

impl Blocks {
    /// Sends a block as it is, behind what was written before.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when nobody reads any more.
    pub fn send(&mut self, block: Vec<u8>) -> io::Result<()> {
        self.flush()?;
        self.hand_over(block)
    }

    fn hand_over(&self, block: Vec<u8>) -> io::Result<()> {
        self.sender.blocking_send(Ok(block.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.size - self.block.len());
        self.block.extend_from_slice(&bytes[..length]);
        if self.block.len() == self.size {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(self.size));
        self.hand_over(block)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives_in_its_order_whatever_the_pieces() {
        let mut stream = produced(4, 1, |sink| {
            sink.write_all(b"abcdef")?;
            sink.send(b"ghijk".to_vec())?;
            sink.write_all(b"l")
        });
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "abcdefghijkl");
    }

    #[tokio::test]
    async fn a_failure_follows_what_was_written_whole() {
        let mut stream = produced(4, 1, |sink| {
            sink.write_all(b"abcdef")?;
            Err(io::Error::other("no more"))
        });
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), bytes.as_slice()), ("no more", &b"abcd"[..]));
    }

    #[tokio::test]
    async fn a_stream_that_is_given_up_ends_its_writer() {
        let (told, ended) = tokio::sync::oneshot::channel();
        let stream = produced(4, 1, |sink| {
            let error = (0..).find_map(|_| sink.write_all(b"abcd").err());
            let _ = told.send(error.map(|error| error.kind()));
            Ok(())
        });
        drop(stream);
        assert_eq!(ended.await.unwrap(), Some(io::ErrorKind::BrokenPipe));
    }
}
