//! `cargo xtask check`: what must hold before a change is handed in, apart from tests.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::run::{Runs as _, find};
use crate::{layers, project};

/// Runs all checks and reports all that fail.
pub fn run() -> Result<ExitCode> {
    let mut failed = Vec::new();
    let mut check = |name: &'static str, command: &mut Command| {
        println!("== {name}");
        if let Err(error) = command.run() {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
        crate::interrupt::check()
    };
    check("formatting", project::cargo().args(["fmt", "--all", "--", "--check"]))?;
    check(
        "lints",
        project::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    check(
        "documentation",
        project::cargo().env("RUSTDOCFLAGS", "-D warnings").args([
            "doc",
            "--quiet",
            "--workspace",
            "--no-deps",
        ]),
    )?;
    if has_cargo_deny() {
        check("dependencies", project::cargo().args(["deny", "--log-level=error", "check"]))?;
    } else {
        println!("== dependencies: skipped, `cargo deny` is not installed");
    }

    println!("== layers");
    let broken = layers::broken_rules()?;
    for rule in &broken {
        eprintln!("error: {rule}");
    }
    if !broken.is_empty() {
        failed.push("layers");
    }

    if failed.is_empty() {
        println!("all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// `cargo install` puts subcommands into cargo's own folder, which may not be in `PATH`.
fn has_cargo_deny() -> bool {
    let beside_cargo = std::env::var_os("CARGO_HOME")
        .is_some_and(|home| std::path::Path::new(&home).join("bin/cargo-deny").is_file());
    beside_cargo || find("cargo-deny").is_some()
}
