//! The contract of `dfab_client::contract` on every engine of the lab, through SSH: over the Engine API,
//! and over the host's own `docker` program.

use std::sync::Arc;
use std::time::Duration;

use dfab_cli_client::{CliBackend, CliOptions, RemoteShell};
use dfab_client::contract::{Fixture, Outcome, run};
use dfab_client::{ApiBackend, ApiOptions, Backend};
use dfab_map::image::ImageName;
use dfab_tests::engine::{Socket, login, login_options};
use dfab_tests::lab_or_skip;

fn fixture(prefix: &str) -> Fixture {
    let image = ImageName::expand("busybox", None, None).expect("it is a name of an image");
    Fixture::with_shell(image, prefix)
}

/// Returns the promises that were not kept.
fn broken(outcomes: &[Outcome]) -> Vec<String> {
    assert!(outcomes.len() > 15, "the suite ran {} checks", outcomes.len());
    let broken = |outcome: &Outcome| Some(format!("{}: {}", outcome.name, outcome.result.as_ref().err()?));
    outcomes.iter().filter_map(broken).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_contract_over_the_api() {
    let lab = lab_or_skip!();
    for number in 1..=lab.host_count() {
        let host = lab.take(number);
        let session = login(login_options(&host)).await;
        let socket = Socket::new(&host, &session);
        let engine = ApiBackend::new(Arc::new(socket), ApiOptions::default());
        let broken = broken(&run(&engine, &fixture("contract-api")).await);
        assert!(broken.is_empty(), "{} ({}):\n{}", host.name, host.engine, broken.join("\n"));
        session.close().await.unwrap();
        host.expect_no_leftovers();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_contract_over_its_own_docker_program() {
    let lab = lab_or_skip!();
    for number in 1..=lab.host_count() {
        let host = lab.take(number);
        let session = login(login_options(&host)).await;
        let shell = RemoteShell::new(&host.name, Arc::clone(&session));
        let engine = CliBackend::new(Arc::new(shell), CliOptions::default());
        let broken = broken(&run(&engine, &fixture("contract-cli")).await);
        assert!(broken.is_empty(), "{} ({}):\n{}", host.name, host.engine, broken.join("\n"));
        session.close().await.unwrap();
        host.expect_no_leftovers();
    }
}

/// Closed sessions left an empty `/tmp/dfab.*` on the host now and then: sshd ends a script's whole process
/// group, at whatever moment that is.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_closed_sessions_leave_nothing_on_the_host() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    for round in 0..40 {
        let session = login(login_options(&host)).await;
        let shell = RemoteShell::new(&host.name, Arc::clone(&session));
        let engine = CliBackend::new(Arc::new(shell), CliOptions::default());
        // Given up by the caller, or cut off by the session's end: at every moment of a short script.
        let listing = tokio::spawn(async move { engine.list_networks().await.map(drop) });
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        if round % 2 == 0 {
            listing.abort();
        }
        session.close().await.expect("the session is open");
        // A call whose session is closed fails, and an aborted one has no result.
        drop(listing.await);
    }
    host.expect_no_leftovers();
}
