//! Giving the members of a tar stream other names, while it passes.

use std::io::{self, Read, Write};

/// What is taken off the members' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strip {
    /// Nothing.
    Nothing,
    /// The first member, if it is a folder: what is in it comes to the top.
    FirstFolder,
    /// `./`
    Dot,
}

/// Copies an archive and returns the number of its members.
///
/// Everything but names stays: a member is copied with what its own headers say. Only hard links are made
/// anew, for they name another member.
pub(super) fn renamed(source: impl Read, sink: impl Write, strip: Strip) -> io::Result<u64> {
    let mut archive = tar::Archive::new(source);
    let mut tar = tar::Builder::new(sink);
    let mut prefix: Option<Vec<u8>> = (strip == Strip::Dot).then(|| b"./".to_vec());
    let mut count = 0;
    for (index, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        let is_folder = entry.header().entry_type().is_dir();
        if index == 0 && is_folder && strip == Strip::FirstFolder {
            let mut folder = name.clone();
            if !folder.ends_with(b"/") {
                folder.push(b'/');
            }
            prefix = Some(folder);
        }
        let stripped = |name: &[u8]| match &prefix {
            Some(prefix) => name.strip_prefix(prefix.as_slice()).unwrap_or(name).to_vec(),
            None => name.to_vec(),
        };
        let is_top =
            prefix.as_deref().is_some_and(|prefix| name == prefix || name == prefix.trim_ascii_end_slash());
        if is_top && is_folder {
            continue;
        }
        let path = text(&stripped(&name))?;
        let mut header = entry.header().clone();
        let kind = header.entry_type();
        let target = entry.link_name_bytes().map(|target| target.into_owned());
        match target {
            Some(target) if kind.is_hard_link() => {
                tar.append_link(&mut header, path, text(&stripped(&target))?)?
            }
            Some(target) if kind.is_symlink() => tar.append_link(&mut header, path, text(&target)?)?,
            _ => {
                header.set_size(entry.size());
                tar.append_data(&mut header, path, &mut entry)?;
            }
        }
        count += 1;
    }
    tar.into_inner()?.flush()?;
    Ok(count)
}

/// A name of a member as a path.
#[cfg(unix)]
fn text(name: &[u8]) -> io::Result<std::path::PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(name).into())
}

#[cfg(not(unix))]
fn text(name: &[u8]) -> io::Result<std::path::PathBuf> {
    let name = std::str::from_utf8(name).map_err(io::Error::other)?;
    Ok(name.into())
}

/// Without the slash at the end.
trait TrimEndSlash {
    fn trim_ascii_end_slash(&self) -> &[u8];
}

impl TrimEndSlash for [u8] {
    fn trim_ascii_end_slash(&self) -> &[u8] {
        self.strip_suffix(b"/").unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that end with a slash are folders, `a>b` is a hard link, `a->b` a symbolic one.
    fn archive(members: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for member in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            header.set_mode(0o640);
            header.set_uid(7);
            if let Some((name, target)) = member.split_once("->") {
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, name, target).unwrap();
            } else if let Some((name, target)) = member.split_once('>') {
                header.set_entry_type(tar::EntryType::Link);
                tar.append_link(&mut header, name, target).unwrap();
            } else if member.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, member, io::empty()).unwrap();
            } else {
                header.set_size(member.len() as u64);
                tar.append_data(&mut header, member, member.as_bytes()).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    fn members(bytes: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(bytes);
        let members = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            assert_eq!((entry.header().mode().unwrap(), entry.header().uid().unwrap()), (0o640, 7));
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let sign = if entry.header().entry_type().is_symlink() { "->" } else { ">" };
            match entry.link_name_bytes() {
                Some(target) => format!("{name}{sign}{}", String::from_utf8_lossy(&target)),
                None => name,
            }
        });
        members.collect()
    }

    /// clients-tasks §6.1: the example's folder and file, hidden files, links.
    #[test]
    fn names_of_members() {
        let app = [
            "app/",
            "app/.hidden",
            "app/a.log",
            "app/old/",
            "app/old/b.log",
            "app/x>app/a.log",
            "app/y->app/z",
        ];
        let long = format!("app/{}", "n".repeat(150));
        let whole = [&app[..], &[&long]].concat();
        let at_top = [".hidden", "a.log", "old/", "old/b.log", "x>a.log", "y->app/z", &long[4..]];
        let dots = ["./", "./d1/", "./d1/a", "./.b"];
        for (given, strip, expected) in [
            (&whole[..], Strip::FirstFolder, &at_top[..]),
            (&whole, Strip::Nothing, &whole),
            (&["hosts"], Strip::FirstFolder, &["hosts"]),
            (&dots, Strip::Dot, &["d1/", "d1/a", ".b"]),
            (&["empty/"], Strip::FirstFolder, &[]),
        ] {
            let mut bytes = Vec::new();
            let count = renamed(archive(given).as_slice(), &mut bytes, strip).unwrap();
            assert_eq!(
                (members(&bytes), count as usize),
                (expected.iter().map(|&name| name.to_owned()).collect(), expected.len())
            );
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_is_an_error() {
        let bytes = archive(&["a/", "a/b", "a/c"]);
        let cut = &bytes[..bytes.len() / 2 - 100];
        assert!(renamed(cut, io::sink(), Strip::FirstFolder).is_err());
    }
}
