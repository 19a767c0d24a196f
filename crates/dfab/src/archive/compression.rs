//! The two compressions that images travel and are stored with, as writers and readers.

use std::fmt;
use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder as GzReader;
use flate2::write::{GzEncoder, MultiGzDecoder as GzWriter};
use zstd::stream::{read, write};

/// Levels at which a compressor is faster than most links, and still halves most images.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::fast();
const ZSTD_LEVEL: i32 = 1;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// zstd
    Zstd,
}

impl Compression {
    /// Returns what a file's name asks for: `.tar` is plain, `.zst` zstd, everything else gzip.
    pub fn of_name(name: &str) -> Self {
        if name.ends_with(".tar") {
            Self::None
        } else if name.ends_with(".zst") {
            Self::Zstd
        } else {
            Self::Gzip
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Compresses what is written to it.
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
    Zstd(Box<write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(compression: Compression, sink: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(sink),
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(sink, GZIP_LEVEL))),
            Compression::Zstd => Self::Zstd(Box::new(write::Encoder::new(sink, ZSTD_LEVEL)?)),
        })
    }

    /// Writes what is left, and returns the sink.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Decompresses what is written to it.
pub(super) enum Decoder<W: Write> {
    Plain(W),
    Gzip(Box<GzWriter<W>>),
    Zstd(Box<write::Decoder<'static, W>>),
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(compression: Compression, sink: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(sink),
            Compression::Gzip => Self::Gzip(Box::new(GzWriter::new(sink))),
            Compression::Zstd => Self::Zstd(Box::new(write::Decoder::new(sink)?)),
        })
    }

    /// Writes what is left, and returns the sink. Whether the stream was whole, its reader has to know.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Gzip(decoder) => decoder.finish(),
            Self::Zstd(mut decoder) => {
                decoder.flush()?;
                Ok(decoder.into_inner())
            }
        }
    }
}

impl<W: Write> Write for Decoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Gzip(decoder) => decoder.write(bytes),
            Self::Zstd(decoder) => decoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Gzip(decoder) => decoder.flush(),
            Self::Zstd(decoder) => decoder.flush(),
        }
    }
}

/// Decompresses what is read from `source`.
pub(super) fn decompressed<'a>(
    compression: Compression,
    source: impl Read + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(GzReader::new(source)),
        Compression::Zstd => Box::new(read::Decoder::new(source)?),
    })
}
