//! `cargo xtask bench`: the figures that the project promises, as ratios within one run on one host.
//!
//! [`crate::transport`] SSH against `ssh` · [`no_op`] the example's no-op update and what SSH costs of it · [`startup`] 20 containers against the limit of the
//! engine · [`compose`] no-op updates and shutdown against `docker compose` · [`images`] an image of 1 GB against `ssh` ·
//! [`cli`] the CLI backend against the Engine API. A further part is a file with a method of
//! [`Bench`], and a line in [`run`]; [`Bench::promise`] prints a figure and remembers one that misses its limit.
//!
//! Rounds alternate between the things that are compared, so that a busy machine disturbs all alike.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::lab::{Generation, Host, Lab, Temporary, Wanted, setup};
use crate::project;
use crate::run::Runs as _;

mod cli;
mod compose;
mod images;
mod no_op;
mod startup;

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// Engine generation of the host
    #[arg(long, default_value = "20.10", value_name = "GENERATION")]
    engine: Generation,
    /// How often each thing is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "PATH")]
    dfab: Option<PathBuf>,
    /// Parts to run, instead of all
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Part::ALL, value_name = "PART")]
    part: Vec<Part>,
}

/// A part of the measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The SSH transport by itself against `ssh`
    Transport,
    /// The example's no-op update
    NoOp,
    /// Startup of 20 containers against the engine's limit
    Startup,
    /// No-op update and shutdown against docker compose
    Compose,
    /// Save and load of an image of 1 GB against `ssh`
    Images,
    /// No-op update by docker command lines against the Engine API
    Cli,
}

impl Part {
    const ALL: [Part; 6] =
        [Part::Transport, Part::NoOp, Part::Startup, Part::Compose, Part::Images, Part::Cli];
}

/// Runs all measurements.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    setup::install_if_allowed()?;
    setup::check()?;
    let missed = Cell::new(0);
    let (transport, others): (Vec<Part>, Vec<Part>) =
        args.part.iter().partition(|part| **part == Part::Transport);
    if !transport.is_empty() {
        missed.set(crate::transport::run()?);
    }
    if others.is_empty() {
        return Ok(verdict(&missed));
    }
    let dfab = match &args.dfab {
        Some(path) => path.canonicalize().with_context(|| format!("there is no `{}`", path.display()))?,
        None => project::build_dfab(true)?,
    };
    let temporary = Temporary::up(&Wanted {
        name: "bench".to_owned(),
        hosts: 1,
        engines: vec![args.engine],
        bare: false,
    })?;
    let lab = &temporary.lab;
    let bench = Bench { dfab, lab, host: &lab.hosts[0], rounds: usize::from(args.rounds), missed };
    println!("engine {}, median of {} rounds\n", args.engine, bench.rounds);
    for part in others {
        match part {
            // Was first: it needs no host.
            Part::Transport => {}
            Part::NoOp => bench.no_op_update()?,
            Part::Startup => bench.startup_of_many()?,
            Part::Compose => bench.against_compose()?,
            Part::Images => bench.image_transfer()?,
            Part::Cli => bench.by_command_lines()?,
        }
    }
    Ok(verdict(&bench.missed))
}

fn verdict(missed: &Cell<usize>) -> ExitCode {
    if missed.get() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Bench<'a> {
    dfab: PathBuf,
    lab: &'a Lab,
    host: &'a Host,
    rounds: usize,
    /// Figures that missed their limit.
    missed: Cell<usize>,
}

impl Bench<'_> {
    /// The engine's socket as seen from outside the host.
    fn socket(&self) -> PathBuf {
        PathBuf::from(self.host.socket())
    }

    fn docker_host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Writes the map `bench` with that many instances of the configuration `app`, and returns its folder.
    fn write_instances(&self, count: usize) -> Result<PathBuf> {
        let folder = self.lab.folder.join("bench");
        fs::create_dir_all(&folder).context("cannot make a folder for the map")?;
        let instances: Vec<String> = (1..=count).map(|number| format!("i{number}")).collect();
        let map = format!(
            "name: bench\napp:\n  image: busybox\n  instances: [{}]\n  create_options:\n    command: sleep 1000\n",
            instances.join(", ")
        );
        fs::write(folder.join("bench.yaml"), map).context("cannot write the map")?;
        Ok(folder)
    }

    /// Prints a figure against what it is compared with. `limit` is what was promised: at most so many times that.
    fn promise(&self, name: &str, seconds: f64, reference: f64, limit: f64) {
        self.promise_ratio(name, seconds, seconds / reference, limit);
    }

    /// Prints a figure and what became of the comparison.
    fn promise_ratio(&self, name: &str, seconds: f64, ratio: f64, limit: f64) {
        let verdict = if ratio <= limit { "" } else { "   MISSED" };
        println!("  {name:<29} {seconds:8.3} s   ratio {ratio:.2}   promised {limit:.2}{verdict}");
        if ratio > limit {
            self.missed.set(self.missed.get() + 1);
        }
    }
}

/// Checks that a run changed nothing, and returns how many requests it sent.
fn unchanged(output: &str) -> Result<u64> {
    let json: serde_json::Value = serde_json::from_str(output).context("dfab's JSON cannot be read")?;
    if json["plan"].as_array().is_none_or(|plan| !plan.is_empty()) {
        bail!("the update was not a no-op: {}", json["plan"]);
    }
    json["requests"].as_u64().context("dfab's JSON has no `requests`")
}

/// Runs a command and returns the seconds it took, and its output.
fn timed(mut command: Command) -> Result<(f64, String)> {
    let started = Instant::now();
    let output = command.read()?;
    Ok((started.elapsed().as_secs_f64(), output))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
