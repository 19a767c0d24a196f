//! Keys, users and configurations for SSH: each host's `sshd`, and the operator's side.
//!
//! Every host has the users `deploy` (may use Docker and `sudo`) and `guest` (may not), both with the lab's key;
//! `deploy` also has the password [`PASSWORD`]. Port 22 offers all that `sshd` does; on port 2222 it refuses to
//! forward to Unix sockets, as many hosts of the world do.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::machine::Machine;
use super::state::Lab;
use crate::run::Runs as _;

/// The password of the user `deploy` on the lab's hosts.
pub const PASSWORD: &str = "lab-password";

const PORTS: [u16; 2] = [22, 2222];

const SSHD_CONFIG: &str = "\
Port 22
Port 2222
HostKey /run/lab/host/ssh_host_ed25519_key
AuthorizedKeysFile /run/lab/host/authorized_keys
PidFile /run/sshd.pid
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
LogLevel VERBOSE
Match LocalPort 2222
    AllowStreamLocalForwarding no
";

/// Makes the key that logs in on all hosts.
pub fn write_client_files(lab: &Lab) -> Result<()> {
    make_key(&lab.client_key(), "dfab-lab")
}

fn make_key(path: &Path, comment: &str) -> Result<()> {
    Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .read()
        .map(drop)
}

/// Whether a host has Docker, and with it the group `docker`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Docker {
    /// It is there, and `deploy` is in the group.
    Present,
    /// It is not.
    Absent,
}

/// Makes a host's users and tells it the names of the lab. Comes first on a host: the engine remembers for seconds
/// what it could not look up.
pub fn make_users(lab: &Lab, machine: &Machine, docker: Docker) -> Result<()> {
    let group =
        if docker == Docker::Present { "groupadd --force docker; usermod -aG docker deploy" } else { ":" };
    let hosts = format!(
        "127.0.0.1 localhost\n{} {}\n{} registry.example.com\n",
        machine.address,
        machine.name,
        lab.registry.as_ref().map_or("127.0.0.1", |registry| &registry.address)
    );
    let users = format!(
        "set -e
        cat > /etc/hosts
        useradd --create-home --shell /bin/bash deploy
        {group}
        useradd --create-home --shell /bin/bash guest
        echo 'deploy:{PASSWORD}' | chpasswd
        usermod --password '*' guest
        if [ -d /etc/sudoers.d ]; then
            echo 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
            chmod 440 /etc/sudoers.d/lab
        fi"
    );
    machine.enter(&["sh", "-c", &users]).read_with_input(hosts.as_bytes()).map(drop)
}

/// Starts a host's `sshd`.
pub fn start(lab: &Lab, machine: &Machine) -> Result<()> {
    make_key(&machine.folder.join("ssh_host_ed25519_key"), &machine.name)?;
    let write = |name: &str, text: &str| {
        let path = machine.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    };
    let public = lab.client_key().with_extension("pub");
    let public =
        fs::read_to_string(&public).with_context(|| format!("cannot read `{}`", public.display()))?;
    write("authorized_keys", &public)?;
    write("sshd_config", SSHD_CONFIG)?;
    machine.start_service("sshd.log", &["/usr/sbin/sshd", "-D", "-e", "-f", "/run/lab/host/sshd_config"])?;

    let deadline = Instant::now() + Duration::from_secs(20);
    for port in PORTS {
        let address = format!("{}:{port}", machine.address).parse().expect("an address of the lab's range");
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if Instant::now() > deadline {
                bail!(
                    "sshd of `{}` does not answer; its log:\n{}",
                    machine.name,
                    machine.log_end("sshd.log")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Writes `known_hosts` and `ssh_config` for the operator's side.
pub fn write_host_files(lab: &Lab) -> Result<()> {
    let mut known = String::new();
    let mut config = String::from("# Written by `cargo xtask lab`.\n");
    // The names in the documentation's client configuration, on the first four Docker hosts.
    let aliases = ["web_host", "app_host1", "app_host2", "app_host3"];
    let hosts = lab.hosts.iter().map(|host| &host.machine).chain(&lab.bare);
    for (index, machine) in hosts.enumerate() {
        let key = fs::read_to_string(machine.folder.join("ssh_host_ed25519_key.pub"))
            .with_context(|| format!("cannot read the host key of `{}`", machine.name))?;
        let key = key.rsplit_once(' ').map_or(key.as_str(), |(key, _comment)| key);
        let alias = aliases[..aliases.len().min(lab.hosts.len())]
            .get(index)
            .map(|alias| format!(" {alias}"))
            .unwrap_or_default();
        known.push_str(&format!("{0} {key}\n[{0}]:2222 {key}\n", machine.address));
        config.push_str(&format!("\nHost {}{alias}\n    HostName {}\n", machine.name, machine.address));
    }
    config.push_str(&format!(
        "\nHost *\n    User deploy\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    \
         StrictHostKeyChecking yes\n    LogLevel ERROR\n",
        lab.client_key().display(),
        lab.known_hosts().display(),
    ));
    for (path, text) in [(lab.known_hosts(), known), (lab.ssh_config(), config)] {
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    // ssh refuses a key that others can read; the folder may have been made under any umask.
    fs::set_permissions(lab.client_key(), fs::Permissions::from_mode(0o600))
        .context("cannot protect the client's key")?;
    Ok(())
}
