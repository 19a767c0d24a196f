//! The lab's registry: Debian's `docker-registry` on a machine of its own.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::machine;
use super::state::Lab;

/// The name under which hosts reach the registry, as in the documentation's map. Open to all, plain HTTP.
pub const NAME: &str = "registry.example.com";

/// The same images behind a login: user `lab`, password [`super::ssh::PASSWORD`].
pub const NAME_WITH_LOGIN: &str = "registry.example.com:5000";

/// bcrypt of [`super::ssh::PASSWORD`], the only form that the registry takes.
const HTPASSWD: &str = "lab:$2b$04$e8EtHXdNyD0Y6UqEsSdiDes8IUcuUJgoT6CoZxnvLCvhZAvC9wMCe\n";

fn configuration(port: u16, auth: &str) -> String {
    format!(
        "version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: /run/lab/host/images}}
  delete: {{enabled: true}}
http:
  addr: 0.0.0.0:{port}
  secret: lab
{auth}"
    )
}

/// Starts the registry and records it.
pub fn start(lab: &mut Lab) -> Result<()> {
    let address = format!("{}.2", lab.subnet);
    let folder = lab.folder.join("registry");
    let spec = machine::Spec { name: "registry", address: &address, engine: None, root: None };
    let machine = machine::start(&lab.id, &format!("{}-0", lab.id), &folder, &spec)?;
    lab.registry = Some(machine);
    lab.save()?;
    let machine = lab.registry.as_ref().expect("it was set above");

    let login = "auth:\n  htpasswd: {realm: lab, path: /run/lab/host/htpasswd}\n";
    for (name, text) in [
        ("open.yml", configuration(80, "")),
        ("login.yml", configuration(5000, login)),
        ("htpasswd", HTPASSWD.to_owned()),
    ] {
        fs::write(folder.join(name), text).context("cannot write the registry's configuration")?;
    }
    for (log, configuration) in [("open.log", "open.yml"), ("login.log", "login.yml")] {
        let configuration = format!("/run/lab/host/{configuration}");
        machine.start_service(log, &["docker-registry", "serve", &configuration])?;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    for (port, log) in [(80, "open.log"), (5000, "login.log")] {
        let address = format!("{address}:{port}").parse().expect("an address of the lab's range");
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if Instant::now() > deadline {
                bail!("the registry does not answer; the end of its log:\n{}", machine.log_end(log));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
