//! The example's files on a host, and asking its web server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::lab::Host;
use crate::project;
use crate::run::{Runs as _, tool};
use crate::{interrupt, lab};

/// Puts `examples/example_map/site` to `/var/lib/site` of a host, with data folders of the application's user.
pub fn install(host: &Host) -> Result<()> {
    let site = project::root().join("examples/example_map/site");
    let mut tar = tool("tar");
    tar.arg("-C").arg(&site).args(["--owner=0", "--group=0", "-cf", "-", "."]);
    let output = tar.output().context("cannot start `tar`")?;
    if !output.status.success() {
        bail!("`{}` failed:\n{}", tar.line(), String::from_utf8_lossy(&output.stderr));
    }
    let script = "set -e
        mkdir -p /var/lib/site
        tar -C /var/lib/site -xf -
        chmod -R u=rwX,go=rX /var/lib/site
        install -d -o 2000 -g 2000 /var/lib/site/data/app /var/lib/site/data/app1 /var/lib/site/data/app2";
    host.machine.enter(&["sh", "-c", script]).read_with_input(&output.stdout)?;
    Ok(())
}

/// Returns what `GET /` of a web server answers, trying for ten seconds: a container that was started needs a moment.
pub fn ask(address: &str) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match ask_once(address) {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("`http://{address}/` does not answer"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
        interrupt::check()?;
    }
}

fn ask_once(address: &str) -> Result<String> {
    let target = format!("{address}:80").parse().context("not an address")?;
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        bail!("the web server says `{status}`");
    }
    Ok(body.trim_end().to_owned())
}

/// Returns the ID of a container on a host.
pub fn container_id(host: &Host, name: &str) -> Result<String> {
    let id = lab::read_on(host, &["docker", "inspect", "--type=container", "--format={{.Id}}", name])?;
    Ok(id.trim().to_owned())
}

/// Returns a `dfab` call for the example in this lab.
pub fn dfab(binary: &std::path::Path, lab: &lab::Lab, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    // The project file is found in the working directory, as a user's is.
    command
        .current_dir(project::root().join("examples/example_map"))
        .arg("--ssh-config-path")
        .arg(lab.ssh_config())
        .args(arguments);
    command
}
