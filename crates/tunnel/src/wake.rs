//! How async callers get the owner thread's attention: a list of what changed, and an eventfd that
//! ends its `poll`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::lock;

/// The bell of one owner thread.
#[derive(Debug)]
pub(crate) struct Wake {
    event: OwnedFd,
    /// Rung and not yet heard: saves the system call for all rings but the first.
    rung: AtomicBool,
    /// Channels whose callers did something.
    marked: Mutex<Vec<u32>>,
}

impl Wake {
    /// Makes a bell.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            rung: AtomicBool::new(false),
            marked: Mutex::default(),
        })
    }

    /// Wakes the owner.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // The counter cannot overflow with one write per hearing; nothing else can fail.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// Notes a channel and wakes the owner.
    pub(crate) fn mark(&self, channel: u32) {
        lock(&self.marked).push(channel);
        self.ring();
    }

    /// Takes the notes. What is rung after this call ends the next `poll`. `readable` is what the last
    /// `poll` said about the bell: a ring is seen as "rung" a moment before its event is written.
    pub(crate) fn hear(&self, readable: bool) -> Vec<u32> {
        if readable || self.rung.load(Ordering::Acquire) {
            let _ = rustix::io::read(&self.event, &mut [0; 8]);
            self.rung.store(false, Ordering::Release);
        }
        std::mem::take(&mut *lock(&self.marked))
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
