//! The contract of `dfab_client::contract` on an engine of each generation of the lab: over the Engine API through SSH,
//! and over `docker` programs, the host's own through SSH and this machine's without SSH.

use std::sync::Arc;
use std::time::Duration;

use dfab_cli_client::{CliBackend, CliOptions, LocalShell, RemoteShell};
use dfab_client::contract::{Fixture, Outcome, run};
use dfab_client::{ApiBackend, ApiOptions, Backend};
use dfab_map::image::ImageName;
use dfab_tests::engine::{Socket, login, login_options};
use dfab_tests::{Host, lab_or_skip};

/// Asserts that every promise is kept.
async fn assert_kept(backend: &dyn Backend, host: &Host<'_>, prefix: &str) {
    let image = ImageName::expand("busybox", None, None).expect("it is a name of an image");
    let outcomes = run(backend, &Fixture::with_shell(image, prefix)).await;
    assert!(outcomes.len() > 30, "the suite ran {} checks", outcomes.len());
    let broken = |outcome: &Outcome| Some(format!("{}: {}", outcome.name, outcome.result.as_ref().err()?));
    // A program that is newer than its engine cannot ask for everything, and says so itself.
    let is_known = |broken: &String| {
        broken.contains("the docker command line on") && broken.contains("requires API version")
    };
    let broken: Vec<String> = outcomes.iter().filter_map(broken).filter(|broken| !is_known(broken)).collect();
    assert!(broken.is_empty(), "{} ({}):\n{}", host.name, host.engine, broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_contract_over_the_api() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        let host = lab.take(number);
        let session = login(login_options(&host)).await;
        let engine = ApiBackend::new(Arc::new(Socket::new(&host, &session)), ApiOptions::default());
        assert_kept(&engine, &host, "contract-api").await;
        session.close().await.unwrap();
        host.expect_no_leftovers();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_contract_over_its_own_docker_program() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        let host = lab.take(number);
        let session = login(login_options(&host)).await;
        let shell = RemoteShell::new(&host.name, Arc::clone(&session));
        let engine = CliBackend::new(Arc::new(shell), CliOptions::default());
        assert_kept(&engine, &host, "contract-cli").await;
        session.close().await.unwrap();
        host.expect_no_leftovers();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_contract_over_the_docker_program_of_this_machine() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        let host = lab.take(number);
        let options = CliOptions { base_url: Some(host.docker_host()), ..CliOptions::default() };
        let engine = CliBackend::new(Arc::new(LocalShell::new()), options);
        assert_kept(&engine, &host, "contract-local").await;
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
