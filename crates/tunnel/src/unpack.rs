//! Unpacking archives that came from elsewhere: the one function that writes what a tar stream names.
//!
//! Nothing is written outside of the folder, whatever the archive says and whatever lies in the folder
//! already. An entry that would do so is an error that names it, and so is a device: an archive with
//! such an entry was not made by anybody who means well, and half of it is of no use.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

/// An entry that is not unpacked. It comes inside an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the archive's entry `{entry}` is refused: {why}")]
pub struct Refused {
    /// The entry's name.
    pub entry: String,
    /// Why.
    pub why: String,
}

impl Refused {
    fn error(entry: &Path, why: impl Into<String>) -> io::Error {
        io::Error::other(Self { entry: entry.display().to_string(), why: why.into() })
    }
}

/// Unpacks a tar stream into a folder, which is made if it is missing. Permission bits, times and links
/// are those of the archive, owners are the caller's; what is there already is replaced.
///
/// Plain tar only: a compressed stream is unpacked through its decoder.
///
/// # Errors
///
/// [`Refused`] for an absolute path, `..`, a link that leads outwards, a path through a link, and
/// anything but files, folders and links; entries before it are unpacked. Else what the system says.
pub fn unpack(archive: impl Read, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let mut archive = Archive::new(archive);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(kind) = checked(&mut entry, &path, &folder)? else { continue };
        match kind {
            // Their permissions may forbid what comes into them.
            EntryType::Directory => {
                let target = folder.join(&path);
                if !target.is_dir() {
                    fs::create_dir_all(&target)?;
                }
                folders.push(entry);
            }
            _ => {
                // The library looks for itself; what it leaves out must not pass for unpacked.
                if !entry.unpack_in(&folder)? {
                    return Err(Refused::error(&path, "it leads outside"));
                }
            }
        }
    }
    // The innermost first: a folder that may not be entered comes after what is in it.
    folders.sort_by_key(|entry| std::cmp::Reverse(entry.path_bytes().len()));
    for mut entry in folders {
        entry.unpack_in(&folder)?;
    }
    Ok(())
}

/// Returns the kind of an entry that may be unpacked; `None` for what is no entry of its own.
fn checked<R: Read>(entry: &mut Entry<'_, R>, path: &Path, folder: &Path) -> io::Result<Option<EntryType>> {
    let kind = entry.header().entry_type();
    let refused = |why: &str| Err(Refused::error(path, why));
    match kind {
        EntryType::XGlobalHeader => return Ok(None),
        EntryType::Regular
        | EntryType::Continuous
        | EntryType::GNUSparse
        | EntryType::Directory
        | EntryType::Symlink
        | EntryType::Link => {}
        EntryType::Char | EntryType::Block => return refused("it is a device"),
        EntryType::Fifo => return refused("it is a named pipe"),
        other => return refused(&format!("entries of kind {other:?} are not known")),
    }
    for component in path.components() {
        match component {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return refused("`..` leads outside"),
            Component::RootDir | Component::Prefix(_) => return refused("its path is absolute"),
        }
    }
    through_no_link(path, folder)?;
    if kind == EntryType::Symlink || kind == EntryType::Link {
        let Some(target) = entry.link_name()?.map(std::borrow::Cow::into_owned) else {
            return refused("a link without a target");
        };
        let depth = if kind == EntryType::Symlink { depth(path).saturating_sub(1) } else { 0 };
        if !stays_inside(&target, depth) {
            return refused(&format!("it is a link to `{}`, which may be outside", target.display()));
        }
        if kind == EntryType::Link {
            through_no_link(&target, folder)?;
        }
    }
    Ok(Some(kind))
}

fn depth(path: &Path) -> usize {
    path.components().filter(|component| matches!(component, Component::Normal(_))).count()
}

/// Tells whether a link's target is below the folder when the link lies so deep in it. `..` counts at the
/// beginning only: after a name it depends on where that name leads.
fn stays_inside(target: &Path, mut depth: usize) -> bool {
    let mut names = false;
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => names = true,
            Component::ParentDir if !names && depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Refuses a path whose folders are links: where they lead, the check of names says nothing.
fn through_no_link(path: &Path, folder: &Path) -> io::Result<()> {
    let mut place = PathBuf::from(folder);
    for component in path.parent().into_iter().flat_map(Path::components) {
        place.push(component);
        if place.symlink_metadata().is_ok_and(|found| found.file_type().is_symlink()) {
            return Err(Refused::error(path, format!("it leads through the link `{}`", place.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tar::{Builder, Header};

    use super::*;

    /// (kind, path, target or content)
    type Item<'a> = (EntryType, &'a str, &'a str);

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;
    const DIR: EntryType = EntryType::Directory;

    fn archive(items: &[Item<'_>]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, path, text) in items {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == DIR { 0o555 } else { 0o640 });
            // As an attacker does: the library refuses such names when it writes.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            let content = if *kind == FILE { text.as_bytes() } else { b"" };
            if *kind == LINK || *kind == HARD {
                header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_folders_and_links_that_stay_inside_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/folder");
        let items = [
            (DIR, "./", ""),
            (DIR, "d", ""),
            (DIR, "d/e", ""),
            (FILE, "d/e/f", "text"),
            (LINK, "d/e/up", "../../top"),
            (LINK, "same", "./d/e/f"),
            (LINK, "dangling", "nowhere"),
            (HARD, "hard", "d/e/f"),
            (FILE, "./top", "new"),
            (FILE, "a..b", "two dots"),
            (EntryType::XGlobalHeader, "pax_global_header", ""),
        ];
        unpack(&archive(&items)[..], &target).unwrap();
        for (file, expected) in
            [("d/e/f", "text"), ("d/e/up", "new"), ("same", "text"), ("hard", "text"), ("a..b", "two dots")]
        {
            assert_eq!(fs::read_to_string(target.join(file)).unwrap(), expected, "{file}");
        }
        let mode = |file: &str| fs::metadata(target.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("d/e"), mode("d/e/f")), (0o555, 0o640));
        // Again, over what is there.
        unpack(&archive(&[(FILE, "./top", "newer"), (LINK, "same", "top")])[..], &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("same")).unwrap(), "newer");
    }

    #[test]
    fn what_leads_outside_is_refused_by_name_and_touches_nothing() {
        let file = |name| (FILE, name, "inside");
        let cases: [(&str, Vec<Item<'_>>, &str); 16] = [
            ("../x", vec![file("../x")], "`..` leads outside"),
            ("a/../../x", vec![file("a/../../x")], "`..` leads outside"),
            ("..", vec![file("..")], "`..` leads outside"),
            ("/x", vec![file("/x")], "its path is absolute"),
            ("to/x", vec![(DIR, "d", ""), (LINK, "to", "d"), file("to/x")], "it leads through the link"),
            ("old/x", vec![file("old/x")], "it leads through the link"),
            ("l", vec![(LINK, "l", "../x"), file("l")], "it is a link to `../x`"),
            ("l", vec![(LINK, "l", "/x"), file("l")], "it is a link to `/x`"),
            ("d/l", vec![(LINK, "d/l", "../../x")], "it is a link to `../../x`"),
            ("l", vec![(LINK, "d/up", ".."), (LINK, "l", "d/up/../x")], "it is a link to `d/up/../x`"),
            ("h", vec![(HARD, "h", "../x"), file("h")], "it is a link to `../x`"),
            ("h", vec![(HARD, "h", "/x"), file("h")], "it is a link to `/x`"),
            ("old/x", vec![(HARD, "h", "old/x"), file("h")], "it leads through the link"),
            ("null", vec![(EntryType::Char, "null", "")], "it is a device"),
            ("sda", vec![(EntryType::Block, "sda", "")], "it is a device"),
            ("pipe", vec![(EntryType::Fifo, "pipe", "")], "it is a named pipe"),
        ];
        for (entry, items, why) in cases {
            let around = tempfile::tempdir().unwrap();
            let target = around.path().join("target");
            fs::create_dir(&target).unwrap();
            fs::write(around.path().join("x"), "outside").unwrap();
            // Left by an earlier archive, or by somebody else.
            std::os::unix::fs::symlink("..", target.join("old")).unwrap();
            let error = unpack(&archive(&items)[..], &target).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("the archive's entry `{entry}` is refused: {why}")), "{text}");
            assert_eq!(fs::read_to_string(around.path().join("x")).unwrap(), "outside", "{entry}");
            assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2, "{entry}");
        }
    }
}
