//! `cargo xtask soak`: random maps and random drift on real engines of every generation, as long as wanted.
//!
//! A round takes an engine from whatever it holds to a random map, lets up to four things happen behind dfab's back, and
//! repairs them; after both, planning again must find nothing to do (`crates/client/tests/converge`). A round that
//! fails prints its seed and its map, and `--seed SEED --rounds 1` does it again.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::lab::{Generation, Host, Temporary, Wanted, setup};
use crate::project;
use crate::run::{Runs as _, wait};

/// Arguments of `cargo xtask soak`.
#[derive(Args)]
pub struct SoakArgs {
    /// Rounds on each engine
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Seed of the first round; each next one counts up
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Engine generations; each has a host of its own, and all work at the same time
    #[arg(long, value_delimiter = ',', default_value = "20.10,26.1,28.5", value_name = "GENERATION")]
    engine: Vec<Generation>,
    /// Use and keep the lab of this name (`cargo xtask lab up`), which has these engines, instead of a new one
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
}

/// The test that does the rounds.
const TEST: &str = "real_engines_converge_and_drift_is_repaired";

/// Runs the rounds on all engines.
pub fn run(args: &SoakArgs) -> Result<ExitCode> {
    setup::install_if_allowed()?;
    setup::check()?;
    let test = build()?;
    let hosts = u8::try_from(args.engine.len()).context("too many engines")?;
    let wanted = Wanted { name: "soak".to_owned(), hosts, engines: args.engine.clone(), bare: false };
    let temporary = Temporary::up_or_keep(args.keep.as_deref(), wanted)?;
    let lab = &temporary.lab;
    println!(
        "seeds {} to {}, {} rounds on each of {} engines\n",
        args.seed,
        args.seed + args.rounds.saturating_sub(1),
        args.rounds,
        lab.hosts.len()
    );
    let started = Instant::now();
    let mut children = Vec::new();
    for host in &lab.hosts {
        children.push((host, start(&test, host, args)?));
    }
    let (sender, lines) = channel();
    let mut failed = Vec::new();
    std::thread::scope(|scope| {
        for (host, child) in &mut children {
            let output = child.stdout.take().expect("standard output is a pipe");
            let (sender, name) = (sender.clone(), host.engine.to_string());
            scope.spawn(move || tell(&name, BufReader::new(output), &sender));
        }
        drop(sender);
        scope.spawn(move || {
            for line in lines {
                println!("{line}");
            }
        });
        let mut result = Ok(());
        for (host, child) in &mut children {
            // All are waited for: one that was left would go on in a lab that is taken down.
            match wait(child) {
                Ok(status) if status.success() => {}
                Ok(_) => failed.push(host.engine.to_string()),
                Err(error) => result = Err(error),
            }
        }
        result
    })?;
    println!("\n{:.0} s in all", started.elapsed().as_secs_f64());
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("rounds failed on {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Builds the test and returns its binary.
fn build() -> Result<PathBuf> {
    let mut build = project::cargo();
    build.args(["test", "--package", "dfab-client", "--test", "converge", "--no-run"]);
    build.run()?;
    let messages = build.arg("--message-format=json").read()?;
    for message in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(message).context("cargo's JSON cannot be read")?;
        if message["target"]["name"] == "converge"
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!("cargo built no test `converge`")
}

fn start(test: &PathBuf, host: &Host, args: &SoakArgs) -> Result<Child> {
    Command::new(test)
        .args(["--exact", "--nocapture", TEST])
        .env("DFAB_LIVE_ENGINES", host.socket())
        .env("DFAB_LIVE_ROUNDS", args.rounds.to_string())
        .env("DFAB_LIVE_SEED", args.seed.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the test")
}

/// Hands on what a test prints, each line with its engine; the frame around it is left out.
fn tell(engine: &str, output: impl std::io::BufRead, lines: &Sender<String>) {
    for line in output.lines().map_while(Result::ok) {
        if line.is_empty() || line.starts_with("running ") || line.starts_with("test ") {
            continue;
        }
        // Nobody listens any more only when the program is ending.
        let _ = lines.send(format!("{engine:<6} {line}"));
    }
}
