//! What the command line can do beside the [`Backend`](dfab_client::Backend) trait (clients-tasks §5.6).

use std::time::Duration;

use dfab_client::backend::Result;
use serde_json::Value;

use crate::backend::CliBackend;
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
}
