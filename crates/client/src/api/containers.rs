//! [`Backend`] over the Engine API: containers, networks, volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::exec::StartExecOptions;
use bollard::models::{ExecConfig, NetworkDisconnectRequest};
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, RemoveVolumeOptions, StartContainerOptions,
    StopContainerOptions,
};
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::observed::{EngineInfo, ObservedContainer, ObservedNetwork, ObservedVolume};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{ApiBackend, encoded, failure, request};
use crate::backend::{Backend, Health, Listed, LogOptions, PullProgress, Result};
use crate::engine_json;
use crate::error::{Cause, Error};
use crate::information::Information;
use crate::streams::{EventOptions, Events, LogLines, Top};
use crate::transfer::{BuildOptions, Progress, Reader};

/// What an engine waits before it kills, where neither the call nor the container says (engine §6.6).
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which a command that an engine reports as started gets its command line.
const STARTING: Duration = Duration::from_millis(20);

/// The API version since when an engine never holds two networks of one name (Docker 25).
const NETWORK_NAMES_ARE_UNIQUE: (u32, u32) = (1, 44);

#[async_trait]
impl Backend for ApiBackend {
    fn host(&self) -> &str {
        &self.host
    }

    fn requests(&self) -> u64 {
        self.transport.requests()
    }

    async fn engine_info(&self) -> Result<EngineInfo> {
        self.engine().await.cloned()
    }

    async fn unsupported_limits(&self) -> Result<BTreeSet<Property>> {
        let answer = self.json("ask for the engine's limits", Method::GET, "/info", None).await?;
        Ok(engine_json::unsupported_limits(&answer))
    }

    async fn information(&self, what: Information) -> Result<Value> {
        self.json(what.operation(), Method::GET, what.path(), None).await
    }

    async fn list_containers(&self) -> Result<BTreeMap<String, Listed>> {
        let operation = "list containers";
        let answer = self.json(operation, Method::GET, "/containers/json?all=true", None).await?;
        let elements = answer.as_array().into_iter().flatten();
        let containers: std::result::Result<_, _> = elements.map(engine_json::listed_container).collect();
        containers.map_err(self.unreadable(operation))
    }

    async fn list_networks(&self) -> Result<BTreeMap<String, ObservedNetwork>> {
        let operation = "list networks";
        let answer = self.json(operation, Method::GET, "/networks", None).await?;
        engine_json::networks_by_name(&answer).map_err(self.unreadable(operation))
    }

    async fn list_volumes(&self) -> Result<BTreeMap<String, ObservedVolume>> {
        let operation = "list volumes";
        let answer = self.json(operation, Method::GET, "/volumes", None).await?;
        let elements = answer.get("Volumes").and_then(Value::as_array).into_iter().flatten();
        let volumes = elements.map(|element| {
            engine_json::listed_volume(element).map(|volume| (volume.spec.name.clone(), volume))
        });
        volumes.collect::<std::result::Result<_, _>>().map_err(self.unreadable(operation))
    }

    async fn list_images(&self) -> Result<BTreeMap<String, String>> {
        let operation = "list images";
        let answer = self.json(operation, Method::GET, "/images/json", None).await?;
        engine_json::images_by_reference(&answer).map_err(self.unreadable(operation))
    }

    async fn image_id(&self, image: &ImageName) -> Result<Option<String>> {
        let operation = format!("inspect image `{image}`");
        // A reference keeps its slashes in the path; everything else in it is harmless there.
        match self.json(&operation, Method::GET, &format!("/images/{image}/json"), None).await {
            Ok(answer) => Ok(answer.get("Id").and_then(Value::as_str).map(str::to_owned)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inspect_container(&self, name: &str) -> Result<Option<ObservedContainer>> {
        let operation = format!("inspect container `{name}`");
        let path = format!("/containers/{}/json", encoded(name));
        match self.json(&operation, Method::GET, &path, None).await {
            Ok(answer) => {
                let inspected = engine_json::inspected_container(&answer);
                inspected.map(|(_, container)| Some(container)).map_err(self.unreadable(&operation))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn container_health(&self, name: &str) -> Result<Health> {
        let operation = format!("ask for the health of container `{name}`");
        let path = format!("/containers/{}/json", encoded(name));
        Ok(engine_json::health(&self.json(&operation, Method::GET, &path, None).await?))
    }

    async fn container_processes(&self, name: &str) -> Result<Vec<(String, String)>> {
        let operation = format!("list the processes of container `{name}`");
        let path = format!("/containers/{}/top?ps_args=-eo%20pid,user,args", encoded(name));
        let mut again = 5;
        loop {
            let answer = self.json(&operation, Method::GET, &path, None).await?;
            let processes = engine_json::processes(&answer).map_err(self.unreadable(&operation))?;
            if again == 0 || !engine_json::is_starting(&processes) {
                return Ok(processes);
            }
            again -= 1;
            tokio::time::sleep(STARTING).await;
        }
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<Vec<String>> {
        let operation = format!("create container `{}`", spec.name);
        let path = format!("/containers/create?name={}", encoded(&spec.name));
        let body = engine_json::container_body(spec, self.engine().await?.api_version);
        let answer = self.json(&operation, Method::POST, &path, Some(&body)).await?;
        let warnings = answer.get("Warnings").and_then(Value::as_array).into_iter().flatten();
        Ok(warnings.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    async fn start_container(&self, name: &str) -> Result<()> {
        let operation = format!("start container `{name}`");
        let call = self.docker.start_container(name, None::<StartContainerOptions>);
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn stop_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        let operation = format!("stop container `{name}`");
        let seconds = timeout.map(whole_seconds);
        let options = StopContainerOptions { t: seconds, ..StopContainerOptions::default() };
        self.engine().await?;
        let call = async { self.docker.stop_container(name, Some(options)).await.map_err(failure::bollard) };
        self.stopped(&operation, name, timeout, call).await
    }

    async fn kill_container(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let signal = signal.unwrap_or("SIGKILL");
        let operation = format!("send {signal} to container `{name}`");
        let options = KillContainerOptions { signal: signal.to_owned() };
        let call = self.docker.kill_container(name, Some(options));
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn wait_container(&self, name: &str, timeout: Option<Duration>) -> Result<Option<i64>> {
        let operation = format!("wait for container `{name}`");
        self.engine().await?;
        // A wait without an end must leave connections for others, as a log that is followed does.
        let _place = if timeout.is_none() { Some(self.free_place().await?) } else { None };
        // Not by bollard, which keeps no more than the outermost words of a connection that breaks meanwhile.
        let path = format!("/containers/{}/wait?condition=not-running", encoded(name));
        let answer = match self.exchange(&operation, timeout, Method::POST, &path, None).await {
            Err(Error { cause: Cause::Timeout(_), .. }) => return Ok(None),
            answer => answer?,
        };
        match answer.get("StatusCode").and_then(Value::as_i64) {
            Some(code) => Ok(Some(code)),
            None => Err(self.error(operation, failure::incomplete())),
        }
    }

    async fn remove_container(&self, name: &str, volumes: bool, force: bool) -> Result<()> {
        let operation = format!("remove container `{name}`");
        let options = RemoveContainerOptions { v: volumes, force, link: false };
        let call = self.docker.remove_container(name, Some(options));
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn update_container(&self, name: &str, properties: &Properties) -> Result<()> {
        let operation = format!("update container `{name}`");
        let path = format!("/containers/{}/update", encoded(name));
        let body = engine_json::update_body(properties);
        self.json(&operation, Method::POST, &path, Some(&body)).await.map(drop)
    }

    async fn container_logs(&self, name: &str, log: LogOptions) -> Result<Vec<u8>> {
        self.whole_log(name, log).await
    }

    async fn log_lines(&self, name: &str, options: LogOptions, follow: bool) -> Result<LogLines<'_>> {
        self.lines_of_log(name, options, follow).await
    }

    async fn events(&self, options: &EventOptions) -> Result<Events<'_>> {
        self.stream_events(options).await
    }

    async fn top(&self, name: &str, ps_args: &[String]) -> Result<Top> {
        let operation = format!("list the processes of container `{name}`");
        let mut path = format!("/containers/{}/top", encoded(name));
        if !ps_args.is_empty() {
            path.push_str(&format!("?ps_args={}", encoded(&ps_args.join(" "))));
        }
        let answer = self.json(&operation, Method::GET, &path, None).await?;
        Top::from_json(&answer).map_err(|cause| self.error(operation, cause))
    }

    async fn exec(&self, name: &str, command: &[String], user: Option<&str>) -> Result<()> {
        let program = command.first().map_or("", String::as_str);
        let operation = format!("run `{program}` in container `{name}`");
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
            user: user.map(str::to_owned),
            attach_stdout: Some(false),
            attach_stderr: Some(false),
            ..ExecConfig::default()
        };
        let call = async {
            let exec = self.docker.create_exec(name, config).await?;
            let detached = StartExecOptions { detach: true, ..StartExecOptions::default() };
            self.docker.start_exec(&exec.id, Some(detached)).await
        };
        self.call(&operation, Some(self.options.timeout), call).await.map(drop)
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let operation = format!("create network `{}`", spec.name);
        let body = engine_json::network_body(spec);
        let created = self.json(&operation, Method::POST, "/networks/create", Some(&body)).await?;
        if self.engine().await?.api_version >= NETWORK_NAMES_ARE_UNIQUE {
            return Ok(());
        }
        // Two that were asked for at once are both made, and neither can be used by its name.
        let answer = self.json("list networks", Method::GET, "/networks", None).await?;
        let id = |network: &Value| network.get("Id").and_then(Value::as_str).map(str::to_owned);
        let own = id(&created);
        let is_namesake = |network: &&Value| network.get("Name").and_then(Value::as_str) == Some(&spec.name);
        let mut namesakes = answer.as_array().into_iter().flatten().filter(is_namesake).map(id);
        if let Some(own) = &own
            && namesakes.any(|other| other.as_ref() != Some(own))
        {
            self.remove_network(own).await?;
            let message = format!("network with name {} already exists", spec.name);
            return Err(Error {
                operation,
                host: self.host.clone(),
                cause: Cause::Refused { status: 409, message },
            });
        }
        Ok(())
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let operation = format!("remove network `{name}`");
        self.call(&operation, Some(self.options.timeout), self.docker.remove_network(name)).await
    }

    async fn connect_network(&self, container: &str, endpoint: &EndpointSpec) -> Result<()> {
        let network = &endpoint.network;
        let operation = format!("connect container `{container}` to network `{network}`");
        let body = json!({"Container": container, "EndpointConfig": engine_json::endpoint_body(endpoint)});
        let path = format!("/networks/{}/connect", encoded(network));
        self.json(&operation, Method::POST, &path, Some(&body)).await.map(drop)
    }

    async fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        let operation = format!("disconnect container `{container}` from network `{network}`");
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: None };
        let call = self.docker.disconnect_network(network, request);
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn network_endpoints(&self, network: &str) -> Result<BTreeMap<String, String>> {
        let operation = format!("list the endpoints of network `{network}`");
        let path = format!("/networks/{}", encoded(network));
        let answer = self.json(&operation, Method::GET, &path, None).await?;
        Ok(engine_json::endpoints_by_name(&answer))
    }

    async fn remove_endpoint(&self, name: &str, network: &str) -> Result<()> {
        let operation = format!("remove the endpoint `{name}` from network `{network}`");
        let request = NetworkDisconnectRequest { container: name.to_owned(), force: Some(true) };
        let call = self.docker.disconnect_network(network, request);
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let operation = format!("create volume `{}`", spec.name);
        let body = engine_json::volume_body(spec);
        self.json(&operation, Method::POST, "/volumes/create", Some(&body)).await.map(drop)
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let operation = format!("remove volume `{name}`");
        let call = self.docker.remove_volume(name, None::<RemoveVolumeOptions>);
        self.call(&operation, Some(self.options.timeout), call).await
    }

    async fn pull_image(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        self.pull(image, auth, progress).await
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
        let operation = format!("tag image `{image}` as `{repository}:{tag}`");
        let path = format!("/images/{image}/tag?repo={}&tag={}", encoded(repository), encoded(tag));
        self.json(&operation, Method::POST, &path, None).await.map(drop)
    }

    async fn remove_image(&self, image: &str, force: bool) -> Result<()> {
        let operation = format!("remove image `{image}`");
        let path = format!("/images/{image}?force={force}");
        self.json(&operation, Method::DELETE, &path, None).await.map(drop)
    }

    async fn save_image(&self, image: &str) -> Result<Reader> {
        self.download(&format!("save image `{image}`"), &format!("/images/{image}/get")).await
    }

    async fn load_image(&self, data: Reader, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<()> {
        self.load(data, progress).await
    }

    async fn import_image(&self, data: Reader, repository: &str, tag: &str) -> Result<()> {
        self.import(data, repository, tag).await
    }

    async fn export_container(&self, name: &str) -> Result<Reader> {
        let path = format!("/containers/{}/export", encoded(name));
        self.download(&format!("export container `{name}`"), &path).await
    }

    async fn copy_from_container(&self, name: &str, path: &str) -> Result<Reader> {
        let operation = format!("copy `{path}` from container `{name}`");
        let path = format!("/containers/{}/archive?path={}", encoded(name), encoded(path));
        self.download(&operation, &path).await
    }

    async fn copy_to_container(&self, name: &str, path: &str, data: Reader) -> Result<()> {
        self.copy_to(name, path, data).await
    }

    async fn ping(&self) -> Result<()> {
        self.pinged("ask whether the engine answers").await.map(drop)
    }

    async fn restart_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        let operation = format!("restart container `{name}`");
        self.engine().await?;
        let mut path = format!("/containers/{}/restart", encoded(name));
        if let Some(timeout) = timeout {
            path.push_str(&format!("?t={}", whole_seconds(timeout)));
        }
        let request = request(Method::POST, &path, None).map_err(|cause| self.error(&*operation, cause))?;
        self.stopped(&operation, name, timeout, self.opened(request)).await.map(drop)
    }

    async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let operation = format!("rename container `{name}` to `{new_name}`");
        let path = format!("/containers/{}/rename?name={}", encoded(name), encoded(new_name));
        self.json(&operation, Method::POST, &path, None).await.map(drop)
    }

    async fn commit_container(&self, name: &str, repository: &str, tag: &str) -> Result<String> {
        let operation = format!("commit container `{name}` as `{repository}:{tag}`");
        let (container, repo, label) = (encoded(name), encoded(repository), encoded(tag));
        let path = format!("/commit?container={container}&repo={repo}&tag={label}");
        self.engine().await?;
        let request =
            request(Method::POST, &path, Some(&json!({}))).map_err(|cause| self.error(&*operation, cause))?;
        // Every file of the container is read: this takes its time.
        let commit = async {
            let body = self.opened(request).await?.collect().await;
            let body = body.map_err(|error| Cause::Unreachable(Box::new(error)))?.to_bytes();
            let answer: Value =
                serde_json::from_slice(&body).map_err(|error| Cause::Answer(error.to_string()))?;
            let id = answer.get("Id").and_then(Value::as_str).map(str::to_owned);
            id.ok_or_else(|| Cause::Answer("the new image has no ID".to_owned()))
        };
        self.within(&operation, Some(self.options.stream_timeout), commit).await
    }

    async fn image_history(&self, image: &str) -> Result<Value> {
        let operation = format!("ask for the history of image `{image}`");
        self.json(&operation, Method::GET, &format!("/images/{image}/history"), None).await
    }

    async fn unpause_container(&self, name: &str) -> Result<()> {
        let operation = format!("unpause container `{name}`");
        let called =
            self.call(&operation, Some(self.options.timeout), self.docker.unpause_container(name)).await;
        called.map_err(|mut error| {
            // Engine 20.10 has 500 for this, later ones 409.
            if let Cause::Refused { status: status @ 500, message } = &mut error.cause
                && message.contains("is not paused")
            {
                *status = 409;
            }
            error
        })
    }
}

impl ApiBackend {
    /// Waits for the answer to a stop. An engine gives it when the container has ended, at the latest after it was
    /// killed, so that the time of the stop is added to that for an answer.
    ///
    /// Where the call names no time, the engine takes the container's own. That one is asked for only when a stop
    /// takes longer than most do, so that others cost no second request.
    async fn stopped<T>(
        &self,
        operation: &str,
        name: &str,
        timeout: Option<Duration>,
        call: impl Future<Output = std::result::Result<T, Cause>>,
    ) -> Result<T> {
        let mut call = pin!(call);
        let usual = self.options.timeout.saturating_add(timeout.unwrap_or(DEFAULT_STOP_TIMEOUT));
        if timeout.is_some() {
            return self.within(operation, Some(usual), call).await;
        }
        let asked = async {
            tokio::time::sleep(usual).await;
            let path = format!("/containers/{}/json", encoded(name));
            let answer = self.json(operation, Method::GET, &path, None).await.ok()?;
            answer.pointer("/Config/StopTimeout")?.as_i64()
        };
        let own = tokio::select! {
            result = &mut call => return result.map_err(|cause| self.error(operation, cause)),
            own = asked => own,
        };
        let rest = match own.map(u64::try_from) {
            // -1: however long it takes.
            Some(Err(_)) => None,
            Some(Ok(seconds)) => Some(Duration::from_secs(seconds).saturating_sub(DEFAULT_STOP_TIMEOUT)),
            None => Some(Duration::ZERO),
        };
        match rest {
            None => self.within(operation, None, call).await,
            Some(rest) => tokio::time::timeout(rest, call)
                .await
                .unwrap_or_else(|_| Err(Cause::Timeout(usual.saturating_add(rest))))
                .map_err(|cause| self.error(operation, cause)),
        }
    }
}

/// Rounds up to the Engine API's unit.
fn whole_seconds(time: Duration) -> i32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}
