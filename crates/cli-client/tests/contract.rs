//! The contract of `dfab_client::contract` over the command line, local and through SSH; see
//! [`live`] for the variables. In a lab that is a test of the whole workspace's suite instead.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod live;

use dfab_client::contract::{Fixture, Outcome, run};
use dfab_map::image::ImageName;

fn broken(outcomes: &[Outcome]) -> Vec<String> {
    assert!(outcomes.len() > 15);
    let broken =
        |outcome: &Outcome| outcome.result.as_ref().err().map(|broken| format!("{}: {broken}", outcome.name));
    // A program newer than its engine cannot ask for everything, and says so itself.
    let is_known = |broken: &String| broken.contains("requires API version");
    outcomes.iter().filter_map(broken).filter(|broken| !is_known(broken)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_keeps_the_contract() {
    if std::env::var_os("DFAB_LAB").is_some() {
        println!("skipped: the suite of `dfab-tests` runs the contract in a lab");
        return;
    }
    for place in live::places().await {
        let image = ImageName::expand("busybox", None, None).unwrap();
        let broken = broken(&run(&place.backend(), &Fixture::with_shell(image, "contract-cli")).await);
        assert!(broken.is_empty(), "{}:\n{}", place.name, broken.join("\n"));
    }
}
