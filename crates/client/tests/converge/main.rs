//! Maps brought to an engine, disturbed, and brought back: after every successful run the next plan is
//! empty.
//!
//! On the engine in memory always; on real ones where `DFAB_LIVE_ENGINES` gives their sockets (an image
//! `busybox:latest` must be there). `cargo xtask soak` does many rounds on all engine generations.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod drift;
mod generate;
mod random;
mod rounds;
mod world;

use std::path::Path;
use std::sync::Arc;

use dfab_client::memory::Failure;
use dfab_map::plan::ActionKind;

use self::rounds::rounds;
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

/// Random maps one after the other on one engine, each with drift.
#[tokio::test(start_paused = true)]
async fn any_map_is_reached_from_any_other_and_after_any_drift() {
    let mut world = World::in_memory(&generate::map(0));
    let figures = rounds(&mut world, 0, 200, |_| {}).await;
    assert_eq!(figures.failures, [""; 0], "{figures}");
    assert!(figures.steps > 1_000 && figures.drifts > 200, "{figures}");
}

/// The way from a random map to another one is killed after every request in turn, and gone again.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_killed_anywhere_is_completed_by_the_next_run() {
    for seed in 0..6 {
        for number in 1.. {
            let mut world = World::in_memory(&generate::map(seed));
            world.run(ActionKind::Update).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let volumes = world.backend.list_volumes().await.unwrap();
            world.turn_to(&generate::map(seed + 1000));
            let memory = Arc::clone(world.memory.as_ref().unwrap());
            memory.fail_at(number, Failure::Unreachable);
            let finished = world.run(ActionKind::Update).await.is_ok();
            memory.recover();
            let when = format!("seed {seed}, after request {number}");
            world.run(ActionKind::Update).await.unwrap_or_else(|error| panic!("{when}: {error}"));
            world.assert_converged(&when).await;
            let left = world.backend.list_volumes().await.unwrap();
            let lost = |name: &&String| name.starts_with("conv.") && !left.contains_key(*name);
            assert_eq!(volumes.keys().find(lost), None, "{when}");
            let data = |call: &&String| call.starts_with("remove volume") && !call.contains(".dfab-un");
            assert_eq!(memory.changes().iter().find(data), None, "{when}");
            if finished {
                break;
            }
        }
    }
}

/// `DFAB_LIVE_ENGINES` names the sockets of engines, separated by commas.
#[tokio::test]
async fn real_engines_converge_and_drift_is_repaired() {
    let Some(sockets) = std::env::var_os("DFAB_LIVE_ENGINES") else {
        println!("skipped: DFAB_LIVE_ENGINES does not name an engine's socket");
        return;
    };
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
    };
    let (first, count) = (number("DFAB_LIVE_SEED", 0), number("DFAB_LIVE_ROUNDS", 3));
    for socket in sockets.to_string_lossy().split(',') {
        let mut world = World::live(MAP, Path::new(socket));
        world.clean_up().await;
        world.make_image(0).await;
        world.run(ActionKind::Update).await.unwrap();
        world.assert_converged("after the first update").await;
        // The image has a folder of another owner at the path, which engines copy into empty volumes.
        assert_eq!(world.shell("conv.data", "stat -c '%u:%g %a' /mounted").await, "2000:2000 750\n");
        let figures = rounds(&mut world, first, count, |line| println!("{line}")).await;
        println!("figures: {figures}");
        assert!(figures.failures.is_empty(), "{socket}:\n{}", figures.failures.join("\n\n"));
    }
}
