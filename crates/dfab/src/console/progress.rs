//! What moves on a terminal: one line for each thing under way. Without a terminal nothing is drawn.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The area below the lines.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
}

/// One thing under way; it disappears when this is dropped.
#[derive(Debug)]
pub struct Activity {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Makes the area; it stays empty unless `on`.
    pub fn new(on: bool) -> Self {
        let target = || ProgressDrawTarget::stderr_with_hz(10);
        Self { bars: on.then(|| MultiProgress::with_draw_target(target())) }
    }

    /// Shows that something is under way.
    pub fn start(&self, host: Option<&str>, text: &str) -> Activity {
        let Some(bars) = &self.bars else { return Activity { bar: None } };
        let bar = bars.add(ProgressBar::new_spinner());
        bar.set_style(
            // A line that is too long for the terminal is cut: it must not wrap.
            ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:.dim}").expect("a valid template"),
        );
        bar.set_message(line(host, text));
        // The first tick comes after the interval: quick work shows nothing (style §10).
        bar.enable_steady_tick(Duration::from_millis(120));
        Activity { bar: Some(bar) }
    }

    /// Tells whether anything is drawn.
    pub fn is_drawn(&self) -> bool {
        self.bars.is_some()
    }

    /// Runs `write` while the area is cleared.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl Activity {
    /// Says how far it is.
    pub fn say(&self, host: Option<&str>, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line(host, text));
        }
    }
}

fn line(host: Option<&str>, text: &str) -> String {
    match host {
        Some(host) => format!("[{host}] {text}"),
        None => text.to_owned(),
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
