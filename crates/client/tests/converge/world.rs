//! A map and an engine to bring it to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dfab_client::apply::{ApplyOptions, Backends};
use dfab_client::backend::LogOptions;
use dfab_client::transfer::BuildOptions;
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, MemoryBackend, apply, observe};
use dfab_map::desired::{Session, Settings, Target};
use dfab_map::image::ImageName;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients, Map};
use dfab_map::names::{ClientName, InstanceName, MapName, container_name};
use dfab_map::observed::ContainerState;
use dfab_map::plan::{self, ActionKind, Plan, PlanOptions};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use dfab_map::value::Tables;
use indexmap::IndexMap;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

/// A container that no map knows.
const BYSTANDER: &str = "bystander";

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
        memory.add_image("conv-image:latest");
        Self { memory: Some(Arc::clone(&memory)), ..Self::new(map, memory) }
    }

    pub fn live(map: &str, socket: &Path) -> Self {
        let backend = ApiBackend::new(Arc::new(LocalConnector::unix(socket)), ApiOptions::default());
        Self::new(map, Arc::new(backend))
    }

    fn new(map: &str, backend: Arc<dyn Backend>) -> Self {
        let (maps, selected) = read(map);
        Self { backend, memory: None, maps, selected }
    }

    /// Replaces the map; the engine stays as it is.
    pub fn turn_to(&mut self, map: &str) {
        (self.maps, self.selected) = read(map);
    }

    /// Gives the name `conv-image` to one of several images. On a real engine it holds a folder
    /// `/data` of another user and a file in `/srv`, which engines copy into empty volumes.
    pub async fn make_image(&self, variant: usize) {
        if let Some(memory) = &self.memory {
            memory.add_image("conv-image:latest");
            return;
        }
        let dockerfile = format!(
            "FROM busybox:latest\nRUN mkdir -p /data /srv && chown 1000:1001 /data && echo hello > /srv/content\nLABEL variant={variant}\n"
        );
        let mut context = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
        let context = std::io::Cursor::new(context.into_inner().unwrap());
        let options = BuildOptions { tag: "conv-image:latest".into(), rm: true, ..BuildOptions::default() };
        self.backend.build_image(Box::new(context), &options, &|_| {}).await.unwrap();
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
                ..Settings::default()
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
        self.converged().await.unwrap_or_else(|error| panic!("{when}, {error}"));
    }

    /// Checks that nothing is to be done, and that nothing temporary is left.
    pub async fn converged(&self) -> Result<(), String> {
        let plan = self.try_plan(ActionKind::Update, &options()).await?;
        let reasons: Vec<String> = plan
            .steps
            .iter()
            .flat_map(|step| &step.reasons)
            .map(|reason| format!("{}: {:?} -> {:?}", reason.field, reason.current, reason.desired))
            .collect();
        if !plan.is_empty() {
            return Err(format!("there is still to do:\n{plan}{}", reasons.join("\n")));
        }
        let containers = self.backend.list_containers().await.map_err(|error| error.to_string())?;
        let mut left: Vec<String> =
            containers.into_keys().filter(|name| !self.declares(name) && name != BYSTANDER).collect();
        let volumes = self.backend.list_volumes().await.map_err(|error| error.to_string())?;
        left.extend(volumes.into_keys().filter(|name| name.contains(".dfab-un")));
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    }

    fn declares(&self, container: &str) -> bool {
        self.selected.iter().any(|id| match &id.item {
            Item::Container { config, instance } => {
                let instance = instance.as_ref().map(InstanceName::as_str);
                container_name(&id.map, config, instance) == container
            }
            _ => false,
        })
    }

    /// Returns ID and state of a container that is not of the map, making it where it is not there.
    pub async fn bystander(&self) -> (String, ContainerState) {
        let find = async || self.backend.list_containers().await.unwrap().remove(BYSTANDER);
        if find().await.is_none() {
            let spec = ContainerSpec {
                name: BYSTANDER.into(),
                image: ImageName::expand("busybox", None, None).unwrap(),
                properties: Properties::from([(Property::Command, json!(["sleep", "100000"]))]),
                first_endpoint: None,
                own_labels: BTreeMap::new(),
            };
            self.backend.create_container(&spec).await.unwrap();
            self.backend.start_container(BYSTANDER).await.unwrap();
        }
        let container = find().await.unwrap().container;
        (container.id, container.state)
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
        let ours =
            |name: &String| name.starts_with("conv.") || name.starts_with("dfab.") || name == BYSTANDER;
        for name in self.backend.list_containers().await.unwrap().into_keys().filter(ours) {
            self.backend.remove_container(&name, true, true).await.unwrap();
        }
        for name in self.backend.list_networks().await.unwrap().into_keys() {
            // Engine 20.10 keeps those of containers without network that were connected by hand.
            for endpoint in self.backend.network_endpoints(&name).await.unwrap().into_keys().filter(ours) {
                self.backend.remove_endpoint(&endpoint, &name).await.unwrap();
            }
            if !ours(&name) {
                continue;
            }
            self.backend.remove_network(&name).await.unwrap();
        }
        for name in self.backend.list_volumes().await.unwrap().into_keys().filter(ours) {
            self.backend.remove_volume(&name).await.unwrap();
        }
    }
}

fn options() -> PlanOptions {
    PlanOptions { remove_attached: false, remove_orphans: true, ..PlanOptions::default() }
}

/// Reads a map and selects all of it.
fn read(map: &str) -> (IndexMap<MapName, Map>, Vec<ItemId>) {
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
    (IndexMap::from([(map.name.clone(), map)]), selected)
}
