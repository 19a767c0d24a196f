//! Observing the engine in memory.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use std::collections::BTreeSet;
use std::time::Duration;

use dfab_client::memory::Failure;
use dfab_client::{Backend, MemoryBackend, observe};
use dfab_map::image::ImageName;
use dfab_map::observed::Wanted;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use serde_json::json;

async fn engine(containers: usize) -> (MemoryBackend, Wanted) {
    let engine = MemoryBackend::new("a").with_latency(Duration::from_secs(1));
    engine.add_image("app:latest");
    let mut wanted = Wanted::default();
    for number in 0..containers {
        let spec = ContainerSpec {
            name: format!("m.{number}"),
            image: ImageName::expand("app", None, None).unwrap(),
            properties: Properties::from([(Property::Binds, json!(["m.data:/data"]))]),
            first_endpoint: None,
            own_labels: Default::default(),
        };
        engine.create_container(&spec).await.unwrap();
        engine.start_container(&spec.name).await.unwrap();
        wanted.containers.insert(spec.name);
    }
    (engine, wanted)
}

#[tokio::test(start_paused = true)]
async fn it_takes_three_rounds_and_five_requests_beside_the_inspections() {
    let (engine, mut wanted) = engine(16).await;
    wanted.containers.insert("m.absent".into());
    let (before, started) = (engine.requests(), tokio::time::Instant::now());
    let observed = observe(&engine, &wanted).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(engine.requests() - before, 5 + 16);
    assert!(observed.containers.values().all(|container| container.detail.is_some()));
    assert_eq!(observed.volumes["m.data"].holders.len(), 16);
    assert_eq!(observed.networks["bridge"].containers.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn process_lists_and_limits_need_no_further_round() {
    let (engine, mut wanted) = engine(4).await;
    wanted.limits = true;
    wanted.processes = BTreeSet::from(["m.0".into(), "m.1".into()]);
    engine.stop_container("m.1", None).await.unwrap();
    let (before, started) = (engine.requests(), tokio::time::Instant::now());
    let observed = observe(&engine, &wanted).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 3);
    // One list of processes: the other container does not run.
    assert_eq!(engine.requests() - before, 6 + 4 + 1);
    let processes = |name: &str| observed.containers[name].detail.as_ref().unwrap().processes.clone();
    assert!(processes("m.0").is_some_and(|processes| processes.len() == 1));
    assert_eq!(processes("m.1"), None);
}

/// engine D-36
#[tokio::test(start_paused = true)]
async fn a_container_that_vanishes_after_the_list_is_absent() {
    let (engine, wanted) = engine(2).await;
    let lose = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        engine.lose_container("m.1");
    };
    let (observed, ()) = tokio::join!(observe(&engine, &wanted), lose);
    assert_eq!(observed.unwrap().containers.into_keys().collect::<Vec<_>>(), ["m.0"]);
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_one_error() {
    let engine = MemoryBackend::new("a");
    engine.fail_at(3, Failure::Unreachable);
    let error = observe(&engine, &Wanted::default()).await.unwrap_err();
    assert!(error.is_unreachable());
    assert_eq!(error.host, "a");
}

/// Seen with 20.10 on a container that was being stopped.
#[tokio::test(start_paused = true)]
async fn a_container_that_ends_while_its_processes_are_listed_has_ended() {
    let (engine, mut wanted) = engine(1).await;
    wanted.processes = BTreeSet::from(["m.0".into()]);
    engine.fail_calls("list the processes", Failure::Refused(500, "ttrpc: closed: unknown".into()));
    let engine = std::sync::Arc::new(engine);
    let ending = std::sync::Arc::clone(&engine);
    let ends = tokio::spawn(async move {
        // The version, the lists and the first try take a second each.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        ending.recover();
        ending.end_container("m.0", 0);
    });
    let observed = observe(engine.as_ref(), &wanted).await.unwrap();
    assert_eq!(observed.containers["m.0"].detail.as_ref().unwrap().processes, None);
    ends.await.unwrap();

    // One that goes on is an error of the engine.
    let (engine, _) = self::engine(1).await;
    engine.fail_calls("list the processes", Failure::Refused(500, "`ps` is not installed".into()));
    let error = observe(&engine, &wanted).await.unwrap_err();
    assert!(error.cause.to_string().contains("`ps`"), "{error}");
}

/// The start may be the last request of a run that was killed.
#[tokio::test(start_paused = true)]
async fn a_container_that_starts_after_the_list_shows_its_processes() {
    let (engine, mut wanted) = engine(1).await;
    wanted.processes = BTreeSet::from(["m.0".into()]);
    engine.stop_container("m.0", None).await.unwrap();
    let engine = std::sync::Arc::new(engine);
    let starting = std::sync::Arc::clone(&engine);
    let starts = tokio::spawn(async move {
        // The lists are answered after two seconds, the inspection after three.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        starting.start_container("m.0").await.unwrap();
    });
    let observed = observe(engine.as_ref(), &wanted).await.unwrap();
    let detail = observed.containers["m.0"].detail.as_ref().unwrap();
    assert!(detail.processes.as_ref().is_some_and(|processes| !processes.is_empty()));
    starts.await.unwrap();
}
