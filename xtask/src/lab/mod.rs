//! The lab: real Docker hosts behind sshd, made and removed on one machine (design §7).
//!
//! A host is a set of namespaces (network, mount, PID, UTS, IPC) with its own `/run`, overlays over
//! `/etc`, `/usr`, `/var`, `/home`, `/root`, its own `dockerd` with default paths inside, and its own
//! `sshd`. Its first process is the only thing to end: the kernel then ends all others and frees the
//! mounts and the network. What is outside a host (a bridge, one iptables rule, the state folder) is
//! named in the state folder, so that a later run can remove what a killed one left.
//!
//! Start reading at [`up`]; one file a subject:
//! [`state`] what is recorded · [`machine`] namespaces · [`network`] bridge and addresses ·
//! [`engine`] engine generations · [`ssh`] keys and configurations · [`registry`] · [`image`] ·
//! [`bare`] a host without Docker · [`setup`] packages and rights.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use crate::interrupt;
use crate::run::Runs as _;

pub mod bare;
pub mod engine;
pub mod image;
pub mod machine;
pub mod network;
pub mod registry;
pub mod setup;
pub mod ssh;
pub mod state;

pub use engine::Generation;
pub use state::{Host, Lab};

/// Arguments of `cargo xtask lab`.
#[derive(Args)]
pub struct LabArgs {
    /// Name of the lab; several can stand side by side
    #[arg(long, global = true, default_value = "dev", value_name = "NAME")]
    lab: String,
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Subcommand)]
enum LabCommand {
    /// Install the packages that the lab needs (apt-get, as root)
    Setup,
    /// Make the lab, or complete it
    Up {
        /// Number of hosts
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=50))]
        hosts: u8,
        /// Engine generation for all hosts, or one for each
        #[arg(long, value_delimiter = ',', default_value = "20.10", value_name = "GENERATION")]
        engine: Vec<Generation>,
        /// Add a host without Docker and socat, called `bare`
        #[arg(long)]
        bare: bool,
    },
    /// Show the hosts, their addresses and engines
    Status,
    /// Run a command on a host as root, inside its namespaces
    Exec {
        /// Name of the host, such as `host1`
        host: String,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Open an SSH session on a host as the user `deploy`
    Ssh {
        /// Name of the host, such as `host1`
        host: String,
        /// A command to run instead of a shell
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Remove the lab and everything it made
    Down,
}

/// Runs `cargo xtask lab`.
pub fn run(args: LabArgs) -> Result<ExitCode> {
    let folder = state::folder(&args.lab);
    match args.command {
        LabCommand::Setup => setup::install()?,
        LabCommand::Up { hosts, engine, bare } => {
            let lab = up(&Wanted { name: args.lab, hosts, engines: engine, bare })?;
            print!("{}", lab.describe());
        }
        LabCommand::Status => match Lab::load(&folder)? {
            Some(lab) => print!("{}", lab.describe()),
            None => println!("no lab `{}`; `cargo xtask lab up` makes it", args.lab),
        },
        LabCommand::Exec { host, command } => {
            let lab = existing(&folder, &args.lab)?;
            let status = lab.machine(&host)?.enter(&command).status().context("cannot start `nsenter`")?;
            return Ok(exit_code(status));
        }
        LabCommand::Ssh { host, command } => {
            let lab = existing(&folder, &args.lab)?;
            let name = &lab.machine(&host)?.name;
            let status = Command::new("ssh")
                .arg("-F")
                .arg(lab.ssh_config())
                .arg(name)
                .args(command)
                .status()
                .context("cannot start `ssh`")?;
            return Ok(exit_code(status));
        }
        LabCommand::Down => {
            let _lock = state::lock(&folder)?;
            if down(&folder)? {
                println!("lab `{}` is removed", args.lab);
            } else {
                println!("no lab `{}`; nothing to remove", args.lab);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn existing(folder: &std::path::Path, name: &str) -> Result<Lab> {
    Lab::load(folder)?.with_context(|| format!("no lab `{name}`; `cargo xtask lab up` makes it"))
}

/// What a lab shall look like.
pub struct Wanted {
    /// Name of the lab: the folder of its state in `.lab/`.
    pub name: String,
    /// Number of hosts, at least one.
    pub hosts: u8,
    /// Engine of each host; a single one is meant for all.
    pub engines: Vec<Generation>,
    /// Whether there is a host without Docker too.
    pub bare: bool,
}

impl Wanted {
    fn engine_of(&self, index: usize) -> Generation {
        if let [only] = self.engines[..] { only } else { self.engines[index] }
    }
}

/// Makes a lab, or completes one that is there.
///
/// Leftovers of a killed run under the same name are removed first. After a failure or Ctrl-C
/// nothing of the lab remains.
pub fn up(wanted: &Wanted) -> Result<Lab> {
    let count = usize::from(wanted.hosts);
    if wanted.engines.len() != 1 && wanted.engines.len() != count {
        bail!("{count} hosts need one engine generation for all or {count}, not {}", wanted.engines.len());
    }
    setup::check()?;
    let folder = state::folder(&wanted.name);
    let _lock = state::lock(&folder)?;
    if let Some(lab) = Lab::load(&folder)? {
        if lab.is_complete() && lab.fits(wanted) {
            return Ok(lab);
        }
        if lab.is_complete() {
            bail!(
                "lab `{0}` is up with other hosts; remove it first: `cargo xtask lab down --lab {0}`",
                wanted.name
            );
        }
    }
    down(&folder)?;
    let result = build(wanted, &folder);
    if result.is_err() {
        let was_requested = interrupt::suspend();
        let removed = down(&folder);
        interrupt::resume(was_requested);
        if let Err(error) = removed {
            eprintln!("warning: the unfinished lab could not be removed whole: {error:#}");
        }
    }
    result.with_context(|| format!("cannot make lab `{}`", wanted.name))
}

fn build(wanted: &Wanted, folder: &std::path::Path) -> Result<Lab> {
    let started = Instant::now();
    let say = |what: &str| eprintln!("[lab] {what} ({:.1} s)", started.elapsed().as_secs_f32());

    let count = usize::from(wanted.hosts);
    let engines = (0..count)
        .map(|index| engine::Engine::provide(wanted.engine_of(index)))
        .collect::<Result<Vec<_>>>()?;
    let bare = wanted.bare.then(bare::provide).transpose()?;
    let images = image::Images::provide()?;
    say("engines and images are at hand");

    let mut lab = Lab::create(wanted, folder)?;
    network::create(&mut lab)?;
    ssh::write_client_files(&lab)?;
    registry::start(&mut lab)?;
    for (index, engine) in engines.iter().enumerate() {
        engine::start(&mut lab, index, engine)?;
    }
    for host in &lab.hosts {
        engine::wait_until_ready(host)?;
        ssh::start(&lab, &host.machine)?;
    }
    if let Some(root) = &bare {
        bare::start(&mut lab, root)?;
    }
    ssh::write_host_files(&lab)?;
    say("hosts are up");

    image::publish(&lab, &images)?;
    say("images are in the registry");
    lab.finish()?;
    Ok(lab)
}

/// Removes a lab: its processes, its bridge and rule, and its state folder. Returns whether there was one.
///
/// Works from what is recorded in the state folder, so it also removes what a killed run left behind.
pub fn down(folder: &std::path::Path) -> Result<bool> {
    machine::end_unrecorded(folder);
    let Some(lab) = Lab::load(folder)? else {
        let id = state::id(folder);
        network::remove(&id)?;
        machine::remove_cgroups(&id)?;
        return state::remove(folder);
    };
    for machine in lab.machines() {
        machine.end()?;
    }
    network::remove(&lab.id)?;
    machine::remove_cgroups(&lab.id)?;
    state::remove(folder)?;
    Ok(true)
}

/// Takes a lab down when it goes out of scope, also after an error, unless it was there to be kept.
pub struct Temporary {
    /// The lab.
    pub lab: Lab,
    is_kept: bool,
}

impl Temporary {
    /// Makes a lab that ends with this value. One of the same name that is still there is removed first.
    pub fn up(wanted: &Wanted) -> Result<Temporary> {
        let folder = state::folder(&wanted.name);
        {
            let _lock = state::lock(&folder)?;
            down(&folder)?;
        }
        Ok(Temporary { lab: up(wanted)?, is_kept: false })
    }

    /// Uses the lab called `keep`, completed, and leaves it; without a name, as [`Temporary::up`].
    pub fn up_or_keep(keep: Option<&str>, wanted: Wanted) -> Result<Temporary> {
        match keep {
            Some(name) => {
                let lab = up(&Wanted { name: name.to_owned(), ..wanted })?;
                Ok(Temporary { lab, is_kept: true })
            }
            None => Temporary::up(&wanted),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let was_requested = interrupt::suspend();
        if let Err(error) = down(&self.lab.folder) {
            eprintln!("warning: the lab could not be removed whole: {error:#}");
        }
        interrupt::resume(was_requested);
    }
}

/// Runs a command on a host and returns its output.
pub fn read_on(host: &Host, command: &[&str]) -> Result<String> {
    host.machine.enter(command).read().with_context(|| format!("a command on `{}` failed", host.machine.name))
}
