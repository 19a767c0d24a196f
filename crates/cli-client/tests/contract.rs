//! The contract of `dfab_client::contract` over the command line.
//!
//! `DFAB_LIVE_ENGINE` names an engine's socket, as for the API backend; `DFAB_LIVE_DOCKER` the
//! `docker` programs to try with it, separated by `:`, else the one in `PATH`. The engine must have
//! an image `busybox`. `xtask integration` runs the same suite through SSH.

// Tests that are skipped say so.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use dfab_cli_client::{CliBackend, CliOptions, LocalShell};
use dfab_client::contract::{Fixture, Outcome, run};
use dfab_map::image::ImageName;

fn engine() -> Option<String> {
    let socket = std::env::var("DFAB_LIVE_ENGINE").ok();
    if socket.is_none() {
        println!("skipped: DFAB_LIVE_ENGINE does not name an engine's socket");
    }
    socket
}

fn programs() -> Vec<String> {
    let programs = std::env::var("DFAB_LIVE_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    programs.split(':').map(str::to_owned).collect()
}

fn broken(outcomes: &[Outcome]) -> Vec<String> {
    assert!(outcomes.len() > 15);
    let broken =
        |outcome: &Outcome| outcome.result.as_ref().err().map(|broken| format!("{}: {broken}", outcome.name));
    outcomes.iter().filter_map(broken).collect()
}

#[tokio::test]
async fn the_command_line_keeps_the_contract() {
    let Some(socket) = engine() else { return };
    for binary in programs() {
        let options = CliOptions {
            binary: binary.clone(),
            base_url: Some(format!("unix://{socket}")),
            ..CliOptions::default()
        };
        let backend = CliBackend::new(Arc::new(LocalShell::new()), options);
        let image = ImageName::expand("busybox", None, None).unwrap();
        let mut broken = broken(&run(&backend, &Fixture::with_shell(image, "contract-cli")).await);
        // A program newer than its engine cannot ask for everything, and says so itself.
        broken.retain(|broken| !broken.contains("requires API version"));
        assert!(broken.is_empty(), "{binary}:\n{}", broken.join("\n"));
    }
}
