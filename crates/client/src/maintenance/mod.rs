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
use crate::backend::Result;
use crate::error::Error;

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

/// Removes one thing after the other. What is gone already counts as removed; other failures are told
/// to `skipped`, or end the work where `raise` is set.
async fn remove_each<T: Clone>(
    things: &[T],
    raise: bool,
    skipped: &(dyn Fn(&Error) + Send + Sync),
    remove: impl AsyncFn(&T) -> Result<()>,
) -> Result<Vec<T>, Partial<Vec<T>>> {
    let mut done = Vec::with_capacity(things.len());
    for thing in things {
        match remove(thing).await {
            Err(error) if !error.is_not_found() => {
                // Nothing else can succeed on a host that is gone.
                if raise || error.is_unreachable() {
                    return Err(Partial { done, error });
                }
                skipped(&error);
            }
            _ => done.push(thing.clone()),
        }
    }
    Ok(done)
}
