//! How wide the receive windows of channels are.
//!
//! A window is as wide as what is under way to its stream at its speed, and some more: what a server may send without
//! hearing from us must fill the way to it and back. No wider, for what exceeds that is read ahead by sshd into a
//! buffer which it copies as a whole each time that it grows by 32 KiB (`sshbuf_allocate` in OpenSSH 9.2): with 16 MiB
//! to spare, a server of 300 MiB/s sent 3 MiB/s for two seconds; and sixteen streams with 2 MiB each cost it more than
//! twice the work of one. So the streams that bring something at a time share what they have more. Not so little that
//! libssh2, which keeps a window at [`WINDOW`] by granting every packet anew, comes before the larger steps made here.
//!
//! A reader may stop, so all windows of a connection share what they may take, too.

use std::time::{Duration, Instant};

/// Channel window at the start, which libssh2 keeps; with [`READ`] added, as it must let a whole read in.
pub(super) const WINDOW: u32 = 128 * 1024;

/// Bytes that a read asks for.
pub(super) const READ: u32 = 64 * 1024;

/// The largest: 32 MiB carry 600 MiB/s over 50 ms.
const WINDOW_MAX: u32 = 32 * 1024 * 1024;

/// How much wider than [`WINDOW`] all windows of a connection may be together.
const SPARE: u32 = 64 * 1024 * 1024;

/// How much wider a window is than what is under way: a part of that, for the line may take more or the way become
/// longer, and the bytes by which a window grows in a round trip.
const MARGIN: (f64, u32) = (0.1, 3 * 1024 * 1024);

/// What all busy streams share of those bytes.
const MARGINS: u32 = 8 * 1024 * 1024;

/// Fewer bytes than this in a period are no reason for a wider window.
const LITTLE: u32 = 16 * 1024;

/// A window is widened by a sixteenth of its size at least, and a small one by a quarter up to so many bytes: each
/// widening is a packet, which the server wakes up for.
const STEP: u32 = 512 * 1024;

/// The speed of a stream is the highest of so many periods: a pause of the host's or ours says nothing of the line.
const PERIODS: usize = 3;

/// The shortest period. Bytes of a near host come in bursts.
const PERIOD: Duration = Duration::from_millis(10);

/// What the windows of a connection have in common.
#[derive(Debug)]
pub(super) struct Path {
    /// The shortest time that an open took, as a measure of a round trip. The time of the TCP
    /// connection would be one to the nearest proxy only.
    pub(super) round_trip: Duration,
    /// What is left to widen windows by.
    pub(super) spare: u32,
    /// The number of the present period, and when it began.
    period: (u64, Option<Instant>),
    /// Streams that brought something in this period, and in the one before.
    busy: (u32, u32),
}

impl Default for Path {
    fn default() -> Self {
        Self { round_trip: Duration::MAX, spare: SPARE, period: (1, None), busy: (0, 0) }
    }
}

impl Path {
    /// One that widens no window.
    #[cfg(test)]
    pub(super) fn narrow() -> Self {
        Self { spare: 0, ..Self::default() }
    }

    /// How long a period is.
    fn length(&self) -> Duration {
        self.round_trip.max(PERIOD)
    }

    /// Counts the stream that was last counted in period `counted`. Returns how many are busy, with this one.
    fn busy(&mut self, counted: &mut u64, now: Instant) -> u32 {
        let length = self.length();
        let (number, since) = &mut self.period;
        if now.saturating_duration_since(*since.get_or_insert(now)) >= length {
            (*number, *since) = (*number + 1, Some(now));
            self.busy = (0, self.busy.0);
        }
        if std::mem::replace(counted, *number) != *number {
            self.busy.0 += 1;
        }
        self.busy.0.max(self.busy.1)
    }
}

/// The receive window of a channel.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    /// What it took of [`Path::spare`]: more than `size` asks for while what was granted is not used up.
    widened: u32,
    /// When the period began.
    since: Option<Instant>,
    /// Bytes taken in it.
    taken: u32,
    /// Speeds of the last periods, in bytes a second.
    speeds: [f64; PERIODS],
    /// The last period of [`Path`] in which it counts as busy.
    counted: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW, widened: 0, since: None, taken: 0, speeds: [0.0; PERIODS], counted: 0 }
    }
}

impl Window {
    /// One that counts as grown.
    #[cfg(test)]
    pub(super) fn grown_to(size: u32) -> Self {
        Self { size, widened: size - WINDOW, ..Self::default() }
    }

    /// What it took of [`Path::spare`].
    pub(super) fn widened(&self) -> u32 {
        self.widened
    }

    /// Notes that the caller took bytes, after which the server may send `granted` more. Returns by how much to widen
    /// that.
    pub(super) fn taken(&mut self, bytes: u32, granted: u32, now: Instant, path: &mut Path) -> Option<u32> {
        self.taken = self.taken.saturating_add(bytes);
        let busy = path.busy(&mut self.counted, now);
        let period = now.saturating_duration_since(*self.since.get_or_insert(now));
        if period >= path.length() {
            self.since = Some(now);
            self.speeds.rotate_left(1);
            self.speeds[PERIODS - 1] = f64::from(std::mem::take(&mut self.taken)) / period.as_secs_f64();
            self.resize(granted, busy, path);
        }
        // libssh2 grants what keeps it at WINDOW.
        let more = self.size.saturating_sub(granted);
        let step = (self.size / 16).max((self.size / 4).min(STEP));
        (self.size > WINDOW && more >= step).then_some(more)
    }

    fn resize(&mut self, granted: u32, busy: u32, path: &mut Path) {
        let speed = self.speeds.iter().copied().fold(0.0, f64::max);
        let under_way = speed * path.round_trip.as_secs_f64();
        let most = WINDOW + (self.widened + path.spare).min(WINDOW_MAX - WINDOW);
        // Not judged by what is under way: the shortest round trip is that of a quiet line and an idle host, and data
        // takes several times as long where either is busy.
        self.size = if speed * path.length().as_secs_f64() < f64::from(LITTLE) {
            WINDOW
        } else {
            let (part, bytes) = MARGIN;
            // A number that is too large becomes the largest.
            let ahead = ((under_way * (1.0 + part)) as u32).saturating_add(bytes.min(MARGINS / busy));
            ahead.max(WINDOW).min(most)
        };
        let widened = self.size.max(granted.saturating_sub(READ).min(most)) - WINDOW;
        path.spare = path.spare + self.widened - widened;
        self.widened = widened;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MIB: u32 = 1024 * 1024;

    /// A server that always has something to send, a line that carries `speed` MiB/s, and libssh2's part of granting.
    struct Download {
        now: Instant,
        round_trip: Duration,
        speed: f64,
        /// What the server may send.
        credit: f64,
        /// Grants on their way to the server, and bytes on theirs to us.
        grants: VecDeque<(Instant, f64)>,
        bytes: VecDeque<(Instant, f64)>,
        granted: f64,
        window: Window,
    }

    /// Takes from a line what has reached its end.
    fn arrived(line: &mut VecDeque<(Instant, f64)>, now: Instant) -> f64 {
        let mut sum = 0.0;
        while let Some(&(due, amount)) = line.front()
            && due <= now
        {
            sum += amount;
            line.pop_front();
        }
        sum
    }

    impl Download {
        fn new(round_trip: Duration, speed: f64) -> Self {
            Self {
                now: Instant::now(),
                round_trip,
                speed,
                credit: f64::from(WINDOW),
                grants: VecDeque::new(),
                bytes: VecDeque::new(),
                granted: f64::from(WINDOW),
                window: Window::default(),
            }
        }

        fn grant(&mut self, more: f64) {
            self.granted += more;
            self.grants.push_back((self.now + self.round_trip / 2, more));
        }

        /// Goes on for a time. Returns the mean speed in MiB/s.
        fn run(&mut self, time: Duration, path: &mut Path) -> f64 {
            const TICK: Duration = Duration::from_micros(100);
            let (mut total, end) = (0.0, self.now + time);
            while self.now < end {
                self.now += TICK;
                self.credit += arrived(&mut self.grants, self.now);
                let sent = self.credit.min(self.speed * f64::from(MIB) * TICK.as_secs_f64());
                self.credit -= sent;
                self.bytes.push_back((self.now + self.round_trip / 2, sent));
                let came = arrived(&mut self.bytes, self.now);
                if came == 0.0 {
                    continue;
                }
                total += came;
                self.granted -= came;
                if self.granted < f64::from(WINDOW / 4 * 3 + READ) {
                    self.grant(f64::from(WINDOW + READ) - self.granted);
                }
                if let Some(more) = self.window.taken(came as u32, self.granted as u32, self.now, path) {
                    self.grant(f64::from(more));
                }
            }
            total / time.as_secs_f64() / f64::from(MIB)
        }
    }

    fn path(round_trip: Duration) -> Path {
        Path { round_trip, ..Path::default() }
    }

    #[test]
    fn a_far_line_is_filled_and_little_more() {
        for (milliseconds, speed) in [(20, 100.0), (50, 100.0), (50, 300.0), (100, 100.0), (200, 100.0)] {
            let round_trip = Duration::from_millis(milliseconds);
            let (mut far, mut way) = (Download::new(round_trip, speed), path(round_trip));
            far.run(round_trip * 30, &mut way);
            let reached = far.run(round_trip * 10, &mut way);
            assert!(reached > 0.98 * speed, "{reached:.1} of {speed} MiB/s over {milliseconds} ms");
            let under_way = speed * round_trip.as_secs_f64() * f64::from(MIB);
            let ahead = f64::from(far.window.size) - under_way;
            assert!(ahead < 0.15 * under_way + 3.1 * f64::from(MIB), "{ahead} bytes more than are under way");
        }
    }

    #[test]
    fn windows_end_at_the_largest() {
        let round_trip = Duration::from_millis(200);
        let (mut far, mut way) = (Download::new(round_trip, 1000.0), path(round_trip));
        far.run(round_trip * 60, &mut way);
        assert_eq!((far.window.size, way.spare), (WINDOW_MAX, SPARE - (WINDOW_MAX - WINDOW)));
    }

    /// Sixteen streams cost a near server more than twice the work of one when each could fall behind by as much.
    #[test]
    fn busy_streams_share_what_they_may_fall_behind() {
        let round_trip = Duration::from_micros(200);
        let ahead = |count: u32| {
            let mut way = path(round_trip);
            let mut all: Vec<_> = (0..count).map(|_| Download::new(round_trip, 500.0)).collect();
            for _ in 0..400 {
                for download in &mut all {
                    download.run(Duration::from_millis(1), &mut way);
                }
            }
            all.iter().map(|download| download.window.size).sum::<u32>()
        };
        let (one, sixteen) = (ahead(1), ahead(16));
        assert!((3 * MIB..4 * MIB).contains(&one), "{one}");
        assert!((8 * MIB..10 * MIB).contains(&sixteen), "{sixteen}");
    }

    /// Nobody needs a wider window for the lines of a log.
    #[test]
    fn slow_streams_leave_their_windows_as_they_are() {
        let round_trip = Duration::from_millis(1);
        let (mut slow, mut way) = (Download::new(round_trip, 0.1), path(round_trip));
        slow.run(Duration::from_secs(1), &mut way);
        assert_eq!((slow.window.size, way.spare), (WINDOW, SPARE));
    }

    /// A window that was used up did not grow where data took several times as long as the shortest round trip.
    #[test]
    fn a_busy_line_does_not_keep_windows_small() {
        let (mut busy, mut way) =
            (Download::new(Duration::from_millis(60), 100.0), path(Duration::from_millis(10)));
        let before = f64::from(WINDOW) / 0.06 / f64::from(MIB);
        let reached = busy.run(Duration::from_secs(4), &mut way);
        assert!(reached > 1.5 * before, "{reached:.1} instead of {before:.1} MiB/s");
    }

    /// What a slower line does not carry would lie in the server's buffer.
    #[test]
    fn a_line_that_slows_down_narrows_the_window() {
        let round_trip = Duration::from_millis(50);
        let (mut far, mut way) = (Download::new(round_trip, 300.0), path(round_trip));
        far.run(Duration::from_secs(2), &mut way);
        assert!(far.window.size > 16 * MIB);
        far.speed = 20.0;
        far.run(Duration::from_secs(2), &mut way);
        assert!(far.window.size < 5 * MIB && far.granted < f64::from(5 * MIB));
        assert_eq!(way.spare, SPARE - far.window.widened());
        far.speed = 300.0;
        far.run(Duration::from_secs(2), &mut way);
        assert!(far.run(Duration::from_secs(1), &mut way) > 290.0);
    }

    #[test]
    fn windows_share_what_a_connection_may_take() {
        let round_trip = Duration::from_millis(100);
        let mut way = path(round_trip);
        let mut all: Vec<_> = (0..8).map(|_| Download::new(round_trip, 400.0)).collect();
        let widened = |all: &[Download]| all.iter().map(|download| download.window.widened()).sum::<u32>();
        for _ in 0..40 {
            for download in &mut all {
                download.run(round_trip, &mut way);
            }
            assert_eq!(widened(&all) + way.spare, SPARE);
        }
        assert_eq!(way.spare, 0);
        // Slow ones give up theirs, as what they were granted is used up.
        for _ in 0..40 {
            for download in &mut all {
                download.speed = 0.1;
                download.run(round_trip * 30, &mut way);
            }
            assert_eq!(widened(&all) + way.spare, SPARE);
        }
        assert_eq!(way.spare, SPARE);
    }
}
