//! What moves on a terminal: one line for each thing under way. Without a terminal nothing is drawn.

use std::time::Duration;

use super::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The area below the lines.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
    /// Characters that the text of a line may take.
    width: usize,
}

/// One thing under way; it disappears when this is dropped.
#[derive(Debug)]
pub struct Activity {
    bar: Option<ProgressBar>,
    width: usize,
}

/// Columns of a line that are not its text: the spinner, the time, and room for the `^C` that the terminal writes.
const BESIDE: usize = 12;

impl Progress {
    /// Makes the area for a terminal of this width; it stays empty unless `on`.
    pub fn new(on: bool, width: usize) -> Self {
        let target = || ProgressDrawTarget::term_like_with_hz(Box::new(Screen::new(width)), 10);
        Self {
            bars: on.then(|| MultiProgress::with_draw_target(target())),
            width: width.saturating_sub(BESIDE),
        }
    }

    /// Shows that something is under way.
    pub fn start(&self, host: Option<&str>, text: &str) -> Activity {
        let Some(bars) = &self.bars else { return Activity { bar: None, width: 0 } };
        let bar = bars.add(ProgressBar::new_spinner());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}").expect("a valid template"),
        );
        bar.set_message(line(host, text, self.width));
        // The first tick comes after the interval: quick work shows nothing (style §10).
        bar.enable_steady_tick(Duration::from_millis(120));
        Activity { bar: Some(bar), width: self.width }
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
            bar.set_message(line(host, text, self.width));
        }
    }
}

/// Returns a line of exactly this width, so that the times after it stand under each other: cut, it does not wrap.
fn line(host: Option<&str>, text: &str, width: usize) -> String {
    let text = match host {
        Some(host) => format!("[{host}] {text}"),
        None => text.to_owned(),
    };
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_have_one_width() {
        assert_eq!(line(Some("h"), "pull x", 12), "[h] pull x  ");
        assert_eq!(line(None, "pull something long", 12), "pull someth…");
    }
}
