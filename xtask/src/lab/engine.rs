//! Engine generations: where they come from, and starting one on a host.
//!
//! Generation 20.10 is Debian 12's own package. The others are unpacked with `dpkg -x` into the cache and laid over
//! a host's `/usr`, so nothing on this machine changes. They run with Debian 12's `runc`: theirs wants a
//! newer C library.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::setup::Apt;
use super::state::{Host, Lab, cache};
use super::{machine, registry, ssh};
use crate::interrupt;
use crate::run::{Runs as _, tool};

/// A generation of the Docker engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
pub enum Generation {
    /// Debian 12: API 1.41.
    #[value(name = "20.10")]
    #[serde(rename = "20.10")]
    V20,
    /// Debian 13: API 1.45.
    #[value(name = "26.1")]
    #[serde(rename = "26.1")]
    V26,
    /// Debian unstable: API 1.51.
    #[value(name = "28.5")]
    #[serde(rename = "28.5")]
    V28,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.version())
    }
}

impl Generation {
    /// All of them, oldest first.
    pub const ALL: [Generation; 3] = [Generation::V20, Generation::V26, Generation::V28];

    /// Returns the first two numbers of the engine's version.
    pub fn version(self) -> &'static str {
        match self {
            Generation::V20 => "20.10",
            Generation::V26 => "26.1",
            Generation::V28 => "28.5",
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Generation::V20 => "bookworm",
            Generation::V26 => "trixie",
            Generation::V28 => "sid",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Generation::V20 => &["docker.io", "containerd"],
            Generation::V26 | Generation::V28 => &["docker.io", "docker-cli", "containerd"],
        }
    }
}

/// An engine that can be started.
pub struct Engine {
    generation: Generation,
    /// The folder whose `usr` lies over a host's own; `None` for what is installed.
    folder: Option<PathBuf>,
}

impl Engine {
    /// Finds an engine of this generation, fetching its packages where they are not in the cache.
    pub fn provide(generation: Generation) -> Result<Engine> {
        if installed(generation) {
            return Ok(Engine { generation, folder: None });
        }
        let folder = cache().join("engines").join(generation.version());
        if !folder.join("complete").exists() {
            fetch(generation, &folder).with_context(|| {
                format!("engine {generation} cannot be had from Debian {}", generation.suite())
            })?;
        }
        Ok(Engine { generation, folder: Some(folder) })
    }
}

fn installed(generation: Generation) -> bool {
    let version = std::process::Command::new("/usr/sbin/dockerd").arg("--version").read();
    version.is_ok_and(|text| text.starts_with(&format!("Docker version {}.", generation.version())))
}

fn fetch(generation: Generation, folder: &std::path::Path) -> Result<()> {
    eprintln!("[lab] fetching engine {generation} from Debian {}", generation.suite());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).context("cannot make the engine's folder")?;
    let packages = Apt::of_suite(generation.suite())?.download(generation.packages())?;
    for package in packages {
        tool("dpkg").arg("-x").arg(&package).arg(folder).read()?;
    }
    // `runc` stays Debian 12's, and documentation is of no use over a host's own.
    for part in ["usr/bin/runc", "usr/sbin/runc", "usr/share"] {
        let part = folder.join(part);
        if part.is_dir() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove `{}`", part.display()))?;
        } else if part.exists() {
            fs::remove_file(&part).with_context(|| format!("cannot remove `{}`", part.display()))?;
        }
    }
    let version = std::process::Command::new(folder.join("usr/sbin/dockerd")).arg("--version").read()?;
    if !version.contains(generation.version()) {
        bail!("Debian {} now has `{}`, not {generation}", generation.suite(), version.trim());
    }
    fs::write(folder.join("complete"), version).context("cannot write to the cache")
}

/// Starts a host and its engine, and records it.
pub fn start(lab: &mut Lab, index: usize, engine: &Engine) -> Result<()> {
    let number = index + 1;
    let name = format!("host{number}");
    let address = format!("{}.{}", lab.subnet, 10 + number);
    let folder = lab.folder.join("hosts").join(&name);
    let spec = machine::Spec { name: &name, address: &address, engine: engine.folder.as_deref(), root: None };
    let machine = machine::start(&lab.id, &format!("{}-{number}", lab.id), &folder, &spec)?;
    lab.hosts.push(Host { machine, engine: engine.generation });
    lab.save()?;
    let host = lab.hosts.last().expect("it was pushed above");
    ssh::make_users(lab, &host.machine, ssh::Docker::Present)?;
    fs::create_dir_all(folder.join("docker")).context("cannot make the engine's folder")?;
    start_engine(lab, host)
}

/// Starts a host's engine. It may have been stopped by a test.
pub fn start_engine(lab: &Lab, host: &Host) -> Result<()> {
    let machine = &host.machine;
    let any = format!("{}.0/24", lab.subnet);
    let group = format!("/{}/{}", lab.id, machine.name);
    machine.start_service(
        "dockerd.log",
        &[
            "dockerd",
            "--pidfile=/run/docker.pid",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--cgroup-parent",
            &group,
            "--insecure-registry",
            registry::NAME,
            "--insecure-registry",
            registry::NAME_WITH_LOGIN,
            "--insecure-registry",
            &any,
        ],
    )
}

/// Waits until a host's engine answers.
pub fn wait_until_ready(host: &Host) -> Result<()> {
    let machine = &host.machine;
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let version = machine.enter(&["docker", "version", "--format", "{{.Server.Version}}"]).read();
        match version {
            Ok(version) if version.starts_with(&format!("{}.", host.engine)) => return Ok(()),
            Ok(version) => {
                bail!("`{}` should run engine {}, but has {}", machine.name, host.engine, version.trim())
            }
            Err(_) if !interrupt::requested() && Instant::now() < deadline => {
                if machine.enter(&["pgrep", "-x", "dockerd"]).succeeds() {
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            }
            Err(_) => {}
        }
        interrupt::check()?;
        bail!(
            "the engine of `{}` does not answer; the end of its log:\n{}",
            machine.name,
            machine.log_end("dockerd.log")
        );
    }
}
