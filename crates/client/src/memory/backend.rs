//! [`Backend`] over the engine in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::observed::{
    ContainerState, EngineInfo, ObservedContainer, ObservedNetwork, ObservedVolume, image_key,
};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use futures_util::{StreamExt, stream};

use super::MemoryBackend;
use super::world::{Refusal, World};
use crate::backend::{Backend, Health, Listed, LogOptions, PullProgress, Result};
use crate::error::Cause;
use crate::streams::{LogLine, LogLines, Output, Top};

impl MemoryBackend {
    /// Asks for something without changing it.
    async fn read<T>(&self, operation: &str, read: impl FnOnce(&mut World) -> Refusal<T>) -> Result<T> {
        self.request(operation, false).await?;
        read(&mut self.lock().world).map_err(|cause| self.error(operation, cause))
    }

    /// Changes something.
    async fn change(&self, operation: String, change: impl FnOnce(&mut World) -> Refusal) -> Result<()> {
        if !self.request(&operation, true).await? {
            return Ok(());
        }
        let result = change(&mut self.lock().world).map_err(|cause| self.error(&operation, cause));
        self.changed.notify_waiters();
        result
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn host(&self) -> &str {
        &self.host
    }

    fn requests(&self) -> u64 {
        self.lock().requests
    }

    async fn engine_info(&self) -> Result<EngineInfo> {
        self.read("ask for the engine's version", |_| {
            Ok(EngineInfo {
                api_version: (1, 41),
                engine_version: "in memory".into(),
                unsupported: BTreeSet::new(),
            })
        })
        .await
    }

    async fn unsupported_limits(&self) -> Result<BTreeSet<Property>> {
        self.read("ask for the engine's limits", |_| Ok(BTreeSet::new())).await
    }

    async fn list_containers(&self) -> Result<BTreeMap<String, Listed>> {
        self.read("list containers", |world| {
            let listed = world.containers.iter().map(|(name, container)| {
                let volumes = container.mounts.values().filter(|mount| mount.is_volume);
                let volumes = volumes.map(|mount| mount.source.clone()).collect();
                let networks = container.endpoints.keys().cloned().collect();
                (name.clone(), Listed { container: container.listed(), networks, volumes })
            });
            Ok(listed.collect())
        })
        .await
    }

    async fn list_networks(&self) -> Result<BTreeMap<String, ObservedNetwork>> {
        self.read("list networks", |world| {
            let networks = world.networks.iter();
            Ok(networks
                .map(|(name, network)| (name.clone(), world.observed_network(name, network)))
                .collect())
        })
        .await
    }

    async fn list_volumes(&self) -> Result<BTreeMap<String, ObservedVolume>> {
        self.read("list volumes", |world| {
            let volume = |spec: &VolumeSpec| ObservedVolume { spec: spec.clone(), holders: BTreeSet::new() };
            Ok(world.volumes.iter().map(|(name, found)| (name.clone(), volume(&found.spec))).collect())
        })
        .await
    }

    async fn list_images(&self) -> Result<BTreeMap<String, String>> {
        self.read("list images", |world| Ok(world.images.clone())).await
    }

    async fn image_id(&self, image: &ImageName) -> Result<Option<String>> {
        let key = image_key(&image.to_string());
        self.read(&format!("inspect image `{image}`"), |world| Ok(world.images.get(&key).cloned())).await
    }

    async fn inspect_container(&self, name: &str) -> Result<Option<ObservedContainer>> {
        self.read(&format!("inspect container `{name}`"), |world| {
            Ok(world.containers.get(name).map(|container| container.observed()))
        })
        .await
    }

    async fn container_health(&self, name: &str) -> Result<Health> {
        let operation = format!("ask for the health of container `{name}`");
        self.read(&operation, |world| world.container(name).map(|container| container.health())).await
    }

    async fn container_processes(&self, name: &str) -> Result<Vec<(String, String)>> {
        self.read(&format!("list the processes of container `{name}`"), |world| {
            let container = world.container(name)?;
            if !container.state.is_running() {
                return super::world::refuse(409, format!("Container {} is not running", container.id));
            }
            Ok(container.processes.clone())
        })
        .await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<Vec<String>> {
        self.change(format!("create container `{}`", spec.name), |world| world.create_container(spec))
            .await?;
        Ok(Vec::new())
    }

    async fn start_container(&self, name: &str) -> Result<()> {
        self.change(format!("start container `{name}`"), |world| world.start_container(name)).await
    }

    async fn stop_container(&self, name: &str, _: Option<Duration>) -> Result<()> {
        self.change(format!("stop container `{name}`"), |world| world.stop_container(name)).await
    }

    async fn kill_container(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let signal = signal.unwrap_or("SIGKILL");
        let operation = format!("send {signal} to container `{name}`");
        self.change(operation, |world| world.kill_container(name, signal)).await
    }

    async fn wait_container(&self, name: &str, timeout: Option<Duration>) -> Result<Option<i64>> {
        let operation = format!("wait for container `{name}`");
        self.request(&operation, false).await?;
        let ended = async {
            loop {
                // Registered before the look, so that an end in between is not missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                let state = self.lock().world.container(name).map(|container| container.state);
                match state.map_err(|cause| self.error(&operation, cause))? {
                    ContainerState::Running => changed.await,
                    ContainerState::Exited(code) => return Ok(code),
                    // It has ended, and will be started again.
                    ContainerState::Restarting => return Ok(143),
                    ContainerState::Created | ContainerState::Dead => return Ok(0),
                }
            }
        };
        match timeout {
            None => ended.await.map(Some),
            Some(timeout) => match tokio::time::timeout(timeout, ended).await {
                Ok(code) => code.map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let operation = format!("rename container `{name}` to `{new_name}`");
        self.change(operation, |world| world.rename(name, new_name)).await
    }

    async fn unpause_container(&self, name: &str) -> Result<()> {
        self.change(format!("unpause container `{name}`"), |world| world.unpause(name)).await
    }

    async fn commit_container(&self, name: &str, repository: &str, tag: &str) -> Result<String> {
        let image = format!("{repository}:{tag}");
        let mut id = String::new();
        self.change(format!("commit container `{name}` as `{image}`"), |world| {
            id = world.commit(name, image_key(&image))?;
            Ok(())
        })
        .await?;
        Ok(id)
    }

    async fn image_history(&self, image: &str) -> Result<serde_json::Value> {
        self.read(&format!("ask for the history of image `{image}`"), |world| world.history(image)).await
    }

    async fn tag_image(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let target = format!("{repository}:{tag}");
        self.change(format!("tag image `{image}` as `{target}`"), |world| {
            world.tag(image, image_key(&target))
        })
        .await
    }

    async fn remove_image(&self, image: &str, force: bool) -> Result<()> {
        self.change(format!("remove image `{image}`"), |world| world.untag(image, force)).await
    }

    async fn remove_container(&self, name: &str, volumes: bool, force: bool) -> Result<()> {
        let operation = format!("remove container `{name}`");
        self.change(operation, |world| world.remove_container(name, volumes, force)).await
    }

    async fn update_container(&self, name: &str, properties: &Properties) -> Result<()> {
        let operation = format!("update container `{name}`");
        self.change(operation, |world| world.update_container(name, properties)).await
    }

    async fn container_logs(&self, name: &str, options: LogOptions) -> Result<Vec<u8>> {
        let operation = format!("read the log of container `{name}`");
        only_tails(&options).map_err(|cause| self.error(&operation, cause))?;
        self.read(&operation, |world| Ok(tail(&world.container(name)?.log, options.tail).as_bytes().to_vec()))
            .await
    }

    async fn log_lines(&self, name: &str, options: LogOptions, follow: bool) -> Result<LogLines<'_>> {
        let operation = format!("read the log of container `{name}`");
        only_tails(&options).map_err(|cause| self.error(&operation, cause))?;
        let shown = |world: &mut World| {
            let container = world.container(name)?;
            Ok((container.id.clone(), container.log.len() - tail(&container.log, options.tail).len()))
        };
        let (id, begin) = self.read(&operation, shown).await?;
        let name = name.to_owned();
        Ok(stream::unfold((begin, follow), move |(position, follow)| {
            let (name, id) = (name.clone(), id.clone());
            async move {
                loop {
                    // Registered before the look, so that a line in between is not missed.
                    let mut changed = std::pin::pin!(self.changed.notified());
                    changed.as_mut().enable();
                    let (line, goes_on) = {
                        let state = self.lock();
                        let container = state.world.containers.get(&name).filter(|found| found.id == id)?;
                        let line = container.log[position..].split_inclusive('\n').next();
                        (line.map(str::to_owned), follow && container.state.is_running())
                    };
                    if let Some(line) = line {
                        let text = line.trim_end_matches('\n').as_bytes().to_vec();
                        let line_end = position + line.len();
                        return Some((Ok(LogLine { output: Output::Stdout, text }), (line_end, follow)));
                    }
                    if !goes_on {
                        return None;
                    }
                    changed.await;
                }
            }
        })
        .boxed())
    }

    async fn top(&self, name: &str, _: &[String]) -> Result<Top> {
        let rows = self.container_processes(name).await?;
        let processes = rows.into_iter().map(|(user, command)| vec![user, command]).collect();
        Ok(Top { titles: vec!["USER".to_owned(), "COMMAND".to_owned()], processes })
    }

    async fn exec(&self, name: &str, command: &[String], user: Option<&str>) -> Result<()> {
        let operation = format!("run `{}` in container `{name}`", command.join(" "));
        self.change(operation, |world| world.exec(name, command, user)).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.change(format!("create network `{}`", spec.name), |world| world.create_network(spec)).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.change(format!("remove network `{name}`"), |world| world.remove_network(name)).await
    }

    async fn connect_network(&self, container: &str, endpoint: &EndpointSpec) -> Result<()> {
        let operation = format!("connect container `{container}` to network `{}`", endpoint.network);
        self.change(operation, |world| world.connect(container, endpoint)).await
    }

    async fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        let operation = format!("disconnect container `{container}` from network `{network}`");
        self.change(operation, |world| world.disconnect(container, network)).await
    }

    async fn network_endpoints(&self, network: &str) -> Result<BTreeMap<String, String>> {
        let operation = format!("list the endpoints of network `{network}`");
        self.read(&operation, |world| world.network_endpoints(network)).await
    }

    async fn remove_endpoint(&self, name: &str, network: &str) -> Result<()> {
        let operation = format!("remove the endpoint `{name}` from network `{network}`");
        self.change(operation, |world| world.remove_endpoint(name, network)).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        self.change(format!("create volume `{}`", spec.name), |world| world.create_volume(spec)).await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.change(format!("remove volume `{name}`"), |world| world.remove_volume(name)).await
    }

    async fn pull_image(
        &self,
        image: &ImageName,
        _: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let key = image_key(&image.to_string());
        progress(PullProgress {
            status: format!("Pulling from {}", image.repository),
            ..PullProgress::default()
        });
        self.change(format!("pull image `{image}`"), |world| world.pull(&key)).await
    }
}

/// Returns the last lines of a log.
fn tail(log: &str, lines: Option<u32>) -> &str {
    let Some(lines) = lines else { return log };
    let starts: Vec<usize> = log
        .split_inclusive('\n')
        .scan(0, |end, line| {
            let start = *end;
            *end += line.len();
            Some(start)
        })
        .collect();
    let first = starts.len().saturating_sub(lines as usize);
    &log[starts.get(first).copied().unwrap_or(log.len())..]
}

/// This engine keeps neither times nor outputs of its lines.
fn only_tails(options: &LogOptions) -> Refusal {
    if (LogOptions { tail: None, ..*options }) == LogOptions::default() {
        return Ok(());
    }
    Err(Cause::Unsupported("the engine in memory knows no times and no outputs of lines".to_owned()))
}
