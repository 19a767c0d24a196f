//! The terminal: what goes to stdout and stderr, in which form (cli §5). Nobody else prints.

mod board;
pub mod outcome;
pub mod plan;
pub mod progress;
mod reason;
pub mod record;
mod screen;
mod summary;
pub mod table;
pub mod transfer;
mod wrap;

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use dfab_map::diagnostic::{Finding, Findings, RenderOptions, Severity, Sources, render_all};
use owo_colors::{OwoColorize, Style};

use crate::cli::options::{Color, Options, Output};
use crate::failure::{Failure, Kind};

/// Where and how a run prints.
///
/// With JSON output stdout is kept for the one document, and everything for people goes to stderr.
#[derive(Debug)]
pub struct Console {
    output: Output,
    /// Lines of detail: 0 is normal.
    pub verbose: u8,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    hidden: Hidden,
    width: usize,
    /// Sentences on stderr are for eyes, and broken between words.
    wraps: bool,
    /// Held while a line is written, so that lines of several hosts stay whole.
    line: Mutex<()>,
    /// The document was printed.
    documented: AtomicBool,
    /// Warnings about files that were printed: several calls read the same maps.
    warned: Mutex<HashSet<String>>,
    /// Why results could not be written.
    lost: OnceLock<std::io::Error>,
    /// What is drawn below the lines on a terminal.
    pub progress: progress::Progress,
}

/// Output levels of Fabric that are switched off (clients-tasks §11.6).
#[derive(Clone, Copy, Debug, Default)]
struct Hidden {
    warnings: bool,
    running: bool,
    user: bool,
}

impl Console {
    /// Makes the console of a run.
    pub fn new(options: &Options) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colored = |terminal: bool| match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color && !dumb,
        };
        let interactive = std::io::stderr().is_terminal() && !dumb;
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = columns.filter(|columns| *columns >= 20).or_else(terminal_width).unwrap_or(80);
        Self {
            output: options.output,
            verbose: options.verbose,
            quiet: options.quiet,
            color_out: colored(std::io::stdout().is_terminal()),
            color_err: colored(std::io::stderr().is_terminal()),
            hidden: Hidden::new(&options.show, &options.hide),
            width,
            wraps: interactive,
            line: Mutex::new(()),
            documented: AtomicBool::new(false),
            warned: Mutex::default(),
            lost: OnceLock::new(),
            progress: progress::Progress::new(interactive && !options.quiet, width),
        }
    }

    /// Tells whether the result is a JSON document.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Returns the columns that text for people may take.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the characters that a bar may take.
    pub fn bar_width(&self) -> usize {
        if self.width < 100 { 12 } else { 24 }
    }

    /// Tells whether lines of results may have colours.
    pub fn color(&self) -> bool {
        if self.is_json() { self.color_err } else { self.color_out }
    }

    /// Prints a line of results, after `[host] ` where there is one. Results go to stdout, or to stderr beside a
    /// JSON document.
    pub fn line(&self, host: Option<&str>, text: &str) {
        if !self.hidden.user {
            self.write(self.is_json(), &self.prefixed(host, text));
        }
    }

    /// Prints the answer to an option: a listing, a completion script. It is all that was asked for, whatever levels are
    /// hidden.
    pub fn answer(&self, text: &str) {
        self.write(false, text);
    }

    /// Prints a block of text without a prefix, such as a table.
    pub fn block(&self, text: &str) {
        if !self.is_json() && !self.hidden.user {
            self.write(false, text);
        }
    }

    /// Prints a table or a list of values of a host as the source systems do: a line with the host
    /// alone, then the block.
    pub fn host_block(&self, host: Option<&str>, text: &str) {
        if !self.is_json() && !self.hidden.user {
            self.write(false, &format!("{}\n{text}", self.prefixed(host, "")));
        }
    }

    /// Tells whether results should fit the width of a terminal.
    pub fn fits(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Prints the JSON document. There is one a run: after a task that shows it before its end, the later one is
    /// dropped.
    pub fn document(&self, document: &serde_json::Value) {
        if self.documented.swap(true, Ordering::Relaxed) {
            return;
        }
        let text = serde_json::to_string_pretty(document).expect("a JSON value can be written");
        self.write(false, &text);
    }

    /// Prints a warning to stderr.
    pub fn warn(&self, host: Option<&str>, text: &str) {
        if !self.hidden.warnings {
            let label = self.styled(self.color_err, "warning:", Style::new().yellow().bold());
            self.write(true, &self.sentence(host, "warning:", &label, text));
        }
    }

    /// Prints what the user should know to stderr.
    pub fn note(&self, host: Option<&str>, text: &str) {
        if !self.quiet {
            let label = self.styled(self.color_err, "note:", Style::new().cyan().bold());
            self.write(true, &self.sentence(host, "note:", &label, text));
        }
    }

    /// Prints progress to stderr: what is being done, where it is not a result.
    pub fn progress_line(&self, host: Option<&str>, text: &str) {
        if !self.quiet && !self.hidden.running {
            self.write(true, &self.prefixed(host, text));
        }
    }

    /// Prints why something failed: the message, its causes, findings, and what to do (style §5).
    pub fn failure(&self, host: Option<&str>, failure: &Failure) {
        let label = self.styled(self.color_err, "error:", Style::new().red().bold());
        let mut text = self.sentence(host, "error:", &label, &failure.message);
        for cause in &failure.causes {
            text.push('\n');
            text.push_str(&self.sentence(
                None,
                "  caused by:",
                "  caused by:",
                &cause.replace('\n', "\n    "),
            ));
        }
        if let Some(findings) = &failure.findings {
            text.push_str(&format!("\n\n{}\n", self.findings(&findings.0, &findings.1)));
        }
        for hint in &failure.hints {
            let label = self.styled(self.color_err, "hint:", Style::new().cyan().bold());
            text.push('\n');
            text.push_str(&self.sentence(None, "hint:", &label, hint));
        }
        self.write(true, &text);
    }

    /// Prints the warnings among findings to stderr, each once in a run.
    pub fn finding_warnings(&self, findings: &Findings, sources: &Sources) {
        let mut warned = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut is_new =
            |finding: &&Finding| finding.severity == Severity::Warning && warned.insert(finding.to_string());
        let warnings: Vec<_> = findings.0.iter().filter(|finding| is_new(finding)).cloned().collect();
        drop(warned);
        if !warnings.is_empty() && !self.hidden.warnings {
            self.write(true, &self.findings(&Findings(warnings), sources));
        }
    }

    fn findings(&self, findings: &Findings, sources: &Sources) -> String {
        let options = RenderOptions { color: self.color_err, width: Some(self.width.max(60)) };
        render_all(&findings.0, sources, options)
    }

    fn prefixed(&self, host: Option<&str>, text: &str) -> String {
        match host {
            Some(host) => format!("[{host}] {text}"),
            None => text.to_owned(),
        }
    }

    /// Returns a label with a sentence after it. `label` is without colours, so that its width can be counted.
    fn sentence(&self, host: Option<&str>, label: &str, colored: &str, text: &str) -> String {
        let text = if self.wraps {
            let lead = self.prefixed(host, label).chars().count() + 1;
            wrap::wrap(text, lead, self.width)
        } else {
            text.to_owned()
        };
        self.prefixed(host, &format!("{colored} {text}"))
    }

    /// Returns `text` in a style where colours are on.
    pub fn styled(&self, color: bool, text: &str, style: Style) -> String {
        if color { text.style(style).to_string() } else { text.to_owned() }
    }

    fn write(&self, stderr: bool, text: &str) {
        let _line = self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.progress.suspend(|| {
            if stderr {
                let mut stderr = std::io::stderr().lock();
                // Nobody is left to be told.
                drop(writeln!(stderr, "{text}").and_then(|()| stderr.flush()));
            } else {
                let mut stdout = std::io::stdout().lock();
                self.written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
            }
        });
    }

    /// Keeps why results could not be written, for the end of the run.
    pub fn written(&self, result: std::io::Result<()>) {
        // A closed pipe (`dfab --list | head`) is no failure of ours: whoever read has had enough.
        if let Err(error) = result
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            drop(self.lost.set(error));
        }
    }

    /// Returns the failure of a run whose results could not be written: on a full disk, say.
    pub fn lost(&self) -> Option<Failure> {
        let error = self.lost.get()?;
        let failure = Failure::new(Kind::Task, "failed to write the results to standard output");
        Some(failure.because(error).hint("what was done on the hosts is done; only its report is lost"))
    }
}

impl Hidden {
    fn new(show: &[String], hide: &[String]) -> Self {
        let mut hidden = Self::default();
        for (levels, off) in [(show, false), (hide, true)] {
            for level in levels {
                match level.trim() {
                    "warnings" => hidden.warnings = off,
                    "running" | "commands" => hidden.running = off,
                    "user" => hidden.user = off,
                    "everything" => hidden = Self { warnings: off, running: off, user: off },
                    // Checked by `check_levels`, and named by `levels_without_output`.
                    _ => {}
                }
            }
        }
        hidden
    }
}

/// The words of `--show` and `--hide`.
pub const LEVELS: [&str; 12] = [
    "status",
    "aborts",
    "warnings",
    "running",
    "stdout",
    "stderr",
    "user",
    "exceptions",
    "debug",
    "output",
    "commands",
    "everything",
];

/// Those of [`LEVELS`] that [`Hidden`] knows.
const SWITCHED: [&str; 5] = ["warnings", "running", "user", "commands", "everything"];

/// Checks the words of `--show` and `--hide`.
///
/// # Errors
///
/// A usage failure for a word that is none.
pub fn check_levels(options: &Options) -> crate::failure::Result<()> {
    match options.show.iter().chain(&options.hide).find(|level| !LEVELS.contains(&level.trim())) {
        Some(level) => {
            Err(Failure::usage(format!("there is no output level `{level}`"))
                .nearest(level, "levels", LEVELS))
        }
        None => Ok(()),
    }
}

/// Returns the levels in `--show` and `--hide` that switch nothing: dfab prints nothing under their names.
pub fn levels_without_output(options: &Options) -> Vec<&str> {
    let mut levels: Vec<&str> = options.show.iter().chain(&options.hide).map(|level| level.trim()).collect();
    levels.retain(|level| LEVELS.contains(level) && !SWITCHED.contains(level));
    levels.sort_unstable();
    levels.dedup();
    levels
}

fn terminal_width() -> Option<usize> {
    let of_err = terminal_size::terminal_size_of(std::io::stderr());
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size().or(of_err)?;
    Some(usize::from(columns).max(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_switches_something_or_is_named() {
        for level in LEVELS {
            let words = [level.to_owned()];
            let hides = |hidden: Hidden| hidden.warnings || hidden.running || hidden.user;
            let options = Options { hide: words.to_vec(), ..Options::default() };
            assert_eq!(
                levels_without_output(&options).is_empty(),
                hides(Hidden::new(&[], &words)),
                "{level} either switches something or is said to switch nothing"
            );
        }
    }
}
