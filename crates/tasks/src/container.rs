//! A container that exists for as long as something is done with it (clients-tasks §7.1).

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use dfab_client::apply::CancellationToken;
use dfab_client::error::Cause;
use dfab_client::{Backend, Error};
use dfab_map::image::ImageName;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use serde_json::json;

/// How a temporary container is made.
#[derive(Clone, Debug)]
pub struct TempContainer {
    /// The image; it must be there.
    pub image: ImageName,
    /// A program of the image that does nothing, with its arguments: `/bin/true`.
    pub no_op: Vec<String>,
    /// Further properties. Entry point, command and restart policy are this function's own.
    pub properties: Properties,
    /// How long it may take to do nothing; `None` is without limit.
    pub wait_timeout: Option<Duration>,
}

impl TempContainer {
    /// A container of an image that has `/bin/true`.
    pub fn new(image: ImageName) -> Self {
        let no_op = vec!["/bin/true".to_owned()];
        Self { image, no_op, properties: Properties::new(), wait_timeout: None }
    }
}

/// Does something with a container of an image that has run and ended, and removes it with its anonymous volumes: also
/// when that fails, and when the run is cancelled. The body gets its name.
///
/// Mirrors Docker-Fabric's `temp_container`. What is only worth a warning is told to `warn`: what the engine says, a
/// program that does not end well, and a container that cannot be removed.
///
/// # Errors
///
/// Those of `body` and of the engine; [`Cause::Cancelled`] and [`Cause::Timeout`].
pub async fn temp_container<T, E: From<Error>>(
    backend: &dyn Backend,
    options: &TempContainer,
    cancel: &CancellationToken,
    warn: &mut dyn FnMut(String),
    body: impl AsyncFnOnce(&str) -> Result<T, E>,
) -> Result<T, E> {
    let name = unique_name();
    let failed = |cause| Error {
        operation: format!("run a container of image `{}`", options.image),
        host: backend.host().to_owned(),
        cause,
    };
    let Some((program, arguments)) = options.no_op.split_first() else {
        return Err(failed(Cause::Input("a command that does nothing is needed".to_owned())).into());
    };
    // A copy of the caller's: what is ours comes last.
    let mut properties = options.properties.clone();
    properties.insert(Property::Entrypoint, json!([program]));
    properties.insert(Property::Command, json!(arguments));
    properties.insert(Property::RestartPolicy, json!({"Name": "no"}));
    let spec = ContainerSpec {
        name: name.clone(),
        image: options.image.clone(),
        properties,
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    };
    // Not given up half-way: nobody would know whether there is something to remove.
    let warnings = backend.create_container(&spec).await?;
    warnings.into_iter().for_each(&mut *warn);
    let work = async {
        backend.start_container(&name).await?;
        match backend.wait_container(&name, options.wait_timeout).await? {
            Some(0) => {}
            Some(code) => warn(format!("the command that should do nothing ended with status {code}")),
            None => return Err(failed(Cause::Timeout(options.wait_timeout.unwrap_or_default())).into()),
        }
        body(&name).await
    };
    let result = tokio::select! {
        result = work => result,
        () = cancel.cancelled() => Err(failed(Cause::Cancelled).into()),
    };
    if let Err(error) = backend.remove_container(&name, true, true).await {
        warn(format!("container `{name}` could not be removed: {}", error.cause));
    }
    result
}

fn unique_name() -> String {
    // The keys of `RandomState` come from the system's random numbers.
    format!("dfab.temp.{:016x}", RandomState::new().hash_one((std::process::id(), SystemTime::now())))
}

#[cfg(test)]
mod tests {
    use dfab_client::MemoryBackend;
    use dfab_client::memory::{Behaviour, Failure};

    use super::*;

    fn engine(code: i64) -> MemoryBackend {
        let engine = MemoryBackend::new("memory");
        engine.add_image_with("app:latest", Behaviour::Ends(code, String::new()), Properties::new());
        engine.add_image("running:latest");
        engine
    }

    fn options(image: &str) -> TempContainer {
        let properties = Properties::from([
            (Property::Entrypoint, json!(["sh"])),
            (Property::RestartPolicy, json!({"Name": "always"})),
            (Property::User, json!("app")),
        ]);
        TempContainer { properties, ..TempContainer::new(ImageName::expand(image, None, None).unwrap()) }
    }

    async fn in_container(
        engine: &MemoryBackend,
        options: &TempContainer,
        cancel: &CancellationToken,
        fails: bool,
    ) -> (Result<ContainerSpec, Error>, Vec<String>) {
        let mut warnings = Vec::new();
        let mut warn = |warning| warnings.push(warning);
        let done = temp_container(engine, options, cancel, &mut warn, async |name| {
            let found = engine.inspect_container(name).await?.unwrap();
            assert!(!found.state.is_running(), "it has ended before something is done with it");
            engine.ping().await?;
            match fails {
                true => Err(Error {
                    operation: "work".into(),
                    host: "memory".into(),
                    cause: Cause::Input("no".into()),
                }),
                false => Ok(ContainerSpec {
                    name: name.to_owned(),
                    image: options.image.clone(),
                    properties: found.detail.unwrap().properties,
                    first_endpoint: None,
                    own_labels: BTreeMap::new(),
                }),
            }
        });
        let done = done.await;
        (done, warnings)
    }

    #[tokio::test]
    async fn a_container_goes_whatever_becomes_of_the_work() {
        let cancel = CancellationToken::new();
        let engine = engine(0);
        let (made, warnings) = in_container(&engine, &options("app"), &cancel, false).await;
        let made = made.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(made.properties[&Property::Entrypoint], json!(["/bin/true"]));
        assert_eq!(made.properties[&Property::User], json!("app"));
        assert!(engine.list_containers().await.unwrap().is_empty());

        let (failed, _) = in_container(&engine, &options("app"), &cancel, true).await;
        assert!(matches!(failed.unwrap_err().cause, Cause::Input(_)));
        assert!(engine.list_containers().await.unwrap().is_empty());

        for call in ["start container", "wait for container", "inspect container"] {
            let engine = self::engine(0);
            engine.fail_calls(call, Failure::Refused(500, "no".into()));
            assert!(in_container(&engine, &options("app"), &cancel, false).await.0.is_err(), "{call}");
            engine.recover();
            assert!(engine.list_containers().await.unwrap().is_empty(), "{call}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_does_not_end_well() {
        let cancel = CancellationToken::new();
        let engine = engine(3);
        let (made, warnings) = in_container(&engine, &options("app"), &cancel, false).await;
        assert!(made.is_ok());
        assert_eq!(warnings, ["the command that should do nothing ended with status 3"]);

        let limited = TempContainer { wait_timeout: Some(Duration::from_secs(5)), ..options("running") };
        let (made, _) = in_container(&engine, &limited, &cancel, false).await;
        assert!(matches!(made.unwrap_err().cause, Cause::Timeout(_)));
        assert!(engine.list_containers().await.unwrap().is_empty());

        // The run is given up while it waits.
        let unlimited = options("running");
        let waiting = in_container(&engine, &unlimited, &cancel, false);
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(engine.list_containers().await.unwrap().len(), 1);
            cancel.cancel();
        };
        let ((made, _), ()) = tokio::join!(waiting, stopping);
        assert!(matches!(made.unwrap_err().cause, Cause::Cancelled));
        assert!(engine.list_containers().await.unwrap().is_empty());
    }
}
