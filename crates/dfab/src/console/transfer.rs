//! What takes a while: images and files on their way, builds, work on a host. A bar on a terminal, now and then a plain
//! line elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfab_client::backend::PullProgress;
use dfab_client::transfer::Progress;
use indexmap::IndexMap;

use super::Console;
use super::progress::Activity;
use crate::text::seconds;

/// Between two plain lines about one transfer. What is quicker has its result only.
const PLAIN: Duration = Duration::from_secs(5);

/// A transfer under way; what is drawn of it disappears when this is dropped.
#[derive(Debug)]
pub struct Transfer<'a> {
    console: &'a Console,
    activity: Activity,
    host: Option<String>,
    what: String,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    layers: IndexMap<String, Layer>,
    plain: Instant,
}

/// How far a layer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layer {
    /// Bytes so far and in all; zero where the engine has not said.
    bytes: (u64, u64),
    finished: bool,
}

impl<'a> Transfer<'a> {
    /// Shows that something is on its way: `pull image nginx`.
    pub fn new(console: &'a Console, host: Option<&str>, what: &str) -> Self {
        let activity = console.progress.start(host, what);
        let state = State { layers: IndexMap::new(), plain: Instant::now() };
        Self {
            console,
            activity,
            host: host.map(str::to_owned),
            what: what.to_owned(),
            begun: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// A pull has moved on.
    pub fn pull(&self, progress: &PullProgress) {
        self.layer(&progress.layer, &progress.status, progress.bytes);
    }

    /// A push or a load has moved on, or a build pulls.
    pub fn progress(&self, progress: &Progress) {
        match progress {
            Progress::Line(line) => self.layer("", line, None),
            Progress::Layer { id, status, bytes } => self.layer(id, status, *bytes),
        }
    }

    /// So many bytes have come or gone, of so many where that is known.
    pub fn bytes(&self, done: u64, all: Option<u64>) {
        match all.filter(|all| *all > 0) {
            Some(all) => self.say(bar(done, all, self.width()), sizes(done, all)),
            None => self.say(String::new(), mebibytes(done)),
        }
    }

    /// A build has printed a line, which may tell at which step it is.
    pub fn step(&self, line: &str) {
        if let Some((step, all)) = step_of(line) {
            // The step that runs is not done. Its plain lines are those of the build.
            let bar = bar(step - 1, all, self.width());
            self.activity.say_of(self.host.as_deref(), &bar, &self.what, &format!("step {step} of {all}"));
        }
    }

    /// So many bytes have gone, and what is done with them has not begun.
    pub fn sent(&self, bytes: u64) {
        self.say(String::new(), format!("{} sent", mebibytes(bytes)));
    }

    /// It goes on, and nothing tells how far it is: on a terminal its time runs, elsewhere a line says so.
    pub fn goes_on(&self) {
        self.plain(|| seconds(self.begun.elapsed().as_secs_f64()));
    }

    fn layer(&self, id: &str, status: &str, bytes: Option<(u64, u64)>) {
        let (bar, text) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !id.is_empty() && !status.starts_with("Pulling from") {
                let layer = state.layers.entry(id.to_owned()).or_default();
                *layer = layer.after(status, bytes);
            }
            let (bar, text) = layers(&state.layers, self.width());
            (bar, text.unwrap_or_else(|| status.to_owned()))
        };
        self.say(bar, text);
    }

    fn say(&self, bar: String, text: String) {
        // The bar first: lines of several hosts stand under each other.
        self.activity.say_of(self.host.as_deref(), &bar, &self.what, &text);
        self.plain(|| text);
    }

    /// Prints a line where nothing is drawn, unless there was one a moment ago.
    fn plain(&self, text: impl FnOnce() -> String) {
        if self.console.progress.is_drawn() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.plain.elapsed() >= PLAIN {
            state.plain = Instant::now();
            self.console.progress_line(self.host.as_deref(), &format!("{}: {}", self.what, text()));
        }
    }

    /// Nothing is drawn without a terminal, and no bar has a place in a plain line.
    fn width(&self) -> usize {
        if self.console.progress.is_drawn() { self.console.bar_width() } else { 0 }
    }
}

impl Layer {
    /// Returns the layer after a line of the engine about it.
    fn after(self, status: &str, bytes: Option<(u64, u64)>) -> Self {
        const FINISHED: [&str; 6] = [
            "Pull complete",
            "Already exists",
            "Layer already exists",
            "Pushed",
            "Mounted from",
            "Download complete",
        ];
        if FINISHED.iter().any(|finished| status.starts_with(finished)) {
            return Self { bytes: (self.bytes.1, self.bytes.1), finished: true };
        }
        match bytes {
            // What is unpacked has come already.
            Some((done, all)) if all > 0 && !status.starts_with("Extracting") => {
                Self { bytes: (done.min(all), all), finished: false }
            }
            _ => self,
        }
    }
}

/// Reads `Step 2/5 : RUN x` of the classic builder, and `#7 [build 2/5] RUN x` of BuildKit.
fn step_of(line: &str) -> Option<(u64, u64)> {
    let numbers = match line.strip_prefix("Step ") {
        Some(rest) => rest.split(' ').next()?,
        None => {
            let (_, rest) = line.strip_prefix('#')?.split_once(" [")?;
            rest.split(']').next()?.rsplit(' ').next()?
        }
    };
    let (step, all) = numbers.split_once('/')?;
    let (step, all) = (step.parse::<u64>().ok()?, all.parse::<u64>().ok()?);
    (1..=all).contains(&step).then_some((step, all))
}

/// Does work while `tell` is called ten times a second: for what does not tell itself how far it is.
pub async fn watched<'a, T>(
    transfer: &Transfer<'a>,
    tell: impl Fn(&Transfer<'a>),
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            end = &mut work => return end,
            _ = pause.tick() => tell(transfer),
        }
    }
}

/// From this width of a bar on there is room for both the sizes and the number of layers.
const WIDE: usize = 24;

/// Returns a bar for all layers, and how far they are in words; `None` while nothing is known.
fn layers(layers: &IndexMap<String, Layer>, width: usize) -> (String, Option<String>) {
    let sum = |part: fn(&Layer) -> u64| layers.values().map(part).sum::<u64>();
    let (done, all) = (sum(|layer| layer.bytes.0), sum(|layer| layer.bytes.1));
    let finished = layers.values().filter(|layer| layer.finished).count();
    let counted = (layers.len() > 1).then(|| format!("{finished} of {} layers", layers.len()));
    let text = match (all, counted) {
        (0, counted) => counted,
        (_, Some(counted)) if width == 0 || width >= WIDE => Some(format!("{}, {counted}", sizes(done, all))),
        _ => Some(sizes(done, all)),
    };
    (bar(done, all, width), text)
}

/// Returns `12.3 of 40.1 MiB`.
fn sizes(done: u64, all: u64) -> String {
    format!("{:.1} of {}", done as f64 / f64::from(1 << 20), mebibytes(all))
}

/// Returns a bar of this many characters.
pub fn bar(done: u64, all: u64, width: usize) -> String {
    let full = (u128::from(done.min(all)) * width as u128 / u128::from(all.max(1))) as usize;
    format!("{}{}", "━".repeat(full), "╌".repeat(width - full))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_summed_to_one_bar() {
        const M: u64 = 1 << 20;
        let mut state = IndexMap::new();
        let mut after = |id: &str, status: &str, bytes: Option<(u64, u64)>| {
            let layer = state.entry(id.to_owned()).or_insert_with(Layer::default);
            *layer = layer.after(status, bytes);
            let (bar, narrow) = layers(&state, 8);
            (bar, narrow, layers(&state, 0).1)
        };
        let cases = [
            (("a", "Pulling fs layer", None), "╌╌╌╌╌╌╌╌", None, None),
            (
                ("a", "Downloading", Some((M, 4 * M))),
                "━━╌╌╌╌╌╌",
                Some("1.0 of 4.0 MiB"),
                Some("1.0 of 4.0 MiB"),
            ),
            (
                ("b", "Waiting", None),
                "━━╌╌╌╌╌╌",
                Some("1.0 of 4.0 MiB"),
                Some("1.0 of 4.0 MiB, 0 of 2 layers"),
            ),
            (
                ("b", "Downloading", Some((0, 4 * M))),
                "━╌╌╌╌╌╌╌",
                Some("1.0 of 8.0 MiB"),
                Some("1.0 of 8.0 MiB, 0 of 2 layers"),
            ),
            (
                ("a", "Download complete", None),
                "━━━━╌╌╌╌",
                Some("4.0 of 8.0 MiB"),
                Some("4.0 of 8.0 MiB, 1 of 2 layers"),
            ),
            (
                ("a", "Extracting", Some((M, 4 * M))),
                "━━━━╌╌╌╌",
                Some("4.0 of 8.0 MiB"),
                Some("4.0 of 8.0 MiB, 1 of 2 layers"),
            ),
            (
                ("b", "Already exists", None),
                "━━━━━━━━",
                Some("8.0 of 8.0 MiB"),
                Some("8.0 of 8.0 MiB, 2 of 2 layers"),
            ),
        ];
        for ((id, status, bytes), bar, narrow, plain) in cases {
            let (got_bar, got_narrow, got_plain) = after(id, status, bytes);
            assert_eq!(
                (got_bar.as_str(), got_narrow.as_deref(), got_plain.as_deref()),
                (bar, narrow, plain),
                "{id} {status}"
            );
        }
    }

    #[test]
    fn lines_of_a_build_tell_its_step() {
        for (line, expected) in [
            ("Step 2/5 : RUN x", Some((2, 5))),
            ("#7 [2/5] RUN x", Some((2, 5))),
            ("#7 [build 2/5] COPY . /srv", Some((2, 5))),
            ("#3 [internal] load metadata", None),
            ("Step 0/5 : x", None),
            ("Step 6/5 : x", None),
            ("Step by step", None),
            (" ---> Running in 0123456789ab", None),
        ] {
            assert_eq!(step_of(line), expected, "{line}");
        }
    }

    #[test]
    fn a_bar_is_as_wide_as_it_should_be() {
        assert_eq!((bar(0, 0, 4), bar(9, 3, 4)), ("╌╌╌╌".to_owned(), "━━━━".to_owned()));
        assert_eq!(sizes(1 << 19, 1 << 20), "0.5 of 1.0 MiB");
    }
}
