//! A bare Debian host: made by debootstrap, without Docker and socat, for the set-up tasks to work on.
//!
//! Its root lies in the cache, and a host is an overlay over it. A host reaches no mirror; the packages that the
//! set-up tasks install lie in a folder of it, as an apt repository.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::state::{Lab, cache};
use super::{machine, registry, setup, ssh};
use crate::run::{Runs as _, tool};

const SUITE: &str = "bookworm";

/// What a small installation has: a way in, a way to root, and what the lab itself calls.
const INCLUDE: &str = "ca-certificates,iproute2,openssh-server,sudo";

/// What the set-up tasks install, with what the compiler only recommends.
const POOL: [&str; 6] = ["docker.io", "socat", "gcc", "libc6-dev", "make", "curl"];

/// The repository's folder on the host.
const POOL_FOLDER: &str = "srv/pool";

/// Finds the root of bare hosts, making it where it is not in the cache.
pub fn provide() -> Result<PathBuf> {
    let root = cache().join("bare").join(SUITE);
    if fs::read_to_string(root.join("complete")).is_ok_and(|made| made == contents()) {
        return Ok(root);
    }
    make(&root).context("a bare host cannot be made")?;
    Ok(root)
}

/// Returns what a root has: one that was made for fewer packages is made anew.
fn contents() -> String {
    format!("{SUITE} {INCLUDE} {} and the sources of socat", POOL.join(" "))
}

fn make(root: &Path) -> Result<()> {
    eprintln!("[lab] making the root of bare hosts: Debian {SUITE}");
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove `{}`", root.display()))?;
    }
    fs::create_dir_all(root).context("cannot make the folder of bare hosts")?;
    tool("debootstrap")
        .args(["--variant=minbase", "--include", INCLUDE, SUITE])
        .arg(root)
        .arg(setup::machine_mirror("debian"))
        .read()?;
    let inside = |command: &[&str]| {
        tool("chroot")
            .arg(root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8")
            .args(command)
            .read()
    };
    let write = |path: &str, text: &str| {
        fs::write(root.join(path), text).with_context(|| format!("cannot write `{path}` of a bare host"))
    };
    let sources =
        fs::read_to_string(root.join("etc/apt/sources.list")).context("debootstrap names no mirror")?;
    write("etc/apt/sources.list", &format!("{sources}\n{}", sources.replace("deb ", "deb-src ")))?;
    inside(&["apt-get", "update", "--quiet"])?;
    inside(&["apt-get", "clean"])?;
    let download = ["apt-get", "install", "--yes", "--quiet", "--download-only", "--no-install-recommends"];
    inside(&[&download[..], &POOL].concat())?;
    // Into the root's own folder; they are compiled by the test of `docker.build_socat`.
    inside(&["sh", "-c", "cd /var/cache/apt/archives && apt-get source --download-only socat"])?;
    let archives = root.join("var/cache/apt/archives");
    let pool = root.join(POOL_FOLDER);
    fs::create_dir_all(&pool).context("cannot make the folder of packages")?;
    let entries = fs::read_dir(&archives).with_context(|| format!("cannot read `{}`", archives.display()))?;
    for file in entries.flatten().map(|entry| entry.path()) {
        let is_package = file.extension().is_some_and(|extension| extension == "deb");
        if is_package || file.to_string_lossy().ends_with(".orig.tar.gz") {
            let name = file.file_name().expect("an entry of a folder has a name");
            fs::rename(&file, pool.join(name)).context("cannot move a package")?;
        }
    }
    write_index(&pool)?;
    write("etc/apt/sources.list", &format!("deb [trusted=yes] file:/{POOL_FOLDER} ./\n"))?;
    write("complete", &contents())
}

/// Writes the index of a flat repository (deb-src(5), `Packages`).
fn write_index(pool: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(pool)
        .context("cannot read the folder of packages")?
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    files.sort();
    let mut index = String::new();
    for file in files {
        let control = tool("dpkg-deb").arg("--field").arg(&file).read()?;
        let sum = tool("sha256sum").arg(&file).read()?;
        let sum = sum.split_ascii_whitespace().next().unwrap_or_default();
        let size = fs::metadata(&file).context("cannot read a package")?.len();
        let name = file.file_name().expect("an entry of a folder has a name").to_string_lossy();
        writeln!(index, "{}\nFilename: ./{name}\nSize: {size}\nSHA256: {sum}\n", control.trim_end())
            .expect("writing to a string cannot fail");
    }
    fs::write(pool.join("Packages"), index).context("cannot write the index of packages")
}

/// Starts the bare host and records it.
pub fn start(lab: &mut Lab, root: &Path) -> Result<()> {
    let address = format!("{}.9", lab.subnet);
    let folder = lab.folder.join("hosts").join("bare");
    let spec = machine::Spec { name: "bare", address: &address, engine: None, root: Some(root) };
    let machine = machine::start(&lab.id, &format!("{}-b", lab.id), &folder, &spec)?;
    lab.bare = Some(machine);
    lab.save()?;
    let machine = lab.bare.as_ref().expect("it was set above");
    ssh::make_users(lab, machine, ssh::Docker::Absent)?;
    // The engine that will be installed must fit into the lab, as those of the other hosts do by their options.
    let daemon = serde_json::json!({
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": format!("/{}/bare", lab.id),
        "insecure-registries": [registry::NAME, registry::NAME_WITH_LOGIN, format!("{}.0/24", lab.subnet)],
    });
    machine
        .enter(&["sh", "-c", "mkdir -p /etc/docker && cat > /etc/docker/daemon.json"])
        .read_with_input(daemon.to_string().as_bytes())?;
    // Debian's script raises a limit, which root of a machine inside a container may not.
    machine
        .enter(&["sh", "-c", "cat > /etc/default/docker"])
        .read_with_input(b"# Written by `cargo xtask lab`.\nulimit() { :; }\n")?;
    ssh::start(lab, machine)
}
