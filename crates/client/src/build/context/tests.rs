//! Members and bytes of contexts, clients-tasks §10.2.

use super::*;
use crate::build::AddFile;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use tokio::io::AsyncReadExt;

/// A folder with the example's files: `t/ctx` and `flat.tar`.
fn example() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ctx = folder.path().join("t/ctx");
    fs::create_dir_all(ctx.join("sub")).unwrap();
    for (name, text) in
        [(".dockerignore", "*.log\n!sub/c.log\n"), ("a.txt", "a"), ("b.log", "b"), ("sub/c.log", "c")]
    {
        fs::write(ctx.join(name), text).unwrap();
    }
    let members = [("a.txt", "A"), ("sub/", ""), ("sub/c.log", "C")];
    fs::write(folder.path().join("flat.tar"), archive(&members)).unwrap();
    folder
}

/// A tar archive of files and, where the name ends with a slash, folders.
fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(if name.ends_with('/') {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(0o755);
        header.set_size(text.len() as u64);
        write_name(&mut header, name);
        tar.append(&header, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Names that `tar` itself would not write.
fn write_name(header: &mut tar::Header, name: &str) {
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
}

fn written(context: &DockerContext) -> Vec<u8> {
    let mut bytes = Vec::new();
    context.write_to(&mut bytes).unwrap();
    bytes
}

/// (name, kind, text or target) of every member of an archive.
fn unpacked(tar: &[u8]) -> Vec<(String, tar::EntryType, String)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let target = entry.link_name_bytes().map(|target| String::from_utf8(target.into_owned()).unwrap());
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        (name, entry.header().entry_type(), target.unwrap_or(text))
    });
    entries.collect()
}

fn plain() -> DockerContext {
    DockerContext::new(ContextOptions { compression: Compression::None, ..ContextOptions::default() })
}

/// §10.2.1, the example
#[test]
fn the_example_of_the_specification() {
    let folder = example();
    let mut file = DockerFile::new("b");
    let source = folder.path().join("t/ctx").to_str().unwrap().to_owned();
    file.add_file(&AddFile { target: Some("/ctx".into()), ..AddFile::new(source) }).unwrap();
    let names = file.add_archive(folder.path().join("flat.tar"), false).unwrap();
    assert_eq!(names, ["a.txt", "sub"]);
    let mut context = plain();
    context.add_dockerfile(&mut file).unwrap();
    context.finalize();
    let text = "FROM b\n\nADD /ctx /ctx\nADD a.txt a.txt\nADD sub sub\n";
    assert_eq!(file.text(), text);
    let expected = [
        ("ctx/", ""),
        ("ctx/.dockerignore", "*.log\n!sub/c.log\n"),
        ("ctx/a.txt", "a"),
        ("ctx/sub/", ""),
        ("ctx/sub/c.log", "c"),
        ("a.txt", "A"),
        ("sub/", ""),
        ("sub/c.log", "C"),
        ("Dockerfile", text),
    ];
    let found = unpacked(&written(&context));
    let found: Vec<(&str, &str)> =
        found.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(context.members().unwrap(), expected.map(|(name, _)| name));
}

/// §10.2.2 (D-53): rules apply under whatever name and by whatever path a folder is added.
#[test]
fn rules_apply_under_relative_absolute_and_renamed_roots() {
    let folder = example();
    let path = folder.path().join("t/ctx");
    // Relative to where tests run, which is another folder.
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(path.strip_prefix("/").unwrap());
    assert!(relative.is_relative() && relative.is_dir());
    for (path, name, top) in [
        (&path, Some("/ctx"), "ctx/"),
        (&path, Some("data/x/"), "data/x/"),
        (&path, Some("."), ""),
        (&path, None, &*format!("{}/", path.to_str().unwrap().trim_start_matches('/'))),
        (&relative, Some("ctx"), "ctx/"),
    ] {
        let mut context = plain();
        context.add(path, name).unwrap();
        let mut expected: Vec<String> = [".dockerignore", "a.txt", "sub/", "sub/c.log"]
            .iter()
            .map(|name| format!("{top}{name}"))
            .collect();
        if !top.is_empty() {
            expected.insert(0, top.to_owned());
        }
        assert_eq!(context.members().unwrap(), expected);
    }
}

#[test]
fn an_excluded_folder_is_looked_into_for_exemptions() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("out/deep")).unwrap();
    for name in ["out/a", "out/deep/keep", "Dockerfile"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    for (rules, expected) in [
        ("out\n.*\nDockerfile", &["Dockerfile"][..]),
        ("out\n!out/deep/keep\n.*", &["Dockerfile", "out/deep/keep"]),
        ("*\n!out/a", &["out/a", "Dockerfile"]),
    ] {
        fs::write(folder.path().join(".dockerignore"), rules).unwrap();
        let context = DockerContext::of_folder(folder.path(), None, &ContextOptions::default()).unwrap();
        assert_eq!(context.members().unwrap(), expected, "{rules}");
    }
    let missing = DockerContext::of_folder(folder.path(), Some("other"), &ContextOptions::default());
    assert!(matches!(missing, Err(Error::WithoutDockerfile)));
}

/// §10.2.1: the same files give the same bytes, in every compression, and each is read back.
#[test]
fn same_input_same_bytes() {
    let folder = example();
    for (compression, encoding) in [
        (Compression::Gzip, Some("gzip")),
        (Compression::Bzip2, Some("bzip2")),
        (Compression::Xz, Some("xz")),
        (Compression::None, None),
    ] {
        let pack = |path: &Path, metadata| {
            let mut context = DockerContext::new(ContextOptions { compression, metadata });
            context.add(path.join("t"), Some("t")).unwrap();
            context.add_archive(path.join("flat.tar")).unwrap();
            context.add_bytes("Dockerfile", 0o644, "FROM b\n").unwrap();
            context.finalize();
            context
        };
        let context = pack(folder.path(), Metadata::AsOnDisk);
        assert_eq!(context.stream_encoding(), encoding);
        assert_eq!(written(&context), written(&context));
        // The packed context is an archive that can be added to another one.
        let packed = folder.path().join("packed");
        context.save(&packed).unwrap();
        assert_eq!(fs::read(&packed).unwrap(), written(&context));
        let mut outer = plain();
        outer.add_archive(&packed).unwrap();
        assert_eq!(outer.members().unwrap(), context.members().unwrap());
        if compression == Compression::None {
            // Contexts are not packed with zstd, for older engines do not read it; archives in them may be.
            let squeezed = zstd::stream::encode_all(&*written(&context), 1).unwrap();
            fs::write(&packed, squeezed).unwrap();
            let mut outer = plain();
            outer.add_archive(&packed).unwrap();
            assert_eq!(outer.members().unwrap(), context.members().unwrap());
        }
        // Another copy of the same files, made later.
        let copy = example();
        let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        fs::File::open(copy.path().join("t/ctx/a.txt")).unwrap().set_times(times).unwrap();
        let fixed = |path| written(&pack(path, Metadata::Fixed));
        assert_eq!(fixed(folder.path()), fixed(copy.path()), "{compression:?}");
        assert_ne!(written(&pack(copy.path(), Metadata::AsOnDisk)), written(&context), "{compression:?}");
    }
}

#[test]
fn links_and_modes_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("d");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(inner.join("run"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("/no/where", inner.join("dangling")).unwrap();
    symlink("run", inner.join("link")).unwrap();
    symlink(&inner, folder.path().join("named")).unwrap();
    // Longer than a header's fields.
    let long = "n".repeat(200);
    fs::write(inner.join(&long), "long").unwrap();
    symlink(&long, inner.join("to-long")).unwrap();
    std::os::unix::net::UnixListener::bind(inner.join("socket")).unwrap();
    let mut context = plain();
    context.add(folder.path().join("named"), Some("x")).unwrap();
    context.add(inner.join("link"), Some("followed")).unwrap();
    context.finalize();
    let bytes = written(&context);
    use tar::EntryType::{Directory, Regular, Symlink};
    let expected = [
        ("x/", Directory, ""),
        ("x/dangling", Symlink, "/no/where"),
        ("x/link", Symlink, "run"),
        (&*format!("x/{long}"), Regular, "long"),
        ("x/run", Regular, "#!/bin/sh\n"),
        ("x/to-long", Symlink, &*long),
        ("followed", Regular, "#!/bin/sh\n"),
    ];
    let expected = expected.map(|(name, kind, text)| (name.to_owned(), kind, text.to_owned()));
    assert_eq!(unpacked(&bytes), expected);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let modes = archive.entries().unwrap().map(|entry| entry.unwrap().header().mode().unwrap() & 0o777);
    assert_eq!(modes.last(), Some(0o751));
    // Links of archives are copied whether or not their target is in there (D-51).
    fs::write(folder.path().join("links.tar"), &bytes).unwrap();
    let mut outer = plain();
    outer.add_archive(folder.path().join("links.tar")).unwrap();
    outer.finalize();
    assert_eq!(unpacked(&written(&outer)), expected);
}

/// §10.1.3 (D-47): top-level names come from all members.
#[test]
fn top_level_names_of_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    for (members, expected) in [
        (&["a.txt", "sub/", "sub/c.log"][..], &["a.txt", "sub"][..]),
        (&["sub/c.log", "sub/d/e", "x"], &["sub", "x"]),
        (&["./", "./a", "./sub/b"], &["a", "sub"]),
        (&["a b/c"], &["a b"]),
        (&[], &[]),
    ] {
        let members: Vec<(&str, &str)> = members.iter().map(|name| (*name, "")).collect();
        fs::write(&path, archive(&members)).unwrap();
        let mut file = DockerFile::new("b");
        assert_eq!(file.add_archive(&path, true).unwrap(), expected);
        file.finalize().unwrap();
        assert_eq!(file.text().matches("RUN rm -Rf").count(), expected.len());
    }
}

#[test]
fn archives_with_dangerous_members_are_refused_and_the_member_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let special = |kind, target: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_link_name_literal(target).unwrap();
        write_name(&mut header, "dev");
        tar.append(&header, io::empty()).unwrap();
        tar.into_inner().unwrap()
    };
    for (bytes, expected) in [
        (
            archive(&[("fine", ""), ("../x", "")]),
            "the member `../x`, which leads out of it by an element `..`",
        ),
        (archive(&[("a/../../x", "")]), "the member `a/../../x`, which leads out of it by an element `..`"),
        (archive(&[("/etc/passwd", "")]), "the member `/etc/passwd`, which has an absolute path"),
        (special(tar::EntryType::Char, ""), "the member `dev`, which is a device"),
        (special(tar::EntryType::Fifo, ""), "the member `dev`, which is a FIFO"),
        (special(tar::EntryType::Link, "../x"), "the member `dev`, which leads out of it by an element `..`"),
        (special(tar::EntryType::Link, "/x"), "the member `dev`, which has an absolute path"),
        (b"no archive at all, but long enough".repeat(40), "failed to read the archive"),
        (b"\x1f\x8b broken gzip".to_vec(), "failed to read the archive"),
        (archive(&[("a", "text")])[..700].to_vec(), "failed to read the archive"),
    ] {
        fs::write(&path, bytes).unwrap();
        let mut context = plain();
        let error = context.add_archive(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(context.members().unwrap().is_empty());
    }
    // Two dots in a name are no element.
    fs::write(&path, archive(&[("a..b", "x")])).unwrap();
    plain().add_archive(&path).unwrap();
}

#[test]
fn what_cannot_be_added_is_named() {
    let folder = example();
    let at = |name: &str| folder.path().join(name);
    rustix_fifo(&at("t/fifo"));
    let mut context = plain();
    let missing = context.add(at("none"), None).unwrap_err();
    assert_eq!(missing.to_string(), format!("failed to read `{}`", at("none").display()));
    let fifo = context.add(at("t"), Some("t")).unwrap_err().to_string();
    assert!(fifo.ends_with("/t/fifo` is a FIFO, and cannot be part of a build context"), "{fifo}");
    let outside = context.add(at("flat.tar"), Some("a/../../etc/x")).unwrap_err();
    assert!(matches!(outside, Error::Outside(path) if path == "a/../../etc/x"));
    assert!(matches!(context.reader(), Err(Error::ContextOpen)));
    assert!(matches!(context.write_to(Vec::new()), Err(Error::ContextOpen)));
    assert!(context.members().unwrap().is_empty());
    context.finalize();
    assert!(matches!(context.add_bytes("x", 0o644, ""), Err(Error::ContextFinalized)));
    assert!(matches!(context.add_dockerfile(&mut DockerFile::new("b")), Err(Error::ContextFinalized)));
}

fn rustix_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn the_stream_is_what_is_written() {
    let folder = example();
    // More than the blocks that may wait.
    fs::write(folder.path().join("t/large"), vec![7; 3 << 20]).unwrap();
    let mut context = plain();
    context.add(folder.path(), Some(".")).unwrap();
    context.finalize();
    let mut streamed = Vec::new();
    context.reader().unwrap().read_to_end(&mut streamed).await.unwrap();
    assert_eq!(context.taken(), streamed.len() as u64);
    assert!(streamed == written(&context));
    // One that nobody reads ends.
    drop(context.reader().unwrap());
}

/// A file that shrinks would shift everything after it; one that is gone would be left out.
#[tokio::test]
async fn a_stream_that_cannot_go_on_ends_with_an_error() {
    let folder = example();
    let mut context = DockerContext::default();
    context.add(folder.path().join("t"), Some("t")).unwrap();
    context.finalize();
    fs::remove_file(folder.path().join("t/ctx/a.txt")).unwrap();
    let error = context.reader().unwrap().read_to_end(&mut Vec::new()).await.unwrap_err();
    let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert!(matches!(error, Error::Read { path, .. } if path.ends_with("t/ctx/a.txt")), "{error}");
}
