//! Reading tar archives that become part of a build context, whatever they are compressed with.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use tar::EntryType;

use super::Error;
use super::dockerfile::member_name;

/// A member of an archive: its header, and its names in the context.
pub(super) struct Member {
    pub(super) header: tar::Header,
    pub(super) name: String,
    /// Where a link points to: as it is for a symbolic link, a member's name for a hard one.
    pub(super) target: Option<String>,
}

/// Hands out every member with its data, in the archive's order.
///
/// # Errors
///
/// [`Error::Archive`] for one that cannot be read, and [`Error::Member`] for members that an unpacking
/// program should not meet: absolute paths, `..`, devices. Symbolic links are links of the image, and may
/// point anywhere there.
pub(super) fn each_member(
    path: &Path,
    mut each: impl FnMut(Member, &mut dyn Read) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |source| Error::Archive { path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut archive = tar::Archive::new(decompressed(BufReader::new(file)).map_err(failed)?);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let written = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |reason| Error::Member { path: path.to_owned(), member: written.clone(), reason };
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XGlobalHeader => continue,
            EntryType::Block | EntryType::Char => return Err(refused("is a device")),
            EntryType::Fifo => return Err(refused("is a FIFO")),
            _ => {}
        }
        if written.contains('\u{fffd}') {
            return Err(refused("has a name that is not UTF-8"));
        }
        let inside = |name: &str| match name.starts_with('/') {
            true => Err(refused("has an absolute path")),
            false => member_name(name).map_err(|_| refused("leads out of it by an element `..`")),
        };
        let name = inside(&written)?;
        if name.is_empty() {
            // `./`: the folder that everything is in.
            continue;
        }
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        let target = match (kind, target) {
            (EntryType::Link, Some(target)) => Some(inside(&target)?),
            (EntryType::Symlink, Some(target)) => Some(target),
            (EntryType::Link | EntryType::Symlink, None) => return Err(refused("is a link to nothing")),
            (_, _) => None,
        };
        let mut header = tar::Header::new_gnu();
        let given = entry.header();
        // Some programs leave fields blank that say nothing.
        header.set_mode(given.mode().unwrap_or(if kind.is_dir() { 0o755 } else { 0o644 }));
        header.set_uid(given.uid().unwrap_or(0));
        header.set_gid(given.gid().unwrap_or(0));
        header.set_mtime(given.mtime().unwrap_or(0));
        // A sparse file is read with its holes filled.
        let kind = if matches!(kind, EntryType::GNUSparse | EntryType::Continuous) {
            EntryType::Regular
        } else {
            kind
        };
        header.set_entry_type(kind);
        header.set_size(if target.is_some() { 0 } else { entry.size() });
        each(Member { header, name, target }, &mut entry)?;
    }
    Ok(())
}

/// The first elements of all members' names, once each, in the archive's order.
pub(super) fn top_level(path: &Path) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    each_member(path, |member, _| {
        let name = member.name.split('/').next().unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        Ok(())
    })?;
    Ok(names)
}

/// Takes off the compression that the first bytes show: gzip, bzip2, xz, zstd, or none.
fn decompressed<R: Read + 'static>(mut source: R) -> io::Result<Box<dyn Read>> {
    let mut start = Vec::with_capacity(6);
    (&mut source).take(6).read_to_end(&mut start)?;
    let whole = io::Cursor::new(start.clone()).chain(source);
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::read::XzDecoder::new_multi_decoder(whole)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}
