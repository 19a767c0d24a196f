//! What the command line can do beside the [`Backend`](dfab_client::Backend) trait (clients-tasks §5.6).

use dfab_client::backend::{PullProgress, Result};
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use serde_json::Value;

use crate::backend::CliBackend;
use crate::command::{ExecOptions, TableOptions};
use crate::{command, parse};

impl CliBackend {
    /// Forgets a login on the host. One that is not there is no error. Mirrors `docker logout`.
    ///
    /// # Errors
    ///
    /// When no command can be run.
    pub async fn logout(&self, registry: Option<&str>) -> Result<()> {
        let operation = format!("log out of {}", registry.unwrap_or("Docker index"));
        self.call(&operation, || command::logout(registry)).await.map(drop)
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

    /// Makes an image of a container, with a message and with or without a name, and returns its ID. Mirrors
    /// `docker commit --message`; without a message it is [`Backend::commit_container`](dfab_client::Backend).
    ///
    /// # Errors
    ///
    /// Not found for an absent container.
    pub async fn commit_with_message(
        &self,
        name: &str,
        image: Option<&str>,
        message: &str,
    ) -> Result<String> {
        let operation = format!("commit container `{name}`");
        let finished = self.call(&operation, || command::commit(name, image, Some(message))).await?;
        parse::image_id(&finished.stdout).map_err(|cause| self.error(operation, cause))
    }

    /// Runs a command in a running container and does not wait for its end. Mirrors
    /// `docker exec --detach`.
    ///
    /// # Errors
    ///
    /// Not found for an absent container, a conflict for one that does not run.
    pub async fn exec_with(&self, name: &str, words: &[String], options: &ExecOptions) -> Result<()> {
        let program = words.first().map_or("", String::as_str);
        let operation = format!("run `{program}` in container `{name}`");
        self.call(&operation, || command::exec(name, words, options)).await.map(drop)
    }

    /// Removes the link of a container, not the container that it leads to. Mirrors `docker rm --link`.
    ///
    /// # Errors
    ///
    /// Not found for an absent link.
    pub async fn remove_link(&self, name: &str, alias: &str) -> Result<()> {
        let operation = format!("remove link `{alias}` of container `{name}`");
        self.call(&operation, || command::remove_link(name, alias)).await.map(drop)
    }

    /// Returns containers in the shape of `GET /containers/json`. Mirrors `docker ps`.
    ///
    /// # Errors
    ///
    /// When the program knows no such filter.
    pub async fn table_of_containers(&self, options: &TableOptions) -> Result<Value> {
        let command = command::container_table(options);
        let operation = command.operation.clone();
        let finished = self.run(command).await?;
        let lines = parse::lines(&finished.stdout).map_err(|cause| self.error(operation, cause))?;
        Ok(lines.iter().map(parse::container_line).collect())
    }

    /// Returns images in the shape of `GET /images/json`: those of a repository, or of a repository and tag,
    /// or all; with `all` those without a name too. Mirrors `docker images`.
    ///
    /// # Errors
    ///
    /// When no command can be run.
    pub async fn images_in_detail(&self, all: bool, name: Option<&str>) -> Result<Value> {
        let command = self.built("list images", command::image_details(all, name))?;
        Ok(parse::image_list(&self.inspected(command).await?))
    }

    /// Returns networks in the shape of `GET /networks`: those whose names and IDs have one of these parts,
    /// or all. Mirrors `docker network ls --filter`.
    ///
    /// # Errors
    ///
    /// When no command can be run.
    pub async fn find_networks(&self, names: &[&str], ids: &[&str]) -> Result<Value> {
        Ok(self.inspected(command::list_networks(names, ids)).await?.into())
    }

    /// Pulls every tag of an image's repository. Mirrors `docker pull --all-tags`.
    ///
    /// # Errors
    ///
    /// As [`pull_image`](dfab_client::Backend::pull_image).
    pub async fn pull_all_tags(
        &self,
        image: &ImageName,
        auth: Option<&Auth>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        self.pulled(image, auth, true, progress).await
    }
}
