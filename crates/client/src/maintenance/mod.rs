//! Tidying an engine: stopped containers, unused images, everything (clients-tasks §4.8–§4.10).
//!
//! What is to go is chosen by pure functions over the engine's own lists; the rest asks and removes.

mod containers;
mod images;

use std::fmt;

pub use self::containers::{
    CleanupContainers, Everything, RemovedAll, cleanup_containers, removable_containers,
    remove_all_containers,
};
pub use self::images::{CleanupImages, cleanup_images, removable_images};
use crate::apply::CancellationToken;
use crate::backend::{Backend, Result};
use crate::error::{Cause, Error};

/// Work that stopped half-way: what was done until then, and why it stopped.
#[derive(Debug)]
pub struct Partial<T> {
    /// What was done.
    pub done: T,
    /// Why it stopped.
    pub error: Error,
}

impl<T> fmt::Display for Partial<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for Partial<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// What is told while an engine is tidied.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A container of this name is stopped.
    Stops(&'a str),
    /// A container of this name, or an image of this ID, is removed.
    Removes(&'a str),
    /// A container with this ID did not stop in time, and is killed.
    Kills(&'a str),
    /// This failed, and the work goes on.
    Skips(&'a Error),
}

/// Is told what happens.
pub type Tell<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// How the removal of one thing after the other goes on.
struct Removal<'a> {
    backend: &'a dyn Backend,
    /// What the things are, in the plural.
    what: &'static str,
    /// End at the first failure.
    raise: bool,
    cancel: &'a CancellationToken,
    tell: Tell<'a>,
}

/// Removes one thing after the other, until the work is cancelled. What is gone already counts as removed; other
/// failures are told, or end the work.
async fn remove_each<T: Clone>(
    things: &[T],
    removal: &Removal<'_>,
    name: impl Fn(&T) -> &str,
    remove: impl AsyncFn(&T) -> Result<()>,
) -> Result<Vec<T>, Partial<Vec<T>>> {
    let Removal { backend, what, raise, cancel, tell } = *removal;
    let mut done = Vec::with_capacity(things.len());
    for (number, thing) in things.iter().enumerate() {
        if cancel.is_cancelled() {
            let error =
                cancelled(backend, &format!("remove {} of {} {what}", things.len() - number, things.len()));
            return Err(Partial { done, error });
        }
        tell(Event::Removes(name(thing)));
        match remove(thing).await {
            Err(error) if !error.is_not_found() => {
                // Nothing else can succeed on a host that is gone.
                if raise || error.is_unreachable() {
                    return Err(Partial { done, error });
                }
                tell(Event::Skips(&error));
            }
            _ => done.push(thing.clone()),
        }
    }
    Ok(done)
}

/// The error of work that was cancelled before this.
fn cancelled(backend: &dyn Backend, operation: &str) -> Error {
    Error { operation: operation.to_owned(), host: backend.host().to_owned(), cause: Cause::Cancelled }
}
