//! An engine in memory, for planning and applying without Docker.
//!
//! It is strict: it refuses what Docker refuses (a name that is taken, removing what runs or is in
//! use, an image that is not there) with Docker's status, keeps properties, endpoints and mounts so
//! that observing shows what was applied, records its calls, and fails when it is told to.
//!
//! ```
//! use dfab_client::memory::MemoryBackend;
//! use dfab_client::{Backend, observe};
//! use dfab_map::observed::Wanted;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), dfab_client::Error> {
//! let engine = MemoryBackend::new("web1");
//! engine.add_image("busybox:latest");
//! let observed = observe(&engine, &Wanted::default()).await?;
//! assert!(observed.images.contains_key("busybox:latest"));
//! # Ok(()) }
//! ```

mod backend;
mod container;
mod creation;
mod network;
#[cfg(test)]
mod tests;
mod world;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dfab_map::observed::image_key;
use dfab_map::spec::Properties;
use tokio::sync::Notify;

pub use self::world::Behaviour;
use self::world::{Image, World};
use crate::error::{Cause, Error};

/// An engine in memory.
pub struct MemoryBackend {
    host: String,
    latency: Option<Duration>,
    state: Mutex<State>,
    /// Woken at every change of a container's state.
    changed: Notify,
}

struct State {
    world: World,
    calls: Vec<String>,
    requests: u64,
    faults: Vec<Fault>,
    unreachable: bool,
}

/// A failure that was ordered.
struct Fault {
    when: When,
    what: Failure,
}

enum When {
    /// At the request of this number.
    Request(u64),
    /// At every call whose description contains this text.
    Call(String),
}

/// How an ordered failure shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The engine refuses with this status and message.
    Refused(u16, String),
    /// The connection breaks, for this request and all later ones.
    Unreachable,
    /// A change is answered as done, and has no effect.
    Ignored,
}

impl MemoryBackend {
    /// Makes an empty engine: the networks `bridge`, `host` and `none`, and nothing else.
    pub fn new(host: impl Into<String>) -> Self {
        let state = State {
            world: World::new(),
            calls: Vec::new(),
            requests: 0,
            faults: Vec::new(),
            unreachable: false,
        };
        Self { host: host.into(), latency: None, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Makes every request take this long, as a network would.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// Puts an image on the engine whose containers run until they are stopped, and returns its ID.
    /// An image of that name loses it, as by `docker import`.
    pub fn add_image(&self, reference: &str) -> String {
        self.add_image_with(reference, Behaviour::Runs, Properties::new())
    }

    /// Puts an image on the engine that says how its containers behave and what they inherit.
    pub fn add_image_with(&self, reference: &str, behaviour: Behaviour, defaults: Properties) -> String {
        let mut state = self.lock();
        let image = Image { id: state.world.fresh_id(), parent: None, behaviour, defaults };
        let id = image.id.clone();
        state.world.images.insert(image_key(reference), id.clone());
        state.world.image_contents.insert(id.clone(), image);
        id
    }

    /// Puts an image into the registry that this engine pulls from, and returns its ID.
    pub fn add_to_registry(&self, reference: &str) -> String {
        let mut state = self.lock();
        let image = Image {
            id: state.world.fresh_id(),
            parent: None,
            behaviour: Behaviour::Runs,
            defaults: Properties::new(),
        };
        let id = image.id.clone();
        state.world.registry.insert(image_key(reference), id.clone());
        state.world.image_contents.insert(id.clone(), image);
        id
    }

    /// Takes an image from the engine; containers made from it keep its ID.
    pub fn remove_image(&self, reference: &str) {
        self.lock().world.images.remove(&image_key(reference));
    }

    /// Ends a running container behind dfab's back.
    pub fn end_container(&self, name: &str, exit_code: i64) {
        self.lock().world.end(name, exit_code);
        self.changed.notify_waiters();
    }

    /// Lets a container write to its log.
    pub fn write_log(&self, name: &str, text: &str) {
        if let Some(container) = self.lock().world.containers.get_mut(name) {
            container.log.push_str(text);
        }
        self.changed.notify_waiters();
    }

    /// Removes a container behind dfab's back, running or not.
    pub fn lose_container(&self, name: &str) {
        self.lock().world.containers.remove(name);
        self.changed.notify_waiters();
    }

    /// Changes stored properties of a container behind dfab's back.
    pub fn alter_container(&self, name: &str, alter: impl FnOnce(&mut Properties)) {
        if let Some(container) = self.lock().world.containers.get_mut(name) {
            alter(&mut container.properties);
        }
    }

    /// Returns the shell commands that prepared a volume, empty where none did.
    pub fn prepared(&self, volume: &str) -> Vec<String> {
        self.lock().world.volumes.get(volume).map(|volume| volume.prepared.clone()).unwrap_or_default()
    }

    /// Returns every change that was asked for so far, in order: ``create container `m.web` ``. Lists
    /// and inspections are not in there.
    pub fn changes(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Forgets the recorded changes.
    pub fn forget_changes(&self) {
        self.lock().calls.clear();
    }

    /// Orders the `number`-th request from now, counted from one, to fail.
    pub fn fail_at(&self, number: u64, failure: Failure) {
        let mut state = self.lock();
        let when = When::Request(state.requests + number);
        state.faults.push(Fault { when, what: failure });
    }

    /// Orders every call to fail whose description contains `part`.
    pub fn fail_calls(&self, part: impl Into<String>, failure: Failure) {
        self.lock().faults.push(Fault { when: When::Call(part.into()), what: failure });
    }

    /// Cancels all ordered failures, and makes the engine reachable.
    pub fn recover(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.unreachable = false;
    }

    /// Makes the engine unreachable until [`MemoryBackend::recover`].
    pub fn disconnect(&self) {
        self.lock().unreachable = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no operation panics while it holds the lock")
    }

    /// Counts and records a request, and fails it where that was ordered. Tells whether it has an effect.
    async fn request(&self, operation: &str, changes: bool) -> Result<bool, Error> {
        match self.latency {
            Some(latency) => tokio::time::sleep(latency).await,
            // Others get their turn, as they would while a real answer is under way.
            None => tokio::task::yield_now().await,
        }
        let mut state = self.lock();
        state.requests += 1;
        let number = state.requests;
        if changes {
            state.calls.push(operation.to_owned());
        }
        let fault = state.faults.iter().find(|fault| match &fault.when {
            When::Request(at) => *at == number,
            When::Call(part) => operation.contains(part.as_str()),
        });
        let failure = if state.unreachable {
            Some(Failure::Unreachable)
        } else {
            fault.map(|fault| fault.what.clone())
        };
        match failure {
            None => Ok(true),
            Some(Failure::Ignored) => Ok(!changes),
            Some(Failure::Refused(status, message)) => {
                Err(self.error(operation, Cause::Refused { status, message }))
            }
            Some(Failure::Unreachable) => {
                state.unreachable = true;
                Err(self.error(operation, Cause::Unreachable("connection lost, as ordered".into())))
            }
        }
    }

    fn error(&self, operation: &str, cause: Cause) -> Error {
        Error { operation: operation.to_owned(), host: self.host.clone(), cause }
    }
}
