//! Files and trees.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dfab_tunnel::{Error, Progress, Session, Transfer};

use crate::sshd::{Sshd, enabled, pattern, set_mode};

fn fill(path: &Path, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    pattern(7, &mut bytes);
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_whole_with_their_modes() {
    if !enabled("files_arrive_whole_with_their_modes") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (here, there, back) =
        (folder.path().join("he re"), folder.path().join("the're"), folder.path().join("back"));
    let bytes = fill(&here, 5_000_001);
    set_mode(&here, 0o640);
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let told = Arc::clone(&seen);
    let transfer = Transfer {
        progress: Some(Arc::new(move |progress| told.lock().unwrap().push(progress.clone()))),
        ..Transfer::default()
    };
    let remote = there.to_str().unwrap();
    assert_eq!(session.upload_file(&here, remote, &transfer).await.unwrap(), 5_000_001);
    assert!(std::fs::read(&there).unwrap() == bytes);
    let last = seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!((last.done, last.total), (5_000_001, Some(5_000_001)));
    // Kept, mirrored, named.
    set_mode(&there, 0o600);
    session.upload_file(&here, remote, &Transfer::default()).await.unwrap();
    assert_eq!(mode(&there), 0o600);
    let mirrored = Transfer { mirror_mode: true, ..Transfer::default() };
    session.upload_file(&here, remote, &mirrored).await.unwrap();
    assert_eq!(mode(&there), 0o640);
    let named = Transfer { mode: Some(0o4711), ..mirrored.clone() };
    session.upload_file(&here, remote, &named).await.unwrap();
    assert_eq!(mode(&there), 0o4711);
    session.download_file(remote, &back, &mirrored).await.unwrap();
    assert!(std::fs::read(&back).unwrap() == bytes);
    assert_eq!(mode(&back), 0o4711);
    // Directories receive them under their own names.
    let dir = folder.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    session.upload_file(&here, dir.to_str().unwrap(), &Transfer::default()).await.unwrap();
    assert!(dir.join("he re").exists());
    session.download_file(remote, &dir, &Transfer::default()).await.unwrap();
    assert!(dir.join("the're").exists());
    // An empty one.
    std::fs::write(&here, "").unwrap();
    assert_eq!(session.upload_file(&here, remote, &Transfer::default()).await.unwrap(), 0);
    assert_eq!(session.download_file(remote, &back, &Transfer::default()).await.unwrap(), 0);
    let leftovers: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("part"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_is_an_error_with_the_hosts_words() {
    if !enabled("what_cannot_be_carried_is_an_error_with_the_hosts_words") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    fill(&here, 3_000_000);
    let transfer = Transfer::default();
    let cases = [
        (
            session.upload_file(&here, "/no/such/folder/x", &transfer).await,
            "cannot create /no/such/folder/x.dfab-part",
        ),
        (session.upload_file(&here, "/dev/full/x", &transfer).await, "cannot create /dev/full/x.dfab-part"),
        // Not a file of this name, which nobody would look for.
        (
            session.upload_file(&here, "/tmp/no-such-folder/", &transfer).await,
            "/tmp/no-such-folder/ is no directory",
        ),
        (session.download_file("/no/such/file", &folder.path().join("x"), &transfer).await, "No such file"),
        (session.download_file("/etc", &folder.path().join("x"), &transfer).await, "is a directory"),
        (session.upload_tree(&here.join("x"), "/tmp", &transfer).await, "cannot read"),
        (session.download_tree("/no/such/folder", folder.path(), &transfer).await, "No such file"),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Command { .. } | Error::File { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error} should say {words}");
    }
    let error = session.upload_file(folder.path(), "/tmp", &transfer).await.unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
    let missing = session.upload_file(Path::new("/no/such"), "/tmp", &transfer).await.unwrap_err();
    assert!(matches!(missing, Error::File { operation: "read", .. }), "{missing:?}");
    assert!(!folder.path().join("x").exists() && !folder.path().join("x.dfab-part").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_go_on_where_they_broke() {
    if !enabled("transfers_go_on_where_they_broke") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (here, there, back) =
        (folder.path().join("here"), folder.path().join("there"), folder.path().join("back"));
    let bytes = fill(&here, 4_000_000);
    let first: Arc<Mutex<Option<u64>>> = Arc::default();
    let told = Arc::clone(&first);
    let transfer = Transfer {
        resume: true,
        progress: Some(Arc::new(move |progress| {
            told.lock().unwrap().get_or_insert(progress.done);
        })),
        ..Transfer::default()
    };
    for (part, resumes) in [(&bytes[..3_000_000], true), (&b"something else"[..], false)] {
        std::fs::write(folder.path().join("there.dfab-part"), part).unwrap();
        session.upload_file(&here, there.to_str().unwrap(), &transfer).await.unwrap();
        assert!(std::fs::read(&there).unwrap() == bytes);
        assert_eq!(first.lock().unwrap().take().unwrap() > 3_000_000, resumes);
        std::fs::write(folder.path().join("back.dfab-part"), part).unwrap();
        session.download_file(there.to_str().unwrap(), &back, &transfer).await.unwrap();
        assert!(std::fs::read(&back).unwrap() == bytes);
        assert_eq!(first.lock().unwrap().take().unwrap() > 3_000_000, resumes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_keep_their_shape() {
    if !enabled("trees_keep_their_shape") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("a/b c")).unwrap();
    fill(&tree.join("a/big"), 3_000_000);
    std::fs::write(tree.join("a/b c/run"), "#!/bin/sh\n").unwrap();
    set_mode(&tree.join("a/b c/run"), 0o755);
    set_mode(&tree.join("a"), 0o750);
    set_mode(&tree, 0o710);
    std::os::unix::fs::symlink("a/big", tree.join("link")).unwrap();
    let (there, back) = (folder.path().join("x/y/there"), folder.path().join("back"));
    session.upload_tree(&tree, there.to_str().unwrap(), &Transfer::default()).await.unwrap();
    session.download_tree(there.to_str().unwrap(), &back, &Transfer::default()).await.unwrap();
    for copy in [&there, &back] {
        assert!(std::fs::read(copy.join("link")).unwrap() == std::fs::read(tree.join("a/big")).unwrap());
        assert_eq!(std::fs::read_link(copy.join("link")).unwrap(), Path::new("a/big"));
        assert_eq!((mode(&copy.join("a/b c/run")), mode(&copy.join("a"))), (0o755, 0o750));
    }
    assert_eq!(mode(&there), 0o710);
    // `/tmp`, say: nobody else could use it any more.
    for (place, before) in [(&there, 0o1777), (&back, 0o755)] {
        set_mode(place, before);
    }
    session.upload_tree(&tree, there.to_str().unwrap(), &Transfer::default()).await.unwrap();
    session.download_tree(there.to_str().unwrap(), &back, &Transfer::default()).await.unwrap();
    assert_eq!((mode(&there), mode(&back)), (0o1777, 0o755));
}
