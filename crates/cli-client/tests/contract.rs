//! The contract of `dfab_client::contract` over the command line, local and through SSH; see
//! [`live`] for the variables.

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
    let Some(socket) = live::socket() else { return };
    for (way, shell) in live::shells().await {
        for program in live::programs() {
            let backend = live::backend(shell.clone(), &program, &socket);
            let image = ImageName::expand("busybox", None, None).unwrap();
            let broken = broken(&run(&backend, &Fixture::with_shell(image, "contract-cli")).await);
            assert!(broken.is_empty(), "{way}, {program}:\n{}", broken.join("\n"));
        }
    }
}
