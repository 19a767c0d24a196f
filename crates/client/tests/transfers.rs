//! Images, archives and events of real engines, where `DFAB_LIVE_ENGINES` gives their sockets (an image
//! `busybox:latest` with a shell must be there). Registries are tested by the suite of `dfab-tests`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/engine.rs"]
mod engine;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dfab_client::Backend;
use dfab_client::apply::CancellationToken;
use dfab_client::maintenance::{CleanupContainers, CleanupImages, cleanup_containers, cleanup_images};
use dfab_client::streams::{EventOptions, Moment};
use dfab_client::transfer::{BuildOptions, Progress, Reader};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use engine::{Engines, image};
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncReadExt;

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn reader(bytes: Vec<u8>) -> Reader {
    Box::new(std::io::Cursor::new(bytes))
}

async fn bytes(mut reader: Reader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn text_in(archive: &[u8], name: &str) -> String {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with(name)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    text
}

async fn build(
    engine: &dyn Backend,
    dockerfile: &str,
    tag: &str,
) -> (Result<Option<String>, String>, Vec<String>) {
    let context = tar(&[("Dockerfile", dockerfile), ("content", "from the context\n")]);
    let options = BuildOptions {
        tag: tag.into(),
        rm: true,
        labels: BTreeMap::from([("built".into(), "by a test".into())]),
        ..BuildOptions::default()
    };
    let lines = Mutex::new(Vec::new());
    let tell = |progress: Progress| lines.lock().unwrap().push(progress.to_string());
    let built = engine.build_image(reader(context), &options, &tell).await;
    (built.map_err(|error| error.cause.to_string()), lines.into_inner().unwrap())
}

#[tokio::test]
async fn an_image_is_built_saved_loaded_and_removed() {
    for engine in Engines::take().await.iter() {
        let dockerfile = "FROM busybox:latest\nCOPY content /srv/built\nRUN echo running; cat /srv/built\n";
        let (built, lines) = build(engine.as_ref(), dockerfile, "dfab-test/built:1").await;
        let id = built.unwrap().unwrap();
        assert!(lines.iter().any(|line| line == "from the context"), "{lines:?}");
        let found = engine.image_id(&image("dfab-test/built:1")).await.unwrap().unwrap();
        assert!(found.contains(&id) || id.contains(&found), "{id} {found}");

        engine.tag_image("dfab-test/built:1", "dfab-test/built", "2").await.unwrap();
        assert_eq!(engine.image_id(&image("dfab-test/built:2")).await.unwrap(), Some(found.clone()));

        let saved = bytes(engine.save_image("dfab-test/built:1").await.unwrap()).await;
        assert!(text_in(&saved, "manifest.json").contains("dfab-test/built:1"));
        engine.remove_image("dfab-test/built:1", false).await.unwrap();
        engine.remove_image("dfab-test/built:2", false).await.unwrap();
        assert_eq!(engine.image_id(&image("dfab-test/built:1")).await.unwrap(), None);
        engine.load_image(reader(saved), &|_| {}).await.unwrap();
        assert_eq!(engine.image_id(&image("dfab-test/built:1")).await.unwrap(), Some(found));
        engine.remove_image("dfab-test/built:1", false).await.unwrap();
        assert!(engine.remove_image("dfab-test/built:1", false).await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn a_build_that_fails_says_what_failed() {
    for engine in Engines::take().await.iter() {
        let (built, _) =
            build(engine.as_ref(), "FROM busybox:latest\nRUN exit 7\n", "dfab-test/failing:1").await;
        let cause = built.unwrap_err();
        assert!(cause.contains("returned a non-zero code: 7") || cause.contains("exit code: 7"), "{cause}");
        let (built, _) = build(engine.as_ref(), "FORM busybox\n", "dfab-test/failing:1").await;
        assert!(built.unwrap_err().to_lowercase().contains("form"), "the unknown instruction is named");
    }
}

/// A container that ends by itself.
fn ends_at_once(name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image("busybox"),
        properties: Properties::from([(Property::Command, json!(["true"]))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    }
}

#[tokio::test]
async fn files_are_copied_and_containers_exported_and_imported() {
    for engine in Engines::take().await.iter() {
        let name = "dfab-test.copies";
        let _ = engine.remove_container(name, true, true).await;
        engine.create_container(&ends_at_once(name)).await.unwrap();
        engine.copy_to_container(name, "/", reader(tar(&[("srv/copied", "ä $ ' \"\n")]))).await.unwrap();
        let copied = bytes(engine.copy_from_container(name, "/srv/copied").await.unwrap()).await;
        assert_eq!(text_in(&copied, "copied"), "ä $ ' \"\n");
        let missing = engine.copy_from_container(name, "/no/such/file").await.err().unwrap();
        assert!(missing.is_not_found());

        let exported = bytes(engine.export_container(name).await.unwrap()).await;
        assert_eq!(text_in(&exported, "srv/copied"), "ä $ ' \"\n");
        engine.import_image(reader(exported), "dfab-test/imported", "1").await.unwrap();
        assert!(engine.image_id(&image("dfab-test/imported:1")).await.unwrap().is_some());
        engine.remove_image("dfab-test/imported:1", false).await.unwrap();

        engine.start_container(name).await.unwrap();
        engine.wait_container(name, Some(Duration::from_secs(10))).await.unwrap();
        let list = CleanupContainers { list_only: true, ..CleanupContainers::default() };
        // An engine's list lags behind its own wait.
        let deadline = Instant::now() + Duration::from_secs(30);
        let listed = loop {
            let listed =
                cleanup_containers(engine.as_ref(), &list, &CancellationToken::new(), &|_| {}).await.unwrap();
            if listed.iter().any(|(_, found)| found == name) {
                break listed;
            }
            assert!(Instant::now() < deadline, "{listed:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let images = CleanupImages { list_only: true, ..CleanupImages::default() };
        let kept = engine.image_id(&image("busybox")).await.unwrap().unwrap();
        assert!(
            !cleanup_images(engine.as_ref(), &images, &CancellationToken::new(), &|_| {})
                .await
                .unwrap()
                .contains(&kept)
        );
        let exclude: BTreeSet<String> =
            listed.into_iter().map(|(_, found)| found).filter(|found| found != name).collect();
        let remove = CleanupContainers { exclude, ..CleanupContainers::default() };
        let removed =
            cleanup_containers(engine.as_ref(), &remove, &CancellationToken::new(), &|_| {}).await.unwrap();
        assert_eq!(removed.len(), 1);
        assert!(engine.inspect_container(name).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn events_are_told_as_they_happen_and_those_before_on_request() {
    for engine in Engines::take().await.iter() {
        let name = "dfab-test.events";
        let _ = engine.remove_container(name, true, true).await;
        let before = engine_now(engine.as_ref()).await;
        let filters =
            vec![("type".to_owned(), "container".to_owned()), ("container".to_owned(), name.to_owned())];
        let options = EventOptions { filters, ..EventOptions::default() };
        let mut events = engine.events(&options).await.unwrap();
        engine.create_container(&ends_at_once(name)).await.unwrap();
        engine.start_container(name).await.unwrap();
        let mut seen = Vec::new();
        // Some engines tell of more in between.
        while seen.last().is_none_or(|action| action != "die") {
            let event = tokio::time::timeout(Duration::from_secs(60), events.next()).await;
            let event = event.expect("the engine tells of it").expect("the stream goes on").unwrap();
            assert_eq!((event.kind.as_str(), event.name.as_str()), ("container", name));
            assert!(event.time >= before, "{} {before}", event.time);
            seen.push(event.action);
        }
        for action in ["create", "start"] {
            assert!(seen.iter().any(|seen| seen == action), "{action} {seen:?}");
        }
        drop(events);
        engine.remove_container(name, true, true).await.unwrap();
        // What has happened is told once more, and the stream then ends.
        let past = EventOptions { since: Some(before), until: Some(Moment::now()), ..options };
        let past: Vec<_> = engine.events(&past).await.unwrap().collect().await;
        let past: Vec<String> = past.into_iter().map(|event| event.unwrap().action).collect();
        assert!(past.starts_with(&seen[..seen.len() - 1]), "{past:?} {seen:?}");
        assert!(past.iter().any(|action| action == "destroy"), "{past:?}");
    }
}

/// The moment before everything that comes: the engine runs on this machine, and has its clock.
async fn engine_now(engine: &dyn Backend) -> Moment {
    engine.ping().await.unwrap();
    Moment::now()
}

#[tokio::test]
async fn containers_are_renamed_restarted_and_committed() {
    for engine in Engines::take().await.iter() {
        let (name, other) = ("dfab-test.renamed", "dfab-test.other");
        for name in [name, other] {
            let _ = engine.remove_container(name, true, true).await;
        }
        engine.ping().await.unwrap();
        let command = json!(["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]);
        let spec = |name: &str| ContainerSpec {
            name: name.into(),
            image: image("busybox"),
            properties: Properties::from([(Property::Command, command.clone())]),
            first_endpoint: None,
            own_labels: BTreeMap::new(),
        };
        engine.create_container(&spec("dfab-test.before")).await.unwrap();
        engine.rename_container("dfab-test.before", name).await.unwrap();
        assert!(engine.rename_container("dfab-test.before", other).await.unwrap_err().is_not_found());
        engine.create_container(&spec(other)).await.unwrap();
        assert!(engine.rename_container(other, name).await.unwrap_err().is_conflict());
        engine.start_container(name).await.unwrap();
        let started = engine.inspect_container(name).await.unwrap().unwrap();
        engine.restart_container(name, Some(Duration::from_secs(5))).await.unwrap();
        assert_eq!(engine.inspect_container(name).await.unwrap().unwrap().id, started.id);
        assert!(engine.restart_container("dfab-test.none", None).await.unwrap_err().is_not_found());
        let id = engine.commit_container(name, "dfab-test/committed", "1").await.unwrap();
        assert_eq!(engine.image_id(&image("dfab-test/committed:1")).await.unwrap(), Some(id));
        let history = engine.image_history("dfab-test/committed:1").await.unwrap();
        assert!(history.as_array().is_some_and(|layers| layers.len() >= 2), "{history}");
        assert!(engine.image_history("dfab-test/none:1").await.unwrap_err().is_not_found());
        for name in [name, other] {
            engine.remove_container(name, true, true).await.unwrap();
        }
        engine.remove_image("dfab-test/committed:1", false).await.unwrap();
    }
}
