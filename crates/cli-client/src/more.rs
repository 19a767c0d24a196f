//! What the command line can do beside the [`Backend`](dfab_client::Backend) trait: registries,
//! builds, and streams from and to an engine (clients-tasks §5.6, §5.8, §5.9).

use dfab_client::backend::{PullProgress, Result};
use dfab_client::error::{Cause, Error};
use dfab_tunnel::Secret;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend::CliBackend;
use crate::command::{self, BuildOptions, Built, Command, Login};
use crate::failure;
use crate::frame::Finished;
use crate::parse;

impl CliBackend {
    /// Logs in to a registry; `None` is Docker Hub. The login stays on the host, as with the program
    /// itself. Returns what the program said.
    ///
    /// Mirrors `docker login --username=USER --password-stdin`; the password goes to standard input.
    ///
    /// # Errors
    ///
    /// A refused login is [`Cause::Refused`].
    pub async fn login(&self, registry: Option<&str>, username: &str, password: &Secret) -> Result<String> {
        let operation = format!("log in to {}", registry.unwrap_or("Docker index"));
        let finished = self.call(&operation, || command::login(registry, username, password)).await?;
        Ok(String::from_utf8_lossy(&finished.stdout).trim().to_owned())
    }

    /// Forgets a login on the host. One that is not there is no error. Mirrors `docker logout`.
    ///
    /// # Errors
    ///
    /// When no command can be run.
    pub async fn logout(&self, registry: Option<&str>) -> Result<()> {
        let operation = format!("log out of {}", registry.unwrap_or("Docker index"));
        self.call(&operation, || command::logout(registry)).await.map(drop)
    }

    /// Pushes an image and reports progress lines as they come. With `login`, the credentials are
    /// valid for this command only.
    ///
    /// Mirrors `docker push IMAGE`.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`] when engine or registry do not want it.
    pub async fn push_image(
        &self,
        image: &str,
        login: Option<Login>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let operation = format!("push image `{image}`");
        let command = self.built(&operation, command::push(image, login))?;
        let finished = self.host.live(&command, |line| progress(parse::pull_progress(line))).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    /// Gives an image one more name. Mirrors `docker tag`.
    ///
    /// # Errors
    ///
    /// Not found for an absent image.
    pub async fn tag_image(&self, image: &str, target: &str) -> Result<()> {
        let operation = format!("tag image `{image}` as `{target}`");
        self.call(&operation, || command::tag(image, target)).await.map(drop)
    }

    /// Removes an image. Mirrors `docker rmi`.
    ///
    /// # Errors
    ///
    /// Not found for an absent image, a conflict for one in use.
    pub async fn remove_image(&self, image: &str, force: bool, no_prune: bool) -> Result<()> {
        let operation = format!("remove image `{image}`");
        self.call(&operation, || command::remove_image(image, force, no_prune)).await.map(drop)
    }

    /// Returns the engine's inspection of images. Mirrors `docker inspect --type=image`.
    ///
    /// # Errors
    ///
    /// Not found when one of them is absent.
    pub async fn inspect_images(&self, images: &[&str]) -> Result<Vec<Value>> {
        let operation = format!("inspect image `{}`", images.join("`, `"));
        let finished = self.call(&operation, || command::inspect_images(images)).await?;
        parse::array(&finished.stdout).map_err(|cause| self.error(operation, cause))
    }

    /// Restarts a container. Mirrors `docker restart`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container.
    pub async fn restart_container(&self, name: &str, timeout: Option<Duration>) -> Result<()> {
        let operation = format!("restart container `{name}`");
        self.call(&operation, || command::restart(name, timeout)).await.map(drop)
    }

    /// Renames a container. Mirrors `docker rename`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container, a conflict for a name that is taken.
    pub async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let operation = format!("rename container `{name}` to `{new_name}`");
        self.call(&operation, || command::rename(name, new_name)).await.map(drop)
    }

    /// Makes an image of a container and returns its ID. Mirrors `docker commit`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container.
    pub async fn commit_container(
        &self,
        name: &str,
        image: Option<&str>,
        message: Option<&str>,
    ) -> Result<String> {
        let operation = format!("commit container `{name}`");
        let finished = self.call(&operation, || command::commit(name, image, message)).await?;
        Ok(String::from_utf8_lossy(&finished.stdout).trim().to_owned())
    }

    /// Builds an image from a context (tar, plain or compressed), hands out the log line by line, and
    /// returns the image ID.
    ///
    /// Mirrors `docker build --tag=TAG -`. Where the log does not name the image, as that of a newer
    /// builder, the tag is inspected.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`] with the builder's message when the build fails.
    pub async fn build_image(
        &self,
        options: &BuildOptions,
        context: &mut (dyn AsyncRead + Send + Unpin),
        log: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<String> {
        let operation = format!("build image `{}`", options.tag);
        let mut lines = Lines { log, pending: Vec::new(), image: None };
        self.piped(&operation, command::build(options), context, &mut lines).await?;
        lines.finish();
        match lines.image {
            Some(id) => Ok(id),
            None => {
                let inspected = self.inspect_images(&[&options.tag]).await?;
                let id = inspected.first().and_then(|image| image.get("Id")).and_then(Value::as_str);
                let missing = || self.error(operation, Cause::Answer("the new image has no ID".to_owned()));
                id.map(str::to_owned).ok_or_else(missing)
            }
        }
    }

    /// Writes images as a tar stream to `sink`. Mirrors `docker save`.
    ///
    /// # Errors
    ///
    /// Not found for an absent image; `sink` may hold part of a stream after any error.
    pub async fn save_images(
        &self,
        images: &[&str],
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let operation = format!("save image `{}`", images.join("`, `"));
        self.piped(&operation, command::save(images), &mut tokio::io::empty(), sink).await.map(drop)
    }

    /// Loads images from a tar stream, plain or compressed. Mirrors `docker load`.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`] for a stream that is none.
    pub async fn load_images(&self, source: &mut (dyn AsyncRead + Send + Unpin)) -> Result<()> {
        self.piped("load an image", Ok(command::load()), source, &mut tokio::io::sink()).await.map(drop)
    }

    /// Makes an image of the tar stream of a file system. Mirrors `docker import -`.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`] for a stream that is none.
    pub async fn import_image(
        &self,
        image: &str,
        changes: &[&str],
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<()> {
        let operation = format!("import image `{image}`");
        let built = command::import(Some(image), changes, None);
        self.piped(&operation, built, source, &mut tokio::io::sink()).await.map(drop)
    }

    /// Writes a container's file system as a tar stream. Mirrors `docker export`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container.
    pub async fn export_container(
        &self,
        name: &str,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let operation = format!("export container `{name}`");
        self.piped(&operation, command::export(name), &mut tokio::io::empty(), sink).await.map(drop)
    }

    /// Writes a file or folder of a container as a tar stream. Mirrors `docker cp NAME:PATH -`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container or path.
    pub async fn copy_from(
        &self,
        name: &str,
        path: &str,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let operation = format!("copy `{path}` from container `{name}`");
        self.piped(&operation, command::copy_from(name, path), &mut tokio::io::empty(), sink).await.map(drop)
    }

    /// Unpacks a tar stream into a folder of a container. Mirrors `docker cp - NAME:PATH`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container or path.
    pub async fn copy_to(
        &self,
        name: &str,
        path: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<()> {
        let operation = format!("copy to `{path}` in container `{name}`");
        self.piped(&operation, command::copy_to(name, path), source, &mut tokio::io::sink()).await.map(drop)
    }

    async fn piped(
        &self,
        operation: &str,
        built: Built,
        source: &mut (dyn AsyncRead + Send + Unpin),
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Finished> {
        let command: Command = self.built(operation, built)?;
        let unreachable = |source| Cause::Unreachable(source);
        let failed = |cause| -> Error { self.error(operation, cause) };
        let finished = self.host.piped(&command, source, sink).await;
        let finished = finished.map_err(|unusable| failed(unreachable(Box::new(unusable))))?;
        let finished = finished.map_err(|error| failed(unreachable(Box::new(error))))?;
        if failure::is_failure(&finished) {
            return Err(failed(failure::cause(&finished, self.host.name(), &self.host.options)));
        }
        Ok(finished)
    }
}

/// A sink that hands out lines and remembers the image that they name.
struct Lines<'a> {
    log: &'a (dyn Fn(&str) + Send + Sync),
    pending: Vec<u8>,
    image: Option<String>,
}

impl Lines<'_> {
    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if let Some(id) = parse::built_image(text) {
            self.image = Some(id);
        }
        (self.log)(text);
    }

    fn finish(&mut self) {
        if !self.pending.is_empty() {
            let rest = std::mem::take(&mut self.pending);
            self.line(&rest);
        }
    }
}

impl AsyncWrite for Lines<'_> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.line(&line);
        }
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
