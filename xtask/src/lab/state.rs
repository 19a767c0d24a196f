//! What a lab is, as recorded in `.lab/NAME/lab.json`: enough to use it and to remove it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::{Generation, Wanted};
use crate::project;

/// A lab. Written to the state folder before each of its parts is made.
#[derive(Serialize, Deserialize)]
pub struct Lab {
    /// Its name, such as `dev`.
    pub name: String,
    /// The state folder, absolute.
    pub folder: PathBuf,
    /// Short text that makes the names of interfaces and cgroups of this lab unlike any other's.
    pub id: String,
    /// First three numbers of the addresses, such as `10.199.0`.
    pub subnet: String,
    /// The registry's machine.
    pub registry: Option<Machine>,
    /// The Docker hosts, in order: `host1`, `host2`, …
    pub hosts: Vec<Host>,
    /// The host without Docker.
    #[serde(default)]
    pub bare: Option<Machine>,
    /// Whether `up` ran to its end.
    pub finished: bool,
}

/// A Docker host of the lab.
#[derive(Serialize, Deserialize)]
pub struct Host {
    /// Its namespaces.
    pub machine: Machine,
    /// Its engine's generation.
    pub engine: Generation,
}

impl Host {
    /// The engine's socket as seen from outside the host.
    pub fn socket(&self) -> String {
        format!("/proc/{}/root/run/docker.sock", self.machine.init.pid)
    }
}

/// Returns the folder that holds all labs of this checkout and their caches.
///
/// `DFAB_LAB_STATE` moves it, for a checkout on a file system that Docker cannot use.
pub fn base() -> PathBuf {
    std::env::var_os("DFAB_LAB_STATE").map_or_else(|| project::root().join(".lab"), PathBuf::from)
}

/// Returns the folder of what is expensive to make and the same for all labs.
pub fn cache() -> PathBuf {
    base().join("cache")
}

/// Returns the state folder of the lab `name`.
pub fn folder(name: &str) -> PathBuf {
    base().join(name)
}

/// Returns the short text that marks what belongs to the lab in `folder`.
pub fn id(folder: &Path) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    folder.hash(&mut hasher);
    // Interface names have 15 characters at most: `dfl`, these six, and `-` with the host's number.
    format!("dfl{:06x}", hasher.finish() & 0xff_ffff)
}

/// Makes sure that only one program changes this lab. The lock ends with the returned file.
pub fn lock(folder: &Path) -> Result<File> {
    let base = base();
    fs::create_dir_all(&base).with_context(|| format!("cannot create `{}`", base.display()))?;
    let path = folder.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            bail!("another `cargo xtask` is working on the lab in `{}`", folder.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
    }
}

/// Removes a state folder. Returns whether there was one.
pub fn remove(folder: &Path) -> Result<bool> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove `{}`", folder.display())),
    }
}

impl Lab {
    /// Starts the record of a new lab.
    pub fn create(wanted: &Wanted, folder: &Path) -> Result<Lab> {
        let lab = Lab {
            name: wanted.name.clone(),
            folder: folder.to_owned(),
            id: id(folder),
            subnet: super::network::free_subnet()?,
            registry: None,
            hosts: Vec::new(),
            bare: None,
            finished: false,
        };
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        lab.save()?;
        Ok(lab)
    }

    /// Reads a lab's record. `None` when there is none.
    pub fn load(folder: &Path) -> Result<Option<Lab>> {
        let path = folder.join("lab.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let lab = serde_json::from_str(&text).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Some(lab))
    }

    /// Writes the record.
    pub fn save(&self) -> Result<()> {
        let path = self.folder.join("lab.json");
        let unfinished = self.folder.join("lab.json.new");
        let text = serde_json::to_string_pretty(self).expect("a lab's record is plain data");
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Records that the lab is complete.
    pub fn finish(&mut self) -> Result<()> {
        self.finished = true;
        self.save()
    }

    /// Returns whether the lab was finished and all of it still runs.
    pub fn is_complete(&self) -> bool {
        self.finished && self.machines().all(Machine::is_running)
    }

    /// Returns whether the lab has the wanted hosts.
    pub fn fits(&self, wanted: &Wanted) -> bool {
        self.hosts.len() == usize::from(wanted.hosts)
            && self.bare.is_some() == wanted.bare
            && self.hosts.iter().enumerate().all(|(index, host)| host.engine == wanted.engine_of(index))
    }

    /// Returns all machines, the registry's last.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.hosts.iter().map(|host| &host.machine).chain(&self.bare).chain(&self.registry)
    }

    /// Returns the machine of the host of this name.
    pub fn machine(&self, name: &str) -> Result<&Machine> {
        let hosts = || self.hosts.iter().map(|host| &host.machine).chain(&self.bare);
        hosts().find(|machine| machine.name == name).with_context(|| {
            let names: Vec<&str> = hosts().map(|machine| machine.name.as_str()).collect();
            format!("no host `{name}` in lab `{}`; there are {}", self.name, names.join(", "))
        })
    }

    /// Returns the path of the SSH client configuration written for the lab.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.join("ssh_config")
    }

    /// Returns the path of the file with the hosts' keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Returns the path of the private key that logs in on all hosts.
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }

    /// Describes the lab for a person.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            let state = if host.machine.is_running() { "running" } else { "ended" };
            let machine = &host.machine;
            writeln!(text, "{:<8} {:<14} engine {:<6} {state}", machine.name, machine.address, host.engine)
                .expect("writing to a string cannot fail");
        }
        if let Some(bare) = &self.bare {
            let state = if bare.is_running() { "running" } else { "ended" };
            writeln!(text, "{:<8} {:<14} {:<13} {state}", "bare", bare.address, "no engine")
                .expect("writing to a string cannot fail");
        }
        if let Some(registry) = &self.registry {
            let state = if registry.is_running() { "running" } else { "ended" };
            writeln!(
                text,
                "{:<8} {:<14} {:<13} {state}",
                "registry",
                registry.address,
                super::registry::NAME
            )
            .expect("writing to a string cannot fail");
        }
        writeln!(text, "ssh -F {} host1", self.ssh_config().display())
            .expect("writing to a string cannot fail");
        if !self.finished {
            text.push_str(
                "not finished: `cargo xtask lab up` makes it anew, `cargo xtask lab down` removes it\n",
            );
        }
        text
    }
}
