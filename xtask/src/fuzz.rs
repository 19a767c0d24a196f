//! `cargo xtask fuzz`: broken texts for the YAML reader and the loader (`crates/map/examples/fuzz`).

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::project;
use crate::run::Runs as _;

#[derive(Args)]
pub struct FuzzArgs {
    /// How long, in minutes [default: 10]
    #[arg(long, default_value_t = 10.0, hide_default_value = true)]
    minutes: f64,
    /// Where the random numbers start; the same seed repeats a run of the same corpus
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most new texts to add to the corpus
    #[arg(long, default_value_t = 60)]
    keep: usize,
}

/// Runs the loop. Texts that break a property are left in `crates/map/fuzz/findings`.
pub fn run(args: &FuzzArgs) -> Result<ExitCode> {
    let (minutes, seed, keep) = (args.minutes.to_string(), args.seed.to_string(), args.keep.to_string());
    project::cargo()
        .args(["run", "--quiet", "--release", "--package", "dfab-map", "--example", "fuzz", "--"])
        .args(["--minutes", &minutes, "--seed", &seed, "--keep", &keep])
        .run()?;
    Ok(ExitCode::SUCCESS)
}
