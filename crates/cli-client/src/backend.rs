//! [`Backend`] over the `docker` command line.

mod call;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfab_client::backend::{Backend, Health, Listed, LogOptions, PullProgress, Result};
use dfab_client::engine_json;
use dfab_client::error::Cause;
use dfab_client::information::Information;
use dfab_client::streams::{EventOptions, Events, LogLines, Output, Top};
use dfab_client::transfer::{BuildOptions, Progress, Reader};
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::observed::{EngineInfo, ObservedContainer, ObservedNetwork, ObservedVolume};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, PrepareSpec, Properties, VolumeSpec};
use dfab_tunnel::Secret;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::call::Engine;
use crate::batch::Batches;
use crate::command::{self, Command, ExecOptions, Login, TableOptions};
use crate::host::{self, Host};
use crate::options::CliOptions;
use crate::shell::Shell;
use crate::{parse, script};

/// Inspections that a caller may have under way: all of them share one channel.
const AT_ONCE: usize = 1000;

/// What stands for Docker Hub in the program's configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A Docker engine, spoken to by the `docker` program on this machine or on a remote host.
///
/// Nothing is run before the first call. Calls need a Tokio runtime. Dropping it gives up the
/// commands under way; a command on a remote host may go on until it ends by itself. A call that is dropped
/// leaves its command to end by itself; one that only waits or reads ends with its call.
pub struct CliBackend {
    pub(crate) host: Arc<Host>,
    batches: Batches,
    engine: OnceCell<Engine>,
}

impl CliBackend {
    /// Makes a backend that runs the program in `shell`.
    pub fn new(shell: Arc<dyn Shell>, options: CliOptions) -> Self {
        let host = Arc::new(Host::new(shell, options));
        Self { batches: Batches::new(Arc::clone(&host)), host, engine: OnceCell::new() }
    }

    /// Returns how many exec channels (local: shells) have been opened so far.
    pub fn channels(&self) -> u64 {
        self.host.opened()
    }
}

#[async_trait]
impl Backend for CliBackend {
    fn host(&self) -> &str {
        self.host.name()
    }

    /// Counts commands; several of them share a channel, see [`CliBackend::channels`].
    fn requests(&self) -> u64 {
        self.host.commands()
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn engine_info(&self) -> Result<EngineInfo> {
        Ok(self.engine().await?.info.clone())
    }

    async fn unsupported_limits(&self) -> Result<BTreeSet<Property>> {
        Ok(engine_json::unsupported_limits(&self.system().await?))
    }

    async fn information(&self, what: Information) -> Result<Value> {
        match what {
            Information::Version => Ok(self.engine().await?.version.clone()),
            Information::System => self.system().await,
            Information::Images { all } => self.images_in_detail(all, None).await,
            Information::Containers { all } => {
                self.table_of_containers(&TableOptions { all, ..TableOptions::default() }).await
            }
            Information::Networks => self.find_networks(&[], &[]).await,
            Information::Volumes => {
                let volumes = self.inspected(command::list_volumes()).await?;
                Ok(json!({"Volumes": volumes, "Warnings": null}))
            }
        }
    }

    async fn list_containers(&self) -> Result<BTreeMap<String, Listed>> {
        let command = command::list_containers();
        let operation = command.operation.clone();
        let elements = self.inspected(command).await?;
        let containers = elements.iter().map(|element| {
            let (name, mut container) = engine_json::inspected_container(element)?;
            let detail = container.detail.take().unwrap_or_default();
            let volumes =
                detail.mounts.into_values().filter(|mount| mount.is_volume).map(|mount| mount.source);
            let networks = detail.endpoints.into_keys().collect();
            Ok((name, Listed { container, networks, volumes: volumes.collect() }))
        });
        containers.collect::<std::result::Result<_, _>>().map_err(self.unreadable(&operation))
    }

    async fn list_networks(&self) -> Result<BTreeMap<String, ObservedNetwork>> {
        let command = command::list_networks(&[], &[]);
        let operation = command.operation.clone();
        let answer = Value::from(self.inspected(command).await?);
        engine_json::networks_by_name(&answer).map_err(self.unreadable(&operation))
    }

    async fn list_volumes(&self) -> Result<BTreeMap<String, ObservedVolume>> {
        let command = command::list_volumes();
        let operation = command.operation.clone();
        let elements = self.inspected(command).await?;
        let volumes = elements.iter().map(|element| {
            engine_json::listed_volume(element).map(|volume| (volume.spec.name.clone(), volume))
        });
        volumes.collect::<std::result::Result<_, _>>().map_err(self.unreadable(&operation))
    }

    async fn list_images(&self) -> Result<BTreeMap<String, String>> {
        let images = self.images().await?;
        engine_json::images_by_reference(&images).map_err(self.unreadable("list images"))
    }

    async fn image_id(&self, image: &ImageName) -> Result<Option<String>> {
        let name = image.to_string();
        let operation = format!("inspect image `{name}`");
        match self.call(&operation, || command::inspect_images(&[&name])).await {
            Ok(finished) => {
                let images = parse::array(&finished.stdout).map_err(|cause| self.error(&operation, cause))?;
                Ok(images
                    .first()
                    .and_then(|image| image.get("Id"))
                    .and_then(Value::as_str)
                    .map(str::to_owned))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inspect_container(&self, name: &str) -> Result<Option<ObservedContainer>> {
        let operation = format!("inspect container `{name}`");
        self.built(&operation, command::inspect_containers(&[name]))?;
        let inspected = self.batches.inspect(name).await.map_err(|cause| self.error(&operation, cause))?;
        let container = inspected.map(|answer| engine_json::inspected_container(&answer)).transpose();
        Ok(container.map_err(self.unreadable(&operation))?.map(|(_, container)| container))
    }

    async fn container_health(&self, name: &str) -> Result<Health> {
        let operation = format!("ask for the health of container `{name}`");
        self.built(&operation, command::inspect_containers(&[name]))?;
        match self.batches.inspect(name).await.map_err(|cause| self.error(&operation, cause))? {
            Some(answer) => Ok(engine_json::health(&answer)),
            None => {
                let message = format!("No such container: {name}");
                Err(self.error(operation, Cause::Refused { status: 404, message }))
            }
        }
    }

    async fn container_processes(&self, name: &str) -> Result<Vec<(String, String)>> {
        let operation = format!("list the processes of container `{name}`");
        let finished = self.call(&operation, || command::top(name, &["-eo", "pid,user,args"])).await?;
        engine_json::processes(&parse::top(&finished.stdout)).map_err(self.unreadable(&operation))
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<Vec<String>> {
        let operation = format!("create container `{}`", spec.name);
        let generation = self.engine().await?.generation;
        let create = || command::create(spec, generation).map(command::without_pull);
        let finished = self.call(&operation, create).await?;
        if parse::container_id(&finished.stdout).is_none() {
            return Err(
                self.error(operation, Cause::Answer("the ID of the new container is missing".to_owned()))
            );
        }
        Ok(parse::warnings(&finished.stderr))
    }

    async fn start_container(&self, name: &str) -> Result<()> {
        self.call(&format!("start container `{name}`"), || command::start(name)).await.map(drop)
    }

    async fn stop_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        self.call(&format!("stop container `{name}`"), || command::stop(name, timeout)).await.map(drop)
    }

    async fn kill_container(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let operation = format!("send {} to container `{name}`", signal.unwrap_or("SIGKILL"));
        self.call(&operation, || command::kill(name, signal)).await.map(drop)
    }

    async fn wait_container(&self, name: &str, timeout: Option<Duration>) -> Result<Option<i64>> {
        let operation = format!("wait for container `{name}`");
        let command = self.built(&operation, command::wait(name, timeout))?;
        // A wait without an end must leave a channel for what ends its container.
        let _place = if timeout.is_none() { Some(self.host.free_place().await) } else { None };
        let finished = self.batches.run(command).await;
        // `timeout` says by this status that the time has passed.
        if timeout.is_some() && matches!(&finished, Ok(finished) if finished.status == 124) {
            return Ok(None);
        }
        let finished = self.succeeded(&operation, false, finished)?;
        parse::exit_code(&finished.stdout).map(Some).map_err(|cause| self.error(operation, cause))
    }

    async fn remove_container(&self, name: &str, volumes: bool, force: bool) -> Result<()> {
        let operation = format!("remove container `{name}`");
        self.call(&operation, || command::remove(name, volumes, force)).await.map(drop)
    }

    async fn update_container(&self, name: &str, properties: &Properties) -> Result<()> {
        let operation = format!("update container `{name}`");
        if properties.is_empty() {
            // The program refuses an update of nothing without asking the engine.
            return self.container_health(name).await.map(drop);
        }
        let generation = self.engine().await?.generation;
        self.call(&operation, || command::update(name, properties, generation)).await.map(drop)
    }

    async fn container_logs(&self, name: &str, log: LogOptions) -> Result<Vec<u8>> {
        let operation = format!("read the log of container `{name}`");
        let command = || {
            let merged = log.only.is_none();
            Ok(Command { merged, ..command::log_stream(name, log, false)? })
        };
        let finished = self.call(&operation, command).await?;
        Ok(if log.only == Some(Output::Stderr) { finished.stderr } else { finished.stdout })
    }

    async fn log_lines(&self, name: &str, options: LogOptions, follow: bool) -> Result<LogLines<'_>> {
        self.lines_of_log(name, options, follow).await
    }

    async fn events(&self, options: &EventOptions) -> Result<Events<'_>> {
        self.stream_events(options).await
    }

    async fn top(&self, name: &str, ps_args: &[String]) -> Result<Top> {
        self.table_of_processes(name, ps_args).await
    }

    async fn exec(&self, name: &str, words: &[String], user: Option<&str>) -> Result<()> {
        let options = ExecOptions { user: user.map(str::to_owned), ..ExecOptions::default() };
        self.exec_with(name, words, &options).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let operation = format!("create network `{}`", spec.name);
        self.call(&operation, || command::create_network(spec)).await.map(drop)
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.call(&format!("remove network `{name}`"), || command::remove_network(name)).await.map(drop)
    }

    async fn connect_network(&self, container: &str, endpoint: &EndpointSpec) -> Result<()> {
        let operation = format!("connect container `{container}` to network `{}`", endpoint.network);
        self.call(&operation, || command::connect_network(container, endpoint)).await.map(drop)
    }

    async fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        let operation = format!("disconnect container `{container}` from network `{network}`");
        self.call(&operation, || command::disconnect_network(container, network, false)).await.map(drop)
    }

    async fn network_endpoints(&self, network: &str) -> Result<BTreeMap<String, String>> {
        let operation = format!("list the endpoints of network `{network}`");
        let command = command::inspect_network(network).map_err(|cause| self.error(&operation, cause))?;
        let found = self.inspected(command).await?;
        match found.first() {
            Some(network) => Ok(engine_json::endpoints_by_name(network)),
            None => {
                let message = format!("network {network} not found");
                Err(self.error(operation, Cause::Refused { status: 404, message }))
            }
        }
    }

    async fn remove_endpoint(&self, name: &str, network: &str) -> Result<()> {
        let operation = format!("remove the endpoint `{name}` from network `{network}`");
        self.call(&operation, || command::disconnect_network(name, network, true)).await.map(drop)
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let operation = format!("create volume `{}`", spec.name);
        self.call(&operation, || command::create_volume(spec)).await.map(drop)
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.call(&format!("remove volume `{name}`"), || command::remove_volume(name)).await.map(drop)
    }

    fn runs_on_host(&self) -> bool {
        true
    }

    async fn prepare_volume_on_host(&self, spec: &PrepareSpec) -> Result<()> {
        let operation = format!("prepare volume `{}`", spec.volume);
        let inspect = self.built(&operation, command::volume_folder(&spec.volume))?;
        let token = host::token();
        let (owner, mode) = (spec.owner.as_deref(), spec.mode.as_deref());
        let script = script::prepare(&inspect, owner, mode, &self.host.options, &token);
        let finished = self.host.script(&script, &token, |_| {}).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    async fn pull_image(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        self.pulled(image, auth, false, progress).await
    }

    async fn login(&self, registry: Option<&str>, auth: &Auth) -> Result<bool> {
        self.try_login(registry, auth).await
    }

    async fn push_image(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<()> {
        self.push(image, auth, progress).await
    }

    async fn build_image(
        &self,
        context: Reader,
        options: &BuildOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Option<String>> {
        self.build(context, options, progress).await
    }

    async fn tag_image(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let target = format!("{repository}:{tag}");
        let operation = format!("tag image `{image}` as `{target}`");
        self.call(&operation, || command::tag(image, &target)).await.map(drop)
    }

    async fn remove_image(&self, image: &str, force: bool) -> Result<()> {
        let operation = format!("remove image `{image}`");
        self.call(&operation, || command::remove_image(image, force, false)).await.map(drop)
    }

    async fn save_image(&self, image: &str) -> Result<Reader> {
        self.downloaded(format!("save image `{image}`"), command::save(&[image])).await
    }

    async fn load_image(&self, data: Reader, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<()> {
        self.load(data, progress).await
    }

    async fn import_image(&self, data: Reader, repository: &str, tag: &str) -> Result<()> {
        self.import(data, repository, tag).await
    }

    async fn export_container(&self, name: &str) -> Result<Reader> {
        self.downloaded(format!("export container `{name}`"), command::export(name)).await
    }

    async fn copy_from_container(&self, name: &str, path: &str) -> Result<Reader> {
        let operation = format!("copy `{path}` from container `{name}`");
        self.downloaded(operation, command::copy_from(name, path)).await
    }

    async fn copy_to_container(&self, name: &str, path: &str, data: Reader) -> Result<()> {
        self.copy_into(name, path, data).await
    }

    async fn unpause_container(&self, name: &str) -> Result<()> {
        self.call(&format!("unpause container `{name}`"), || command::pause(name, false)).await.map(drop)
    }

    /// Asks anew each time, where [`Backend::engine_info`] remembers.
    async fn ping(&self) -> Result<()> {
        self.ask_version().await.map(drop)
    }

    async fn restart_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        let operation = format!("restart container `{name}`");
        self.call(&operation, || command::restart(name, timeout)).await.map(drop)
    }

    async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let operation = format!("rename container `{name}` to `{new_name}`");
        self.call(&operation, || command::rename(name, new_name)).await.map(drop)
    }

    async fn commit_container(&self, name: &str, repository: &str, tag: &str) -> Result<String> {
        let image = format!("{repository}:{tag}");
        let operation = format!("commit container `{name}` as `{image}`");
        let finished = self.call(&operation, || command::commit(name, Some(&image), None)).await?;
        parse::image_id(&finished.stdout).map_err(|cause| self.error(operation, cause))
    }

    async fn image_history(&self, image: &str) -> Result<Value> {
        let operation = format!("ask for the history of image `{image}`");
        let finished = self.call(&operation, || command::history(image)).await?;
        let lines = parse::lines(&finished.stdout).map_err(|cause| self.error(operation, cause))?;
        Ok(lines.iter().map(parse::layer).collect())
    }
}

/// The credentials of one image's registry.
pub(crate) fn login(image: &ImageName, auth: &Auth) -> std::result::Result<Login, Cause> {
    let registry = image.registry().unwrap_or(DOCKER_HUB).to_owned();
    let (Some(username), Some(password)) = (auth.username.known(), auth.password.known()) else {
        return Err(Cause::Input(format!("the login for `{registry}` was not looked up")));
    };
    Ok(Login { registry, username: username.clone(), password: Secret::new(password.clone()) })
}

#[cfg(test)]
mod tests;
