//! A map and an engine to bring it to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dfab_client::apply::{ApplyOptions, Backends};
use dfab_client::backend::LogOptions;
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, MemoryBackend, apply, observe};
use dfab_map::desired::{Session, Settings, Target};
use dfab_map::image::ImageName;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients, Map};
use dfab_map::names::{ClientName, MapName};
use dfab_map::plan::{self, ActionKind, Plan, PlanOptions};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use dfab_map::value::Tables;
use indexmap::IndexMap;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

pub struct World {
    pub backend: Arc<dyn Backend>,
    /// The engine, when it is one in memory.
    pub memory: Option<Arc<MemoryBackend>>,
    maps: IndexMap<MapName, Map>,
    selected: Vec<ItemId>,
}

impl World {
    pub fn in_memory(map: &str) -> Self {
        let memory = Arc::new(MemoryBackend::new("memory"));
        memory.add_image("busybox:latest");
        Self { memory: Some(Arc::clone(&memory)), ..Self::new(map, memory) }
    }

    pub fn live(map: &str) -> Option<Self> {
        let socket: PathBuf = std::env::var_os("DFAB_LIVE_ENGINE")?.into();
        let backend = ApiBackend::new(Arc::new(LocalConnector::unix(socket)), ApiOptions::default());
        Some(Self::new(map, Arc::new(backend)))
    }

    fn new(map: &str, backend: Arc<dyn Backend>) -> Self {
        let tables = Tables::default();
        let options = LoadOptions { file: "map.yaml", name: None, lookup: &tables };
        let map = load::map(map, &options).unwrap_or_else(|findings| panic!("{findings:?}")).value;
        let map = dfab_map::extend::extended(&map).unwrap_or_else(|findings| panic!("{findings:?}"));
        let mut selected = Vec::new();
        for (config, container) in &map.containers {
            let mut instances: Vec<_> = container.instances.iter().cloned().map(Some).collect();
            if instances.is_empty() {
                instances.push(None);
            }
            selected.extend(instances.into_iter().map(|instance| ItemId {
                map: map.name.clone(),
                item: Item::Container { config: config.clone(), instance },
            }));
        }
        let maps = IndexMap::from([(map.name.clone(), map)]);
        Self { backend, memory: None, maps, selected }
    }

    /// Plans and applies, and returns the plan. Every image is there, so that one stage is enough.
    pub async fn run(&self, action: ActionKind) -> Result<Plan, String> {
        let plan = self.try_plan(action, &options()).await?;
        let backends = Backends::from([(ClientName::default_client(), Arc::clone(&self.backend))]);
        let report = apply(&plan, &backends, &ApplyOptions::default(), &unbounded_channel().0).await;
        match report.failures().next() {
            Some((step, error)) => Err(format!("{step}: {error}: {}\n{plan}", error.cause)),
            None => Ok(plan),
        }
    }

    pub async fn plan(&self, action: ActionKind) -> Plan {
        self.try_plan(action, &options()).await.unwrap()
    }

    async fn try_plan(&self, action: ActionKind, options: &PlanOptions) -> Result<Plan, String> {
        let (clients, tables) = (Clients::new(), Tables::default());
        let name = ClientName::default_client();
        let session = Session {
            maps: &self.maps,
            clients: &clients,
            defaults: vec![Target { name: name.clone(), config: ClientConfig::default(), is_default: true }],
            lookup: &tables,
            settings: Settings {
                prepare_image: ImageName::expand("busybox", None, None).unwrap(),
                default_networks: vec!["bridge".into()],
            },
        };
        let desired = session.desired(action, &self.selected, options);
        let desired = desired.map_err(|findings| format!("{findings:?}"))?;
        let wanted = desired.wanted();
        let observed = observe(self.backend.as_ref(), &wanted[&name]).await;
        let observed = observed.map_err(|error| format!("{error}: {}", error.cause))?;
        plan::plan(&desired, &BTreeMap::from([(name, observed)]), options)
            .map_err(|errors| format!("{errors:?}"))
    }

    pub async fn assert_converged(&self, when: &str) {
        let plan = self.plan(ActionKind::Update).await;
        let reasons: Vec<String> = plan
            .steps
            .iter()
            .flat_map(|step| &step.reasons)
            .map(|reason| format!("{}: {:?} -> {:?}", reason.field, reason.current, reason.desired))
            .collect();
        assert!(plan.is_empty(), "{when}, there is still to do:\n{plan}{}", reasons.join("\n"));
    }

    /// Runs a command in a container that has a volume at `/mounted`, and returns what it prints.
    pub async fn shell(&self, volume: &str, command: &str) -> String {
        let spec = ContainerSpec {
            name: "conv.shell".into(),
            image: ImageName::expand("busybox", None, None).unwrap(),
            properties: Properties::from([
                (Property::Command, json!(["sh", "-c", command])),
                (Property::Binds, json!([format!("{volume}:/mounted:ro,nocopy")])),
            ]),
            first_endpoint: None,
            own_labels: BTreeMap::new(),
        };
        self.backend.create_container(&spec).await.unwrap();
        self.backend.start_container(&spec.name).await.unwrap();
        self.backend.wait_container(&spec.name, None).await.unwrap();
        let log = self.backend.container_logs(&spec.name, LogOptions::default()).await.unwrap();
        self.backend.remove_container(&spec.name, false, false).await.unwrap();
        String::from_utf8(log).unwrap()
    }

    /// Removes everything of the map, with its data.
    pub async fn clean_up(&self) {
        let ours = |name: &String| name.starts_with("conv.") || name.starts_with("dfab.");
        for name in self.backend.list_containers().await.unwrap().into_keys().filter(ours) {
            self.backend.remove_container(&name, true, true).await.unwrap();
        }
        for name in self.backend.list_networks().await.unwrap().into_keys().filter(ours) {
            self.backend.remove_network(&name).await.unwrap();
        }
        for name in self.backend.list_volumes().await.unwrap().into_keys().filter(ours) {
            self.backend.remove_volume(&name).await.unwrap();
        }
    }
}

fn options() -> PlanOptions {
    PlanOptions { remove_attached: false, ..PlanOptions::default() }
}
