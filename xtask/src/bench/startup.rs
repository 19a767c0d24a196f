//! Startup of 20 independent containers against the limit of the engine: the same create and start calls from a bare
//! client, eight at once.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{Bench, median, timed};
use crate::interrupt;
use crate::lab::read_on;

/// Containers, and requests sent at once by the bare client (dfab's own default).
const CONTAINERS: usize = 20;
const AT_ONCE: usize = 8;

/// What startup may take, as a multiple of the bare client's time.
const LIMIT: f64 = 1.10;

impl Bench<'_> {
    /// Measures locally and over SSH.
    pub(super) fn startup_of_many(&self) -> Result<()> {
        let folder = self.write_instances(CONTAINERS)?;
        let startup = |where_: &[&str]| {
            let mut command = Command::new(&self.dfab);
            command.current_dir(&folder).args(where_).args([
                "--output=json",
                "actions.startup",
                "bench",
                "app",
            ]);
            command
        };
        let config = self.lab.ssh_config();
        let config = config.to_string_lossy();

        let over_socket = || {
            let mut command = startup(&[]);
            command.env("DOCKER_HOST", self.docker_host());
            self.one_startup(command)
        };
        let over_ssh = || self.one_startup(startup(&["--ssh-config-path", &config, "-H", "host1"]));
        let ways: [&dyn Fn() -> Result<f64>; 4] =
            [&|| self.raw_startup(AT_ONCE), &|| self.raw_startup(1), &over_socket, &over_ssh];
        let mut seconds = [const { Vec::new() }; 4];
        for round in 0..self.rounds {
            // The machine changes its speed in the course of a round: each has another beginning.
            for turn in 0..ways.len() {
                let way = (round + turn) % ways.len();
                seconds[way].push(ways[way]()?);
            }
        }
        let against_bare = |way: usize| {
            median(seconds[way].iter().zip(&seconds[0]).map(|(seconds, bare)| seconds / bare).collect())
        };
        let ratios = [1, 2, 3].map(against_bare);
        let [bare, one_by_one, socket, ssh] = seconds.map(median);
        println!("startup of {CONTAINERS} independent containers, ratios within a round");
        println!("  bare client, one by one       {one_by_one:8.2} s   ratio {:.2}", ratios[0]);
        println!("  bare client, {AT_ONCE} at once        {bare:8.2} s   ratio 1.00");
        self.promise_ratio("dfab over the engine's socket", socket, ratios[1], LIMIT);
        self.promise_ratio("dfab over SSH", ssh, ratios[2], LIMIT);
        Ok(())
    }

    /// Runs a startup and returns the seconds it took.
    fn one_startup(&self, command: Command) -> Result<f64> {
        let (seconds, _) = timed(command)?;
        self.remove_containers()?;
        Ok(seconds)
    }

    /// Creates and starts the containers with a bare client and returns the seconds it took.
    fn raw_startup(&self, at_once: usize) -> Result<f64> {
        let socket = self.socket();
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        while let number @ 0..CONTAINERS = next.fetch_add(1, Ordering::Relaxed) {
                            let name = format!("bench.app.i{}", number + 1);
                            let body = r#"{"Image":"busybox:latest","Cmd":["sleep","1000"]}"#;
                            post(&socket, &format!("/v1.41/containers/create?name={name}"), body, "201")?;
                            post(&socket, &format!("/v1.41/containers/{name}/start"), "", "204")?;
                        }
                        Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
        let seconds = started.elapsed().as_secs_f64();
        self.remove_containers()?;
        Ok(seconds)
    }

    pub(super) fn remove_containers(&self) -> Result<()> {
        interrupt::check()?;
        let script = "docker ps -aq --filter name=bench.app | xargs -r docker rm -f";
        read_on(self.host, &["sh", "-c", script]).map(drop)
    }
}

/// Sends one request on a connection of its own.
fn post(socket: &Path, path: &str, body: &str, expected: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket).context("cannot reach the engine")?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.split_ascii_whitespace().nth(1) != Some(expected) {
        bail!("the engine answers to `POST {path}`:\n{answer}");
    }
    Ok(())
}
