//! Project chores: `cargo xtask lab | demo | integration | bench | soak | dist | fuzz | check`.
//!
//! CI calls the same commands as a developer. This program uses none of our crates: it builds and
//! runs the `dfab` binary as a user would.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool reports on its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod check;
mod delay;
mod demo;
mod dist;
mod fuzz;
mod integration;
mod interrupt;
mod lab;
mod layers;
mod project;
mod run;
mod site;
mod soak;
mod transport;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Project chores of dfab", version)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Make, use and remove a lab of Docker hosts behind sshd on this machine
    Lab(lab::LabArgs),
    /// Show the main job in a lab: create, nothing to do, a new image, list, remove
    Demo,
    /// Make a lab and run all tests of the workspace, the live ones in it
    Integration(integration::IntegrationArgs),
    /// Measure the main job in a lab
    Bench(bench::BenchArgs),
    /// Bring random maps and random drift to real engines of every generation
    Soak(soak::SoakArgs),
    /// Build a release: binary, completions and manual pages in an archive with its checksum
    Dist(dist::DistArgs),
    /// Feed broken texts to the YAML reader and the map loader
    Fuzz(fuzz::FuzzArgs),
    /// Check formatting, lints, documentation, dependencies and layers
    Check,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = interrupt::install().and_then(|()| match args.chore {
        Chore::Lab(args) => lab::run(args),
        Chore::Demo => demo::run(),
        Chore::Integration(args) => integration::run(args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Soak(args) => soak::run(&args),
        Chore::Dist(args) => dist::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Check => check::run(),
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  caused by: {cause}");
            }
            if interrupt::requested() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}
