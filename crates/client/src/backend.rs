//! The contract between dfab and a Docker engine, in the types of `dfab-map`.
//!
//! One suite of tests runs over every implementation, the in-memory one included. What a method
//! promises is said here, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::observed::{EngineInfo, ObservedContainer, ObservedNetwork, ObservedVolume};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, PrepareSpec, Properties, VolumeSpec};

use crate::error::{Cause, Error};
use crate::information::Information;
pub use crate::streams::LogOptions;
use crate::streams::{EventOptions, Events, LogLines, Top};
use crate::transfer::{BuildOptions, Progress, Reader};

/// The result of a call to an engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A container as lists show it: without detail, but with what it is connected to.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The container, `detail` being `None`.
    pub container: ObservedContainer,
    /// Networks that it is connected to, whether or not it runs.
    pub networks: BTreeSet<String>,
    /// Volumes that it mounts.
    pub volumes: BTreeSet<String>,
}

/// The health of a container, `State.Health.Status` of `GET /containers/{id}/json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has no health check.
    Unchecked,
    /// It runs, and no check has passed yet.
    Starting,
    /// The last check has passed.
    Healthy,
    /// Too many checks have failed.
    Unhealthy,
    /// It does not run.
    Ended,
}

/// One Docker engine.
///
/// Calls may be made at once from many tasks; a backend neither orders nor limits them, callers do.
/// Names are Docker names without a leading `/`. A call that the engine answers with "no such
/// object" fails with [`Error::is_not_found`], except where a method says otherwise.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Returns how the engine is called in messages: the host, or `local engine`.
    fn host(&self) -> &str;

    /// Returns how many requests this backend has sent so far.
    fn requests(&self) -> u64;

    /// Returns how many calls a caller with many should have under way. A backend that makes one
    /// message of calls that come together wants more of them than one with a connection for each.
    fn at_once(&self) -> usize {
        16
    }

    /// Asks what the engine can do, and fixes the API version of all later calls. Asked once; later
    /// calls answer from memory. Mirrors the headers of `GET /_ping`, and `GET /version` where they do not say enough.
    async fn engine_info(&self) -> Result<EngineInfo>;

    /// Returns the limits that the engine accepts but cannot hold, see [`EngineInfo::unsupported`].
    async fn unsupported_limits(&self) -> Result<BTreeSet<Property>>;

    /// Asks for something that only people and scripts want to see; the answer is JSON in the shape of
    /// the Engine API. A backend that cannot tell fails with [`Cause::Unsupported`].
    async fn information(&self, what: Information) -> Result<serde_json::Value> {
        Err(Error {
            operation: what.operation().to_owned(),
            host: self.host().to_owned(),
            cause: Cause::Unsupported("this backend cannot tell".to_owned()),
        })
    }

    /// Lists all containers by name, running or not.
    async fn list_containers(&self) -> Result<BTreeMap<String, Listed>>;

    /// Lists all networks. Their `containers` hold at most what the engine's list shows; see
    /// [`crate::observe::observe`].
    async fn list_networks(&self) -> Result<BTreeMap<String, ObservedNetwork>>;

    /// Lists all volumes, their `holders` being empty.
    async fn list_volumes(&self) -> Result<BTreeMap<String, ObservedVolume>>;

    /// Lists all images: ID by reference, see [`dfab_map::observed::image_key`].
    async fn list_images(&self) -> Result<BTreeMap<String, String>>;

    /// Returns the ID of an image; `None` when the engine does not have it.
    async fn image_id(&self, image: &ImageName) -> Result<Option<String>>;

    /// Returns a container with its detail; `None` when there is none of this name.
    async fn inspect_container(&self, name: &str) -> Result<Option<ObservedContainer>>;

    /// Returns the health of a container.
    async fn container_health(&self, name: &str) -> Result<Health>;

    /// Returns (user, command line) of every process in a running container.
    async fn container_processes(&self, name: &str) -> Result<Vec<(String, String)>>;

    /// Creates a container and returns what the engine warned about. Not idempotent: a name that is
    /// taken is [`Error::is_conflict`].
    async fn create_container(&self, spec: &ContainerSpec) -> Result<Vec<String>>;

    /// Starts a container. One that runs already is no error.
    async fn start_container(&self, name: &str) -> Result<()>;

    /// Stops a container and waits until it has ended. `timeout` is rounded up to whole seconds;
    /// `None` is the engine's default. One that does not run is no error.
    async fn stop_container(&self, name: &str, timeout: Option<Duration>) -> Result<()>;

    /// Sends a signal, SIGKILL for `None`. A container that does not run is [`Error::is_conflict`].
    async fn kill_container(&self, name: &str, signal: Option<&str>) -> Result<()>;

    /// Waits until a container has ended and returns its exit code; `None` when `timeout` passes
    /// first.
    async fn wait_container(&self, name: &str, timeout: Option<Duration>) -> Result<Option<i64>>;

    /// Removes a container. With `volumes` its anonymous volumes too; with `force` also when it runs.
    async fn remove_container(&self, name: &str, volumes: bool, force: bool) -> Result<()>;

    /// Changes limits and restart policy in place.
    async fn update_container(&self, name: &str, properties: &Properties) -> Result<()>;

    /// Returns a container's stdout and stderr, merged in the order of writing.
    async fn container_logs(&self, name: &str, options: LogOptions) -> Result<Vec<u8>>;

    /// Returns the lines of a container's log as they come, stdout and stderr told apart; with `follow`
    /// also those that are written from now on, until the container ends.
    ///
    /// Nothing is read from the engine while the stream is not polled. Dropping it ends the request,
    /// and whatever runs for it on the engine's host. A failure on the way is the stream's last item.
    /// Streams that follow are for hours: they count apart from other calls, and one more than a
    /// backend can hold is [`Cause::Unsupported`].
    ///
    /// Mirrors `GET /containers/{id}/logs?follow=` and `docker logs --follow`.
    async fn log_lines(&self, name: &str, options: LogOptions, follow: bool) -> Result<LogLines<'_>> {
        let _ = (options, follow);
        Err(self.unsupported(format!("read the log of container `{name}`")))
    }

    /// Returns what happens on the engine as it happens. As [`Backend::log_lines`] in all else; the
    /// stream ends at [`EventOptions::until`], else never.
    ///
    /// Mirrors `GET /events` and `docker events`.
    async fn events(&self, options: &EventOptions) -> Result<Events<'_>> {
        let _ = options;
        Err(self.unsupported("watch the engine's events".to_owned()))
    }

    /// Returns the processes of a running container as a table. `ps_args` are the words for `ps` on
    /// the engine's host; none are the engine's own, `-ef`.
    ///
    /// Mirrors `GET /containers/{id}/top?ps_args=` and `docker top`.
    async fn top(&self, name: &str, ps_args: &[String]) -> Result<Top> {
        let _ = ps_args;
        Err(self.unsupported(format!("list the processes of container `{name}`")))
    }

    /// Starts a command in a running container, detached.
    async fn exec(&self, name: &str, command: &[String], user: Option<&str>) -> Result<()>;

    /// Creates a network. A name that is taken is [`Error::is_conflict`].
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()>;

    /// Removes a network that no container is connected to.
    async fn remove_network(&self, name: &str) -> Result<()>;

    /// Connects a container, running or not.
    async fn connect_network(&self, container: &str, endpoint: &EndpointSpec) -> Result<()>;

    /// Disconnects a container. One that is not connected is [`Error::is_not_found`].
    async fn disconnect_network(&self, container: &str, network: &str) -> Result<()>;

    /// Returns the name of every endpoint in a network, with the ID of its container: of running ones, and of those
    /// that are gone without the engine having released it.
    ///
    /// Mirrors `Containers` of `GET /networks/{id}` and `docker network inspect`.
    async fn network_endpoints(&self, network: &str) -> Result<BTreeMap<String, String>>;

    /// Removes an endpoint whose container is gone. Where a container has this name, that one is disconnected
    /// instead. One that is not there is [`Error::is_not_found`].
    ///
    /// Mirrors `POST /networks/{id}/disconnect` with `Force`, and `docker network disconnect --force`.
    async fn remove_endpoint(&self, name: &str, network: &str) -> Result<()>;

    /// Creates a volume. Idempotent when driver and options are equal.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<()>;

    /// Removes a volume that no container holds; one that is held is [`Error::is_conflict`].
    async fn remove_volume(&self, name: &str) -> Result<()>;

    /// Tells whether this backend can run commands on the engine's host, see
    /// [`Backend::prepare_volume_on_host`].
    fn runs_on_host(&self) -> bool {
        false
    }

    /// Sets owner and mode of a volume by commands on the engine's host. Called only where
    /// [`Backend::runs_on_host`] says that it can.
    async fn prepare_volume_on_host(&self, spec: &PrepareSpec) -> Result<()> {
        Err(Error {
            operation: format!("prepare volume `{}`", spec.volume),
            host: self.host().to_owned(),
            cause: Cause::Unsupported("this backend runs no commands on the host".into()),
        })
    }

    /// Pulls an image and reports progress lines as they come. An error inside the stream is an
    /// error of the call.
    async fn pull_image(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()>;

    /// Checks a registry login with the engine; `Ok(false)` is a login that the registry refuses.
    /// `registry` is its host, or a URL; `None` is Docker Hub.
    async fn login(&self, registry: Option<&str>, auth: &Auth) -> Result<bool> {
        let _ = auth;
        Err(self.unsupported(format!("log in at `{}`", registry.unwrap_or("Docker Hub"))))
    }

    /// Pushes an image. An error inside the stream is an error of the call.
    async fn push_image(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<()> {
        let _ = (auth, progress);
        Err(self.unsupported(format!("push image `{image}`")))
    }

    /// Builds an image from a tar stream, plain or compressed, and returns its ID, where the engine
    /// says one. Output comes as progress.
    async fn build_image(
        &self,
        context: Reader,
        options: &BuildOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Option<String>> {
        let _ = (context, progress);
        Err(self.unsupported(format!("build image `{}`", options.tag)))
    }

    /// Gives an image one more name.
    async fn tag_image(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        Err(self.unsupported(format!("tag image `{image}` as `{repository}:{tag}`")))
    }

    /// Removes an image by name or ID. One that a container uses is [`Error::is_conflict`].
    async fn remove_image(&self, image: &str, force: bool) -> Result<()> {
        let _ = force;
        Err(self.unsupported(format!("remove image `{image}`")))
    }

    /// Returns an image with its layers as an uncompressed tar stream.
    async fn save_image(&self, image: &str) -> Result<Reader> {
        Err(self.unsupported(format!("save image `{image}`")))
    }

    /// Loads images from a tar stream, plain or compressed, as [`Backend::save_image`] gives it.
    async fn load_image(&self, data: Reader, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<()> {
        let _ = (data, progress);
        Err(self.unsupported("load images".to_owned()))
    }

    /// Makes an image of one layer from a tar stream of a root file system.
    async fn import_image(&self, data: Reader, repository: &str, tag: &str) -> Result<()> {
        let _ = data;
        Err(self.unsupported(format!("import image `{repository}:{tag}`")))
    }

    /// Returns the file system of a container as an uncompressed tar stream.
    async fn export_container(&self, name: &str) -> Result<Reader> {
        Err(self.unsupported(format!("export container `{name}`")))
    }

    /// Returns a file or folder of a container as an uncompressed tar stream.
    async fn copy_from_container(&self, name: &str, path: &str) -> Result<Reader> {
        Err(self.unsupported(format!("copy `{path}` from container `{name}`")))
    }

    /// Unpacks a tar stream, plain or compressed, into a folder of a container.
    async fn copy_to_container(&self, name: &str, path: &str, data: Reader) -> Result<()> {
        let _ = data;
        Err(self.unsupported(format!("copy to `{path}` in container `{name}`")))
    }

    /// Continues a paused container. One that is not paused is [`Error::is_conflict`].
    async fn unpause_container(&self, name: &str) -> Result<()> {
        Err(self.unsupported(format!("unpause container `{name}`")))
    }

    /// Asks whether the engine answers at all. Mirrors `GET /_ping`.
    async fn ping(&self) -> Result<()> {
        self.engine_info().await.map(drop)
    }

    /// Stops and starts a container as one call; `timeout` as for [`Backend::stop_container`].
    ///
    /// Mirrors `POST /containers/{id}/restart?t=` and `docker restart`.
    async fn restart_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        self.stop_container(name, timeout).await?;
        self.start_container(name).await
    }

    /// Gives a container another name. One that is taken is [`Error::is_conflict`].
    ///
    /// Mirrors `POST /containers/{id}/rename?name=` and `docker rename`.
    async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        Err(self.unsupported(format!("rename container `{name}` to `{new_name}`")))
    }

    /// Makes an image of a container's file system and returns its ID.
    ///
    /// Mirrors `POST /commit` and `docker commit`.
    async fn commit_container(&self, name: &str, repository: &str, tag: &str) -> Result<String> {
        Err(self.unsupported(format!("commit container `{name}` as `{repository}:{tag}`")))
    }

    /// Returns the layers of an image, the newest first, as the engine tells of them.
    ///
    /// Mirrors `GET /images/{name}/history` and `docker history`.
    async fn image_history(&self, image: &str) -> Result<serde_json::Value> {
        Err(self.unsupported(format!("ask for the history of image `{image}`")))
    }

    /// Makes the error of a call that this backend cannot make.
    fn unsupported(&self, operation: String) -> Error {
        let cause = Cause::Unsupported("this backend cannot do that".to_owned());
        Error { operation, host: self.host().to_owned(), cause }
    }
}

/// One line of a pull's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Layer ID; empty for lines about the whole image.
    pub layer: String,
    /// Status text of the engine, for example `Downloading`.
    pub status: String,
    /// Bytes so far and in all, where the engine says.
    pub bytes: Option<(u64, u64)>,
}
