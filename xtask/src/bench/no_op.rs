//! The example's no-op update: over the engine's socket, over SSH, and with a round-trip time in between.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Bench, median, timed, unchanged};
use crate::run::Runs as _;
use crate::{delay, project, site};

/// Round-trip time of the delayed run.
const ROUND_TRIP: Duration = Duration::from_millis(50);

impl Bench<'_> {
    /// Measures the whole, and what the way to the engine costs of it.
    pub(super) fn no_op_update(&self) -> Result<()> {
        site::install(self.host)?;
        let update = ["--output=json", "actions.update", "example_map", "web_server"];
        let over_ssh = || site::dfab(&self.dfab, self.lab, &[&["-H", "host1"], &update[..]].concat());
        over_ssh().read().context("the example cannot be brought up")?;

        let slow = self.slow_host()?;
        let over_socket = || {
            let mut command = site::dfab(&self.dfab, self.lab, &update);
            command.env("DOCKER_HOST", self.docker_host());
            command
        };
        let over_slow_ssh = || {
            let mut command = Command::new(&self.dfab);
            command
                .current_dir(project::root().join("examples/example_map"))
                .args(["-H", "slow", "--ssh-config-path"])
                .arg(&slow)
                .args(update);
            command
        };
        // One request each: what the way there costs, apart from the job.
        let version_over_ssh = || site::dfab(&self.dfab, self.lab, &["-H", "host1", "docker.version"]);
        let version_over_socket = || {
            let mut command = site::dfab(&self.dfab, self.lab, &["docker.version"]);
            command.env("DOCKER_HOST", self.docker_host());
            command
        };
        let (mut ssh, mut socket, mut slow_ssh) = (Vec::new(), Vec::new(), Vec::new());
        let (mut one_over_ssh, mut one_over_socket) = (Vec::new(), Vec::new());
        let mut requests = 0;
        for _ in 0..self.rounds {
            let (seconds, output) = timed(over_ssh())?;
            requests = unchanged(&output)?;
            ssh.push(seconds);
            socket.push(timed(over_socket())?.0);
            slow_ssh.push(timed(over_slow_ssh())?.0);
            one_over_ssh.push(timed(version_over_ssh())?.0);
            one_over_socket.push(timed(version_over_socket())?.0);
        }
        let (ssh, socket, slow_ssh) = (median(ssh), median(socket), median(slow_ssh));
        let handshake = median(one_over_ssh) - median(one_over_socket);
        println!(
            "no-op update of the example (3 containers, 3 volumes, 2 images), {requests} engine requests"
        );
        println!("  over the engine's socket      {:8.1} ms", socket * 1e3);
        println!("  over SSH                      {:8.1} ms   ratio {:.2}", ssh * 1e3, ssh / socket);
        println!(
            "  of it the SSH handshake       {:8.1} ms   {:.0} %",
            handshake * 1e3,
            handshake / ssh * 100.0
        );
        println!(
            "  over SSH with {} ms round trip {:7.1} ms   {:.1} round trips\n",
            ROUND_TRIP.as_millis(),
            slow_ssh * 1e3,
            (slow_ssh - ssh) / ROUND_TRIP.as_secs_f64()
        );
        Ok(())
    }

    /// Writes an SSH configuration in which `slow` is the host behind a round-trip time.
    fn slow_host(&self) -> Result<PathBuf> {
        let sshd: SocketAddr =
            format!("{}:22", self.host.machine.address).parse().context("not an address")?;
        let port = delay::start(sshd, ROUND_TRIP)?;
        let known = self.lab.folder.join("known_hosts.slow");
        let config = self.lab.folder.join("ssh_config.slow");
        let key = fs::read_to_string(self.lab.known_hosts()).context("cannot read the lab's known_hosts")?;
        let key = key.lines().next().and_then(|line| line.split_once(' ')).context("no host key")?.1;
        fs::write(&known, format!("[127.0.0.1]:{port} {key}\n")).context("cannot write known_hosts")?;
        let text = format!(
            "Host slow\n    HostName 127.0.0.1\n    Port {port}\n    User deploy\n    IdentityFile {}\n    \
             IdentitiesOnly yes\n    UserKnownHostsFile {}\n    StrictHostKeyChecking yes\n",
            self.lab.client_key().display(),
            known.display()
        );
        fs::write(&config, text).context("cannot write ssh_config")?;
        Ok(config)
    }
}
