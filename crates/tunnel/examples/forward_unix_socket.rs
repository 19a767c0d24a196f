//! Forwards a local TCP port to a Unix socket of a remote host, as `ssh -L` does:
//!
//! ```text
//! cargo run -p dfab-tunnel --example forward_unix_socket -- [user@]host[:port] /path/of/socket [LOCAL_PORT]
//! ```
//!
//! Reads `~/.ssh/config` and `~/.ssh/known_hosts`, uses the SSH agent and the usual keys, and runs until
//! Ctrl-C. With an HTTP server behind the socket, `curl http://127.0.0.1:PORT/` reaches it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use dfab_tunnel::config::{Destination, Local, SshConfig};
use dfab_tunnel::options::{Event, Events, KeyFile};
use dfab_tunnel::{Behind, ConnectOptions, Error, Forward, LocalPorts, Session};

/// Everything that the library takes as values comes from here: environment, home, arguments.
fn options(destination: &str) -> Result<ConnectOptions, Error> {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into()));
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let mut base = ConnectOptions::new("", &user);
    base.auth.agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    base.auth.keys = ["id_ed25519", "id_ecdsa", "id_rsa"]
        .map(|name| KeyFile::if_present(home.join(".ssh").join(name)))
        .to_vec();
    base.host_keys.files = vec![home.join(".ssh/known_hosts")];
    base.host_keys.global_files = vec!["/etc/ssh/ssh_known_hosts".into()];
    base.events = Events::to(|event| {
        if let Event::Fallback { path, way, why, .. } = event {
            eprintln!("{path} is reached by {way}: {why}");
        }
    });
    let config = SshConfig::read(&home.join(".ssh/config"), &home)?;
    let destination: Destination = destination.parse()?;
    let (options, warnings) = config.options(&destination, &base, &Local { user, home })?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(options)
}

async fn run(destination: &str, socket: &str, port: Option<u16>) -> Result<(), Error> {
    let session = Arc::new(Session::connect(options(destination)?).await?);
    // One stream first: what is wrong with the socket is better known now than at the first request.
    drop(session.open_unix(socket).await?);
    let (listener, _) = LocalPorts::default().listen(port)?;
    let forward = Forward::serve(listener, Arc::clone(&session), Behind::Unix(socket.to_owned()))?;
    println!("{} -> {socket} on {}", forward.address(), session.host());
    let _ = tokio::signal::ctrl_c().await;
    forward.close().await;
    session.close().await
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (destination, socket, port) = match args.as_slice() {
        [destination, socket] => (destination, socket, None),
        [destination, socket, port] if port.parse::<u16>().is_ok() => {
            (destination, socket, port.parse().ok())
        }
        _ => {
            eprintln!("usage: forward_unix_socket [user@]host[:port] /path/of/socket [LOCAL_PORT]");
            return ExitCode::from(2);
        }
    };
    match run(destination, socket, port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}
