//! Build contexts: what a Dockerfile needs, as one compressed tar stream (clients-tasks §10.2).

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::archive::each_member;
use super::dockerfile::member_name;
use super::pack::{self, Part};
use super::{DockerFile, Error};
use crate::transfer::{Blocks, Reader, produced};

/// Bytes that are handed on at once.
const BLOCK: usize = 64 << 10;

/// Blocks that may wait for whoever reads.
const BLOCKS: usize = 4;

/// How a context is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// gzip
    #[default]
    Gzip,
    /// bzip2
    Bzip2,
    /// xz
    Xz,
    /// A plain tar archive.
    None,
}

/// Owners and times in a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metadata {
    /// As they are on this machine.
    #[default]
    AsOnDisk,
    /// Root's, of 1970: the same bytes from every checkout of the same files.
    Fixed,
}

/// How a context is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextOptions {
    /// How it is compressed; gzip by default.
    pub compression: Compression,
    /// Owners and times.
    pub metadata: Metadata,
}

/// A build context: an ordered list of what is packed, read while it is sent.
///
/// Nothing is held in memory or in a temporary file: files are opened when their turn has come. The same
/// files give the same bytes. Mirrors Docker-Map's `DockerContext`, clients-tasks §10.2; the body of
/// `POST /build`.
///
/// # Examples
///
/// ```
/// use dfab_client::build::{DockerContext, DockerFile};
///
/// # fn main() -> Result<(), dfab_client::build::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join(".dockerignore"), "*.log\n").unwrap();
/// # std::fs::write(folder.path().join("a.txt"), "a").unwrap();
/// # std::fs::write(folder.path().join("b.log"), "b").unwrap();
/// let mut context = DockerContext::default();
/// context.add(folder.path(), Some("data"))?;
/// context.add_dockerfile(&mut DockerFile::new("busybox"))?;
/// context.finalize();
/// assert_eq!(context.members()?, ["data/", "data/.dockerignore", "data/a.txt", "Dockerfile"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DockerContext {
    options: ContextOptions,
    parts: Vec<Part>,
    is_finalized: bool,
    /// Shared with the readers.
    taken: Arc<AtomicU64>,
}

impl DockerContext {
    /// Starts an empty context.
    pub fn new(options: ContextOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Makes a finalized context of a Dockerfile and what it adds.
    ///
    /// # Errors
    ///
    /// As [`DockerContext::add_dockerfile`].
    pub fn of_file(file: &mut DockerFile, options: &ContextOptions) -> Result<Self, Error> {
        let mut context = Self::new(*options);
        context.add_dockerfile(file)?;
        context.finalize();
        Ok(context)
    }

    /// Makes a finalized context of a folder that holds a Dockerfile, as `docker build FOLDER` does.
    ///
    /// `dockerfile` is the file's path below the folder; `None` is `Dockerfile`. It is part of the context
    /// even where `.dockerignore` leaves it out.
    ///
    /// # Errors
    ///
    /// [`Error::WithoutDockerfile`] when there is none, and as [`DockerContext::add`].
    pub fn of_folder(
        path: impl AsRef<Path>,
        dockerfile: Option<&str>,
        options: &ContextOptions,
    ) -> Result<Self, Error> {
        let mut context = Self::new(*options);
        let name = member_name(dockerfile.unwrap_or("Dockerfile"))?;
        let file = path.as_ref().join(&name);
        if !file.is_file() {
            return Err(Error::WithoutDockerfile);
        }
        context.add(path, Some("."))?;
        if !context.parts.iter().any(|part| matches!(part, Part::Disk { name: known, .. } if *known == name))
        {
            context.add(&file, Some(&name))?;
        }
        context.finalize();
        Ok(context)
    }

    /// Adds a file, or a folder without what its `.dockerignore` names.
    ///
    /// `name` is the path in the context; `None` is `path` itself. Slashes at its ends are ignored, and `.` is
    /// the context's top.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`], [`Error::Read`], [`Error::SpecialFile`], [`Error::Name`], [`Error::Pattern`].
    pub fn add(&mut self, path: impl AsRef<Path>, name: Option<&str>) -> Result<(), Error> {
        self.open()?;
        let path = path.as_ref();
        let name = match name {
            Some(name) => name,
            None => path.to_str().ok_or_else(|| Error::Name(path.to_owned()))?,
        };
        let mut parts = Vec::new();
        pack::collect(path, &member_name(name)?, &mut parts)?;
        self.parts.append(&mut parts);
        Ok(())
    }

    /// Adds a file of the given bytes and mode, owned by root.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`].
    pub fn add_bytes(&mut self, name: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.open()?;
        self.parts.push(Part::Text { name: member_name(name)?, mode, bytes: bytes.into() });
        Ok(())
    }

    /// Adds all members of a tar archive, plain or compressed, without unpacking it.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`], and [`Error::Member`] for an archive with a member that is refused.
    pub fn add_archive(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.open()?;
        let path = path.as_ref();
        // An archive that cannot be taken is better known before anything is sent.
        each_member(path, |_, _| Ok(()))?;
        self.parts.push(Part::Archive { path: path.to_owned() });
        Ok(())
    }

    /// Finalizes a Dockerfile and adds its files, then its archives, then itself as `Dockerfile`.
    ///
    /// # Errors
    ///
    /// As [`DockerFile::finalize`], [`DockerContext::add`] and [`DockerContext::add_archive`].
    pub fn add_dockerfile(&mut self, file: &mut DockerFile) -> Result<(), Error> {
        self.open()?;
        file.finalize()?;
        for (path, name) in file.files() {
            self.add(path, Some(name))?;
        }
        for path in file.archives() {
            self.add_archive(path)?;
        }
        self.add_bytes("Dockerfile", 0o644, file.text())
    }

    /// Adds a file of this machine as `Dockerfile`.
    ///
    /// # Errors
    ///
    /// As [`DockerContext::add`].
    pub fn add_dockerfile_path(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.add(path, Some("Dockerfile"))
    }

    /// Closes the context: from now on it can be read, and nothing can be added. Once more is harmless.
    pub fn finalize(&mut self) {
        self.is_finalized = true;
    }

    /// Returns the names of all members in their order; those of folders end with a slash.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`] when an archive is not what it was.
    pub fn members(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for part in &self.parts {
            match part {
                Part::Disk { path, name } => {
                    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
                    names.push(if is_folder { format!("{name}/") } else { name.clone() });
                }
                Part::Text { name, .. } => names.push(name.clone()),
                Part::Archive { path } => each_member(path, |member, _| {
                    let is_folder = member.header.entry_type().is_dir();
                    names.push(if is_folder { member.name + "/" } else { member.name });
                    Ok(())
                })?,
            }
        }
        Ok(names)
    }

    /// Returns how the stream is encoded: `gzip`, `bzip2`, `xz`; `None` for a plain tar archive.
    pub fn stream_encoding(&self) -> Option<&'static str> {
        match self.options.compression {
            Compression::Gzip => Some("gzip"),
            Compression::Bzip2 => Some("bzip2"),
            Compression::Xz => Some("xz"),
            Compression::None => None,
        }
    }

    /// Writes the context. It can be written any number of times.
    ///
    /// # Errors
    ///
    /// [`Error::ContextOpen`] before it is finalized; [`Error::Read`] and [`Error::Archive`] when something
    /// has changed since it was added; [`Error::Write`] for the sink's failure.
    pub fn write_to(&self, sink: impl Write) -> Result<(), Error> {
        if !self.is_finalized {
            return Err(Error::ContextOpen);
        }
        let write = |sink: &mut dyn Write| pack::write(&self.parts, self.options.metadata, sink);
        let ended = |result: io::Result<()>| {
            result.map_err(|source| Error::Write { path: "the end of the context".into(), source })
        };
        match self.options.compression {
            // The header holds no name and no time, so that the same files give the same bytes.
            Compression::Gzip => {
                let mut encoder = flate2::GzBuilder::new().write(sink, flate2::Compression::default());
                write(&mut encoder)?;
                ended(encoder.finish().map(drop))
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(sink, bzip2::Compression::default());
                write(&mut encoder)?;
                ended(encoder.finish().map(drop))
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(sink, 6);
                write(&mut encoder)?;
                ended(encoder.finish().map(drop))
            }
            Compression::None => {
                let mut sink = sink;
                write(&mut sink)
            }
        }
    }

    /// Writes the context to a file, which has its name only when it is whole.
    ///
    /// # Errors
    ///
    /// As [`DockerContext::write_to`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).map_err(failed)?;
        self.write_to(io::BufWriter::new(&mut file))?;
        file.persist(path).map(drop).map_err(|error| failed(error.error))
    }

    /// Returns the context as a stream, which is packed while it is read. Needs a Tokio runtime.
    ///
    /// A failure while packing is an error of the stream; its source is an [`Error`].
    ///
    /// # Errors
    ///
    /// [`Error::ContextOpen`] before it is finalized.
    pub fn reader(&self) -> Result<Reader, Error> {
        if !self.is_finalized {
            return Err(Error::ContextOpen);
        }
        let context = self.clone();
        self.taken.store(0, Ordering::Relaxed);
        Ok(produced(BLOCK, BLOCKS, move |blocks| {
            context.write_to(Counted { blocks, taken: &context.taken }).map_err(io::Error::other)
        }))
    }

    /// Returns how many packed bytes the latest [`DockerContext::reader`] has come by: how far an upload is, but for the
    /// 384 KiB that wait in it at most.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn open(&self) -> Result<(), Error> {
        if self.is_finalized { Err(Error::ContextFinalized) } else { Ok(()) }
    }
}

/// Counts what was packed.
struct Counted<'a> {
    blocks: &'a mut Blocks,
    taken: &'a AtomicU64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.blocks.write(bytes)?;
        self.taken.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush()
    }
}

#[cfg(test)]
mod tests;
