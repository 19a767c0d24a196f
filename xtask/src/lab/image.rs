//! The lab's images: made from Debian's packages and one small program, kept in the cache, pushed to the registry.
//!
//! No registry of the world can be reached, so each image is a root file system as a tar file, taken in with
//! `docker import`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::registry;
use super::setup::Apt;
use super::state::{Host, Lab, cache};
use crate::run::{Runs as _, find, tool};
use crate::{interrupt, project};

/// The tar files of all images.
pub struct Images {
    folder: PathBuf,
}

/// One image: its repository and tag, its tar file, and what `docker import --change` sets.
pub struct Image {
    /// Repository and tag, without a registry, such as `app:2`.
    pub reference: &'static str,
    file: &'static str,
    changes: &'static [&'static str],
}

const BUSYBOX: Image = Image { reference: "busybox:latest", file: "busybox", changes: &["CMD [\"sh\"]"] };

/// What the registry of a new lab holds. `app:latest` is version 1.
const PUBLISHED: [Image; 5] = [
    BUSYBOX,
    Image {
        reference: "nginx:latest",
        file: "nginx",
        changes: &["CMD [\"nginx\", \"-g\", \"daemon off;\"]", "EXPOSE 80"],
    },
    Image { reference: "app:latest", file: "app-1", changes: APP },
    Image { reference: "app:1", file: "app-1", changes: APP },
    Image { reference: "app:2", file: "app-2", changes: APP },
];

const APP: &[&str] = &["CMD [\"/bin/app\"]"];

/// Raised when what is made below changes, so that caches of older checkouts are not used.
const RECIPE: &str = "3";

impl Images {
    /// Makes the images that are not in the cache.
    pub fn provide() -> Result<Images> {
        let folder = cache().join("images");
        fs::create_dir_all(&folder).context("cannot make the cache of images")?;
        let images = Images { folder };
        images.make("busybox", RECIPE, busybox).context("cannot make the image `busybox`")?;
        images.make("nginx", RECIPE, nginx).context("cannot make the image `nginx`")?;
        let source = project::root().join("xtask/images/app.rs");
        let recipe = fs::read_to_string(&source).context("cannot read the example's application")?;
        let recipe = format!("{RECIPE}\n{recipe}");
        for version in ["1", "2"] {
            images
                .make(&format!("app-{version}"), &recipe, |root| app(root, &source, version))
                .context("cannot make the image `app`")?;
        }
        Ok(images)
    }

    /// Returns the tar file of a root file system, such as `app-2`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.tar"))
    }

    /// Makes one root file system, unless the cache has it from the same recipe.
    fn make(&self, name: &str, recipe: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (file, used) = (self.file(name), self.folder.join(format!("{name}.recipe")));
        if file.exists() && fs::read_to_string(&used).is_ok_and(|used| used == recipe) {
            return Ok(());
        }
        let root = self.folder.join(name);
        if root.exists() {
            fs::remove_dir_all(&root).context("cannot empty an unfinished image")?;
        }
        fs::create_dir_all(&root).context("cannot make an image's folder")?;
        fill(&root)?;
        let unfinished = self.folder.join(format!("{name}.tar.new"));
        tool("tar")
            .args(["--owner=0", "--group=0", "--numeric-owner", "-C"])
            .arg(&root)
            .arg("-cf")
            .arg(&unfinished)
            .arg(".")
            .read()?;
        fs::rename(&unfinished, &file)
            .and_then(|()| fs::write(&used, recipe))
            .context("cannot write to the cache")?;
        fs::remove_dir_all(&root).context("cannot remove an image's folder")
    }
}

fn busybox(root: &Path) -> Result<()> {
    let program = find("busybox").context("no `busybox` (package busybox-static)")?;
    let bin = root.join("bin");
    for folder in ["bin", "etc", "root", "tmp"] {
        fs::create_dir(root.join(folder)).context("cannot make an image's folder")?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))
        .context("cannot open `/tmp`")?;
    fs::copy(&program, bin.join("busybox")).context("cannot copy busybox")?;
    for applet in Command::new(&program).arg("--list").read()?.lines() {
        if applet != "busybox" {
            symlink("busybox", bin.join(applet)).context("cannot make a busybox applet")?;
        }
    }
    write_users(root, "")
}

/// Writes the users that an image knows: `root`, `app`, `nobody`, and `more` lines of `passwd`.
fn write_users(root: &Path, more: &str) -> Result<()> {
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\napp:x:2000:2000:app:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n{more}"
    );
    // User and group 2000 are the example's application (`user: 2000`); web servers that talk to its socket are in it.
    let group = "root:x:0:\nwww-data:x:33:\napp:x:2000:www-data\nnogroup:x:65534:\n";
    fs::write(root.join("etc/passwd"), passwd)
        .and_then(|()| fs::write(root.join("etc/group"), group))
        .context("cannot write an image's users")
}

fn nginx(root: &Path) -> Result<()> {
    let apt = Apt::of_suite("bookworm")?;
    let mut packages = vec!["nginx".to_owned()];
    // nginx's own libraries, and theirs; the scripts' needs of the other dependencies are not for a container.
    let mut seen = 0;
    while let Some(package) = packages.get(seen).cloned() {
        seen += 1;
        for dependency in apt.dependencies(&package)? {
            if (dependency.starts_with("lib") || dependency.starts_with("zlib"))
                && !packages.contains(&dependency)
            {
                packages.push(dependency);
            }
        }
    }
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    for package in apt.download(&names)? {
        tool("dpkg").arg("-x").arg(package).arg(root).read()?;
    }
    for part in [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/lintian",
        "usr/lib/x86_64-linux-gnu/gconv",
    ] {
        let part = root.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove `{}`", part.display()))?;
        }
    }
    for folder in ["etc/nginx", "var/log/nginx", "var/lib/nginx", "run", "tmp", "root", "bin"] {
        fs::create_dir_all(root.join(folder)).context("cannot make an image's folder")?;
    }
    // A shell for those who look into the container.
    let busybox = find("busybox").context("no `busybox` (package busybox-static)")?;
    fs::copy(busybox, root.join("bin/busybox")).context("cannot copy busybox")?;
    for applet in ["sh", "ls", "cat", "id"] {
        symlink("busybox", root.join("bin").join(applet)).context("cannot make a busybox applet")?;
    }
    if !root.join("usr/sbin/nginx").is_file() {
        bail!("Debian's package `nginx` does not hold `usr/sbin/nginx`");
    }
    write_users(root, "www-data:x:33:33:www-data:/var/www:/bin/false\n")
}

fn app(root: &Path, source: &Path, version: &str) -> Result<()> {
    busybox(root)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .current_dir(project::root())
        .args(["--edition=2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .arg(root.join("bin/app"))
        .arg(source)
        .read()?;
    fs::write(root.join("version"), format!("{version}\n")).context("cannot write the application's version")
}

/// Takes an image in on a host under `reference`, as `docker import` does. Returns its ID.
pub fn import(host: &Host, images: &Images, file: &str, changes: &[&str], reference: &str) -> Result<String> {
    let tar = fs::File::open(images.file(file)).with_context(|| format!("no image `{file}` in the cache"))?;
    let mut command = vec!["docker", "import"];
    for change in changes {
        command.extend(["--change", change]);
    }
    command.extend(["-", reference]);
    let mut enter = host.machine.enter(&command);
    let output = enter.stdin(Stdio::from(tar)).output().context("cannot start `nsenter`")?;
    interrupt::check()?;
    if !output.status.success() {
        bail!("`{}` failed:\n{}", enter.line(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Takes a version of the example's application in on a host, as `registry.example.com/app:latest`.
pub fn import_app(host: &Host, version: &str) -> Result<String> {
    let images = Images::provide()?;
    import(host, &images, &format!("app-{version}"), APP, &format!("{}/app:latest", registry::NAME))
}

/// Pushes all images to the registry, and gives each host the helper image `busybox:latest`.
///
/// The hosts hold no other image afterwards: what a map needs is pulled.
pub fn publish(lab: &Lab, images: &Images) -> Result<()> {
    let first = lab.hosts.first().context("a lab has at least one host")?;
    std::thread::scope(|scope| {
        let others: Vec<_> = lab.hosts[1..]
            .iter()
            .map(|host| {
                scope.spawn(|| import(host, images, BUSYBOX.file, BUSYBOX.changes, BUSYBOX.reference))
            })
            .collect();
        let mut references = Vec::new();
        for image in &PUBLISHED {
            let reference = format!("{}/{}", registry::NAME, image.reference);
            import(first, images, image.file, image.changes, &reference)?;
            references.push(reference);
        }
        for reference in &references {
            first.machine.enter(&["docker", "push", reference]).read()?;
        }
        let mut remove = vec!["docker", "rmi", "--force"];
        remove.extend(references.iter().map(String::as_str));
        first.machine.enter(&remove).read()?;
        import(first, images, BUSYBOX.file, BUSYBOX.changes, BUSYBOX.reference)?;
        for other in others {
            other.join().expect("no thread of ours panics")?;
        }
        Ok(())
    })
}
