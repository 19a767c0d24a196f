//! What the lab needs of this machine: packages, rights, kernel features.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::state::cache;
use crate::run::{Runs as _, find, tool};

/// Programs that the lab calls, and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 22] = [
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("runc", "runc"),
    ("tini", "tini"),
    ("tini-static", "tini"),
    ("socat", "socat"),
    ("debootstrap", "debootstrap"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("busybox", "busybox-static"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("pgrep", "procps"),
    ("sudo", "sudo"),
    ("dropbear", "dropbear-bin"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("script", "bsdutils"),
    ("zsh", "zsh"),
    ("fish", "fish"),
];

/// Packages without a program that we call: nginx is fetched with certificates checked by their names.
const CA_CERTIFICATES: &str = "ca-certificates";

/// Returns the missing packages, each once.
fn missing_packages() -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (program, package) in PROGRAMS {
        if find(program).is_none() && !missing.contains(&package) {
            missing.push(package);
        }
    }
    missing
}

/// Returns whether this program may make a lab at all.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails with all that is missing on this machine.
pub fn check() -> Result<()> {
    let mut missing = Vec::new();
    if !is_root() {
        missing.push(
            "right: root (namespaces, bridges and engines need it); run it as root or with sudo".to_owned(),
        );
    }
    let packages = missing_packages();
    if !packages.is_empty() {
        missing.push(format!(
            "packages: {}; `cargo xtask lab setup` installs them (as root)",
            packages.join(", ")
        ));
    }
    let file_systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !file_systems.lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay") {
        let loaded = is_root() && tool("modprobe").arg("overlay").succeeds();
        if !loaded {
            missing.push("kernel feature: overlayfs (`modprobe overlay` failed)".to_owned());
        }
    }
    for namespace in ["mnt", "net", "pid", "uts", "ipc"] {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            missing.push(format!("kernel feature: {namespace} namespaces"));
        }
    }
    let cgroups = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if !cgroups.lines().any(|line| line.split(' ').nth(2).is_some_and(|kind| kind.starts_with("cgroup"))) {
        missing.push("kernel feature: control groups are not mounted below `/sys/fs/cgroup`".to_owned());
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the lab cannot be made here; missing:\n  {}", missing.join("\n  "))
}

/// Installs missing packages when this program may; a lab that still cannot be made says why by itself.
pub fn install_if_allowed() -> Result<()> {
    if is_root() && find("apt-get").is_some() && !missing_packages().is_empty() {
        install()?;
    }
    Ok(())
}

/// Installs what is missing, without starting any service.
pub fn install() -> Result<()> {
    let packages = missing_packages();
    if packages.is_empty() {
        println!("all packages of the lab are installed");
        return Ok(());
    }
    if !is_root() {
        bail!("only root can install packages; missing: {}", packages.join(", "));
    }
    if find("apt-get").is_none() {
        bail!(
            "this is no Debian: there is no apt-get; install the programs of these packages: {}",
            packages.join(", ")
        );
    }
    println!("installing {}", packages.join(", "));
    let _policy = NoServices::new()?;
    let install = || {
        tool("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends", CA_CERTIFICATES])
            .args(&packages)
            .read()
    };
    // The lists may be absent or old; asking for them first would cost a clean machine nothing and others seconds.
    if install().is_err() {
        tool("apt-get").args(["update", "--quiet"]).read()?;
        install()?;
    }
    Ok(())
}

/// Keeps packages from starting their services (Debian's `policy-rc.d`), as long as it lives.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn new() -> Result<NoServices> {
        if Path::new(POLICY).exists() {
            return Ok(NoServices { ours: false });
        }
        fs::write(
            POLICY,
            "#!/bin/sh\n# Written by `cargo xtask lab setup` for the time of an installation.\nexit 101\n",
        )
        .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write `{POLICY}`"))?;
        Ok(NoServices { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("warning: cannot remove `{POLICY}`: {error}");
        }
    }
}

/// Debian's packages without touching this machine's own apt configuration and lists.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Reads the package lists of a suite, such as `trixie`.
    pub fn of_suite(suite: &str) -> Result<Apt> {
        let folder = cache().join("apt").join(suite);
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(part)).context("cannot make a folder for apt")?;
        }
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let machine = machine_sources();
        let source = |suite: &str, archive: &str| {
            format!("deb [signed-by={keyring}] {} {suite} main\n", mirror(&machine, archive))
        };
        let mut sources = source(suite, "debian");
        if suite != "sid" {
            // A stable release's newer packages want libraries of the same state.
            sources.push_str(&source(&format!("{suite}-security"), "debian-security"));
        }
        fs::write(folder.join("sources.list"), sources).context("cannot write apt's sources")?;
        let apt = Apt { folder };
        apt.get().args(["update", "--quiet"]).read()?;
        Ok(apt)
    }

    /// Downloads packages and returns their files.
    pub fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("packages");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot empty apt's download folder")?;
        }
        fs::create_dir_all(&folder).context("cannot make apt's download folder")?;
        self.get().current_dir(&folder).arg("download").args(packages).read()?;
        let entries = fs::read_dir(&folder).context("cannot read apt's download folder")?;
        let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        if files.len() < packages.len() {
            bail!("apt brought {} of {} packages", files.len(), packages.len());
        }
        Ok(files)
    }

    /// Returns the packages that `package` depends on, without alternatives, in apt's order.
    pub fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let text = self.command("apt-cache").args(["depends", package]).read()?;
        Ok(text.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned).collect())
    }

    fn get(&self) -> Command {
        self.command("apt-get")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = tool(program);
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        command
            .env("LC_ALL", "C.UTF-8")
            .args(["-o", &option("Dir::Etc::sourcelist", &self.folder.join("sources.list"))])
            .args(["-o", "Dir::Etc::sourceparts=-"])
            .args(["-o", &option("Dir::State::lists", &self.folder.join("lists"))])
            .args(["-o", &option("Dir::Cache", &self.folder)])
            // The folder may lie where apt's own user cannot look, and no index beyond the packages' is wanted.
            .args(["-o", "APT::Sandbox::User=root"])
            .args(["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"])
            .args(["-o", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"])
            .args(["-o", "Acquire::Retries=3"]);
        command
    }
}

/// Returns where this machine gets an archive of Debian from.
pub fn machine_mirror(archive: &str) -> String {
    mirror(&machine_sources(), archive)
}

/// Returns the text of all files that name this machine's package sources.
fn machine_sources() -> String {
    let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        text.push('\n');
        text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
    }
    text
}

/// Returns where this machine gets the archive `debian` or `debian-security` from: a mirror may be all it can reach.
fn mirror(sources: &str, archive: &str) -> String {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    let found = lines
        .flat_map(str::split_ascii_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.starts_with("http") && word.ends_with(&format!("/{archive}")));
    found.map_or_else(|| format!("http://deb.debian.org/{archive}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::mirror;

    #[test]
    fn the_machines_own_mirror_is_used() {
        let sources = "# deb http://old.example/debian bookworm main\n\
                       deb https://mirror.example/debian/ bookworm main\n\
                       URIs: http://security.example/debian-security\n";
        assert_eq!(mirror(sources, "debian"), "https://mirror.example/debian");
        assert_eq!(mirror(sources, "debian-security"), "http://security.example/debian-security");
        assert_eq!(
            mirror("deb http://archive.example/snapshot/2025/ sid main", "debian"),
            "http://deb.debian.org/debian"
        );
    }
}
