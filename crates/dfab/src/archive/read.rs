//! A file becomes a stream to an engine.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dfab_client::transfer::{Blocks, Reader, produced};
use sha2::{Digest, Sha256};

use super::compression::{Encoder, decompressed};
use super::{Archive, BETWEEN, BLOCK, Compression, hex};

/// An archive that can be sent.
#[derive(Debug)]
pub struct Stored {
    file: File,
    /// Bytes of the file.
    pub size: u64,
    /// How it is compressed; `None` is one of those that only the engine reads, bzip2 or xz.
    pub compression: Option<Compression>,
}

/// What of a file has been read so far.
#[derive(Clone)]
pub struct Progress(Arc<Mutex<(Sha256, u64)>>);

impl Progress {
    /// Returns the bytes that were read.
    pub fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Returns what was read as a whole.
    pub fn archive(&self) -> Archive {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Archive { bytes: state.1, sha256: hex(&state.0.clone().finalize()) }
    }
}

/// Opens an archive, and checks that it is one: tar, or compressed.
///
/// # Errors
///
/// What the system says, and `InvalidData` for something else.
pub async fn open(path: PathBuf) -> io::Result<Stored> {
    let opening = move || {
        let mut file = File::open(&path)?;
        let mut head = Vec::with_capacity(512);
        Read::by_ref(&mut file).take(512).read_to_end(&mut head)?;
        io::Seek::rewind(&mut file)?;
        let size = file.metadata()?.len();
        let compression = match &*head {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => None,
            head if head.get(257..262) == Some(b"ustar") => Some(Compression::None),
            _ => {
                let text = "it is no image archive: neither tar nor compressed";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        };
        Ok(Stored { file, size, compression })
    };
    tokio::task::spawn_blocking(opening).await.map_err(io::Error::other)?
}

impl Stored {
    /// Starts to read it, as a stream that is compressed as `wire`; `None` leaves it as it is. Needs a Tokio
    /// runtime.
    ///
    /// What is read, and its checksum, are those of the file.
    pub fn reader(self, wire: Option<Compression>) -> (Reader, Progress) {
        let state = Progress(Arc::new(Mutex::new((Sha256::new(), 0))));
        let source = Counted { file: self.file, state: state.clone() };
        let recode = match (self.compression, wire) {
            (Some(stored), Some(wire)) if stored != wire => Some((stored, wire)),
            _ => None,
        };
        (produced(BLOCK, BETWEEN, move |sink| send(source, recode, sink)), state)
    }
}

fn send(
    mut source: Counted,
    recode: Option<(Compression, Compression)>,
    sink: &mut Blocks,
) -> io::Result<()> {
    let Some((stored, wire)) = recode else {
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            Read::by_ref(&mut source).take(BLOCK as u64).read_to_end(&mut block)?;
            if block.is_empty() {
                return Ok(());
            }
            sink.send(block)?;
        }
    };
    let mut encoder = Encoder::new(wire, &mut *sink)?;
    let mut buffered = BufReader::with_capacity(BLOCK, &mut source);
    io::copy(&mut decompressed(stored, &mut buffered)?, &mut encoder)?;
    // What stands behind the compressed stream belongs to the file's checksum.
    io::copy(&mut buffered, &mut io::sink())?;
    encoder.finish()?;
    Ok(())
}

/// A file that counts, and makes the checksum on the way.
struct Counted {
    file: File,
    state: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.update(&buffer[..length]);
        state.1 += length as u64;
        Ok(length)
    }
}
