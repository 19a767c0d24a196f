//! How wide the receive windows of channels are.
//!
//! libssh2 keeps a window at [`WINDOW`]. Ours widens it as soon as it may be what sets the stream's speed: what a
//! server may send without hearing from us must at least fill the way to it and back. Memory follows the slowness of
//! the reader, not the window, but a reader may stop, so all windows of a connection share what they may take.

use std::time::{Duration, Instant};

/// Channel window at the start, which is libssh2's own.
pub(super) const WINDOW: u32 = 2 * 1024 * 1024;

/// The largest: 32 MiB carry 640 MiB/s over 50 ms.
const WINDOW_MAX: u32 = 32 * 1024 * 1024;

/// How much wider than [`WINDOW`] all windows of a connection may be together.
const SPARE: u32 = 64 * 1024 * 1024;

/// What the windows of a connection have in common.
#[derive(Debug)]
pub(super) struct Path {
    /// The shortest time that an open took, as a measure of a round trip. The time of the TCP
    /// connection would be one to the nearest proxy only.
    pub(super) round_trip: Duration,
    /// What is left to widen windows by.
    pub(super) spare: u32,
}

impl Default for Path {
    fn default() -> Self {
        Self { round_trip: Duration::MAX, spare: SPARE }
    }
}

/// The receive window of a channel.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    consumed: u32,
    since: Option<Instant>,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW, consumed: 0, since: None }
    }
}

impl Window {
    /// One that counts as grown.
    #[cfg(test)]
    pub(super) fn grown_to(size: u32) -> Self {
        Self { size, ..Self::default() }
    }

    /// How much wider it is than at the start.
    pub(super) fn widened(&self) -> u32 {
        self.size - WINDOW
    }

    /// Notes that the caller took bytes. Returns by how much to widen what libssh2 granted.
    pub(super) fn consumed(&mut self, bytes: u32, path: &mut Path) -> Option<u32> {
        self.consumed += bytes;
        if self.consumed < self.size / 4 {
            return None;
        }
        let now = Instant::now();
        let took = self.since.replace(now).map(|since| now - since);
        let consumed = std::mem::take(&mut self.consumed);
        // What libssh2 does not give back by itself: everything beyond its own window.
        let give_back = if self.size == WINDOW { 0 } else { consumed };
        let more = match took.map(|took| self.used(consumed, took, path.round_trip)) {
            // The shortest round trip is that of a quiet line and an idle host. Data takes several times as long
            // where either is busy, so that an eighth of the window may be all that comes in that time.
            Some(used) if used >= 1.0 / 8.0 => {
                let grow = self.size.min(WINDOW_MAX - self.size).min(path.spare);
                self.size += grow;
                path.spare -= grow;
                give_back + grow
            }
            Some(used) if used < 1.0 / 64.0 => {
                let shrink = self.widened().min(give_back);
                self.size -= shrink;
                path.spare += shrink;
                give_back - shrink
            }
            _ => give_back,
        };
        (more > 0).then_some(more)
    }

    /// The part of the window that a stream of this speed takes within a round trip.
    fn used(&self, bytes: u32, took: Duration, round_trip: Duration) -> f64 {
        // Not zero: two looks at a coarse clock may show the same time.
        let took = took.as_secs_f64().max(1e-9);
        f64::from(bytes) / took * round_trip.as_secs_f64() / f64::from(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(round_trip: Duration) -> Path {
        Path { round_trip, ..Path::default() }
    }

    #[test]
    fn windows_grow_only_when_they_limit_the_stream() {
        let (mut far, mut way) = (Window::default(), path(Duration::from_secs(1)));
        for _ in 0..200 {
            far.consumed(WINDOW / 8, &mut way);
        }
        assert_eq!(far.size, WINDOW_MAX);
        let (mut near, mut way) = (Window::default(), path(Duration::ZERO));
        for _ in 0..200 {
            assert_eq!(near.consumed(WINDOW / 8, &mut way), None);
        }
        assert_eq!((near.size, way.spare), (WINDOW, SPARE));
    }

    /// A window that was used up did not grow where data took twice as long as the shortest round trip.
    #[test]
    fn a_busy_line_does_not_keep_windows_small() {
        let (mut window, mut way) = (Window::default(), path(Duration::from_millis(10)));
        // A full window each 60 ms.
        for _ in 0..8 {
            window.since = Instant::now().checked_sub(Duration::from_millis(15));
            window.consumed(WINDOW / 4, &mut way);
        }
        assert!(window.size > WINDOW);
    }

    #[test]
    fn a_grown_window_gives_back_what_was_taken() {
        let (mut window, mut way) = (Window::grown_to(WINDOW_MAX), path(Duration::from_secs(1)));
        let mut given = 0;
        for _ in 0..1000 {
            given += u64::from(window.consumed(64 * 1024, &mut way).unwrap_or_default());
        }
        let taken = 1000 * 64 * 1024;
        assert!(taken - given <= u64::from(WINDOW_MAX / 4), "{taken} taken, {given} given back");
    }

    #[test]
    fn windows_share_what_a_connection_may_take() {
        let mut way = path(Duration::from_secs(1));
        let mut windows: Vec<Window> = (0..8).map(|_| Window::default()).collect();
        for _ in 0..200 {
            for window in &mut windows {
                window.consumed(WINDOW, &mut way);
            }
        }
        assert_eq!(windows.iter().map(Window::widened).sum::<u32>(), SPARE);
        assert_eq!(way.spare, 0);
        // Slow ones give up theirs, by not giving back what was taken.
        way.round_trip = Duration::ZERO;
        let mut given = 0;
        for _ in 0..200 {
            for window in &mut windows {
                given += window.consumed(WINDOW / 4, &mut way).unwrap_or_default();
            }
        }
        assert_eq!((way.spare, given), (SPARE, 0));
    }
}
