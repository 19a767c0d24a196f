//! Applying plans to a real engine: what the engine in memory cannot show.
//!
//! Runs where `DFAB_LIVE_ENGINES` gives engines' sockets; an image `busybox:latest` must be there.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/engine.rs"]
mod engine;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfab_client::apply::{ApplyOptions, Backends, Event, Report, ScriptOutcome};
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, apply};
use dfab_map::item::Kind;
use dfab_map::names::ClientName;
use dfab_map::plan::{Action, Call, Plan, Step, StepId};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, PrepareSpec, Properties, ScriptSpec, StopSpec, VolumeSpec};
use engine::{Engines, image};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

fn container(name: &str, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image("busybox"),
        properties: Properties::from([(Property::Command, json!(command))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    }
}

fn plan(steps: Vec<Vec<Call>>) -> Plan {
    let steps = steps.into_iter().zip(1..).map(|(calls, id)| Step {
        id: StepId(id),
        client: ClientName::new("live").unwrap(),
        kind: Kind::Container,
        name: format!("step {id}"),
        action: Action::Create,
        reasons: Vec::new(),
        after: Vec::new(),
        calls,
    });
    Plan { steps: steps.collect(), ..Plan::default() }
}

async fn run(engine: &Arc<dyn Backend>, steps: Vec<Vec<Call>>) -> Report {
    let backends = Backends::from([(ClientName::new("live").unwrap(), Arc::clone(engine))]);
    apply(&plan(steps), &backends, &ApplyOptions::default(), &unbounded_channel().0).await
}

fn assert_success(report: &Report) {
    let errors: Vec<String> =
        report.failures().map(|(step, error)| format!("{step}: {error}: {}", error.cause)).collect();
    assert!(report.is_success(), "{errors:?}");
}

fn script(name: &str, binds: &[&str], command: &str) -> Call {
    let mut spec = container(name, &["sh", "-c", command]);
    spec.properties.insert(Property::Binds, json!(binds));
    Call::RunScript(Box::new(ScriptSpec {
        container: spec,
        endpoints: Vec::new(),
        start_delay: None,
        wait_timeout: Some(Duration::from_secs(20)),
        timestamps: false,
        tail: None,
        remove: true,
    }))
}

fn logs(report: &Report) -> Vec<String> {
    let log = |outcome: &ScriptOutcome| match outcome {
        ScriptOutcome::Ended { log, .. } => String::from_utf8_lossy(log).trim().to_owned(),
        other => format!("{other:?}"),
    };
    report.scripts.iter().map(|script| log(&script.outcome)).collect()
}

fn volume(name: &str) -> VolumeSpec {
    VolumeSpec { name: name.into(), driver: "local".into(), ..VolumeSpec::default() }
}

/// An image whose folder `/srv` has a file of another user.
const CONTENT: &str = "dfab-live/content";

async fn make_content(engine: &dyn Backend) {
    let name = "content.live.make";
    let _ = engine.remove_container(name, true, true).await;
    engine.create_container(&container(name, &["true"])).await.unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o640);
    header.set_uid(1234);
    archive.append_data(&mut header, "srv/content", &b"hello\n"[..]).unwrap();
    let archive = std::io::Cursor::new(archive.into_inner().unwrap());
    engine.copy_to_container(name, "/", Box::new(archive)).await.unwrap();
    engine.commit_container(name, CONTENT, "latest").await.unwrap();
    engine.remove_container(name, true, true).await.unwrap();
}

fn prepared(name: &str, images: &[&str], content_from: Option<&str>) -> Vec<Call> {
    let prepare = PrepareSpec {
        volume: name.into(),
        owner: Some("2000:2001".into()),
        mode: Some("0750".into()),
        local: true,
        images: images.iter().map(|name| image(name)).collect(),
        content_from: content_from.map(|path| (image(CONTENT), path.into())),
    };
    vec![Call::CreateVolume(volume(name)), Call::PrepareVolume(prepare)]
}

async fn clean_up(engine: &Arc<dyn Backend>) {
    let ours = |name: &str| name.contains("prepared.live.");
    for name in engine.list_containers().await.unwrap().into_keys().filter(|name| ours(name)) {
        engine.remove_container(&name, true, true).await.unwrap();
    }
    for name in engine.list_volumes().await.unwrap().into_keys().filter(|name| ours(name)) {
        engine.remove_volume(&name).await.unwrap();
    }
}

#[tokio::test]
async fn a_prepared_volume_has_its_owner_and_mode_and_the_content_of_the_image() {
    for engine in Engines::take().await.iter() {
        clean_up(engine).await;
        make_content(engine.as_ref()).await;
        // The first image cannot be had on a host that can pull nothing.
        let images = ["no-such-registry.invalid/helper", "busybox"];
        let report = run(
            engine,
            vec![
                prepared("prepared.live.empty", &images, None),
                prepared("prepared.live.copied", &images, Some("/srv")),
            ],
        );
        assert_success(&report.await);
        let shown = "stat -c '%u:%g %a' /mounted /mounted/* 2>/dev/null; cat /mounted/content 2>/dev/null";
        let report = run(
            engine,
            vec![
                vec![script("prepared.live.show1", &["prepared.live.empty:/mounted:rw,nocopy"], shown)],
                vec![script("prepared.live.show2", &["prepared.live.copied:/mounted:rw,nocopy"], shown)],
            ],
        )
        .await;
        assert_success(&report);
        let mut found = logs(&report);
        found.sort();
        assert_eq!(found, ["2000:2001 750", "2000:2001 750\n2000:2001 750\nhello"]);
        let left: Vec<String> = engine.list_containers().await.unwrap().into_keys().collect();
        assert!(!left.iter().any(|name| name.contains("prepared.live.")), "{left:?}");
        clean_up(engine).await;
        engine.remove_image(CONTENT, false).await.unwrap();
    }
}

#[tokio::test]
async fn lines_of_a_script_are_told_while_it_runs() {
    for engine in Engines::take().await.iter() {
        let name = "script.live.lines";
        let _ = engine.remove_container(name, true, true).await;
        let command = "trap 'echo bye; exit 4' TERM; echo one; echo two >&2; while :; do sleep 0.1; done";
        let backends = Backends::from([(ClientName::new("live").unwrap(), Arc::clone(engine))]);
        let mut plan = plan(vec![vec![script(name, &[], command)]]);
        let Call::RunScript(spec) = &mut plan.steps[0].calls[0] else { unreachable!() };
        spec.wait_timeout = Some(Duration::from_secs(120));
        let (sender, mut events) = unbounded_channel();
        let (options, mut lines) = (ApplyOptions::default(), Vec::new());
        let watching = async {
            // It ends only when its first lines have come.
            while let Some(event) = events.recv().await {
                let Event::Log { line, .. } = event else { continue };
                lines.push(line);
                if lines.len() == 2 {
                    engine.kill_container(name, Some("SIGTERM")).await.unwrap();
                }
                if lines.len() == 3 {
                    break;
                }
            }
        };
        let (report, ()) = tokio::join!(apply(&plan, &backends, &options, &sender), watching);
        lines[..2].sort();
        assert_eq!(lines, ["one", "two", "bye"]);
        let ScriptOutcome::Ended { exit_code, log } = &report.scripts[0].outcome else {
            panic!("{report:?}")
        };
        assert_eq!((*exit_code, log.len()), (4, "one\ntwo\nbye\n".len()));
    }
}

#[tokio::test]
async fn a_preparation_that_fails_says_what_the_helper_printed() {
    for engine in Engines::take().await.iter() {
        let mut calls = prepared("failing.live.data", &["busybox"], None);
        if let Call::PrepareVolume(spec) = &mut calls[1] {
            spec.owner = Some("no-such-user".into());
        }
        let report = run(engine, vec![calls]).await;
        let (_, error) = report.failures().next().unwrap();
        let cause = error.cause.to_string();
        assert!(
            cause.contains("unknown user") && cause.starts_with("the command ended with status 1"),
            "{cause}"
        );
        engine.remove_volume("failing.live.data").await.unwrap();
    }
}

#[tokio::test]
async fn a_container_that_ignores_its_signal_is_killed_in_time() {
    for engine in Engines::take().await.iter() {
        let name = "deaf.live.stop";
        let _ = engine.remove_container(name, true, true).await;
        let calls = vec![
            Call::CreateContainer(Box::new(container(
                name,
                &["sh", "-c", "trap '' INT TERM; while :; do sleep 0.1; done"],
            ))),
            Call::StartContainer { name: name.into(), delay: None },
            Call::StopContainer {
                name: name.into(),
                stop: StopSpec { signal: Some("SIGINT".into()), timeout: Some(Duration::from_secs(1)) },
            },
            Call::RemoveContainer { name: name.into(), volumes: false, force: false },
        ];
        assert_success(&run(engine, vec![calls]).await);
    }
}

#[tokio::test]
async fn a_socket_without_an_engine_is_explained() {
    let connector = LocalConnector::unix("/nonexistent/docker.sock");
    let engine = ApiBackend::new(Arc::new(connector), ApiOptions::default());
    let error = engine.engine_info().await.unwrap_err();
    assert!(error.is_unreachable());
    let source = std::error::Error::source(&error.cause).map(ToString::to_string);
    let expected =
        "there is no socket `/nonexistent/docker.sock`; is the Docker engine installed and running?";
    assert_eq!(source.as_deref(), Some(expected));
    assert_eq!(error.to_string(), "failed to ask for the engine's version on `local engine`");
}
