//! What every backend must do: one suite of checks over [`Backend`].
//!
//! It runs on the in-memory backend in this crate's tests, and on real engines wherever a test has
//! one. Each check makes and removes its own objects, whose names start with [`Fixture::prefix`];
//! what an earlier, interrupted run left is removed first.

mod containers;
mod resources;
mod streams;

use std::fmt;
use std::time::Duration;

use dfab_map::image::{ImageName, ImageVersion};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{StreamExt, stream, try_join};
use serde_json::json;

use crate::backend::Backend;
use crate::error::Error;

/// What the suite works with.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// An image that the engine has.
    pub image: ImageName,
    /// A command that keeps a container of it running, and ends at SIGTERM.
    pub running: Vec<String>,
    /// An image that the engine has, for a container that ends.
    pub ending_image: ImageName,
    /// A command that prints `hello` and `world` on two lines and ends with code 3.
    pub ending: Vec<String>,
    /// An image that neither the engine nor any registry has.
    pub absent_image: ImageName,
    /// First part of all names.
    pub prefix: String,
}

impl Fixture {
    /// For an engine that has `image`, which must hold a shell at `/bin/sh` and `sleep`.
    pub fn with_shell(image: ImageName, prefix: impl Into<String>) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let version = ImageVersion::Tag("latest".into());
        Self {
            ending_image: image.clone(),
            image,
            // The shell waits, and starts nothing more: many containers of a suite run at a time.
            running: words(&["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]),
            ending: words(&["sh", "-c", "echo hello; echo world; exit 3"]),
            absent_image: ImageName { repository: "dfab-contract/no-such-image".into(), version },
            prefix: prefix.into(),
        }
    }
}

/// The outcome of one check.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the check: what it shows, as a sentence.
    pub name: &'static str,
    /// What was broken.
    pub result: Result<(), Broken>,
}

/// A broken promise.
#[derive(Debug)]
pub struct Broken(String);

type Checked = Result<(), Broken>;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self(format!("{error}: {}", error.cause))
    }
}

/// Checks that are under way at a time: each waits for its engine most of the time.
const AT_ONCE: usize = 4;

/// Runs every check, several at a time, and returns their outcomes.
///
/// Each has names of its own. Those that count requests have the backend for themselves, at the end.
pub async fn run(backend: &dyn Backend, fixture: &Fixture) -> Vec<Outcome> {
    // What an interrupted run has left; after that, each check is followed by a clean-up.
    let earlier = Suite { backend, fixture, prefix: fixture.prefix.clone() };
    if let Err(broken) = earlier.clean_up(&["-", "."]).await {
        return vec![Outcome { name: "what_earlier_runs_left_can_be_removed", result: Err(broken) }];
    }
    let together = [containers::CHECKS, resources::CHECKS, streams::CHECKS].concat();
    let count = together.len();
    let one = |(number, (name, check)): (usize, (&'static str, Check))| async move {
        let suite = Suite { backend, fixture, prefix: format!("{}-{number}", fixture.prefix) };
        let result = check(&suite).await;
        let cleaned = suite.clean_up(&["."]).await;
        Outcome { name, result: result.and(cleaned) }
    };
    let mut outcomes: Vec<Outcome> =
        stream::iter((1..).zip(together)).map(one).buffered(AT_ONCE).collect().await;
    for check in (count + 1..).zip(resources::ALONE.iter().copied()) {
        outcomes.push(one(check).await);
    }
    outcomes
}

/// A check: its future borrows the suite.
type Check = for<'a> fn(&'a Suite<'a>) -> BoxFuture<'a, Checked>;

/// The backend and what to check it with.
struct Suite<'a> {
    backend: &'a dyn Backend,
    fixture: &'a Fixture,
    /// First part of all names of one check.
    prefix: String,
}

impl Suite<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// A container that runs until it is stopped.
    fn running(&self, name: &str) -> ContainerSpec {
        self.spec(name, &self.fixture.image, &self.fixture.running)
    }

    /// A container that ends by itself.
    fn ending(&self, name: &str) -> ContainerSpec {
        self.spec(name, &self.fixture.ending_image, &self.fixture.ending)
    }

    fn spec(&self, name: &str, image: &ImageName, command: &[String]) -> ContainerSpec {
        ContainerSpec {
            name: self.name(name),
            image: image.clone(),
            properties: Properties::from([(Property::Command, json!(command))]),
            first_endpoint: None,
            own_labels: std::collections::BTreeMap::new(),
        }
    }

    async fn create_and_start(&self, spec: &ContainerSpec) -> Checked {
        self.backend.create_container(spec).await?;
        Ok(self.backend.start_container(&spec.name).await?)
    }

    /// A name for an image of a check's own: its repository, and the whole with the tag `1`.
    fn image(&self, name: &str) -> (String, ImageName) {
        let repository = format!("{}/{name}", self.prefix);
        let version = ImageVersion::Tag("1".into());
        (repository.clone(), ImageName { repository, version })
    }

    /// Removes what has our names: the prefix, and one of `ends` behind it. Everything of one kind at once: a
    /// backend makes one message of it.
    async fn clean_up(&self, ends: &[&str]) -> Checked {
        let backend = self.backend;
        let is_ours = |name: &String| {
            let rest = name.strip_prefix(&self.prefix);
            rest.is_some_and(|rest| rest.starts_with('/') || ends.iter().any(|end| rest.starts_with(end)))
        };
        let (containers, networks, volumes, images) = try_join!(
            backend.list_containers(),
            backend.list_networks(),
            backend.list_volumes(),
            backend.list_images()
        )?;
        let containers: Vec<String> = containers.into_keys().filter(is_ours).collect();
        try_join_all(containers.iter().map(|name| backend.remove_container(name, true, true))).await?;
        let networks: Vec<String> = networks.into_keys().filter(is_ours).collect();
        let volumes: Vec<String> = volumes.into_keys().filter(is_ours).collect();
        let images: Vec<String> = images.into_keys().filter(is_ours).collect();
        try_join!(
            try_join_all(networks.iter().map(|name| backend.remove_network(name))),
            try_join_all(volumes.iter().map(|name| backend.remove_volume(name))),
            try_join_all(images.iter().map(|name| backend.remove_image(name, false)))
        )?;
        Ok(())
    }
}

/// Time for an engine to do what it was told, on a machine that has much to do.
const LONG: Duration = Duration::from_secs(60);

/// Time for what should not happen to happen.
const SHORT: Duration = Duration::from_millis(300);

fn expect(what: &str, holds: bool) -> Checked {
    if holds { Ok(()) } else { Err(Broken(format!("expected that {what}"))) }
}

fn equal<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected {
        return Ok(());
    }
    Err(Broken(format!("{what}: found {found:?}, expected {expected:?}")))
}

fn not_found<T>(what: &str, result: Result<T, Error>) -> Checked {
    refused(what, "not found", result, Error::is_not_found)
}

fn conflict<T>(what: &str, result: Result<T, Error>) -> Checked {
    refused(what, "a conflict", result, Error::is_conflict)
}

fn refused<T>(what: &str, kind: &str, result: Result<T, Error>, is: fn(&Error) -> bool) -> Checked {
    match result {
        Ok(_) => Err(Broken(format!("{what} succeeded, expected {kind}"))),
        Err(error) if is(&error) => Ok(()),
        Err(error) => Err(Broken(format!("{what}: expected {kind}, found {error}: {}", error.cause))),
    }
}

/// Pairs each function with its name.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |suite| $name(suite).boxed())),*]
    };
}
use checks;
