//! A round: from whatever an engine holds to a random map, then random drift, and back.

use std::time::{Duration, Instant};

use dfab_map::plan::{ActionKind, Plan};

use super::world::World;
use super::{drift, generate};

/// What a number of rounds came to.
#[derive(Default)]
pub struct Figures {
    pub rounds: u64,
    pub drifts: usize,
    pub steps: usize,
    pub requests: u64,
    pub failures: Vec<String>,
    pub time: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rounds, drifts, steps, requests, failures, time } = self;
        let (failed, seconds) = (failures.len(), time.as_secs_f64());
        write!(
            f,
            "{rounds} rounds, {drifts} drifts, {steps} steps, {requests} requests, {failed} failed, {seconds:.0} s"
        )
    }
}

/// Runs `count` rounds from `first` on. A failed one is noted with its seed, and the next begins with
/// an empty engine.
pub async fn rounds(world: &mut World, first: u64, count: u64, tell: impl Fn(&str)) -> Figures {
    let (started, requests) = (Instant::now(), world.backend.requests());
    let mut figures = Figures::default();
    world.clean_up().await;
    world.make_image(0).await;
    for seed in first..first + count {
        let bystander = world.bystander().await;
        match round(world, seed, &mut figures).await {
            Ok(()) => {
                // What was not of the map is the same container as before, and still runs.
                assert_eq!(world.bystander().await, bystander, "seed {seed} touched what is not its own");
            }
            Err(failure) => {
                tell(&format!("seed {seed} failed: {failure}"));
                figures.failures.push(format!("seed {seed}: {failure}\n{}", generate::map(seed)));
                world.clean_up().await;
            }
        }
        figures.rounds += 1;
        if figures.rounds % 20 == 0 {
            figures.time = started.elapsed();
            figures.requests = world.backend.requests() - requests;
            tell(&figures.to_string());
        }
    }
    world.clean_up().await;
    figures.time = started.elapsed();
    figures.requests = world.backend.requests() - requests;
    figures
}

async fn round(world: &mut World, seed: u64, figures: &mut Figures) -> Result<(), String> {
    world.turn_to(&generate::map(seed));
    let plan = step(world, figures).await.map_err(|error| format!("to the map: {error}"))?;
    world.converged().await.map_err(|error| format!("after the map: {error}\nwas made by\n{plan}"))?;
    let drifted = drift::disturb(world, seed).await;
    figures.drifts += drifted.len();
    let plan = step(world, figures).await.map_err(|error| format!("after {drifted:?}: {error}"))?;
    world.converged().await.map_err(|error| format!("after {drifted:?}: {error}\nwas made by\n{plan}"))
}

async fn step(world: &World, figures: &mut Figures) -> Result<Plan, String> {
    let plan = world.run(ActionKind::Update).await?;
    figures.steps += plan.steps.len();
    Ok(plan)
}
