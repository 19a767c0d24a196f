//! `cargo xtask bench`: the figures that the project promises, as ratios within one run.
//!
//! * The example's no-op update over SSH: wall time, engine requests, the share of the SSH handshake (what SSH adds to a
//!   single request), and the same over the engine's own socket; with a round-trip time in between, also how many round
//!   trips a run takes.
//! * `startup` of 20 independent containers against the limit of the engine: the same create and start calls from
//!   a bare client, eight at once.
//!
//! * The SSH transport by itself against `ssh`: `transport.rs`.
//!
//! Rounds alternate between the things that are compared, so that a busy machine disturbs all alike.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::lab::{Generation, Host, Lab, Temporary, Wanted, read_on, setup};
use crate::run::Runs as _;
use crate::{delay, interrupt, project, site, transport};

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// Engine generation of the host
    #[arg(long, default_value = "20.10", value_name = "GENERATION")]
    engine: Generation,
    /// How often each thing is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

/// Containers of the startup figure, and requests sent at once by the bare client (dfab's own default).
const CONTAINERS: usize = 20;
const AT_ONCE: usize = 8;

/// Round-trip time of the delayed run.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Runs all measurements.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    setup::install_if_allowed()?;
    setup::check()?;
    transport::run()?;
    let dfab = project::build_dfab(true)?;
    let temporary = Temporary::up(&Wanted {
        name: "bench".to_owned(),
        hosts: 1,
        engines: vec![args.engine],
        bare: false,
    })?;
    let lab = &temporary.lab;
    let bench = Bench { dfab, lab, host: &lab.hosts[0], rounds: usize::from(args.rounds) };
    println!("engine {}, median of {} rounds\n", args.engine, bench.rounds);
    bench.no_op_update()?;
    bench.startup_of_many()?;
    Ok(ExitCode::SUCCESS)
}

struct Bench<'a> {
    dfab: PathBuf,
    lab: &'a Lab,
    host: &'a Host,
    rounds: usize,
}

impl Bench<'_> {
    fn no_op_update(&self) -> Result<()> {
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

    fn startup_of_many(&self) -> Result<()> {
        let folder = self.lab.folder.join("bench");
        fs::create_dir_all(&folder).context("cannot make a folder for the map")?;
        let instances: Vec<String> = (1..=CONTAINERS).map(|number| format!("i{number}")).collect();
        let map = format!(
            "name: bench\napp:\n  image: busybox\n  instances: [{}]\n  create_options:\n    command: sleep 1000\n",
            instances.join(", ")
        );
        fs::write(folder.join("bench.yaml"), map).context("cannot write the map")?;
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

        let (mut raw, mut one_by_one, mut socket, mut ssh) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            raw.push(self.raw_startup(AT_ONCE)?);
            one_by_one.push(self.raw_startup(1)?);

            let mut command = startup(&[]);
            command.env("DOCKER_HOST", self.docker_host());
            socket.push(timed(command)?.0);
            self.remove_containers()?;

            ssh.push(timed(startup(&["--ssh-config-path", &config, "-H", "host1"]))?.0);
            self.remove_containers()?;
        }
        let (raw, one_by_one) = (median(raw), median(one_by_one));
        println!("startup of {CONTAINERS} independent containers");
        println!("  bare client, one by one       {one_by_one:8.2} s   ratio {:.2}", one_by_one / raw);
        println!("  bare client, {AT_ONCE} at once        {raw:8.2} s   ratio 1.00");
        for (name, seconds) in
            [("dfab over the engine's socket", median(socket)), ("dfab over SSH", median(ssh))]
        {
            println!("  {name:<29} {seconds:8.2} s   ratio {:.2}", seconds / raw);
        }
        Ok(())
    }

    /// The engine's socket as seen from outside the host.
    fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/run/docker.sock", self.host.machine.init.pid))
    }

    fn docker_host(&self) -> String {
        format!("unix://{}", self.socket().display())
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

    fn remove_containers(&self) -> Result<()> {
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

/// Runs a command and returns the seconds it took, and its output.
fn timed(mut command: Command) -> Result<(f64, String)> {
    let started = Instant::now();
    let output = command.read()?;
    Ok((started.elapsed().as_secs_f64(), output))
}

/// Checks that a run changed nothing, and returns how many requests it sent.
fn unchanged(output: &str) -> Result<u64> {
    let json: serde_json::Value = serde_json::from_str(output).context("dfab's JSON cannot be read")?;
    if json["plan"].as_array().is_none_or(|plan| !plan.is_empty()) {
        bail!("the update was not a no-op: {}", json["plan"]);
    }
    json["requests"].as_u64().context("dfab's JSON has no `requests`")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
