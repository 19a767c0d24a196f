//! One call of a plan, done on a backend.

use std::sync::Arc;

use dfab_map::image::ImageName;
use dfab_map::plan::{Call, Step};

use super::{Event, Run, contended};
use crate::backend::{Backend, Result};

impl Run<'_> {
    /// Makes the calls of a step in their order.
    pub(super) async fn calls(&self, step: &Step) -> Result<()> {
        let backend = self.backend(step)?;
        let mut freed = false;
        let mut position = 0;
        while let Some(call) = step.calls.get(position) {
            self.tell(Event::CallStarted { step: step.id, call: describe(call) });
            let Err(error) = self.call(backend, step, call).await else {
                position += 1;
                continue;
            };
            // Once: what comes back is nothing that is left over.
            let creation = if freed { None } else { self.free_name(backend, step, position, &error).await? };
            let Some(creation) = creation else { return Err(error) };
            (freed, position) = (true, creation);
        }
        Ok(())
    }

    async fn call(&self, backend: &Arc<dyn Backend>, step: &Step, call: &Call) -> Result<()> {
        match call {
            Call::PullImage { image, .. } => self.pull(backend, step, image).await,
            Call::CreateNetwork(spec) => contended::create_network(backend, spec).await,
            Call::RemoveNetwork { name } => self.remove_network(backend, step, name).await,
            Call::CreateVolume(spec) => backend.create_volume(spec).await,
            Call::RemoveVolume { name } => gone(backend.remove_volume(name).await),
            Call::PrepareVolume(spec) => self.prepare_volume(backend, step, spec).await,
            Call::CreateContainer(spec) => {
                let warnings = contended::create_container(backend, spec).await?;
                warnings.into_iter().for_each(|warning| self.log(step.id, warning));
                Ok(())
            }
            Call::StartContainer { name, delay } => {
                backend.start_container(name).await?;
                if let Some(delay) = delay {
                    tokio::time::sleep(*delay).await;
                }
                Ok(())
            }
            Call::StopContainer { name, stop } => self.stop_container(backend, step, name, stop).await,
            Call::KillContainer { name, signal } => backend.kill_container(name, signal.as_deref()).await,
            Call::RemoveContainer { name, volumes, force } => {
                contended::remove_container(backend, name, *volumes, *force).await
            }
            Call::UpdateContainer { name, properties } => backend.update_container(name, properties).await,
            Call::Connect { container, endpoint } => backend.connect_network(container, endpoint).await,
            Call::Disconnect { container, network } => {
                gone(backend.disconnect_network(container, network).await)
            }
            Call::Exec { container, command, user } => {
                backend.exec(container, command, user.as_deref()).await
            }
            Call::WaitHealthy { name, timeout } => self.wait_healthy(backend, name, *timeout).await,
            Call::RunScript(spec) => self.run_script(backend, step, spec).await,
        }
    }

    /// Pulls with the login of the image's registry, where there is one.
    pub(super) async fn pull(
        &self,
        backend: &Arc<dyn Backend>,
        step: &Step,
        image: &ImageName,
    ) -> Result<()> {
        let logins = self.options.logins.get(&step.client);
        let login = logins.zip(image.registry()).and_then(|(logins, registry)| logins.get(registry));
        let tell = |progress| self.tell(Event::Progress { step: step.id, progress });
        backend.pull_image(image, login, &tell).await
    }
}

/// What was to be removed and is not there any more is removed (engine K-15).
pub(super) fn gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Says in words what a call does, as a fragment: ``create container `m.web` ``.
pub fn describe(call: &Call) -> String {
    match call {
        Call::PullImage { image, .. } => format!("pull image `{image}`"),
        Call::CreateNetwork(spec) => format!("create network `{}`", spec.name),
        Call::RemoveNetwork { name } => format!("remove network `{name}`"),
        Call::CreateVolume(spec) => format!("create volume `{}`", spec.name),
        Call::RemoveVolume { name } => format!("remove volume `{name}`"),
        Call::PrepareVolume(spec) => format!("prepare volume `{}`", spec.volume),
        Call::CreateContainer(spec) => format!("create container `{}`", spec.name),
        Call::StartContainer { name, .. } => format!("start container `{name}`"),
        Call::StopContainer { name, .. } => format!("stop container `{name}`"),
        Call::KillContainer { name, signal } => {
            format!("send {} to container `{name}`", signal.as_deref().unwrap_or("SIGKILL"))
        }
        Call::RemoveContainer { name, .. } => format!("remove container `{name}`"),
        Call::UpdateContainer { name, .. } => format!("update container `{name}`"),
        Call::Connect { container, endpoint } => {
            format!("connect container `{container}` to network `{}`", endpoint.network)
        }
        Call::Disconnect { container, network } => {
            format!("disconnect container `{container}` from network `{network}`")
        }
        // Arguments may be secret; the program is not.
        Call::Exec { container, command, .. } => {
            format!("run `{}` in container `{container}`", command.first().map_or("", String::as_str))
        }
        Call::WaitHealthy { name, .. } => format!("wait until container `{name}` is healthy"),
        Call::RunScript(spec) => format!("run the script container `{}`", spec.container.name),
    }
}
