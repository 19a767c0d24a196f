//! Lists the containers of an engine by the `docker` program: here, or with `user@host KEY-FILE` on a
//! host that is in `~/.ssh/known_hosts`.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::path::PathBuf;
use std::sync::Arc;

use dfab_cli_client::{CliBackend, CliOptions, LocalShell, RemoteShell, Shell};
use dfab_client::Backend;
use dfab_tunnel::options::{Auth, HostKeys, KeyFile};
use dfab_tunnel::{ConnectOptions, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let shell: Arc<dyn Shell> = match arguments.as_slice() {
        [] => Arc::new(LocalShell::new()),
        [target, key] => {
            let (user, host) = target.split_once('@').ok_or("the first argument is user@host")?;
            let home = PathBuf::from(std::env::var("HOME")?);
            let options = ConnectOptions {
                auth: Auth { keys: vec![KeyFile::named(key)], ..Auth::default() },
                host_keys: HostKeys { files: vec![home.join(".ssh/known_hosts")], ..HostKeys::default() },
                ..ConnectOptions::new(host, user)
            };
            Arc::new(RemoteShell::new(host, Arc::new(Session::connect(options).await?)))
        }
        _ => return Err("arguments: none, or user@host and the file of a private key".into()),
    };
    let docker = CliBackend::new(shell, CliOptions::default());
    let (engine, containers) = tokio::try_join!(docker.engine_info(), docker.list_containers())?;
    for (name, listed) in &containers {
        println!("{name}: {:?}", listed.container.state);
    }
    let (count, channels) = (containers.len(), docker.channels());
    println!("{count} containers on docker {}, asked in {channels} channel(s)", engine.engine_version);
    Ok(())
}
