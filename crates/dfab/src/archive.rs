//! Image archives on this machine: written and read as streams, with a checksum (clients-tasks §8.9).
//!
//! Reading the network, and compressing and writing to the disk, happen at the same time; a few blocks
//! lie between them, never the image. A file gets its name when it is whole.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::mpsc;

/// Bytes in one step.
const BLOCK: usize = 256 << 10;

/// Blocks between the network and the disk.
const BETWEEN: usize = 8;

/// How an archive is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As the engine gives it.
    Tar,
    /// Compressed with gzip.
    Gzip,
}

impl Format {
    /// Returns the format that a file's name asks for: `.tar` is plain, everything else compressed.
    pub fn of(name: &str) -> Self {
        if name.ends_with(".tar") { Self::Tar } else { Self::Gzip }
    }
}

/// A file that was written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Bytes of the tar stream, where it was seen; else of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The stream broke.
    #[error("the image's data broke off after {} MiB", .0 >> 20)]
    Source(u64, #[source] std::io::Error),
    /// The stream ended before the archive did.
    #[error("the image's data ends after {} MiB, in the middle of the archive", .0 >> 20)]
    Short(u64),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[source] std::io::Error),
}

/// Writes a tar stream to a file, replacing it. Nothing is left of one that is not whole.
///
/// # Errors
///
/// [`Failed`]; what was there before is then as it was.
pub async fn write(
    mut source: impl AsyncRead + Unpin,
    path: &Path,
    format: Format,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Archive, Failed> {
    let (sender, blocks) = mpsc::channel::<Vec<u8>>(BETWEEN);
    let target = path.to_owned();
    let writing = tokio::task::spawn_blocking(move || write_blocks(blocks, &target, format));
    let mut bytes = 0;
    let mut end = TarEnd::default();
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
            if block.is_empty() {
                return if end.is_reached() { Ok(()) } else { Err(Failed::Short(bytes)) };
            }
            bytes += block.len() as u64;
            end.push(&block);
            // The writer is gone when the disk is full, and says so itself.
            if sender.send(block).await.is_err() {
                return Ok(());
            }
            progress(bytes);
        }
    }
    .await;
    // The file is kept only where the writer is told that it is whole: by an empty block.
    if read.is_ok() {
        let _ = sender.send(Vec::new()).await;
    }
    drop(sender);
    let written = writing.await.map_err(std::io::Error::other).and_then(|written| written);
    read?;
    let sha256 = written.map_err(Failed::File)?;
    Ok(Archive { bytes, sha256 })
}

fn write_blocks(mut blocks: mpsc::Receiver<Vec<u8>>, path: &Path, format: Format) -> std::io::Result<String> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(parent)?;
    let hashed = Hashed { file, hasher: Sha256::new() };
    let mut output = match format {
        Format::Tar => Output::Tar(hashed),
        Format::Gzip => Output::Gzip(Box::new(GzEncoder::new(hashed, Compression::fast()))),
    };
    while let Some(block) = blocks.blocking_recv() {
        if block.is_empty() {
            let Hashed { file, hasher } = match output {
                Output::Tar(hashed) => hashed,
                Output::Gzip(encoder) => encoder.finish()?,
            };
            use std::os::unix::fs::PermissionsExt;
            // A temporary file is its owner's alone; an archive is a file like any other.
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.persist(path).map_err(|error| error.error)?;
            return Ok(hex(&hasher.finalize()));
        }
        match &mut output {
            Output::Tar(hashed) => hashed.write_all(&block)?,
            Output::Gzip(encoder) => encoder.write_all(&block)?,
        }
    }
    // The stream broke; the file goes with its name.
    Ok(String::new())
}

enum Output {
    Tar(Hashed),
    Gzip(Box<GzEncoder<Hashed>>),
}

/// A file, and the checksum of what was written to it.
struct Hashed {
    file: tempfile::NamedTempFile,
    hasher: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Sees whether a tar stream has come to its end: two blocks of zeros, and perhaps more.
#[derive(Default)]
struct TarEnd {
    zeros: u64,
}

impl TarEnd {
    fn push(&mut self, bytes: &[u8]) {
        match bytes.iter().rposition(|byte| *byte != 0) {
            Some(last) => self.zeros = (bytes.len() - last - 1) as u64,
            None => self.zeros += bytes.len() as u64,
        }
    }

    fn is_reached(&self) -> bool {
        self.zeros >= 1024
    }
}

/// A file that is read for an upload: counts, and makes the checksum on the way.
pub struct Reading {
    file: tokio::fs::File,
    state: Arc<Mutex<(Sha256, u64)>>,
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

/// Opens an archive, and checks that it is one: tar, or gzip.
///
/// # Errors
///
/// What the system says, and `InvalidData` for something else.
pub async fn open(path: PathBuf) -> std::io::Result<(Reading, Progress, u64)> {
    let (path, size) = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&path)?;
        let mut head = Vec::with_capacity(512);
        Read::by_ref(&mut file).take(512).read_to_end(&mut head)?;
        let is_tar = head.get(257..262).is_some_and(|magic| magic == b"ustar");
        if !is_tar && !head.starts_with(&[0x1f, 0x8b]) && !is_other_compression(&head) {
            let text = "it is no image archive: neither tar nor compressed";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
        }
        let size = file.metadata()?.len();
        Ok((path, size))
    })
    .await
    .map_err(std::io::Error::other)??;
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(BLOCK);
    let state = Arc::new(Mutex::new((Sha256::new(), 0)));
    Ok((Reading { file, state: Arc::clone(&state) }, Progress(state), size))
}

/// bzip2, xz and zstd: engines read these too.
fn is_other_compression(head: &[u8]) -> bool {
    [&b"BZh"[..], b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"].iter().any(|magic| head.starts_with(magic))
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.file).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = &read {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = &buffer.filled()[before..];
            state.0.update(bytes);
            state.1 += bytes.len() as u64;
        }
        read
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        let content = vec![7; 700_000];
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, "layer", &content[..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn an_archive_is_written_read_and_has_one_checksum() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.tar", "a.tar.gz"] {
            let path = folder.path().join(name);
            let tar = tar();
            let written = write(&tar[..], &path, Format::of(name), &|_| {}).await.unwrap();
            assert_eq!(written.bytes, tar.len() as u64);
            let file = std::fs::read(&path).unwrap();
            assert_eq!(written.sha256, hex(&Sha256::digest(&file)), "{name}");
            let plain = if name.ends_with("gz") {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut plain).unwrap();
                plain
            } else {
                file.clone()
            };
            assert!(plain == tar, "{name}");
            let (mut reading, read, size) = open(path).await.unwrap();
            let mut again = Vec::new();
            reading.read_to_end(&mut again).await.unwrap();
            assert_eq!((size, read.bytes()), (file.len() as u64, file.len() as u64));
            assert_eq!(read.archive().sha256, written.sha256);
        }
    }

    #[tokio::test]
    async fn half_of_an_archive_never_has_the_files_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, "what was there").unwrap();
        let tar = tar();
        let short = write(&tar[..500_000], &path, Format::Tar, &|_| {}).await.unwrap_err();
        assert!(matches!(short, Failed::Short(500_000)), "{short:?}");
        let broken = breaking(tar[..300_000].to_vec());
        let broken = write(broken, &path, Format::Gzip, &|_| {}).await.unwrap_err();
        assert!(matches!(broken, Failed::Source(300_000, _)), "{broken:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was there");
        assert_eq!(names(folder.path()), ["a.tar"]);
        let nowhere = folder.path().join("none/a.tar");
        assert!(matches!(write(&tar[..], &nowhere, Format::Tar, &|_| {}).await, Err(Failed::File(_))));
    }

    /// A stream that breaks after these bytes.
    fn breaking(bytes: Vec<u8>) -> impl AsyncRead + Unpin {
        struct Broken(std::io::Cursor<Vec<u8>>);
        impl AsyncRead for Broken {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<std::io::Result<()>> {
                let mut block = vec![0; buffer.remaining()];
                let length = Read::read(&mut self.0, &mut block)?;
                buffer.put_slice(&block[..length]);
                Poll::Ready(if length == 0 { Err(std::io::Error::other("broken")) } else { Ok(()) })
            }
        }
        Broken(std::io::Cursor::new(bytes))
    }

    #[tokio::test]
    async fn something_else_is_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, "hello").unwrap();
        let error = open(path).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}
