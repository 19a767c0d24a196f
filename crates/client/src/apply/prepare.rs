//! Owner and mode of a new volume (engine §6.11), set by commands on the engine's host or, where the
//! backend has none, in a helper container.
//!
//! Three things make it more than `chown`:
//!
//! * **Copied content.** An engine copies what an image holds at the mount path into an empty volume
//!   when a container is created, owner and mode included. A second container, never started, makes
//!   it do so before the owner is set.
//! * **No image.** Where the first image is absent and cannot be pulled, the next one is taken.
//! * **Interruption.** Helpers have fixed names, so that one that was left by a run that was killed is
//!   found and removed. That the volume still has to be prepared is the plan's to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfab_map::image::ImageName;
use dfab_map::plan::Step;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, PrepareSpec, Properties};
use serde_json::{Value, json};

use super::{Run, contended};
use crate::backend::{Backend, LogOptions, Result};
use crate::error::{Cause, Error};

/// The label of helper containers; its value is the volume.
pub const HELPER_LABEL: &str = "dfab.helper";

/// Where the helper sees the volume. No image has anything there, so nothing is copied.
const MOUNT: &str = "/volume-tmp";

impl Run<'_> {
    /// Prepares a volume that is there.
    pub(super) async fn prepare_volume(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        spec: &PrepareSpec,
    ) -> Result<()> {
        let script = commands(spec);
        if script.is_empty() {
            return Ok(());
        }
        if spec.local && backend.runs_on_host() {
            return backend.prepare_volume_on_host(spec).await;
        }
        let image = self.helper_image(backend, step, spec).await?;
        let helper = helper(&spec.volume, &image, &script);
        let prepared = self.in_helper(backend, step, spec, &helper).await;
        // The helper goes in every case; its own error counts only where the rest went well.
        let removed = contended::remove_container(backend, &helper.name, true, true).await;
        prepared.and(removed)
    }

    async fn in_helper(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        spec: &PrepareSpec,
        helper: &ContainerSpec,
    ) -> Result<()> {
        if let Some((image, path)) = &spec.content_from
            && backend.image_id(image).await?.is_some()
        {
            copy_content(backend, spec, image, path).await?;
        }
        contended::create_helper(backend, helper).await?;
        backend.start_container(&helper.name).await?;
        let failed = |cause| {
            let operation = format!("prepare volume `{}`", spec.volume);
            Error { operation, host: backend.host().to_owned(), cause }
        };
        match backend.wait_container(&helper.name, self.options.wait_timeout).await? {
            Some(0) => Ok(()),
            Some(status) => {
                let log = backend.container_logs(&helper.name, LogOptions::default()).await?;
                let output = String::from_utf8_lossy(&log).trim().to_owned();
                output.lines().for_each(|line| self.log(step.id, line));
                Err(failed(Cause::Failed { status, output }))
            }
            None => Err(failed(Cause::Timeout(self.options.wait_timeout.unwrap_or_default()))),
        }
    }

    /// Returns the first image that is there or can be pulled.
    async fn helper_image(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        spec: &PrepareSpec,
    ) -> Result<ImageName> {
        let mut last = None;
        for image in &spec.images {
            if backend.image_id(image).await?.is_some() {
                return Ok(image.clone());
            }
            let key = (step.client.clone(), image.clone());
            let known = self.unpullable.lock().expect("no panic inside the lock").contains(&key);
            if known {
                continue;
            }
            match self.pull(backend, step, image).await {
                Ok(()) => return Ok(image.clone()),
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => {
                    self.log(step.id, format!("image `{image}` is absent and cannot be pulled"));
                    self.unpullable.lock().expect("no panic inside the lock").insert(key);
                    last = Some(error);
                }
            }
        }
        let images: Vec<String> = spec.images.iter().map(|image| format!("`{image}`")).collect();
        let reason = last.map(|error| format!("; {}", error.cause)).unwrap_or_default();
        Err(Error {
            operation: format!("prepare volume `{}`", spec.volume),
            host: backend.host().to_owned(),
            cause: Cause::Input(format!(
                "its helper container has no image: none of {} is present or can be pulled{reason}",
                images.join(", ")
            )),
        })
    }
}

/// Returns the commands for a shell, empty when nothing is to be set.
fn commands(spec: &PrepareSpec) -> String {
    let command = |program: &str, argument: &Option<String>| {
        argument.as_ref().map(|argument| format!("{program} -R {} {MOUNT}", shell_words::quote(argument)))
    };
    let commands = [command("chown", &spec.owner), command("chmod", &spec.mode)];
    commands.into_iter().flatten().collect::<Vec<_>>().join(" && ")
}

fn helper(volume: &str, image: &ImageName, script: &str) -> ContainerSpec {
    let properties = Properties::from([
        (Property::User, "0:0".into()),
        (Property::Entrypoint, json!(["sh", "-c"])),
        (Property::Command, json!([script])),
        (Property::WorkingDir, "/".into()),
        (Property::NetworkDisabled, true.into()),
        (Property::NetworkMode, "none".into()),
        (Property::Healthcheck, json!({"Test": ["NONE"]})),
        (Property::Binds, bind(volume, MOUNT)),
    ]);
    temporary(format!("dfab.prepare.{volume}"), image, properties, volume)
}

/// Creates and removes a container of `image`, so that the engine fills the volume.
async fn copy_content(
    backend: &Arc<dyn Backend>,
    spec: &PrepareSpec,
    image: &ImageName,
    path: &str,
) -> Result<()> {
    let properties = Properties::from([
        // Images without a command of their own are refused otherwise; it is never started.
        (Property::Entrypoint, json!(["true"])),
        (Property::NetworkDisabled, true.into()),
        (Property::Binds, bind(&spec.volume, path)),
    ]);
    let container = temporary(format!("dfab.content.{}", spec.volume), image, properties, &spec.volume);
    contended::create_helper(backend, &container).await?;
    contended::remove_container(backend, &container.name, true, true).await
}

fn temporary(name: String, image: &ImageName, properties: Properties, volume: &str) -> ContainerSpec {
    let own_labels = BTreeMap::from([(HELPER_LABEL.to_owned(), volume.to_owned())]);
    ContainerSpec { name, image: image.clone(), properties, first_endpoint: None, own_labels }
}

fn bind(volume: &str, path: &str) -> Value {
    json!([format!("{volume}:{path}:rw")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_for_a_shell_and_quoted_where_needed() {
        let spec = |owner: Option<&str>, mode: Option<&str>| PrepareSpec {
            owner: owner.map(str::to_owned),
            mode: mode.map(str::to_owned),
            ..PrepareSpec::default()
        };
        for (owner, mode, expected) in [
            (Some("2000:2000"), Some("0750"), "chown -R 2000:2000 /volume-tmp && chmod -R 0750 /volume-tmp"),
            (Some("app:app"), None, "chown -R app:app /volume-tmp"),
            (None, Some("u=rwX,g=rX"), "chmod -R 'u=rwX,g=rX' /volume-tmp"),
            (Some("a b;c"), None, "chown -R 'a b;c' /volume-tmp"),
            (None, None, ""),
        ] {
            assert_eq!(commands(&spec(owner, mode)), expected);
        }
    }
}
