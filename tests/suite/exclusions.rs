//! The settings that `dfab` refuses together, on each engine generation: each is accepted alone, and the engine refuses
//! them together. A finding never forbids what an engine would take.
//!
//! The maps go around the check: loading, planning and applying are those of `dfab`, so that the engine gets what it
//! would get without the finding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dfab_client::apply::{ApplyOptions, Backends, Report};
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, apply, observe};
use dfab_map::check::{self, EXCLUSIONS, Excluding, Exclusion};
use dfab_map::desired::{Session, Settings, Target};
use dfab_map::extend::extended;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients, Map};
use dfab_map::names::ClientName;
use dfab_map::plan::{ActionKind, Plan, PlanOptions, plan};
use dfab_map::select::Maps;
use dfab_map::spec::EndpointSpec;
use dfab_map::value::Tables;
use dfab_tests::{Host, lab_or_skip};
use tokio::sync::mpsc::unbounded_channel;

use crate::every_property::merged;

/// Lines of a configuration that give a setting, each of which excludes others.
fn excluding(excluding: Excluding) -> &'static [&'static str] {
    match excluding {
        Excluding::AutoRemove => &["host_config: {auto_remove: true}"],
        Excluding::HostNetwork => &["network_mode: host"],
        Excluding::OtherNetwork => &["network_mode: still", "network_mode: /excl_map.still"],
    }
}

/// Lines of a configuration that give a setting in each of its forms. A new exclusion has its line here, or the tests fail.
fn excluded(setting: &str) -> &'static [&'static str] {
    match setting {
        "restart_policy" => &[
            "host_config: {restart_policy: {Name: always}}",
            "host_config: {restart_policy: unless-stopped}",
            "host_config: {restart_policy: 'on-failure:3'}",
        ],
        "networks" => &["networks: [n]"],
        "links" => &["links: {still: one}", "host_config: {links: {excl_map.still: one}}"],
        "exposes" => &["exposes: [80]"],
        "port_bindings" => &["host_config: {port_bindings: {81/tcp: null}}"],
        "ports" => &["create_options: {ports: [82]}"],
        "dns" => &["host_config: {dns: [192.0.2.1]}"],
        "extra_hosts" => &["host_config: {extra_hosts: {gw: 192.0.2.1}}"],
        "publish_all_ports" => &["host_config: {publish_all_ports: true}"],
        other => panic!("no line of a configuration gives `{other}`"),
    }
}

/// Configurations that have both settings, each with its exclusion.
fn together() -> Vec<(Exclusion, String)> {
    let mut all = Vec::new();
    for exclusion in EXCLUSIONS {
        for first in excluding(exclusion.0) {
            for second in excluded(exclusion.1) {
                all.push((exclusion, merged([*first, *second].into_iter())));
            }
        }
    }
    all
}

/// Configurations that have one of the settings each.
fn alone() -> Vec<String> {
    let lines = EXCLUSIONS.iter().flat_map(|(first, second)| [excluding(*first), excluded(second)]);
    let lines: BTreeSet<&str> = lines.flatten().copied().collect();
    lines.into_iter().map(|line| merged([line].into_iter())).collect()
}

/// A map with `still`, and configurations `c0` and so on with these lines. It is not checked.
fn map<'a>(configs: impl IntoIterator<Item = &'a String>) -> Map {
    let mut text = String::from(
        "name: excl_map\nnetworks: {n: }\nbase:\n  abstract: true\n  image: busybox\n  stop_timeout: 1\n  \
         create_options: {command: [sleep, '100000']}\nstill: {extends: base}\n",
    );
    for (number, lines) in configs.into_iter().enumerate() {
        text += &format!("c{number}:\n  extends: base\n{lines}");
    }
    let tables = Tables::default();
    let options = LoadOptions { file: "excl_map.yaml", name: None, lookup: &tables };
    let map = load::map(&text, &options).unwrap_or_else(|findings| panic!("{findings}\n{text}")).value;
    extended(&map).unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

#[test]
fn every_exclusion_has_configurations_that_the_check_refuses_for_it_alone() {
    let together = together();
    let findings = check::check(&map(together.iter().map(|(_, lines)| lines)), check::Options::default());
    let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), together.len(), "{found:#?}");
    for (number, ((_, setting), lines)) in together.iter().enumerate() {
        let of_it = found.iter().filter(|text| text.contains(&format!("`c{number}`")));
        let of_it: Vec<&String> = of_it.collect();
        assert!(
            of_it.len() == 1 && of_it[0].contains(&format!("excludes `{setting}`")),
            "{of_it:?}:\n{lines}"
        );
    }
    assert_eq!(check::check(&map(&alone()), check::Options::default()), []);
}

/// An engine, reached without SSH.
struct Engine {
    backend: Arc<dyn Backend>,
}

impl Engine {
    fn of(host: &Host<'_>) -> Self {
        let docker_host = host.docker_host();
        let socket = Path::new(docker_host.strip_prefix("unix://").expect("it is a socket"));
        let backend = ApiBackend::new(Arc::new(LocalConnector::unix(socket)), ApiOptions::default());
        Self { backend: Arc::new(backend) }
    }

    /// Starts all of a map.
    async fn startup(&self, map: Map) -> (Plan, Report) {
        let item = |config| Item::Container { config, instance: None };
        let configs = map.containers.keys().cloned();
        let selected: Vec<_> =
            configs.map(|config| ItemId { map: map.name.clone(), item: item(config) }).collect();
        let (clients, tables) = (Clients::new(), Tables::default());
        let maps = Maps::from_iter([(map.name.clone(), map)]);
        let name = ClientName::default_client();
        let target = Target { name: name.clone(), config: ClientConfig::default(), is_default: true };
        let session = Session {
            maps: &maps,
            clients: &clients,
            defaults: vec![target],
            lookup: &tables,
            settings: Settings::default(),
        };
        let options = PlanOptions::default();
        let desired = session.desired(ActionKind::Startup, &selected, &options);
        let desired = desired.unwrap_or_else(|findings| panic!("{findings:?}"));
        let observed =
            observe(self.backend.as_ref(), &desired.wanted()[&name]).await.expect("the engine answers");
        let plan = plan(&desired, &BTreeMap::from([(name.clone(), observed)]), &options);
        let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}"));
        let backends = Backends::from([(name, Arc::clone(&self.backend))]);
        let report = apply(&plan, &backends, &ApplyOptions::default(), &unbounded_channel().0).await;
        (plan, report)
    }

    /// What went wrong at each object's steps: whether the engine refused what it was told, and its words. `still` runs
    /// before all others, since a link among the options does not tell that it is needed.
    async fn failures(&self, map: Map) -> BTreeMap<String, (bool, String)> {
        let (_, still) = self.startup(self::map(&[])).await;
        assert!(still.is_success(), "{still:?}");
        let (plan, report) = self.startup(map).await;
        let name = |id| &plan.steps.iter().find(|step| step.id == id).expect("it is a step of the plan").name;
        let failure = |(step, error): (_, &dfab_client::Error)| {
            let refused = error.is_refused() && !error.is_not_found();
            (name(step).clone(), (refused, format!("{error}: {}", error.cause)))
        };
        report.failures().map(failure).collect()
    }
}

async fn engine_refuses_each(host: &Host<'_>) {
    let (engine, when) = (Engine::of(host), format!("engine {}", host.engine));
    let alone = alone();
    let failures = engine.failures(map(&alone)).await;
    assert_eq!(failures, BTreeMap::new(), "{when}, each setting alone: {alone:#?}");

    // Networks beside a mode are joined by a call of its own, which `dfab` never makes.
    let networks = EndpointSpec { network: "excl_map.n".into(), ..EndpointSpec::default() };
    for (excluding_, _) in EXCLUSIONS.iter().filter(|(_, setting)| *setting == "networks") {
        for line in excluding(*excluding_) {
            let number = alone.iter().position(|lines| lines.contains(line)).expect("it is there alone");
            let container = format!("excl_map.c{number}");
            let joined = engine.backend.connect_network(&container, &networks).await;
            let error = joined.expect_err(&format!("{when}: `{container}` has joined a network\n{line}"));
            assert!(error.is_refused(), "{when}, {line}: {error}: {}", error.cause);
        }
    }

    host.clean();
    let together = together();
    let others = together.iter().filter(|((_, setting), _)| *setting != "networks");
    let others: Vec<&(Exclusion, String)> = others.collect();
    let failures = engine.failures(map(others.iter().map(|(_, lines)| lines))).await;
    let mut wrong = Vec::new();
    for (number, (exclusion, lines)) in others.iter().enumerate() {
        match failures.get(&format!("excl_map.c{number}")) {
            Some((true, _)) => {}
            other => wrong.push(format!("{exclusion:?}: {other:?}\n{lines}")),
        }
    }
    assert!(wrong.is_empty(), "{when}: not refused:\n{}", wrong.join("\n"));
    assert_eq!(failures.len(), others.len(), "{when}: others failed too: {failures:#?}");
    dfab_tests::note(&format!("{when}: {} configurations refused, {} accepted", failures.len(), alone.len()));
    // Nothing but the container that they name was started.
    assert_eq!(host.run("docker ps --format '{{.Names}}'"), "excl_map.still", "{when}");
    host.expect_no_leftovers();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_check_refuses_every_engine_refuses() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        engine_refuses_each(&lab.take(number)).await;
    }
}
