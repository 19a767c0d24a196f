//! Actions on engines in memory: a map in, what was done out.

use dfab_client::apply::Because;
use dfab_client::memory::{Failure, MemoryBackend};
use dfab_map::desired::Settings;
use dfab_map::extend::extended;
use dfab_map::image::ImageName;
use dfab_map::item::Item;
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients, Map};
use dfab_map::names::MapName;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec};
use dfab_map::value::Tables;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;

/// A map, its clients, and an engine for each of them.
struct World {
    maps: IndexMap<MapName, Map>,
    clients: Clients,
    selected: Vec<ItemId>,
    engines: BTreeMap<ClientName, Arc<MemoryBackend>>,
    /// Clients whose settings make no way to an engine.
    misconfigured: BTreeSet<ClientName>,
    lookup: Tables,
}

impl Engines for World {
    fn backend(&self, target: &Target) -> Result<Arc<dyn Backend>, Source> {
        if self.misconfigured.contains(&target.name) {
            return Err("`base_url` has no host".into());
        }
        Ok(Arc::clone(&self.engines[&target.name]) as Arc<dyn Backend>)
    }
}

impl World {
    fn new(clients: &str, map: &str) -> Self {
        let lookup = Tables::default();
        let options = |file| LoadOptions { file, name: None, lookup: &lookup };
        let map = extended(&load::map(map, &options("m.yaml")).unwrap().value).unwrap();
        let clients = load::clients(clients, &options("clients.yaml")).unwrap().value;
        let selected = map.containers.keys().map(|config| ItemId {
            map: map.name.clone(),
            item: Item::Container { config: config.clone(), instance: None },
        });
        let engine = |name: &ClientName| (name.clone(), Arc::new(MemoryBackend::new(name.to_string())));
        Self {
            selected: selected.collect(),
            maps: IndexMap::from([(map.name.clone(), map)]),
            engines: clients.keys().map(engine).collect(),
            clients,
            misconfigured: BTreeSet::new(),
            lookup,
        }
    }

    /// One client `a`, with a container of its own image each.
    fn with_app_and_other() -> Self {
        let world = Self::new("a: {}", "name: m\nclients: a\napp: {image: app}\nother: {image: other}\n");
        world.engine("a").add_to_registry("app:latest");
        world.engine("a").add_to_registry("other:latest");
        world
    }

    fn engine(&self, name: &str) -> &MemoryBackend {
        &self.engines[&ClientName::new(name).unwrap()]
    }

    async fn try_run(
        &self,
        action: ActionKind,
        options: &ActionOptions,
    ) -> (Result<Outcome, Refused>, UnboundedReceiver<Happening>) {
        let session = Session {
            maps: &self.maps,
            clients: &self.clients,
            defaults: vec![Target {
                name: ClientName::default_client(),
                config: ClientConfig::default(),
                is_default: true,
            }],
            lookup: &self.lookup,
            settings: Settings {
                prepare_image: ImageName::expand("busybox", None, None).unwrap(),
                ..Settings::default()
            },
        };
        let (sender, receiver) = unbounded_channel();
        (run(&session, self, action, &self.selected, options, &sender).await, receiver)
    }

    async fn update(&self) -> Outcome {
        self.try_run(ActionKind::Update, &ActionOptions::default()).await.0.unwrap()
    }
}

/// The steps of every stage with what became of each, and the notices of its plan.
fn told(outcome: &Outcome) -> Vec<Vec<String>> {
    let stage = |stage: &Stage| {
        let result = |at: usize| match stage.report.as_ref().map(|report| &report.steps[at].result) {
            None => "planned".to_owned(),
            Some(StepResult::Done) => "done".to_owned(),
            Some(StepResult::Failed(error)) => format!("failed: {error}: {}", error.cause),
            Some(StepResult::Skipped(Because::Failed(step))) => format!("skipped for {step}"),
            Some(StepResult::Skipped(Because::FailFast(step))) => format!("stopped for {step}"),
            Some(StepResult::Skipped(Because::Cancelled)) => "cancelled".to_owned(),
        };
        let steps = stage.plan.steps.iter().enumerate().map(|(at, step)| {
            format!("{} {} {} {} {}: {}", step.id, step.client, step.action, step.kind, step.name, result(at))
        });
        steps.chain(stage.plan.notices.iter().map(|notice| format!("note: {notice}"))).collect()
    };
    outcome.stages.iter().map(stage).collect()
}

/// What was told while an action ran, without the events of single steps.
fn happened(mut happenings: UnboundedReceiver<Happening>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        told.push(match happening {
            Happening::Observing(clients) => {
                format!("observing {}", clients.iter().map(ClientName::as_str).collect::<Vec<_>>().join(" "))
            }
            Happening::Unreachable(client, error) => format!("{client}: {error}: {}", error.cause),
            Happening::Planned { plan, pulls_first } => {
                format!("planned {} steps{}", plan.steps.len(), if pulls_first { ", pulls" } else { "" })
            }
            Happening::Step(_) => continue,
        });
    }
    told
}

#[tokio::test]
async fn an_image_decides_about_its_container_after_the_pull() {
    // The registry has what the container was made from, or something newer.
    let cases: [(bool, &[&str]); 2] = [(false, &[]), (true, &["#1 a recreate container m.app: done"])];
    for (newer, second_stage) in cases {
        let world = World::with_app_and_other();
        assert!(world.update().await.is_success());
        world.engine("a").remove_image("app:latest");
        if newer {
            world.engine("a").add_to_registry("app:latest");
        }
        let (outcome, happenings) = world.try_run(ActionKind::Update, &ActionOptions::default()).await;
        let outcome = outcome.unwrap();
        assert!(outcome.is_success());
        assert_eq!(told(&outcome), [&["#1 a pull image app:latest: done"][..], second_stage], "{newer}");
        assert_eq!(outcome.stages[1].offset, 1, "step numbers go on");
        let second = format!("planned {} steps", second_stage.len());
        assert_eq!(
            happened(happenings),
            ["observing a", "planned 1 steps, pulls", "observing a", second.as_str()]
        );
        assert_eq!(told(&world.update().await), [Vec::<String>::new()], "{newer}");
    }
}

#[tokio::test]
async fn what_needs_an_image_that_could_not_be_pulled_is_left_out_and_the_rest_goes_on() {
    let world = World::new(
        "a: {}",
        "name: m\nclients: a\napp: {image: app}\nmore: {image: app}\nweb: {image: other, links: more}\n\
         other: {image: other}\n",
    );
    world.engine("a").add_image("app:latest");
    world.engine("a").add_image("other:latest");
    assert!(world.update().await.is_success());
    world.engine("a").remove_image("app:latest");
    for container in ["m.more", "m.web", "m.other"] {
        world.engine("a").lose_container(container);
    }
    world.engine("a").forget_changes();
    let outcome = world.update().await;
    assert!(!outcome.is_success());
    assert_eq!(
        told(&outcome),
        [
            vec![
                "#1 a pull image app:latest: failed: failed to pull image `app:latest` on `a`: \
                 the engine refused (404): manifest for app:latest not found: manifest unknown",
            ],
            vec![
                "#4 a create container m.other: done",
                "note: container `m.app` on `a` is left as it is: image app:latest could not be pulled, and is what \
                 it is compared with",
                "note: create of container `m.more` on `a` is left out: image app:latest could not be pulled",
                "note: create of container `m.web` on `a` is left out: image app:latest could not be pulled"
            ],
        ]
    );
    // What could not be compared is not said to be unchanged, and keeps running.
    let unchanged = outcome.stages[1].plan.unchanged.iter().map(|item| item.name.as_str());
    assert_eq!(unchanged.collect::<Vec<_>>(), ["other:latest"]);
    assert_eq!(
        world.engine("a").changes(),
        ["pull image `app:latest`", "create container `m.other`", "start container `m.other`"]
    );
}

#[tokio::test]
async fn what_no_map_knows_is_connected_again_as_it_was() {
    let map = "name: m\nclients: a\nnetworks: {n: null}\napp: {image: app, networks: n}\n";
    let world = World::new("a: {}", map);
    let engine = world.engine("a");
    engine.add_image("app:latest");
    let name = "m.n".to_owned();
    let driver = "bridge".to_owned();
    let internal = NetworkSpec { name: name.clone(), driver, internal: true, ..NetworkSpec::default() };
    engine.create_network(&internal).await.unwrap();
    let aliases = BTreeSet::from(["theirs".to_owned()]);
    let stranger = ContainerSpec {
        name: "stranger".to_owned(),
        image: ImageName::expand("app", None, None).unwrap(),
        properties: BTreeMap::new(),
        first_endpoint: Some(EndpointSpec { network: name.clone(), aliases, ..EndpointSpec::default() }),
        own_labels: BTreeMap::new(),
    };
    engine.create_container(&stranger).await.unwrap();
    engine.start_container("stranger").await.unwrap();
    let outcome = world.update().await;
    assert!(outcome.is_success(), "{:?}", told(&outcome));
    assert_eq!(told(&outcome)[0][0], "#1 a recreate network m.n: done");
    let detail = engine.inspect_container("stranger").await.unwrap().unwrap().detail.unwrap();
    assert_eq!(detail.endpoints.get(&name), stranger.first_endpoint.as_ref());
}

/// engine D-60: the source raises what goes wrong outside of an engine call bare, without what was done before.
#[tokio::test]
async fn what_was_done_before_a_plan_fails_is_told() {
    let world = World::with_app_and_other();
    assert!(world.update().await.is_success());
    world.engine("a").remove_image("app:latest");
    // The pull is answered as done, and brings nothing.
    world.engine("a").fail_calls("pull image `app", Failure::Ignored);
    let outcome = world.update().await;
    assert!(!outcome.is_success());
    assert_eq!(told(&outcome), [["#1 a pull image app:latest: done"]]);
    let refused: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
    assert_eq!(refused, ["image app:latest on client a is still absent after it was pulled"]);
    assert!(outcome.requests > 0);
}

#[tokio::test]
async fn a_container_without_its_image_is_skipped_for_the_pull() {
    let world = World::with_app_and_other();
    world.engine("a").fail_calls("pull image `app", Failure::Refused(404, "manifest unknown".into()));
    let outcome = world.update().await;
    assert!(!outcome.is_success());
    assert_eq!(
        told(&outcome),
        [[
            "#1 a pull image app:latest: failed: failed to pull image `app:latest` on `a`: \
             the engine refused (404): manifest unknown",
            "#2 a pull image other:latest: done",
            "#3 a create container m.app: skipped for #1",
            "#4 a create container m.other: done",
        ]]
    );
}

#[tokio::test]
async fn an_unreachable_client_does_not_stop_the_others() {
    let world = World::new("up: {}\ndown: {}\n", "name: m\nclients: [up, down]\napp: {image: app}\n");
    world.engine("up").add_image("app:latest");
    world.engine("down").disconnect();
    let (outcome, happenings) = world.try_run(ActionKind::Update, &ActionOptions::default()).await;
    let outcome = outcome.unwrap();
    assert!(!outcome.is_success());
    assert_eq!(told(&outcome), [["#1 up create container m.app: done"]]);
    let (name, error) = &outcome.unreachable[0];
    assert_eq!((name.as_str(), outcome.unreachable.len()), ("down", 1));
    assert!(error.is_unreachable() && error.to_string().ends_with(" on `down`"), "{error}");
    let told = happened(happenings);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "observing down up");
    assert!(told[1].starts_with("down: failed to ") && told[1].contains("on `down`"), "{told:?}");
    assert_eq!(told[2], "planned 1 steps");
    assert!(world.engine("down").changes().is_empty());
}

#[tokio::test]
async fn an_engine_that_is_lost_between_two_stages_is_reported() {
    let world = World::with_app_and_other();
    assert!(world.update().await.is_success());
    world.engine("a").remove_image("app:latest");
    world.engine("a").fail_calls("pull image `app", Failure::Unreachable);
    let before = world.engine("a").requests();
    let outcome = world.update().await;
    assert_eq!(outcome.requests, world.engine("a").requests() - before);
    assert!(outcome.requests > 1, "{}", outcome.requests);
    assert_eq!(outcome.unreachable.len(), 1);
    assert_eq!(told(&outcome).len(), 2);
    assert!(told(&outcome)[0][0].contains("failed to pull image `app:latest` on `a`"));
    assert_eq!(told(&outcome)[1], Vec::<String>::new());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let dry = ActionOptions { dry_run: true, ..ActionOptions::default() };
    let world = World::with_app_and_other();
    let planned = world.try_run(ActionKind::Update, &dry).await.0.unwrap();
    assert!(planned.is_success());
    assert!(world.engine("a").changes().is_empty());
    let done = world.update().await;
    let steps = |outcome: &Outcome| outcome.steps().map(|(_, step)| step.clone()).collect::<Vec<_>>();
    assert_eq!(steps(&planned), steps(&done), "the plan of a dry run is the plan");

    // Nor does it pull to know more.
    world.engine("a").remove_image("app:latest");
    world.engine("a").forget_changes();
    let (outcome, happenings) = world.try_run(ActionKind::Update, &dry).await;
    assert_eq!(told(&outcome.unwrap()), [["#1 a pull image app:latest: planned"]]);
    assert_eq!(happened(happenings), ["observing a", "planned 1 steps, pulls"]);
    assert!(world.engine("a").changes().is_empty());
}

#[tokio::test]
async fn a_second_run_has_nothing_to_do() {
    let world = World::with_app_and_other();
    let first = world.update().await;
    assert_eq!((first.is_success(), first.steps().count()), (true, 4));
    world.engine("a").forget_changes();
    let second = world.update().await;
    assert_eq!((second.is_success(), second.steps().count()), (true, 0));
    assert!(second.requests > 0, "it has looked");
    assert!(world.engine("a").changes().is_empty());
}

#[tokio::test]
async fn with_fail_fast_nothing_follows_a_failed_pull() {
    let world = World::with_app_and_other();
    assert!(world.update().await.is_success());
    world.engine("a").remove_image("app:latest");
    world.engine("a").fail_calls("pull image `app", Failure::Refused(500, "no space left".into()));
    world.engine("a").lose_container("m.other");
    let options = ActionOptions { fail_fast: true, ..ActionOptions::default() };
    let outcome = world.try_run(ActionKind::Update, &options).await.0.unwrap();
    assert_eq!(outcome.stages.len(), 1);
    assert!(!outcome.is_success());
}

#[tokio::test]
async fn a_cancelled_action_begins_no_step() {
    let world = World::with_app_and_other();
    let options = ActionOptions::default();
    options.cancel.cancel();
    let outcome = world.try_run(ActionKind::Update, &options).await.0.unwrap();
    assert!(outcome.cancelled && !outcome.is_success());
    assert_eq!(outcome.steps().count(), 0);
    assert!(world.engine("a").changes().is_empty());
}

#[tokio::test]
async fn settings_that_lead_nowhere_refuse_the_action_before_any_change() {
    let mut world = World::new("a: {}\nb: {}\n", "name: m\nclients: [a, b]\napp: {image: app}\n");
    world.misconfigured.insert(ClientName::new("b").unwrap());
    let refused = world.try_run(ActionKind::Update, &ActionOptions::default()).await.0.unwrap_err();
    assert_eq!(refused.to_string(), "client `b` cannot be used");
    let Refused::Client(_, source) = refused else { panic!("{refused:?}") };
    assert_eq!(source.to_string(), "`base_url` has no host");
    assert_eq!(world.engine("a").requests(), 0);
}
