//! The contract suite over the engine in memory. `dfab-tests` runs it over real engines, all backends.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use dfab_client::MemoryBackend;
use dfab_client::contract::{Fixture, Outcome, run};
use dfab_client::memory::Behaviour;
use dfab_map::image::ImageName;
use dfab_map::spec::Properties;

fn image(name: &str) -> ImageName {
    ImageName::expand(name, None, None).unwrap()
}

fn assert_kept(outcomes: &[Outcome]) {
    assert!(outcomes.len() > 15);
    let broken: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            outcome.result.as_ref().err().map(|broken| format!("{}: {broken}", outcome.name))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[tokio::test]
async fn the_engine_in_memory_keeps_the_contract() {
    let engine = MemoryBackend::new("memory");
    engine.add_image("busybox:latest");
    engine.add_image_with("ending:latest", Behaviour::Ends(3, "hello\nworld\n".into()), Properties::new());
    let fixture =
        Fixture { ending_image: image("ending"), ..Fixture::with_shell(image("busybox"), "contract") };
    assert_kept(&run(&engine, &fixture).await);
}
