//! An image's stream becomes a file.

use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::compression::{Decoder, Encoder};
use super::{Archive, BETWEEN, BLOCK, Compression, hex};

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The stream broke.
    #[error("the image's data broke off after {} MiB", .0 >> 20)]
    Source(u64, #[source] io::Error),
    /// The stream ended before the archive did.
    #[error("the image's data ends after {} MiB, in the middle of the archive", .0 >> 20)]
    Short(u64),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[source] io::Error),
}

/// Writes a tar stream, which comes compressed as `wire`, to a file that is compressed as `stored`, replacing
/// it. Nothing is left of one that is not whole. `progress` is told the bytes that have come.
///
/// # Errors
///
/// [`Failed`]; what was there before is then as it was.
pub async fn write(
    mut source: impl AsyncRead + Unpin,
    wire: Compression,
    path: &Path,
    stored: Compression,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Archive, Failed> {
    let (sender, blocks) = mpsc::channel::<Vec<u8>>(BETWEEN);
    let target = path.to_owned();
    let writing = tokio::task::spawn_blocking(move || write_blocks(blocks, wire, &target, stored));
    let mut bytes = 0;
    let read: Result<(), Failed> = async {
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            // The engine's pieces are small; whole blocks are worth more than the first byte early.
            while block.len() < BLOCK {
                let read = source.read_buf(&mut block).await;
                if read.map_err(|error| Failed::Source(bytes + block.len() as u64, error))? == 0 {
                    break;
                }
            }
            let is_last = block.is_empty();
            bytes += block.len() as u64;
            // The empty block tells the writer that nothing is missing. A writer that is gone says why itself.
            if sender.send(block).await.is_err() || is_last {
                return Ok(());
            }
            progress(bytes);
        }
    }
    .await;
    drop(sender);
    let written =
        writing.await.map_err(|error| Failed::File(io::Error::other(error))).and_then(|written| written);
    read?;
    written
}

fn write_blocks(
    mut blocks: mpsc::Receiver<Vec<u8>>,
    wire: Compression,
    path: &Path,
    stored: Compression,
) -> Result<Archive, Failed> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(parent).map_err(Failed::File)?;
    let encoder =
        Encoder::new(stored, Hashed { file, bytes: 0, hasher: Sha256::new() }).map_err(Failed::File)?;
    let mut decoder = Decoder::new(wire, Tar { encoder, zeros: 0 }).map_err(Failed::File)?;
    let mut came = 0;
    while let Some(block) = blocks.blocking_recv() {
        came += block.len() as u64;
        // What the system refuses has its number; everything else is what the stream holds.
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(_) => Failed::File(error),
            None => Failed::Source(came, error),
        };
        if !block.is_empty() {
            decoder.write_all(&block).map_err(failed)?;
            continue;
        }
        let tar = decoder.finish().map_err(failed)?;
        if !tar.is_whole() {
            return Err(Failed::Short(came));
        }
        let Hashed { file, bytes, hasher } = tar.encoder.finish().map_err(Failed::File)?;
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is its owner's alone; an archive is a file like any other.
        let public = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(public).map_err(Failed::File)?;
        file.persist(path).map_err(|error| Failed::File(error.error))?;
        return Ok(Archive { bytes, sha256: hex(&hasher.finalize()) });
    }
    // The stream broke, which the other side knows; the file goes with its name.
    Err(Failed::Short(came))
}

/// A tar stream on its way to the file: sees whether it has come to its end, two blocks of zeros and perhaps
/// more.
struct Tar {
    encoder: Encoder<Hashed>,
    zeros: u64,
}

impl Tar {
    fn is_whole(&self) -> bool {
        self.zeros >= 1024
    }
}

impl Write for Tar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write_all(bytes)?;
        match bytes.iter().rposition(|byte| *byte != 0) {
            Some(last) => self.zeros = (bytes.len() - last - 1) as u64,
            None => self.zeros += bytes.len() as u64,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Its end is told by `finish`: a compressor that is flushed in between compresses less.
        Ok(())
    }
}

/// A file, and the size and the checksum of what was written to it.
struct Hashed {
    file: tempfile::NamedTempFile,
    bytes: u64,
    hasher: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
