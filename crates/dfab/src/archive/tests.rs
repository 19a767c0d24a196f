//! Archives go to files and back, in every pair of compressions.

use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::compression::decompressed;
use super::*;

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    let content = vec![7; 700_000];
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "layer", &content[..]).unwrap();
    builder.into_inner().unwrap()
}

fn compressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = compression::Encoder::new(compression, Vec::new()).unwrap();
    io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn plain(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    decompressed(compression, bytes).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_files_name_asks_for_its_compression() {
    for (name, expected) in [
        ("a.tar", Compression::None),
        ("a.tar.zst", Compression::Zstd),
        ("a.tar.gz", Compression::Gzip),
        ("a", Compression::Gzip),
    ] {
        assert_eq!(Compression::of_name(name), expected, "{name}");
    }
}

#[tokio::test]
async fn an_archive_is_written_and_read_however_it_travels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let tar = tar();
    for stored in ALL {
        for wire in ALL {
            let what = format!("{wire} -> {stored}");
            let written = write(&*compressed(wire, &tar), wire, &path, stored, &|_| {}).await.unwrap();
            assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len(), "{what}");
            let file = std::fs::read(&path).unwrap();
            assert_eq!(written.sha256, hex(&Sha256::digest(&file)), "{what}");
            assert!(plain(stored, &file) == tar, "{what}");

            let opened = open(path.clone()).await.unwrap();
            assert_eq!((opened.compression, opened.size), (Some(stored), file.len() as u64));
            let (mut reader, read) = opened.reader(Some(wire));
            let mut sent = Vec::new();
            reader.read_to_end(&mut sent).await.unwrap();
            assert!(plain(wire, &sent) == tar, "{stored} -> {wire}");
            assert_eq!(read.archive(), Archive { bytes: file.len() as u64, sha256: written.sha256 });
        }
        let mut as_it_is = Vec::new();
        let (mut reader, _) = open(path.clone()).await.unwrap().reader(None);
        reader.read_to_end(&mut as_it_is).await.unwrap();
        assert!(as_it_is == std::fs::read(&path).unwrap(), "{stored}");
    }
}

#[tokio::test]
async fn half_of_an_archive_never_has_the_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    std::fs::write(&path, "what was there").unwrap();
    let tar = tar();
    for stored in ALL {
        for wire in ALL {
            // Also a stream that is whole for its compressor may hold half of an archive.
            let half = compressed(wire, &tar[..500_000]);
            let failed = write(&half[..], wire, &path, stored, &|_| {}).await.unwrap_err();
            assert!(matches!(failed, Failed::Short(_)), "{failed:?}");
            let whole = compressed(wire, &tar);
            let failed = write(&whole[..whole.len() / 2], wire, &path, stored, &|_| {}).await.unwrap_err();
            assert!(matches!(failed, Failed::Short(_) | Failed::Source(..)), "{wire} {failed:?}");
            let failed = write(breaking(whole), wire, &path, stored, &|_| {}).await.unwrap_err();
            assert!(matches!(failed, Failed::Source(..)), "{failed:?}");
        }
    }
    for wire in [Compression::Gzip, Compression::Zstd] {
        let failed = write(&tar[..], wire, &path, Compression::None, &|_| {}).await.unwrap_err();
        assert!(matches!(failed, Failed::Source(..)), "{failed:?}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was there");
    assert_eq!(names(folder.path()), ["a.tar"]);
    let nowhere = folder.path().join("none/a.tar");
    let failed = write(&tar[..], Compression::None, &nowhere, Compression::None, &|_| {}).await;
    assert!(matches!(failed, Err(Failed::File(_))));
}

/// A stream that breaks after these bytes.
fn breaking(bytes: Vec<u8>) -> impl AsyncRead + Unpin {
    struct Broken(io::Cursor<Vec<u8>>);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let mut block = vec![0; buffer.remaining()];
            let length = Read::read(&mut self.0, &mut block)?;
            buffer.put_slice(&block[..length]);
            Poll::Ready(if length == 0 { Err(io::Error::other("broken")) } else { Ok(()) })
        }
    }
    Broken(io::Cursor::new(bytes))
}

#[tokio::test]
async fn something_else_is_no_archive_and_half_of_a_file_is_no_whole_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    std::fs::write(&path, "hello").unwrap();
    assert_eq!(open(path.clone()).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let whole = compressed(Compression::Zstd, &tar());
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (mut reader, _) = open(path).await.unwrap().reader(Some(Compression::Gzip));
    assert!(reader.read_to_end(&mut Vec::new()).await.is_err(), "the engine must not take it for whole");
}
