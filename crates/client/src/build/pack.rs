//! Writing a build context as a tar archive, from files, texts and other archives.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header, HeaderMode};

use super::archive::each_member;
use super::{Error, Ignore, Metadata};

/// One part of a context.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A file, folder or link of this machine; a folder without what is in it.
    Disk { path: PathBuf, name: String },
    /// A text or other bytes.
    Text { name: String, mode: u32, bytes: Vec<u8> },
    /// All members of an archive.
    Archive { path: PathBuf },
}

/// Collects a file, or a folder with all that its `.dockerignore` leaves, sorted by name.
///
/// A link that is named is followed; links in a folder stay links, as with `docker build`.
pub(super) fn collect(path: &Path, name: &str, parts: &mut Vec<Part>) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let path = &fs::canonicalize(path).map_err(failed(path))?;
    let metadata = fs::metadata(path).map_err(failed(path))?;
    check(path, metadata.file_type())?;
    if !metadata.is_dir() {
        parts.push(Part::Disk { path: path.to_owned(), name: name.to_owned() });
        return Ok(());
    }
    let rules = path.join(".dockerignore");
    let ignore = match fs::read_to_string(&rules) {
        Ok(text) => Ignore::parse(&text, &rules)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ignore::default(),
        Err(error) => return Err(failed(&rules)(error)),
    };
    if !name.is_empty() {
        parts.push(Part::Disk { path: path.to_owned(), name: name.to_owned() });
    }
    folder(path, name, "", &ignore, parts)
}

/// Collects what is in a folder; `inner` is its path below the folder that was added.
fn folder(path: &Path, name: &str, inner: &str, ignore: &Ignore, parts: &mut Vec<Part>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let file_name = entry.file_name().into_string().map_err(|_| Error::Name(path.clone()))?;
        let joined = |parent: &str| match parent {
            "" => file_name.clone(),
            parent => format!("{parent}/{file_name}"),
        };
        let (name, inner) = (joined(name), joined(inner));
        let excluded = ignore.excludes(&inner);
        let kind = entry.file_type().map_err(|source| Error::Read { path: path.clone(), source })?;
        if !excluded && !is_socket(kind) {
            check(&path, kind)?;
            parts.push(Part::Disk { path: path.clone(), name: name.clone() });
        }
        if kind.is_dir() && (!excluded || ignore.has_exemptions()) {
            folder(&path, &name, &inner, ignore, parts)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_socket(kind: fs::FileType) -> bool {
    // A tar archive cannot hold one; `docker build` leaves them out too.
    std::os::unix::fs::FileTypeExt::is_socket(&kind)
}

#[cfg(not(unix))]
fn is_socket(_: fs::FileType) -> bool {
    false
}

fn check(path: &Path, kind: fs::FileType) -> Result<(), Error> {
    if kind.is_file() || kind.is_dir() || kind.is_symlink() {
        return Ok(());
    }
    #[cfg(unix)]
    let kind = {
        use std::os::unix::fs::FileTypeExt;
        match () {
            () if kind.is_fifo() => "FIFO",
            () if kind.is_socket() => "socket",
            () => "device",
        }
    };
    #[cfg(not(unix))]
    let kind = "special file";
    Err(Error::SpecialFile { path: path.to_owned(), kind })
}

/// Writes all parts, in order.
pub(super) fn write(parts: &[Part], metadata: Metadata, sink: impl Write) -> Result<(), Error> {
    let mut tar = Builder::new(sink);
    for part in parts {
        match part {
            Part::Disk { path, name } => {
                disk(&mut tar, path, name, metadata)
                    .map_err(|source| Error::Read { path: path.clone(), source })?;
            }
            Part::Text { name, mode, bytes } => {
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Regular);
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                header.set_mtime(0);
                header.set_uid(0);
                header.set_gid(0);
                tar.append_data(&mut header, name, bytes.as_slice())
                    .map_err(|source| Error::Write { path: name.into(), source })?;
            }
            Part::Archive { path } => each_member(path, |mut member, data| {
                if metadata == Metadata::Fixed {
                    fix(&mut member.header);
                }
                if member.header.entry_type().is_dir() {
                    member.name.push('/');
                }
                let written = match &member.target {
                    Some(target) => tar.append_link(&mut member.header, &member.name, target),
                    None => {
                        let data = Exactly { rest: member.header.size().unwrap_or(0), data };
                        tar.append_data(&mut member.header, &member.name, data)
                    }
                };
                written.map_err(|source| Error::Archive { path: path.clone(), source })
            })?,
        }
    }
    let written = tar.into_inner().and_then(|mut sink| sink.flush());
    written.map_err(|source| Error::Write { path: "the end of the context".into(), source })
}

fn disk<W: Write>(tar: &mut Builder<W>, path: &Path, name: &str, metadata: Metadata) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        let target = fs::read_link(path)?;
        let mut header = header_of(&found, metadata);
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        return tar.append_link(&mut header, name, target);
    }
    let mut header = header_of(&found, metadata);
    if found.is_dir() {
        header.set_size(0);
        return tar.append_data(&mut header, format!("{name}/"), io::empty());
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    header.set_size(size);
    tar.append_data(&mut header, name, Exactly { rest: size, data: file })
}

fn header_of(found: &fs::Metadata, metadata: Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(found, HeaderMode::Complete);
    if metadata == Metadata::Fixed {
        fix(&mut header);
    }
    header
}

fn fix(header: &mut Header) {
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
}

/// A file that is read to the length that its header says: one that shrinks meanwhile would shift
/// everything after it, and one that grows too.
struct Exactly<R> {
    rest: u64,
    data: R,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.rest).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.data.read(&mut buffer[..wanted])?;
        if length == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.rest -= length as u64;
        Ok(length)
    }
}
