//! The contract suite over the backends of this crate.
//!
//! The engine in memory always; real ones where `DFAB_LIVE_ENGINES` gives their sockets (an image
//! `busybox:latest` must be there).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/engine.rs"]
mod engine;

use dfab_client::MemoryBackend;
use dfab_client::contract::{Fixture, Outcome, run};
use dfab_client::memory::Behaviour;
use dfab_map::spec::Properties;
use engine::{Engines, image};

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

#[tokio::test]
async fn the_api_backend_keeps_the_contract() {
    for engine in Engines::take().await.iter() {
        assert_kept(&run(engine.as_ref(), &Fixture::with_shell(image("busybox"), "contract")).await);
    }
}
