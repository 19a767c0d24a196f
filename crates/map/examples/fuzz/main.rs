//! A fuzz loop for the YAML reader and the loader: `cargo xtask fuzz --minutes N`.
//!
//! It mutates the texts of a corpus and checks [`properties::hold`] for each. Without coverage
//! instrumentation, what a text makes the loader *say* stands in for coverage: a text that brings a
//! combination of messages not seen before joins the corpus of this run. A text that breaks a
//! property is written to `crates/map/fuzz/findings` and the run fails.
//!
//! ```text
//! cargo run --release -p dfab-map --example fuzz -- --minutes 10 [--seed 1] [--keep 200]
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports on its terminal")]

mod mutate;
mod properties;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutate::Random;

/// Texts that grow beyond this are cut: small ones find as much and are faster.
const MAX_LENGTH: usize = 4_000;
/// The most new texts that a run adds to the corpus on disk.
const DEFAULT_KEEP: usize = 60;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    minutes: f64,
    seed: u64,
    keep: usize,
}

fn options() -> Result<Options, String> {
    let mut options = Options { minutes: 1.0, seed: 1, keep: DEFAULT_KEEP };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        let bad = || format!("`{value}` is no value for `{word}`");
        match word.as_str() {
            "--minutes" => options.minutes = value.parse().map_err(|_| bad())?,
            "--seed" => options.seed = value.parse().map_err(|_| bad())?,
            "--keep" => options.keep = value.parse().map_err(|_| bad())?,
            other => return Err(format!("unknown option `{other}`; known are --minutes, --seed, --keep")),
        }
    }
    Ok(options)
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut corpus = properties::corpus(&folder.join("corpus")).map_err(|error| error.to_string())?;
    let kept = corpus.len();
    if corpus.is_empty() {
        corpus.push("name: m\nweb: {image: nginx}\n".to_owned());
    }
    // The hook would print a trace for each broken text; the report below names the file instead.
    std::panic::set_hook(Box::new(|_| {}));

    let mut random = Random::new(options.seed);
    let mut seen: HashSet<Vec<String>> = HashSet::new();
    for text in &corpus {
        if let Ok(shape) = properties::hold(text) {
            seen.insert(shape);
        }
    }
    let (start, length) = (Instant::now(), Duration::from_secs_f64(options.minutes * 60.0));
    let (mut runs, mut broken, mut slowest) = (0_u64, 0, Duration::ZERO);
    let mut last = Instant::now();
    while start.elapsed() < length {
        let text = mutate::mutate(&corpus, &mut random, MAX_LENGTH);
        let began = Instant::now();
        let result = properties::hold(&text);
        slowest = slowest.max(began.elapsed());
        runs += 1;
        match result {
            Ok(shape) => {
                if seen.insert(shape) {
                    corpus.push(text);
                }
            }
            Err(problem) => {
                broken += 1;
                let file = save(&folder.join("findings"), &text)?;
                eprintln!("{problem}\n  text: {}", file.display());
                if broken == 20 {
                    break;
                }
            }
        }
        if last.elapsed() > Duration::from_secs(30) {
            last = Instant::now();
            eprintln!("{:>5} s: {runs} texts, {} in the corpus", start.elapsed().as_secs(), corpus.len());
        }
    }
    // Short texts first: they are the ones worth keeping.
    let mut new: Vec<&String> = corpus[kept..].iter().collect();
    new.sort_by_key(|text| text.len());
    for text in new.iter().take(options.keep) {
        save(&folder.join("corpus"), text)?;
    }
    println!(
        "{runs} texts in {} s, {} new in the corpus, slowest {} ms, {broken} broken",
        start.elapsed().as_secs(),
        new.len().min(options.keep),
        slowest.as_millis()
    );
    Ok(broken == 0)
}

/// Writes a text under a name made of its content, so that it is kept once.
fn save(folder: &Path, text: &str) -> Result<PathBuf, String> {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let file = folder.join(format!("{hash:016x}.yaml"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| format!("failed to write `{}`: {error}", file.display()))?;
    Ok(file)
}
