//! Utilities with a real `sh`, `tar`, `gzip` and `cp`, and a `docker` whose container is a folder.

use std::fs;
use std::path::{Path, PathBuf};

use dfab_client::error::{Cause, Error};

use super::super::{Compressor, Copies};
use crate::backend::CliBackend;
use crate::fake::Fake;
use crate::options::CliOptions;

/// Has one container, `c`, whose files are in `root`, and one image, `i`.
const DOCKER: &str = r#"#!/bin/sh
here=${0%/*}
echo "$*" >>"$here/log"
[ ! -f "$here/fail" ] || [ "$(cat "$here/fail")" != "$1" ] || { echo "Error: $1 fails" >&2; exit 3; }
case "$1" in
cp)
  path=$here/root${2#c:}
  [ -e "$path" ] || { echo "Error: No such container:path: $2" >&2; exit 1; }
  if [ "$3" = - ]; then tar -C "$(dirname "$path")" -cf - "$(basename "$path")"; else cp -a "$path" "$3"; fi ;;
save) [ "$2" = i ] || { echo "Error: No such image: $2" >&2; exit 1; }; printf 'layers of %s' "$2" ;;
import) cat >"$here/imported"; echo "$3" >"$here/imported-as" ;;
wait) cat "$here/ended" ;;
export) printf 'file system' ;;
esac
"#;

struct World {
    fake: Fake,
    docker: CliBackend,
}

fn world() -> World {
    let fake = Fake::new(&[]);
    fake.program("docker", DOCKER);
    for (name, text) in [
        ("root/var/lib/app/data1/a", "a1"),
        ("root/var/lib/app/data1/sub/.hidden", "h"),
        ("root/var/lib/app/data2/a", "a2"),
        ("root/var/lib/app/data2/b", "b2"),
        ("root/etc/hosts", "hosts"),
        ("root/odd/it's $HOME `id`", "odd"),
    ] {
        let path = fake.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(fake.path("ended"), "0\n").unwrap();
    let docker = fake.backend(CliOptions::default());
    World { fake, docker }
}

impl World {
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.fake.path("log")).unwrap_or_default();
        log.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    fn file(&self) -> (PathBuf, fs::File) {
        let path = self.fake.path("result");
        (path.clone(), fs::File::create(path).unwrap())
    }
}

fn copies(resources: &[&str], destinations: &[(&str, &str)]) -> Copies {
    Copies {
        resources: resources.iter().map(|&resource| resource.to_owned()).collect(),
        destinations: destinations.iter().map(|(name, to)| ((*name).into(), (*to).into())).collect(),
        ..Copies::default()
    }
}

/// `path=text` of every file below a folder, sorted; folders that are empty end with a slash.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push(format!("{name}={}", fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

fn members(path: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(path).unwrap()));
    let entries = archive.entries().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    names.sort();
    names
}

fn shown(error: &Error) -> String {
    format!("{error}: {}", error.cause)
}

const DATA1: &str = "/var/lib/app/data1";
const DATA2: &str = "/var/lib/app/data2";

/// clients-tasks §6.2, the table, with real files.
#[tokio::test]
async fn resources_are_arranged_on_the_host() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        (&[DATA1], &[], &["var/lib/app/data1/a=a1", "var/lib/app/data1/sub/.hidden=h"]),
        (&["/etc/hosts"], &[], &["etc/hosts=hosts"]),
        (&[DATA1], &[(DATA1, "x/d1")], &["x/d1/a=a1", "x/d1/sub/.hidden=h"]),
        (&["/etc/hosts"], &[("/etc/hosts", "conf/h")], &["conf/h=hosts"]),
        (&[DATA1, DATA2], &[("*", "merged")], &["merged/a=a2", "merged/b=b2", "merged/sub/.hidden=h"]),
        (&[DATA2, DATA1], &[("*", "")], &["a=a1", "b=b2", "sub/.hidden=h"]),
        (&[DATA1, DATA2], &[("*", "m"), (DATA1, "d1")], &["d1/a=a1", "d1/sub/.hidden=h", "m/a=a2", "m/b=b2"]),
        (&["/etc/hosts"], &[("*", "m")], &["m/hosts=hosts"]),
        (&["/odd/it's $HOME `id`"], &[("*", "it's\n$x")], &["it's\n$x/it's $HOME `id`=odd"]),
    ];
    for (resources, destinations, expected) in cases {
        let world = world();
        let folder = world.fake.path("to it's");
        let copies = copies(resources, destinations);
        let done = world.docker.copy_resources("c", &copies, folder.to_str().unwrap()).await;
        done.unwrap_or_else(|error| panic!("{}", shown(&error)));
        assert_eq!(tree(&folder), expected, "{resources:?} {destinations:?}");
        world.fake.assert_tidy();
    }
}

/// A container's link must not lead a later file out of the folder.
#[tokio::test]
async fn links_of_a_container_lead_nowhere_else() {
    let world = world();
    let outside = world.fake.path("outside");
    fs::write(&outside, "untouched").unwrap();
    fs::create_dir_all(world.fake.path("root/one")).unwrap();
    fs::create_dir_all(world.fake.path("root/two")).unwrap();
    std::os::unix::fs::symlink(&outside, world.fake.path("root/one/x")).unwrap();
    fs::write(world.fake.path("root/two/x"), "of the container").unwrap();
    let folder = world.fake.path("to");
    let copies = copies(&["/one", "/two"], &[("*", "m")]);
    world.docker.copy_resources("c", &copies, folder.to_str().unwrap()).await.unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    assert_eq!(tree(&folder), ["m/x=of the container"]);
}

/// Nor may a link to a folder that came with one resource lead another out, as folder, parent or file.
#[tokio::test]
async fn links_to_folders_lead_nowhere_else() {
    for (resource, to) in
        [("/etc/conf", "sub"), ("/etc/conf", "sub/deep"), ("/etc/hosts", "sub/hosts"), ("/etc/hosts", "sub")]
    {
        let world = world();
        let outside = world.fake.path("outside");
        fs::create_dir(&outside).unwrap();
        for folder in ["root/data", "root/etc/conf"] {
            fs::create_dir_all(world.fake.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(&outside, world.fake.path("root/data/sub")).unwrap();
        fs::write(world.fake.path("root/etc/conf/authorized_keys"), "of the container").unwrap();
        let copies = copies(&["/data", resource], &[("/data", ""), (resource, to)]);
        let folder = world.fake.path("to");
        let error = world.docker.copy_resources("c", &copies, folder.to_str().unwrap()).await.unwrap_err();
        assert_eq!(tree(&outside), [""; 0], "{resource} {to}");
        let link = folder.join("sub");
        assert!(shown(&error).contains(&format!("`{}` is a link", link.display())), "{}", shown(&error));
        let error = world.docker.isolate_and_get("c", &copies, world.file().1).await.unwrap_err();
        assert!(shown(&error).contains("/copy/sub` is a link"), "{}", shown(&error));
        assert_eq!(tree(&outside), [""; 0], "{resource} {to}");
        world.fake.assert_tidy();
    }
}

#[tokio::test]
async fn mode_and_owner_are_set() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let world = world();
    let folder = world.fake.path("to");
    let mut copies = copies(&[DATA1], &[("*", "")]);
    copies.mode = Some("u=rwX,g=rX,o=".into());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    copies.owner = is_root.then(|| "1234:2345".to_owned());
    world.docker.copy_resources("c", &copies, folder.to_str().unwrap()).await.unwrap();
    let found = fs::metadata(folder.join("a")).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o640);
    if is_root {
        assert_eq!((found.uid(), found.gid()), (1234, 2345));
    }
}

/// clients-tasks §6.1, §6.3, §6.5
#[tokio::test]
async fn archives_arrive_with_the_names_that_are_asked_for() {
    let world = world();
    let (path, file) = world.file();
    let count = world.docker.copy_resource("c", "/var/lib/app/data1/", true, file).await.unwrap();
    assert_eq!((members(&path), count), (["a", "sub/", "sub/.hidden"].map(str::to_owned).to_vec(), 3));
    let (path, file) = world.file();
    world.docker.copy_resource("c", DATA1, false, file).await.unwrap();
    assert_eq!(members(&path), ["data1/", "data1/a", "data1/sub/", "data1/sub/.hidden"]);
    let (path, file) = world.file();
    world.docker.copy_resource("c", "/etc/hosts", true, file).await.unwrap();
    assert_eq!(members(&path), ["hosts"]);
    let (path, file) = world.file();
    let d1d2 = copies(&[DATA1, DATA2], &[(DATA1, "d1"), (DATA2, "d2")]);
    world.docker.isolate_and_get("c", &d1d2, file).await.unwrap();
    assert_eq!(members(&path), ["d1/", "d1/a", "d1/sub/", "d1/sub/.hidden", "d2/", "d2/a", "d2/b"]);
    let (path, file) = world.file();
    world.docker.save_compressed("i", file).await.unwrap();
    let mut text = String::new();
    let file = fs::File::open(path).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    assert_eq!(text, "layers of i");
    world.fake.assert_tidy();
}

/// An image's stream is compressed by the program that was chosen; what fails is an error of the stream.
#[tokio::test]
async fn an_image_is_a_compressed_stream() {
    use tokio::io::AsyncReadExt;
    let world = world();
    world.fake.program("zstd", "#!/bin/sh\nprintf '%s:' \"$*\"\nexec cat\n");
    let mut text = String::new();
    let mut stream = world.docker.save_stream("i", Compressor::Zstd).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "-1 -q -c:layers of i");
    let (mut packed, mut text) = (Vec::new(), String::new());
    let mut stream = world.docker.save_stream("i", Compressor::Gzip).await.unwrap();
    stream.read_to_end(&mut packed).await.unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed), &mut text).unwrap();
    assert_eq!(text, "layers of i");
    let absent = match world.docker.save_stream("absent", Compressor::Gzip).await {
        Ok(mut stream) => {
            let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
            error.downcast::<Error>().unwrap()
        }
        Err(error) => error,
    };
    assert!(absent.is_not_found(), "{}", shown(&absent));
    world.fake.assert_tidy();
}

/// clients-tasks §6.4
#[tokio::test]
async fn an_image_is_made_of_resources() {
    let world = world();
    world.docker.isolate_to_image("c", &copies(&[DATA1], &[("*", "d")]), "reg:5000/x:1").await.unwrap();
    let archive = fs::read(world.fake.path("imported")).unwrap();
    let mut archive = tar::Archive::new(archive.as_slice());
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.iter().any(|name| name.ends_with("d/sub/.hidden")), "{names:?}");
    assert_eq!(fs::read_to_string(world.fake.path("imported-as")).unwrap(), "reg:5000/x:1\n");
    world.fake.assert_tidy();
}

/// clients-tasks §6.6, §7.1: the container is removed, also when something fails.
#[tokio::test]
async fn a_temporary_container_is_always_removed() {
    let no_op = ["/bin/true".to_owned()];
    for (fails, expected) in [
        (None, &["create", "start", "wait", "export", "import", "rm"][..]),
        (Some("create"), &["create", "rm"]),
        (Some("start"), &["create", "start", "rm"]),
        (Some("export"), &["create", "start", "wait", "export", "rm"]),
        (Some("import"), &["create", "start", "wait", "export", "import", "rm"]),
    ] {
        let world = world();
        if let Some(fails) = fails {
            fs::write(world.fake.path("fail"), fails).unwrap();
        }
        let result = world.docker.flatten_image("i", "flat:1", &no_op).await;
        assert_eq!(world.log(), expected, "{fails:?}");
        match (fails, result) {
            (None, Ok(warnings)) => {
                assert!(warnings.is_empty());
                assert_eq!(fs::read_to_string(world.fake.path("imported")).unwrap(), "file system");
            }
            (Some(fails), Err(error)) => {
                assert!(shown(&error).ends_with(&format!("{fails} fails")), "{}", shown(&error));
            }
            (_, other) => panic!("{fails:?}: {other:?}"),
        }
        world.fake.assert_tidy();
    }
    let world = world();
    fs::write(world.fake.path("ended"), "5\n").unwrap();
    let warnings = world.docker.flatten_image("i", "flat:1", &no_op).await.unwrap();
    assert_eq!(warnings, ["the command that should do nothing ended with status 5"]);
}

/// D-56: nothing that failed looks like a result.
#[tokio::test]
async fn failures_in_a_pipe_are_failures() {
    let world = world();
    for (container, resource) in [("c", "/none"), ("c", "/var/none/")] {
        let error = world.docker.copy_resource(container, resource, true, world.file().1).await.unwrap_err();
        assert!(error.is_not_found(), "{}", shown(&error));
    }
    let error = world.docker.save_compressed("absent", world.file().1).await.unwrap_err();
    assert!(error.is_not_found(), "{}", shown(&error));
    let none = copies(&[DATA1, "/none"], &[]);
    for error in [
        world.docker.copy_resources("c", &none, world.fake.path("x").to_str().unwrap()).await.unwrap_err(),
        world.docker.isolate_and_get("c", &none, world.file().1).await.unwrap_err(),
        world.docker.isolate_to_image("c", &none, "x").await.unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{}", shown(&error));
    }
    assert!(!world.fake.path("imported").exists());
    // A `gzip` that is missing, and a file that cannot be written.
    world.fake.program("gzip", "#!/bin/sh\necho 'gzip: no space' >&2\nexit 9\n");
    let error = world.docker.save_compressed("i", world.file().1).await.unwrap_err();
    assert!(shown(&error).contains("gzip: no space"), "{}", shown(&error));
    world.fake.program("gzip", "#!/bin/sh\nexec /bin/gzip \"$@\"\n");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = world.docker.copy_resource("c", DATA1, true, full).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Input(_) | Cause::Refused { .. }), "{}", shown(&error));
    world.fake.assert_tidy();
}

#[tokio::test]
async fn names_that_are_none_reach_no_shell() {
    let world = world();
    let fine = copies(&[DATA1], &[]);
    let errors = [
        world.docker.copy_resource("c; id", "/x", true, world.file().1).await.unwrap_err(),
        world.docker.copy_resource("c", "x", true, world.file().1).await.unwrap_err(),
        world.docker.copy_resources("c", &fine, "relative").await.unwrap_err(),
        world.docker.isolate_to_image("c", &fine, "-x").await.unwrap_err(),
        world.docker.save_compressed("$(id)", world.file().1).await.unwrap_err(),
        world.docker.flatten_image("i", "a b", &["true".to_owned()]).await.unwrap_err(),
        world.docker.flatten_image("i", "x", &[]).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error.cause, Cause::Input(_)), "{}", shown(&error));
    }
    assert!(world.log().is_empty());
}

/// A session that is closed under a utility: the host is left as it was.
#[tokio::test]
async fn an_interrupted_utility_leaves_nothing_behind() {
    let world = world();
    world.fake.program("gzip", "#!/bin/sh\nsleep 1\nexec /bin/gzip \"$@\"\n");
    let (_, file) = world.file();
    let copies = copies(&[DATA1], &[]);
    let call = world.docker.isolate_and_get("c", &copies, file);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(400), call).await.is_err());
    world.fake.assert_tidy();
}
