//! `cargo xtask demo`: the documentation's example on a real engine behind a real sshd, from nothing to nothing.
//!
//! It does not only show: each step checks on the host, without `dfab`, that what was said is true.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::lab::{Generation, Host, Temporary, Wanted, image, setup};
use crate::run::Runs as _;
use crate::{project, site};

const CONTAINERS: [&str; 3] =
    ["example_map.web_server", "example_map.app_server.instance1", "example_map.app_server.instance2"];

/// Runs the demonstration.
pub fn run() -> Result<ExitCode> {
    setup::install_if_allowed()?;
    setup::check()?;
    heading("build dfab");
    let dfab = project::build_dfab(false)?;

    heading("make a lab of two Docker hosts behind sshd");
    let temporary = Temporary::up(&Wanted {
        name: "demo".to_owned(),
        hosts: 2,
        engines: vec![Generation::V20],
        bare: false,
    })?;
    let lab = &temporary.lab;
    let (host1, host2) = (&lab.hosts[0], &lab.hosts[1]);
    for host in [host1, host2] {
        site::install(host)?;
    }
    print!("{}", lab.describe());
    println!("$ cd examples/example_map");
    let run = |hosts: &str, arguments: &[&str]| {
        let mut words = vec!["--hosts", hosts];
        words.extend(arguments);
        let mut command = site::dfab(&dfab, lab, &words);
        println!(
            "$ {}",
            command.line().replacen(&crate::run::quoted(&dfab.display().to_string()), "dfab", 1)
        );
        command.run()
    };
    let update = ["actions.update", "example_map", "web_server"];

    heading("nothing exists: all is created");
    run("host1", &update)?;

    heading("the web server answers with what the application says");
    for _ in 0..2 {
        println!("$ curl http://{}/", host1.machine.address);
        println!("{}", site::ask(&host1.machine.address)?);
    }

    heading("the same command again: nothing changes");
    let before = ids(host1)?;
    run("host1", &update)?;
    if ids(host1)? != before {
        bail!("the second run replaced a container");
    }

    heading("a new image of the application: its instances are recreated, the web server is not");
    println!("$ docker import app-2.tar registry.example.com/app:latest   # on host1");
    println!("{}", image::import_app(host1, "2")?);
    run("host1", &update)?;
    let after = ids(host1)?;
    if after[0] != before[0] {
        bail!("the web server was replaced");
    }
    if after[1] == before[1] || after[2] == before[2] {
        bail!("an application instance was not replaced");
    }
    println!("$ curl http://{}/", host1.machine.address);
    let answer = site::ask(&host1.machine.address)?;
    println!("{answer}");
    if !answer.contains("version 2") {
        bail!("the web server's answer is not from the new application");
    }

    heading("the containers of the host");
    run("host1", &["docker.list_containers"])?;

    heading("both hosts: the second one catches up, the first one has nothing to do");
    run("host1,host2", &update)?;
    println!("$ curl http://{}/", host2.machine.address);
    println!("{}", site::ask(&host2.machine.address)?);

    heading("take the lab down");
    drop(temporary);
    println!("nothing of the lab is left");
    Ok(ExitCode::SUCCESS)
}

fn ids(host: &Host) -> Result<Vec<String>> {
    CONTAINERS.iter().map(|name| site::container_id(host, name)).collect()
}

fn heading(text: &str) {
    println!("\n== {text}");
}
