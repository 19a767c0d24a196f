//! Update detection is the same over both backends: the same plan for an engine without anything,
//! the same observation of what either has made, and nothing left to do from either.
//!
//! See [`live`] for the variables.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "../live/mod.rs"]
mod live;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dfab_cli_client::CliBackend;
use dfab_client::apply::{ApplyOptions, Backends};
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, apply, observe};
use dfab_map::desired::{Desired, Session, Settings, Target};
use dfab_map::image::ImageName;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients, Map};
use dfab_map::names::{ClientName, MapName};
use dfab_map::observed::{Observed, Wanted};
use dfab_map::plan::{self, ActionKind, Plan, PlanOptions};
use dfab_map::value::Tables;
use indexmap::IndexMap;
use tokio::sync::mpsc::unbounded_channel;

const MAP: &str = include_str!("map.yaml");

/// One test at a time on the engine: each looks at all of it.
static ENGINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The map, and what it wants of an engine.
struct World {
    desired: Desired,
    wanted: Wanted,
}

impl World {
    fn new(text: &str) -> Self {
        let tables = Tables::default();
        let map = load::map(text, &LoadOptions { file: "map.yaml", name: None, lookup: &tables });
        let map = map.unwrap_or_else(|findings| panic!("{findings:?}")).value;
        let map = dfab_map::extend::extended(&map).unwrap_or_else(|findings| panic!("{findings:?}"));
        let selected = selected(&map);
        let maps: IndexMap<MapName, Map> = IndexMap::from([(map.name.clone(), map)]);
        let config = ClientConfig {
            interfaces: IndexMap::from([("private".to_owned(), "127.0.0.1".into())]),
            ..ClientConfig::default()
        };
        let session = Session {
            maps: &maps,
            clients: &Clients::new(),
            defaults: vec![Target { name: ClientName::default_client(), config, is_default: true }],
            lookup: &tables,
            settings: Settings {
                prepare_image: ImageName::expand("busybox", None, None).unwrap(),
                ..Settings::default()
            },
        };
        let desired = session.desired(ActionKind::Update, &selected, &options());
        let desired = desired.unwrap_or_else(|findings| panic!("{findings:?}"));
        let wanted = desired.wanted()[&ClientName::default_client()].clone();
        Self { desired, wanted }
    }

    async fn observed(&self, backend: &dyn Backend) -> Observed {
        let observed = observe(backend, &self.wanted).await;
        let mut observed = observed.unwrap_or_else(|error| panic!("{error}: {}", error.cause));
        // A health check comes and goes between two looks.
        for container in observed.containers.values_mut() {
            if let Some(processes) = container.detail.as_mut().and_then(|detail| detail.processes.as_mut()) {
                processes
                    .retain(|(_, command)| !command.contains("test -d") && !command.contains("<defunct>"));
            }
        }
        observed
    }

    fn plan(&self, observed: Observed) -> Plan {
        let observed = BTreeMap::from([(ClientName::default_client(), observed)]);
        plan::plan(&self.desired, &observed, &options()).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    async fn apply(&self, plan: &Plan, backend: &Arc<dyn Backend>) {
        let backends = Backends::from([(ClientName::default_client(), Arc::clone(backend))]);
        let report = apply(plan, &backends, &ApplyOptions::default(), &unbounded_channel().0).await;
        let failures: Vec<String> =
            report.failures().map(|(step, error)| format!("{step}: {error}: {}", error.cause)).collect();
        assert!(failures.is_empty(), "\n{}\n{plan}", failures.join("\n"));
    }
}

fn selected(map: &Map) -> Vec<ItemId> {
    let mut selected = Vec::new();
    for (config, container) in &map.containers {
        let instances: Vec<_> = match container.instances.as_slice() {
            [] => vec![None],
            instances => instances.iter().cloned().map(Some).collect(),
        };
        let item = |instance| Item::Container { config: config.clone(), instance };
        selected.extend(
            instances.into_iter().map(|instance| ItemId { map: map.name.clone(), item: item(instance) }),
        );
    }
    selected
}

fn options() -> PlanOptions {
    PlanOptions { remove_attached: false, ..PlanOptions::default() }
}

/// Both backends, on every engine whose host the program is on.
async fn engines() -> Vec<(String, Arc<dyn Backend>, Arc<CliBackend>)> {
    let places = live::places().await.into_iter().filter(|place| place.is_on_host);
    let engines = places.map(|place| {
        let api = ApiBackend::new(Arc::new(LocalConnector::unix(&place.socket)), ApiOptions::default());
        let cli = Arc::new(place.backend());
        (place.name, Arc::new(api) as Arc<dyn Backend>, cli)
    });
    engines.collect()
}

async fn clean_up(backend: &dyn Backend, prefix: &str) {
    let ours = |name: &String| name.starts_with(prefix);
    for name in backend.list_containers().await.unwrap().into_keys().filter(ours) {
        backend.remove_container(&name, true, true).await.unwrap();
    }
    for name in backend.list_networks().await.unwrap().into_keys().filter(ours) {
        backend.remove_network(&name).await.unwrap();
    }
    for name in backend.list_volumes().await.unwrap().into_keys().filter(ours) {
        backend.remove_volume(&name).await.unwrap();
    }
}

fn reasons(plan: &Plan) -> String {
    let reasons = plan.steps.iter().flat_map(|step| step.reasons.iter().map(move |reason| (step, reason)));
    let lines = reasons.map(|(step, reason)| {
        format!("{}: {}: {:?} -> {:?}", step.name, reason.field, reason.current, reason.desired)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Asserts that both backends see the same, and have nothing to do.
async fn assert_same(world: &World, api: &dyn Backend, cli: &dyn Backend, when: &str) {
    let (from_api, from_cli) = (world.observed(api).await, world.observed(cli).await);
    for (name, container) in &from_api.containers {
        assert_eq!(from_cli.containers.get(name), Some(container), "{when}: {name}");
    }
    assert_eq!(from_cli.networks, from_api.networks, "{when}");
    assert_eq!(from_cli.volumes, from_api.volumes, "{when}");
    assert_eq!(from_cli.images, from_api.images, "{when}");
    assert_eq!(from_cli.containers.len(), from_api.containers.len(), "{when}");
    for observed in [from_api, from_cli] {
        let plan = world.plan(observed);
        assert!(plan.is_empty(), "{when}, there is still to do:\n{plan}{}", reasons(&plan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_backend_creates_the_other_leaves_alone() {
    let _engine = ENGINE.lock().await;
    let world = World::new(MAP);
    for (program, api, cli) in engines().await {
        let backend: Arc<dyn Backend> = Arc::clone(&cli) as Arc<dyn Backend>;
        clean_up(api.as_ref(), "par.").await;
        let plans =
            [world.plan(world.observed(api.as_ref()).await), world.plan(world.observed(cli.as_ref()).await)];
        assert_eq!(plans[0].to_string(), plans[1].to_string(), "{program}");
        assert!(plans[0].steps.len() > 10, "{}", plans[0]);

        world.apply(&plans[0], &api).await;
        assert_same(&world, api.as_ref(), cli.as_ref(), &format!("{program}: created over the API")).await;
        clean_up(backend.as_ref(), "par.").await;
        world.apply(&plans[1], &backend).await;
        assert_same(&world, api.as_ref(), cli.as_ref(), &format!("{program}: created by command lines"))
            .await;

        // The same drift, seen by both.
        for name in ["par.db", "par.app.one"] {
            api.kill_container(name, None).await.unwrap();
            api.remove_container(name, false, true).await.unwrap();
        }
        let plans =
            [world.plan(world.observed(api.as_ref()).await), world.plan(world.observed(cli.as_ref()).await)];
        assert_eq!(plans[0].to_string(), plans[1].to_string(), "{program}");
        world.apply(&plans[1], &backend).await;
        assert_same(&world, api.as_ref(), cli.as_ref(), &format!("{program}: repaired by command lines"))
            .await;
        clean_up(api.as_ref(), "par.").await;
    }
}

/// The figures of the guide: channels and wall time of an update of 20 containers without changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_op_update_of_twenty_containers_takes_few_channels() {
    let _engine = ENGINE.lock().await;
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let instances = names.join(", ");
    let world = World::new(&format!(
        "name: twenty\nweb:\n  image: busybox:latest\n  instances: [{instances}]\n  create_options:\n    \
         command: [\"sleep\", \"100000\"]\n"
    ));
    for (program, api, cli) in engines().await {
        clean_up(api.as_ref(), "twenty.").await;
        let plan = world.plan(world.observed(api.as_ref()).await);
        world.apply(&plan, &api).await;
        for round in ["first", "second"] {
            let (channels, commands) = (cli.channels(), cli.requests());
            let start = Instant::now();
            assert!(world.plan(world.observed(cli.as_ref()).await).is_empty());
            let (channels, commands) = (cli.channels() - channels, cli.requests() - commands);
            let by_command = start.elapsed();
            let start = Instant::now();
            assert!(world.plan(world.observed(api.as_ref()).await).is_empty());
            let by_api = start.elapsed();
            println!(
                "{program}, {round}: {channels} channels, {commands} commands, {by_command:?}; API {by_api:?}"
            );
            // Two or three; on a busy machine a call may come too late to share one.
            assert!(channels <= 8, "{channels}");
        }
        clean_up(api.as_ref(), "twenty.").await;
    }
}
