//! Where live tests find an engine and programs.
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

use std::sync::Arc;

use dfab_cli_client::{CliBackend, CliOptions, LocalShell, RemoteShell, Shell};
use dfab_tunnel::options::{Auth, HostKeys, KeyFile, UnknownHost};
use dfab_tunnel::{ConnectOptions, Session};

/// Returns the engine's socket, or says that the test is skipped.
pub fn socket() -> Option<String> {
    let socket = std::env::var("DFAB_LIVE_ENGINE").ok();
    if socket.is_none() {
        println!("skipped: DFAB_LIVE_ENGINE does not name an engine's socket");
    }
    socket
}

/// Returns the programs to try.
pub fn programs() -> Vec<String> {
    let programs = std::env::var("DFAB_LIVE_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    programs.split(':').map(str::to_owned).collect()
}

/// Returns the shells to try, each with a name for messages.
pub async fn shells() -> Vec<(&'static str, Arc<dyn Shell>)> {
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

/// Makes a backend for the engine at `socket`.
pub fn backend(shell: Arc<dyn Shell>, program: &str, socket: &str) -> CliBackend {
    let base_url = Some(format!("unix://{socket}"));
    CliBackend::new(shell, CliOptions { binary: program.to_owned(), base_url, ..CliOptions::default() })
}
