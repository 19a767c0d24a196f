//! The no-op update of 20 containers by `docker` command lines against the Engine API, both over SSH: wall time, and how
//! many exec channels each opens, counted by the host's own sshd.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Bench, median, timed, unchanged};
use crate::run::Runs as _;

const CONTAINERS: usize = 20;

/// What sshd logs for each exec channel.
const CHANNEL: &str = "Starting session: ";

impl Bench<'_> {
    /// Measures both backends in turn.
    pub(super) fn by_command_lines(&self) -> Result<()> {
        let folder = self.write_instances(CONTAINERS)?;
        let update = |backend: &str| {
            let mut command = Command::new(&self.dfab);
            command.current_dir(&folder).arg("--ssh-config-path").arg(self.lab.ssh_config());
            command.args(["-H", "host1", "--backend", backend, "--output=json"]);
            command.args(["actions.update", "bench", "app"]);
            command
        };
        update("api").read().context("the containers cannot be brought up")?;

        let backends = ["api", "cli"];
        let mut seconds = [Vec::new(), Vec::new()];
        let (mut channels, mut requests) = ([0, 0], [0, 0]);
        for _ in 0..self.rounds {
            for (index, backend) in backends.into_iter().enumerate() {
                let before = self.channels()?;
                let (took, output) = timed(update(backend))?;
                requests[index] = unchanged(&output)?;
                channels[index] = channels[index].max(self.channels()? - before);
                seconds[index].push(took);
            }
        }
        let [api, cli] = seconds.map(median);
        println!("no-op update of {CONTAINERS} containers over SSH, Engine API against command lines");
        for (index, (name, took)) in
            [("Engine API", api), ("docker command lines", cli)].into_iter().enumerate()
        {
            println!(
                "  {name:<29} {:8.1} ms   ratio {:.2}   {} requests or commands, at most {} exec channels",
                took * 1e3,
                took / api,
                requests[index],
                channels[index]
            );
        }
        println!();
        self.remove_containers()
    }

    /// The exec channels that the host's sshd has opened so far.
    fn channels(&self) -> Result<usize> {
        let log = fs::read(self.host.machine.folder.join("sshd.log")).context("sshd has no log")?;
        Ok(String::from_utf8_lossy(&log).lines().filter(|line| line.contains(CHANNEL)).count())
    }
}
