//! Ctrl-C and termination: remembered, so that whoever made something can remove it first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP: the first one is remembered, a second one ends the program.
pub fn install() -> Result<()> {
    let requested = REQUESTED.get_or_init(Default::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Order matters: the conditional exit sees the flag as it was before this signal.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(requested))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(requested)))
            .context("cannot take over signals")?;
    }
    Ok(())
}

/// Returns whether the program was asked to end.
pub fn requested() -> bool {
    REQUESTED.get().is_some_and(|requested| requested.load(Ordering::Relaxed))
}

/// Forgets a request, so that the commands of a clean-up run to their end. Returns what it was.
pub fn suspend() -> bool {
    REQUESTED.get().is_some_and(|requested| requested.swap(false, Ordering::Relaxed))
}

/// Brings a request back after [`suspend`].
pub fn resume(was_requested: bool) {
    if let (true, Some(requested)) = (was_requested, REQUESTED.get()) {
        requested.store(true, Ordering::Relaxed);
    }
}

/// Fails when the program was asked to end.
pub fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}
