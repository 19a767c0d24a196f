//! Applying hand-built plans to the engine in memory.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfab_client::apply::{ApplyOptions, Backends};
use dfab_client::apply::{Because, CancellationToken, Event, Report, ScriptOutcome, StepResult};
use dfab_client::memory::{Behaviour, Failure};
use dfab_client::{Backend, MemoryBackend, apply};
use dfab_map::image::ImageName;
use dfab_map::item::Kind;
use dfab_map::names::ClientName;
use dfab_map::plan::{Action, Call, Plan, Step, StepId};
use dfab_map::property::Property;
use dfab_map::spec::{
    ContainerSpec, EndpointSpec, NetworkSpec, PrepareSpec, Properties, ScriptSpec, StopSpec, VolumeSpec,
};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

fn image(name: &str) -> ImageName {
    ImageName::expand(name, None, None).unwrap()
}

fn container(name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image("app"),
        properties: Properties::from([(Property::Command, json!(["run"]))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    }
}

fn create_and_start(name: &str) -> Vec<Call> {
    vec![
        Call::CreateContainer(Box::new(container(name))),
        Call::StartContainer { name: name.into(), delay: None },
    ]
}

/// A plan from (client, name, prerequisites, calls); steps are numbered from one.
fn plan(steps: Vec<(&str, &str, &[u32], Vec<Call>)>) -> Plan {
    let steps = steps.into_iter().zip(1..).map(|((client, name, after, calls), id)| Step {
        id: StepId(id),
        client: ClientName::new(client).unwrap(),
        kind: Kind::Container,
        name: name.into(),
        action: Action::Create,
        reasons: Vec::new(),
        after: after.iter().map(|id| StepId(*id)).collect(),
        calls,
    });
    Plan { steps: steps.collect(), ..Plan::default() }
}

fn engine(host: &str) -> Arc<MemoryBackend> {
    let engine = MemoryBackend::new(host);
    engine.add_image("app");
    engine.add_image("app:latest");
    engine.add_image("busybox:latest");
    Arc::new(engine)
}

fn backends(engines: &[(&str, &Arc<MemoryBackend>)]) -> Backends {
    let backend = |engine: &Arc<MemoryBackend>| Arc::clone(engine) as Arc<dyn Backend>;
    engines.iter().map(|(name, engine)| (ClientName::new(*name).unwrap(), backend(engine))).collect()
}

async fn run(plan: &Plan, engine: &Arc<MemoryBackend>, options: &ApplyOptions) -> Report {
    apply(plan, &backends(&[("a", engine)]), options, &unbounded_channel().0).await
}

/// One word a step: `done`, `failed`, or why it was skipped.
fn results(report: &Report) -> Vec<String> {
    let result = |result: &StepResult| match result {
        StepResult::Done => "done".into(),
        StepResult::Failed(_) => "failed".into(),
        StepResult::Skipped(Because::Failed(step)) => format!("skipped for {step}"),
        StepResult::Skipped(Because::FailFast(step)) => format!("stopped for {step}"),
        StepResult::Skipped(Because::Cancelled) => "cancelled".into(),
    };
    report.steps.iter().map(|step| result(&step.result)).collect()
}

#[tokio::test]
async fn a_failed_step_skips_its_dependents_and_nothing_else() {
    let engine = engine("a");
    engine.fail_calls("start container `m.db`", Failure::Refused(500, "no such device".into()));
    let plan = plan(vec![
        ("a", "m.db", &[], create_and_start("m.db")),
        ("a", "m.app", &[1], create_and_start("m.app")),
        ("a", "m.web", &[2], create_and_start("m.web")),
        ("a", "m.other", &[], create_and_start("m.other")),
    ]);
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["failed", "skipped for #1", "skipped for #1", "done"]);
    assert_eq!(report.counts(), (1, 1, 2));
    let (step, error) = report.failures().next().unwrap();
    assert_eq!((step.0, error.to_string().as_str()), (1, "failed to start container `m.db` on `a`"));
    assert_eq!(error.cause.to_string(), "the engine refused (500): no such device");
}

#[tokio::test]
async fn with_fail_fast_nothing_begins_after_the_first_failure() {
    let engine = engine("a");
    engine.fail_calls("create container `m.1`", Failure::Refused(500, "full".into()));
    let plan = plan(vec![
        ("a", "m.1", &[], create_and_start("m.1")),
        ("a", "m.2", &[], create_and_start("m.2")),
        ("a", "m.3", &[1], create_and_start("m.3")),
    ]);
    let options = ApplyOptions { jobs: 1, fail_fast: true, ..ApplyOptions::default() };
    let report = run(&plan, &engine, &options).await;
    assert_eq!(results(&report), ["failed", "stopped for #1", "skipped for #1"]);
}

/// engine D-59: errors say what was done to which kind of object, in this order.
#[tokio::test]
async fn a_host_that_is_down_does_not_stop_the_others() {
    let (up, down) = (engine("up"), engine("down"));
    down.disconnect();
    let plan = plan(vec![
        ("up", "m.1", &[], create_and_start("m.1")),
        ("down", "m.2", &[], create_and_start("m.2")),
        ("nowhere", "m.3", &[], create_and_start("m.3")),
    ]);
    let backends = backends(&[("up", &up), ("down", &down)]);
    let report = apply(&plan, &backends, &ApplyOptions::default(), &unbounded_channel().0).await;
    assert_eq!(results(&report), ["done", "failed", "failed"]);
    let errors: Vec<_> = report.failures().map(|(_, error)| error).collect();
    assert!(errors[0].is_unreachable());
    assert_eq!(errors[1].to_string(), "failed to create container `m.3` on `nowhere`");
    assert_eq!(errors[1].cause.to_string(), "there is no connection to this client");
}

#[tokio::test(start_paused = true)]
async fn independent_steps_run_at_once_up_to_the_limit() {
    let engine = MemoryBackend::new("a").with_latency(Duration::from_secs(1));
    engine.add_image("app:latest");
    let engine = Arc::new(engine);
    let names: Vec<String> = (0..20).map(|number| format!("m.{number}")).collect();
    let plan = plan(names.iter().map(|name| ("a", name.as_str(), &[][..], create_and_start(name))).collect());
    let started = tokio::time::Instant::now();
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    assert!(report.is_success());
    // 20 steps of two calls, 8 at a time: three times two seconds.
    assert_eq!(started.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn cancelling_finishes_what_is_under_way_and_begins_nothing() {
    let engine = MemoryBackend::new("a").with_latency(Duration::from_secs(1));
    engine.add_image("app:latest");
    let engine = Arc::new(engine);
    let plan = plan(vec![
        ("a", "m.1", &[], create_and_start("m.1")),
        ("a", "m.2", &[1], create_and_start("m.2")),
        ("a", "m.3", &[], create_and_start("m.3")),
    ]);
    let options = ApplyOptions { jobs: 1, cancel: CancellationToken::new(), ..ApplyOptions::default() };
    let cancel = options.cancel.clone();
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(run(&plan, &engine, &options), interrupt);
    assert_eq!(results(&report), ["done", "cancelled", "cancelled"]);
    assert_eq!(engine.changes(), ["create container `m.1`", "start container `m.1`"]);
}

#[tokio::test]
async fn events_tell_every_step_and_call() {
    let engine = engine("a");
    engine.add_to_registry("new:latest");
    let plan = plan(vec![
        ("a", "new", &[], vec![Call::PullImage { image: image("new"), then_compare: false }]),
        ("a", "m.1", &[1], create_and_start("m.1")),
    ]);
    let (sender, mut receiver) = unbounded_channel();
    apply(&plan, &backends(&[("a", &engine)]), &ApplyOptions::default(), &sender).await;
    drop(sender);
    let mut told = Vec::new();
    while let Some(event) = receiver.recv().await {
        told.push(match event {
            Event::StepStarted { step } => format!("{step} begins"),
            Event::CallStarted { step, call } => format!("{step} {call}"),
            Event::Progress { step, progress } => format!("{step} {}", progress.status),
            Event::Log { step, line } => format!("{step} {line}"),
            Event::StepFinished { step, result } => format!("{step} {result:?}"),
        });
    }
    let expected = [
        "#1 begins",
        "#1 pull image `new:latest`",
        "#1 Pulling from new",
        "#1 Done",
        "#2 begins",
        "#2 create container `m.1`",
        "#2 start container `m.1`",
        "#2 Done",
    ];
    assert_eq!(told, expected);
}

fn prepared(volume: &str, images: &[&str], content_from: Option<&str>) -> Plan {
    let spec = VolumeSpec { name: volume.into(), driver: "local".into(), ..VolumeSpec::default() };
    let prepare = PrepareSpec {
        volume: volume.into(),
        owner: Some("2000:2000".into()),
        mode: Some("0750".into()),
        local: true,
        images: images.iter().map(|name| image(name)).collect(),
        content_from: content_from.map(|name| (image(name), "/data".into())),
    };
    plan(vec![("a", volume, &[], vec![Call::CreateVolume(spec), Call::PrepareVolume(prepare)])])
}

/// engine D-01, D-02: the source waits for the volume as if it were a container, runs `&&` without a shell, and reads
/// no exit code.
#[tokio::test]
async fn a_helper_prepares_the_volume_after_the_engine_has_copied_content() {
    let engine = engine("a");
    let report = run(&prepared("m.data", &["busybox"], Some("app")), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["done"]);
    assert_eq!(engine.prepared("m.data"), ["chown -R 2000:2000 /volume-tmp && chmod -R 0750 /volume-tmp"]);
    let expected = [
        "create volume `m.data`",
        "create container `dfab.content.m.data`",
        "remove container `dfab.content.m.data`",
        "create container `dfab.prepare.m.data`",
        "start container `dfab.prepare.m.data`",
        "remove container `dfab.prepare.m.data`",
    ];
    assert_eq!(engine.changes(), expected);
}

/// engine D-02
#[tokio::test]
async fn a_helper_that_fails_is_an_error_with_what_it_said() {
    let engine = engine("a");
    let fails = Behaviour::Ends(1, "chown: unknown user\n".into());
    engine.add_image_with("tools:latest", fails, Properties::new());
    let report = run(&prepared("m.data", &["tools"], None), &engine, &ApplyOptions::default()).await;
    let (_, error) = report.failures().next().unwrap();
    assert_eq!(error.to_string(), "failed to prepare volume `m.data` on `a`");
    let cause = error.cause.to_string();
    assert!(cause.contains("chown: unknown user") && cause.contains('1'), "{cause}");
    assert!(engine.list_containers().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_next_image_is_taken_where_the_first_cannot_be_had() {
    let engine = engine("a");
    engine.remove_image("busybox:latest");
    let report = run(&prepared("m.data", &["busybox", "app"], None), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["done"]);
    assert_eq!(engine.prepared("m.data").len(), 1);

    let report = run(&prepared("m.more", &["busybox"], None), &engine, &ApplyOptions::default()).await;
    let (_, error) = report.failures().next().unwrap();
    assert_eq!(error.to_string(), "failed to prepare volume `m.more` on `a`");
    let cause = error.cause.to_string();
    assert!(cause.contains("none of `busybox:latest` is present or can be pulled"), "{cause}");
}

#[tokio::test]
async fn a_failed_preparation_leaves_no_helper() {
    let engine = engine("a");
    engine.fail_calls("start container `dfab.prepare", Failure::Refused(500, "no cgroup".into()));
    let report = run(&prepared("m.data", &["busybox"], None), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["failed"]);
    assert!(engine.list_containers().await.unwrap().is_empty());
}

/// Whatever the request after which a run is killed, the next one finds the way clear.
#[tokio::test]
async fn helpers_of_an_interrupted_run_are_removed_by_the_next() {
    for number in 1..20 {
        let engine = engine("a");
        let plan = prepared("m.data", &["busybox"], Some("app"));
        engine.fail_at(number, Failure::Unreachable);
        let report = run(&plan, &engine, &ApplyOptions::default()).await;
        engine.recover();
        if report.is_success() {
            assert!(number > 8, "there are at least eight requests to interrupt");
            return;
        }
        let report = run(&plan, &engine, &ApplyOptions::default()).await;
        assert!(report.is_success(), "after request {number}: {:?}", report.steps);
        assert!(engine.list_containers().await.unwrap().is_empty());
        assert!(!engine.prepared("m.data").is_empty());
    }
    panic!("the preparation never succeeded");
}

/// An engine that still makes the helper of a run which was killed has its name, and nothing to show or remove.
#[tokio::test(start_paused = true)]
async fn a_helper_that_is_still_being_made_is_waited_for() {
    let engine = engine("a");
    let taken = Failure::Refused(409, "the container name is already in use".into());
    engine.fail_calls("create container `dfab.", taken);
    let plan = prepared("m.data", &["busybox"], Some("app"));
    let options = ApplyOptions::default();
    let made = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        engine.recover();
    };
    let (report, ()) = tokio::join!(run(&plan, &engine, &options), made);
    assert!(report.is_success(), "{:?}", report.steps);
    assert!(engine.list_containers().await.unwrap().is_empty());
}

/// engine D-12: the source gives up where a container outlives its signal.
#[tokio::test(start_paused = true)]
async fn a_container_that_ignores_its_stop_signal_is_killed() {
    let engine = MemoryBackend::new("a");
    engine.add_image_with("app:latest", Behaviour::IgnoresSignals, Properties::new());
    let engine = Arc::new(engine);
    let stop = || Call::StopContainer {
        name: "m.1".into(),
        stop: StopSpec { signal: Some("SIGQUIT".into()), timeout: Some(Duration::from_secs(3)) },
    };
    let mut calls = create_and_start("m.1");
    // Stopping what does not run, or is not there, is no error (engine D-11).
    calls.extend([stop(), stop()]);
    calls.push(Call::RemoveContainer { name: "m.1".into(), volumes: false, force: false });
    calls.push(stop());
    let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["done"], "{:?}", report.steps);
    let signals = engine.changes().into_iter().filter(|call| call.starts_with("send")).collect::<Vec<_>>();
    let expected = ["send SIGQUIT to container `m.1`", "send SIGKILL to container `m.1`"];
    assert_eq!(signals[..2], expected);
}

/// An engine starts a container again that a signal has ended which is not its own (seen on 20.10, 26.1, 28.5).
#[tokio::test(start_paused = true)]
async fn a_container_that_restarts_by_itself_is_stopped_by_any_signal() {
    let engine = engine("a");
    let mut spec = container("m.1");
    spec.properties.insert(Property::StopSignal, json!("SIGHUP"));
    spec.properties.insert(Property::RestartPolicy, json!({"Name": "always"}));
    let calls = vec![
        Call::CreateContainer(Box::new(spec)),
        Call::StartContainer { name: "m.1".into(), delay: None },
        Call::StopContainer {
            name: "m.1".into(),
            stop: StopSpec { signal: Some("SIGINT".into()), timeout: None },
        },
        Call::RemoveContainer { name: "m.1".into(), volumes: false, force: false },
    ];
    let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["done"], "{:?}", report.steps);
}

/// The request under way when a run is killed goes on: what it makes is there after the next run has looked.
#[tokio::test(start_paused = true)]
async fn what_a_killed_run_made_too_late_is_made_anew() {
    let engine = engine("a");
    let labelled = |map: &str| {
        let mut spec = container("m.1");
        spec.own_labels.insert("dfab.map".into(), map.into());
        spec
    };
    let network = |digest: &str| NetworkSpec {
        name: "m.n".into(),
        driver: "bridge".into(),
        own_labels: [("dfab.map".to_owned(), "m".to_owned()), ("dfab.desired".to_owned(), digest.to_owned())]
            .into(),
        ..NetworkSpec::default()
    };
    engine.create_container(&labelled("m")).await.unwrap();
    engine.create_network(&network("one")).await.unwrap();
    let calls = vec![Call::CreateNetwork(network("one")), Call::CreateContainer(Box::new(labelled("m")))];
    let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["done"], "{:?}", report.steps);

    // What is another's, or runs, or is made from something else, stays as it is.
    for call in [Call::CreateContainer(Box::new(labelled("other"))), Call::CreateNetwork(network("two"))] {
        let report = run(&plan(vec![("a", "m.1", &[], vec![call])]), &engine, &ApplyOptions::default()).await;
        assert_eq!(results(&report), ["failed"], "{:?}", report.steps);
    }
    engine.start_container("m.1").await.unwrap();
    let calls = vec![Call::CreateContainer(Box::new(labelled("m")))];
    let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["failed"], "{:?}", report.steps);
}

#[tokio::test]
async fn removing_what_is_gone_is_no_error() {
    let engine = engine("a");
    let stop = |signal: Option<&str>| Call::StopContainer {
        name: "m.1".into(),
        stop: StopSpec { signal: signal.map(str::to_owned), timeout: None },
    };
    let calls = vec![
        // clients-tasks D-19: the source fails to stop it.
        stop(None),
        stop(Some("SIGINT")),
        Call::RemoveContainer { name: "m.1".into(), volumes: false, force: false },
        Call::RemoveNetwork { name: "m.net".into() },
        Call::RemoveVolume { name: "m.data".into() },
    ];
    let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
    assert!(report.is_success());
}

fn script(image_name: &str, timeout: Option<Duration>) -> Plan {
    let spec = ScriptSpec {
        container: ContainerSpec { image: image(image_name), ..container("m.script") },
        endpoints: Vec::new(),
        start_delay: None,
        wait_timeout: timeout,
        timestamps: false,
        tail: None,
        remove: true,
    };
    plan(vec![("a", "m.script", &[], vec![Call::RunScript(Box::new(spec))])])
}

/// engine D-57: the source reads the exit code of a script that ran out of time, which has none.
#[tokio::test(start_paused = true)]
async fn a_script_yields_its_code_and_log_and_its_container_goes() {
    let engine = engine("a");
    engine.add_image_with("ending:latest", Behaviour::Ends(3, "one\ntwo\n".into()), Properties::new());
    let report = run(&script("ending", None), &engine, &ApplyOptions::default()).await;
    assert!(report.is_success(), "a code other than zero is a result, not an error");
    let outcome = ScriptOutcome::Ended { exit_code: 3, log: b"one\ntwo\n".to_vec() };
    assert_eq!(report.scripts[0].outcome, outcome);

    let report = run(&script("app", Some(Duration::from_secs(5))), &engine, &ApplyOptions::default()).await;
    assert_eq!(report.scripts[0].outcome, ScriptOutcome::TimedOut);
    assert!(engine.list_containers().await.unwrap().is_empty());
}

/// The text of an event that is a line of output.
fn line(event: &Event) -> Option<&str> {
    match event {
        Event::Log { line, .. } => Some(line),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_script_are_told_while_it_runs() {
    let engine = engine("a");
    let backends = Backends::from([(ClientName::new("a").unwrap(), engine.clone() as Arc<dyn Backend>)]);
    let (sender, mut events) = unbounded_channel();
    let (plan, options) = (script("app", None), ApplyOptions::default());
    let running = apply(&plan, &backends, &options, &sender);
    let watching = async {
        let mut next = async || loop {
            let event = events.recv().await.unwrap();
            if let Event::CallStarted { .. } = event {
                return None;
            }
            if let Some(line) = line(&event) {
                return Some(line.to_owned());
            }
        };
        assert_eq!(next().await, None);
        while !engine
            .list_containers()
            .await
            .unwrap()
            .get("m.script")
            .is_some_and(|found| found.container.state.is_running())
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        engine.write_log("m.script", "one\n");
        // It has not ended: nothing but the stream can tell of this.
        assert_eq!(next().await.unwrap(), "one");
        engine.write_log("m.script", "two\nthree");
        assert_eq!((next().await.unwrap().as_str(), next().await.unwrap().as_str()), ("two", "three"));
        engine.end_container("m.script", 0);
    };
    let both = async { tokio::join!(running, watching) };
    let both = tokio::time::timeout(Duration::from_secs(60), both).await;
    let (report, ()) = both.expect("the lines come before the end");
    let log = b"one\ntwo\nthree".to_vec();
    assert_eq!(report.scripts[0].outcome, ScriptOutcome::Ended { exit_code: 0, log });
    drop(sender);
    assert!(std::iter::from_fn(|| events.try_recv().ok()).all(|event| line(&event).is_none()), "told twice");
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_script_come_at_the_end_where_they_cannot_be_followed() {
    for tail in [None, Some(1)] {
        let engine = engine("a");
        engine.add_image_with("ending:latest", Behaviour::Ends(0, "one\ntwo\n".into()), Properties::new());
        let backends = Backends::from([(ClientName::new("a").unwrap(), engine as Arc<dyn Backend>)]);
        let mut plan = script("ending", None);
        let Call::RunScript(spec) = &mut plan.steps[0].calls[0] else { unreachable!() };
        spec.tail = tail;
        let (sender, mut events) = unbounded_channel();
        apply(&plan, &backends, &ApplyOptions::default(), &sender).await;
        let events: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let lines: Vec<&str> = events.iter().filter_map(line).collect();
        assert_eq!(lines, if tail.is_some() { &["two"][..] } else { &["one", "two"] });
    }
}

/// engine D-58: the source joins the first network only.
#[tokio::test]
async fn a_script_joins_all_networks_before_it_starts() {
    let engine = engine("a");
    engine.add_image_with("ending:latest", Behaviour::Ends(0, String::new()), Properties::new());
    let mut plan = script("ending", None);
    let networks = ["m.n1", "m.n2"];
    for name in networks {
        let spec = NetworkSpec { name: name.into(), driver: "bridge".into(), ..NetworkSpec::default() };
        engine.create_network(&spec).await.unwrap();
    }
    let joins = |name: &str| EndpointSpec { network: name.into(), ..EndpointSpec::default() };
    let Call::RunScript(spec) = &mut plan.steps[0].calls[0] else { panic!("it runs a script") };
    spec.container.first_endpoint = Some(joins("m.n1"));
    spec.endpoints = vec![joins("m.n2")];
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    assert!(report.is_success(), "{:?}", report.steps);
    let changes = engine.changes();
    let at = |part: &str| changes.iter().position(|call| call.starts_with(part)).unwrap();
    assert!(at("connect container `m.script` to network `m.n2`") < at("start container"), "{changes:?}");
}

#[tokio::test]
async fn a_script_that_cannot_start_leaves_no_container() {
    let engine = engine("a");
    engine.fail_calls("start container", Failure::Refused(400, "no such executable".into()));
    let report = run(&script("app", None), &engine, &ApplyOptions::default()).await;
    assert_eq!(results(&report), ["failed"]);
    assert!(engine.list_containers().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_health_ends_well_or_says_why_not() {
    use dfab_client::backend::Health;
    for (health, expected) in [
        (Health::Healthy, None),
        (Health::Unhealthy, Some("its health check fails")),
        (Health::Unchecked, Some("it has no health check")),
        (Health::Ended, Some("it has ended")),
        (Health::Starting, Some("no answer within 60 s")),
    ] {
        let engine = MemoryBackend::new("a");
        engine.add_image_with("app:latest", Behaviour::Checked(health), Properties::new());
        let engine = Arc::new(engine);
        let mut calls = create_and_start("m.1");
        calls.push(Call::WaitHealthy { name: "m.1".into(), timeout: Some(Duration::from_secs(60)) });
        let report = run(&plan(vec![("a", "m.1", &[], calls)]), &engine, &ApplyOptions::default()).await;
        let cause = report.failures().next().map(|(_, error)| error.cause.to_string());
        assert_eq!(cause.as_deref(), expected, "{health:?}");
    }
}

/// A container without network that was connected to one by hand, and is gone: engine 20.10 keeps its endpoint.
async fn leave_endpoint(engine: &MemoryBackend, name: &str, network: &str) {
    let mut former = container(name);
    former.properties.insert(Property::NetworkDisabled, json!(true));
    engine.create_container(&former).await.unwrap();
    engine.start_container(name).await.unwrap();
    let endpoint = EndpointSpec { network: network.into(), ..EndpointSpec::default() };
    engine.connect_network(name, &endpoint).await.unwrap();
    engine.remove_container(name, false, true).await.unwrap();
    engine.forget_changes();
}

#[tokio::test]
async fn an_endpoint_that_is_left_of_a_former_container_is_removed_for_a_start() {
    let engine = engine("a");
    leave_endpoint(&engine, "m.1", "bridge").await;
    let mut calls = create_and_start("m.1");
    calls.push(Call::Exec { container: "m.1".into(), command: vec!["init".into()], user: None });
    let plan = plan(vec![("a", "m.1", &[], calls)]);
    let (events, mut told) = unbounded_channel();
    let report = apply(&plan, &backends(&[("a", &engine)]), &ApplyOptions::default(), &events).await;
    assert!(report.is_success(), "{:?}", report.steps);
    assert_eq!(
        engine.changes(),
        [
            "create container `m.1`",
            "start container `m.1`",
            "remove container `m.1`",
            "remove the endpoint `m.1` from network `bridge`",
            "create container `m.1`",
            "start container `m.1`",
            "run `init` in container `m.1`",
        ]
    );
    let mut lines = Vec::new();
    while let Ok(event) = told.try_recv() {
        if let Event::Log { line, .. } = event {
            lines.push(line);
        }
    }
    let line = "network `bridge` still had an endpoint of a former container `m.1`; it is removed";
    assert_eq!(lines, [line]);
}

/// Only a new container can be made anew without loss; and only a free name can be freed.
#[tokio::test]
async fn a_container_that_was_there_before_is_not_made_anew_for_an_endpoint() {
    let engine = engine("a");
    leave_endpoint(&engine, "m.1", "bridge").await;
    engine.create_container(&container("m.1")).await.unwrap();
    let start = Call::StartContainer { name: "m.1".into(), delay: None };
    let plan = plan(vec![("a", "m.1", &[], vec![start])]);
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    let (_, error) = report.failures().next().unwrap();
    assert!(error.cause.to_string().contains("already exists in network bridge"), "{}", error.cause);
    assert!(engine.inspect_container("m.1").await.unwrap().is_some());
}

/// Engine 20.10 counts endpoints of containers that were removed together for a while longer.
#[tokio::test(start_paused = true)]
async fn a_network_that_only_seems_to_be_in_use_is_waited_for() {
    let engine = engine("a");
    let spec = NetworkSpec { name: "m.net".into(), driver: "bridge".into(), ..NetworkSpec::default() };
    engine.create_network(&spec).await.unwrap();
    let counted = || Failure::Refused(409, "network m.net has active endpoints".into());
    engine.fail_calls("remove network", counted());
    let plan = plan(vec![("a", "m.net", &[], vec![Call::RemoveNetwork { name: "m.net".into() }])]);
    let options = ApplyOptions::default();
    let recounted = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        engine.recover();
    };
    let (report, ()) = tokio::join!(run(&plan, &engine, &options), recounted);
    assert!(report.is_success(), "{:?}", report.steps);

    engine.create_network(&spec).await.unwrap();
    engine.fail_calls("remove network", counted());
    let report = run(&plan, &engine, &options).await;
    let cause = report.failures().next().unwrap().1.cause.to_string();
    assert!(cause.contains("the engine has lost count"), "{cause}");
}

#[tokio::test]
async fn a_network_goes_with_the_endpoints_that_are_left_in_it() {
    let engine = engine("a");
    let spec = NetworkSpec { name: "m.net".into(), driver: "bridge".into(), ..NetworkSpec::default() };
    engine.create_network(&spec).await.unwrap();
    leave_endpoint(&engine, "m.1", "m.net").await;
    leave_endpoint(&engine, "m.2", "m.net").await;
    let plan = plan(vec![("a", "m.net", &[], vec![Call::RemoveNetwork { name: "m.net".into() }])]);
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    assert!(report.is_success(), "{:?}", report.steps);
    assert!(!engine.list_networks().await.unwrap().contains_key("m.net"));

    // Where a new container has the name, the engine would disconnect that one.
    engine.create_network(&spec).await.unwrap();
    leave_endpoint(&engine, "m.1", "m.net").await;
    engine.create_container(&container("m.1")).await.unwrap();
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    let cause = report.failures().next().unwrap().1.cause.to_string();
    assert!(cause.ends_with("remove container `m.1` and run this again"), "{cause}");
    engine.remove_container("m.1", false, false).await.unwrap();
    assert!(run(&plan, &engine, &ApplyOptions::default()).await.is_success());

    // One that a container still has is the operator's to judge.
    engine.create_network(&spec).await.unwrap();
    let mut member = container("m.3");
    member.first_endpoint = Some(EndpointSpec { network: "m.net".into(), ..EndpointSpec::default() });
    engine.create_container(&member).await.unwrap();
    engine.start_container("m.3").await.unwrap();
    let report = run(&plan, &engine, &ApplyOptions::default()).await;
    assert!(report.failures().next().unwrap().1.is_conflict());
}
