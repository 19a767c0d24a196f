//! Against `docker compose` v2 with the same services: an update that finds nothing to do, and taking all down.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{Bench, median, timed, unchanged};
use crate::lab::read_on;
use crate::lab::setup::Apt;
use crate::lab::state::cache;
use crate::run::{Runs as _, find, tool};

/// Services of the no-op figures; the first number is also that of the shutdown.
const SERVICES: [usize; 2] = [20, 100];

/// What a no-op update may take, as a part of compose's time: over the engine's socket, and over SSH.
const LOCAL: f64 = 0.5;
const OVER_SSH: f64 = 0.25;

/// A process that ends when it is told to, so that stopping takes no time of its own.
const COMMAND: &str = "trap 'exit 0' TERM; sleep 100000 & wait";

impl Bench<'_> {
    /// Measures both, locally and over SSH.
    pub(super) fn against_compose(&self) -> Result<()> {
        let compose = Compose { program: provide()?, path: self.ssh_wrapper()? };
        let version = Command::new(&compose.program).args(["version", "--short"]).read()?;
        for services in SERVICES {
            let folder = self.write_services(services)?;
            self.no_op_against(&compose, &folder, services, version.trim())?;
            if services == SERVICES[0] {
                self.shutdown_against(&compose, &folder, services)?;
            }
        }
        Ok(())
    }

    fn no_op_against(&self, compose: &Compose, folder: &Path, services: usize, version: &str) -> Result<()> {
        let update = ["--output=json", "actions.update", "many", "__all__"];
        let mut figures = [const { Vec::new() }; 4];
        let mut requests = 0;
        // One after the other: neither meets the other's containers.
        self.dfab_local(folder, &update).read().context("dfab cannot bring the services up")?;
        for _ in 0..self.rounds {
            let (seconds, output) = timed(self.dfab_local(folder, &update))?;
            requests = unchanged(&output)?;
            figures[0].push(seconds);
            figures[1].push(timed(self.dfab_over_ssh(folder, &update))?.0);
        }
        self.dfab_local(folder, &["actions.shutdown", "many", "__all__", "--remove-networks"]).read()?;
        compose.local(self, folder, &["up", "-d"]).read().context("compose cannot bring the services up")?;
        for _ in 0..self.rounds {
            figures[2].push(timed(compose.local(self, folder, &["up", "-d"]))?.0);
            figures[3].push(timed(compose.over_ssh(self, folder, &["up", "-d"]))?.0);
        }
        self.compose_down(compose, folder)?;
        let [local, ssh, compose_local, compose_ssh] = figures.map(median);
        println!("\nno-op update of {services} containers, {requests} requests, against compose {version}");
        println!("  compose over the socket       {compose_local:8.3} s");
        self.promise("dfab over the socket", local, compose_local, LOCAL);
        println!("  compose over SSH              {compose_ssh:8.3} s");
        self.promise("dfab over SSH", ssh, compose_ssh, OVER_SSH);
        Ok(())
    }

    fn shutdown_against(&self, compose: &Compose, folder: &Path, services: usize) -> Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            self.dfab_local(folder, &["actions.update", "many", "__all__"]).read()?;
            let down = ["actions.shutdown", "many", "__all__", "--remove-networks"];
            ours.push(timed(self.dfab_local(folder, &down))?.0);
            compose.local(self, folder, &["up", "-d"]).read()?;
            theirs.push(self.compose_down(compose, folder)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!("\nshutdown of {services} containers and their network");
        println!("  compose down                  {theirs:8.3} s");
        self.promise("dfab actions.shutdown", ours, theirs, 1.0);
        Ok(())
    }

    /// Takes all down by compose, and returns the seconds it took. Engine 20.10 keeps endpoints of containers that are
    /// removed together, and compose then leaves the network: its time counts, as if it had done all.
    fn compose_down(&self, compose: &Compose, folder: &Path) -> Result<f64> {
        let started = Instant::now();
        let result = compose.local(self, folder, &["down"]).read();
        let seconds = started.elapsed().as_secs_f64();
        if let Err(error) = result {
            let said = error.to_string();
            eprintln!("warning: compose down: {}", said.lines().last().unwrap_or_default());
            let script = "for name in $(docker network inspect bench_default --format '{{range .Containers}}{{.Name}} {{end}}'); do
                              docker network disconnect --force bench_default $name
                          done
                          docker network rm bench_default";
            read_on(self.host, &["sh", "-c", script])?;
        }
        Ok(seconds)
    }

    /// Writes the same services as a map and as a compose file.
    fn write_services(&self, services: usize) -> Result<PathBuf> {
        let folder = self.lab.folder.join(format!("compose{services}"));
        fs::create_dir_all(&folder).context("cannot make a folder for the services")?;
        let mut map = String::from("name: many\nnetworks: {net: {}}\n");
        let mut compose = String::from("name: bench\nservices:\n");
        for number in 1..=services {
            writeln!(
                map,
                "s{number}:\n  image: busybox\n  networks: net\n  create_options:\n    command: [sh, -c, \"{COMMAND}\"]\n    environment: {{NUMBER: \"{number}\"}}\n    labels: {{number: \"{number}\"}}"
            )
            .expect("writing to a string cannot fail");
            writeln!(
                compose,
                "  s{number}:\n    image: busybox\n    command: [sh, -c, \"{COMMAND}\"]\n    environment: {{NUMBER: \"{number}\"}}\n    labels: {{number: \"{number}\"}}"
            )
            .expect("writing to a string cannot fail");
        }
        fs::write(folder.join("dfab.yaml"), "maps: {many: many.yaml}\n")
            .and_then(|()| fs::write(folder.join("many.yaml"), map))
            .and_then(|()| fs::write(folder.join("compose.yaml"), compose))
            .context("cannot write the services")?;
        Ok(folder)
    }

    fn dfab_local(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.dfab);
        command.current_dir(folder).env("DOCKER_HOST", self.docker_host()).args(arguments);
        command
    }

    fn dfab_over_ssh(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.dfab);
        command.current_dir(folder).arg("--ssh-config-path").arg(self.lab.ssh_config());
        command.args(["-H", "host1"]).args(arguments);
        command
    }

    /// Makes a folder whose `ssh` uses the lab's configuration: compose calls the one in `PATH`.
    fn ssh_wrapper(&self) -> Result<PathBuf> {
        let folder = self.lab.folder.join("bin");
        let ssh = find("ssh").context("no `ssh` (package openssh-client)")?;
        let config = self.lab.ssh_config();
        fs::create_dir_all(&folder).context("cannot make a folder for `ssh`")?;
        let script = format!(
            "#!/bin/sh\nexec {} -F {} \"$@\"\n",
            crate::run::quoted(&ssh.to_string_lossy()),
            crate::run::quoted(&config.to_string_lossy())
        );
        let wrapper = folder.join("ssh");
        fs::write(&wrapper, script)
            .and_then(|()| fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)))
            .context("cannot write a wrapper of `ssh`")?;
        Ok(folder)
    }
}

/// Compose, and the folder of the `ssh` that it calls.
struct Compose {
    program: PathBuf,
    path: PathBuf,
}

impl Compose {
    fn local(&self, bench: &Bench<'_>, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env("DOCKER_HOST", bench.docker_host()).args(arguments);
        command
    }

    fn over_ssh(&self, bench: &Bench<'_>, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = self.local(bench, folder, arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("DOCKER_HOST", "ssh://host1").env("PATH", format!("{}:{path}", self.path.display()));
        command
    }
}

/// Returns compose of Debian unstable, unpacked into the cache.
fn provide() -> Result<PathBuf> {
    let folder = cache().join("compose");
    let program = folder.join("usr/libexec/docker/cli-plugins/docker-compose");
    if !program.exists() {
        eprintln!("[bench] fetching docker-compose from Debian sid");
        for package in Apt::of_suite("sid")?.download(&["docker-compose"])? {
            tool("dpkg").arg("-x").arg(&package).arg(&folder).read()?;
        }
    }
    if !program.is_file() {
        anyhow::bail!("Debian's package `docker-compose` does not hold `{}`", program.display());
    }
    Ok(program)
}
