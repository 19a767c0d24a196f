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

    /// Says how far a thing is: what stands before its name and after it is kept, and the name cut as needed.
    pub fn say_of(&self, host: Option<&str>, before: &str, name: &str, after: &str) {
        if let Some(bar) = &self.bar {
            let prefix = host.map_or(0, |host| host.chars().count() + 3);
            let text = around(before, name, after, self.width.saturating_sub(prefix));
            bar.set_message(line(host, &text, self.width));
        }
    }
}

/// Characters of a name that still tell which it is.
const TELLING: usize = 12;

/// Puts a name between two texts. Of a long name, such as `pull registry.example.com/team/app:1`, the beginning goes:
/// the end tells one image from another. Where too little of it would be left, the text after it goes first.
fn around(before: &str, name: &str, after: &str, width: usize) -> String {
    let join = |parts: [&str; 3]| {
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    };
    // Two blanks before what follows the name.
    let after = if after.is_empty() { String::new() } else { format!(" {after}") };
    let whole = join([before, name, &after]);
    let (length, own) = (whole.chars().count(), name.chars().count());
    if length <= width {
        return whole;
    }
    let left = (width + own).saturating_sub(length);
    let (verb, rest) = name.split_once(' ').map_or(("", name), |(verb, rest)| (verb, rest));
    let room = left.saturating_sub(verb.chars().count() + 2);
    if room < TELLING {
        return if after.is_empty() { whole } else { around(before, name, "", width) };
    }
    let skipped = rest.chars().count().saturating_sub(room);
    let end: String = rest.chars().skip(skipped).collect();
    join([before, &join([verb, &format!("…{end}"), ""]), &after])
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
    use super::{around, line};

    #[test]
    fn lines_have_one_width() {
        assert_eq!(line(Some("h"), "pull x", 12), "[h] pull x  ");
        assert_eq!(line(None, "pull something long", 12), "pull someth…");
    }

    #[test]
    fn of_a_long_name_the_end_stays() {
        for (width, expected) in [
            (60, "━╌ pull registry.example.com/team/app:1  0.3 of 25.7 MiB"),
            (45, "━╌ pull …mple.com/team/app:1  0.3 of 25.7 MiB"),
            (40, "━╌ pull …com/team/app:1  0.3 of 25.7 MiB"),
            (30, "━╌ pull …xample.com/team/app:1"),
            (12, "━╌ pull registry.example.com/team/app:1"),
        ] {
            let text = around("━╌", "pull registry.example.com/team/app:1", "0.3 of 25.7 MiB", width);
            assert_eq!(text, expected, "{width}");
        }
        assert_eq!(around("", "load a_very_long_file_name.tar.gz", "", 20), "load …le_name.tar.gz");
    }
}
