//! Maps brought to an engine, disturbed, and brought back: after every successful run the next plan is
//! empty.
//!
//! On the engine in memory always; on a real one where `DFAB_LIVE_ENGINE` gives its socket (an image
//! `busybox:latest` must be there).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod drift;
mod world;

use dfab_client::memory::Failure;
use dfab_map::plan::ActionKind;

use self::world::World;

const MAP: &str = include_str!("map.yaml");

#[tokio::test(start_paused = true)]
async fn a_second_update_finds_nothing_to_do() {
    let world = World::in_memory(MAP);
    let plan = world.run(ActionKind::Update).await.unwrap();
    assert!(plan.steps.len() > 10, "{plan}");
    world.assert_converged("after the first update").await;
}

#[tokio::test(start_paused = true)]
async fn startup_and_shutdown_come_full_circle() {
    let world = World::in_memory(MAP);
    world.run(ActionKind::Startup).await.unwrap();
    let plan = world.plan(ActionKind::Startup).await;
    assert!(plan.is_empty(), "{plan}");
    world.run(ActionKind::Shutdown).await.unwrap();
    world.run(ActionKind::Create).await.unwrap();
    world.run(ActionKind::Start).await.unwrap();
    world.assert_converged("after create and start").await;
    world.run(ActionKind::Restart).await.unwrap();
    let plan = world.plan(ActionKind::Update).await;
    let execs = plan.steps.iter().all(|step| step.action == dfab_map::plan::Action::Exec);
    assert!(execs, "a restart runs no exec commands unless asked to (engine §8.1), and that is all:\n{plan}");
}

/// The run is killed after every request in turn, and run again.
#[tokio::test(start_paused = true)]
async fn an_update_that_is_killed_anywhere_is_completed_by_the_next() {
    for number in 1.. {
        let world = World::in_memory(MAP);
        let memory = world.memory.as_ref().unwrap();
        memory.fail_at(number, Failure::Unreachable);
        let finished = world.run(ActionKind::Update).await.is_ok();
        memory.recover();
        world.run(ActionKind::Update).await.unwrap_or_else(|error| panic!("after request {number}: {error}"));
        world.assert_converged(&format!("after request {number}")).await;
        let helpers = memory.changes().into_iter().filter(|call| call.contains("dfab.prepare")).count();
        assert!(helpers > 0, "volumes are prepared");
        if finished {
            assert!(number > 35, "the whole run was interrupted, {number} times");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_drift_is_repaired() {
    for seed in 0..100 {
        let world = World::in_memory(MAP);
        world.run(ActionKind::Update).await.unwrap();
        let drifted = drift::disturb(&world, seed).await;
        let plan = world
            .run(ActionKind::Update)
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, {drifted:?}: {error}"));
        world.assert_converged(&format!("seed {seed}, {drifted:?}, repaired by\n{plan}")).await;
    }
}

#[tokio::test]
async fn a_real_engine_converges_and_drift_is_repaired() {
    let Some(world) = World::live(MAP) else {
        println!("skipped: DFAB_LIVE_ENGINE does not name an engine's socket");
        return;
    };
    world.clean_up().await;
    world.run(ActionKind::Update).await.unwrap();
    world.assert_converged("after the first update").await;
    let rounds = std::env::var("DFAB_LIVE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for seed in 0..rounds {
        let drifted = drift::disturb(&world, seed).await;
        let plan = world
            .run(ActionKind::Update)
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, {drifted:?}: {error}"));
        world.assert_converged(&format!("seed {seed}, {drifted:?}, repaired by\n{plan}")).await;
    }
    // The image has a folder of another owner at the path, which engines copy into empty volumes.
    assert_eq!(world.shell("conv.data", "stat -c '%u:%g %a' /mounted").await, "2000:2000 750\n");
    world.clean_up().await;
}
