//! Where live tests find engines and programs.
//!
//! With `DFAB_LAB` (the state folder of a lab, see `cargo xtask lab`): its oldest engine through SSH by the host's own
//! `docker` program, and its newest without SSH by this machine's; with `DFAB_ALL_GENERATIONS` an engine of each generation in
//! both ways. Otherwise:
//!
//! * `DFAB_LIVE_ENGINE`: an engine's socket, as for the tests of `dfab-client`; without it they are
//!   skipped. The engine has an image `busybox:latest`.
//! * `DFAB_LIVE_DOCKER`: the `docker` programs to try, separated by `:`; `docker` by default.
//! * `DFAB_LIVE_SSH`: `user@host:port` through which the same socket is reached, with the private key
//!   file `DFAB_LIVE_SSH_KEY`; without it only this machine's shell is tried.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "helpers of tests, not all used by each"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dfab_cli_client::{CliBackend, CliOptions, LocalShell, RemoteShell, Shell};
use dfab_tunnel::options::{Auth, HostKeys, KeyFile, UnknownHost};
use dfab_tunnel::{ConnectOptions, Session};
use serde_json::Value;

/// An engine, and a way to call a `docker` program for it.
pub struct Place {
    /// For messages: host, engine and way.
    pub name: String,
    /// The engine's socket as this machine sees it.
    pub socket: PathBuf,
    /// Tells whether the shell is on the engine's host, where volumes are prepared: that of a lab's host is in
    /// another namespace.
    pub is_on_host: bool,
    shell: Arc<dyn Shell>,
    options: CliOptions,
}

impl Place {
    /// Makes a backend.
    pub fn backend(&self) -> CliBackend {
        CliBackend::new(Arc::clone(&self.shell), self.options.clone())
    }
}

/// Returns all places, or says that the test is skipped.
pub async fn places() -> Vec<Place> {
    if let Some(folder) = std::env::var_os("DFAB_LAB") {
        return of_lab(Path::new(&folder)).await;
    }
    let Ok(socket) = std::env::var("DFAB_LIVE_ENGINE") else {
        println!("skipped: neither DFAB_LAB nor DFAB_LIVE_ENGINE names an engine");
        return Vec::new();
    };
    let mut places = Vec::new();
    let programs = std::env::var("DFAB_LIVE_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    for (way, shell) in shells().await {
        for program in programs.split(':') {
            let base_url = Some(format!("unix://{socket}"));
            places.push(Place {
                name: format!("{way}, {program}"),
                socket: PathBuf::from(&socket),
                is_on_host: true,
                shell: Arc::clone(&shell),
                options: CliOptions { binary: program.to_owned(), base_url, ..CliOptions::default() },
            });
        }
    }
    places
}

async fn of_lab(folder: &Path) -> Vec<Place> {
    let record =
        std::fs::read_to_string(folder.join("lab.json")).expect("DFAB_LAB names the folder of a lab");
    let record: Value = serde_json::from_str(&record).expect("a lab's record is JSON");
    let mut hosts: Vec<(usize, &Value)> =
        record["hosts"].as_array().expect("a lab has hosts").iter().enumerate().collect();
    let mut seen = BTreeSet::new();
    hosts.retain(|(_, host)| seen.insert(host["engine"].as_str()));
    let (all, last) = (std::env::var_os("DFAB_ALL_GENERATIONS").is_some(), hosts.len() - 1);
    let mut places = Vec::new();
    for (number, (index, host)) in hosts.into_iter().enumerate() {
        let (by_ssh, without) = (all || number == 0, all || number == last);
        if !by_ssh && !without {
            continue;
        }
        let machine = &host["machine"];
        let (address, engine) = (machine["address"].as_str().unwrap(), host["engine"].as_str().unwrap());
        let socket = format!("/proc/{}/root/run/docker.sock", machine["init"]["pid"]);
        let options = ConnectOptions {
            auth: Auth { keys: vec![KeyFile::named(folder.join("id_ed25519"))], ..Auth::default() },
            host_keys: HostKeys { files: vec![folder.join("known_hosts")], ..HostKeys::default() },
            ..ConnectOptions::new(address, "deploy")
        };
        let name = format!("host{}, {engine}", index + 1);
        if by_ssh {
            let session = Session::connect(options).await.expect("the lab lets `deploy` in");
            places.push(Place {
                name: format!("{name}, ssh"),
                socket: PathBuf::from(&socket),
                is_on_host: true,
                shell: Arc::new(RemoteShell::new(address, Arc::new(session))),
                options: CliOptions::default(),
            });
        }
        if without {
            places.push(Place {
                name: format!("{name}, local"),
                socket: PathBuf::from(&socket),
                is_on_host: false,
                shell: Arc::new(LocalShell::new()),
                options: CliOptions { base_url: Some(format!("unix://{socket}")), ..CliOptions::default() },
            });
        }
    }
    places
}

/// Returns the shells to try, each with a name for messages.
async fn shells() -> Vec<(&'static str, Arc<dyn Shell>)> {
    let mut shells: Vec<(&'static str, Arc<dyn Shell>)> = vec![("local", Arc::new(LocalShell::new()))];
    if let Ok(target) = std::env::var("DFAB_LIVE_SSH") {
        let (user, address) = target.split_once('@').expect("DFAB_LIVE_SSH is user@host:port");
        let (host, port) = address.rsplit_once(':').expect("DFAB_LIVE_SSH is user@host:port");
        let options = ConnectOptions {
            port: port.parse().expect("a port number"),
            auth: Auth {
                keys: vec![KeyFile::named(std::env::var("DFAB_LIVE_SSH_KEY").expect("DFAB_LIVE_SSH_KEY"))],
                ..Auth::default()
            },
            host_keys: HostKeys { unknown: UnknownHost::Accept, ..HostKeys::default() },
            ..ConnectOptions::new(host, user)
        };
        let session = Session::connect(options).await.unwrap();
        shells.push(("ssh", Arc::new(RemoteShell::new(host, Arc::new(session)))));
    }
    shells
}
