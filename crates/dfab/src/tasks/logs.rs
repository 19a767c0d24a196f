//! `docker.logs`: the logs of containers, of a map or by their names, at once and as they grow.

use std::sync::Arc;

use dfab_client::Backend;
use dfab_client::streams::{LogOptions, Moment};
use dfab_map::names::ClientName;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use owo_colors::Style;
use serde_json::{Value, json};

use super::actions::{self, Selection};
use super::engine_failure;
use crate::cli::Arguments;
use crate::cli::options::BackendKind;
use crate::failure::{Failure, Kind, Result};
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::{self, Report};
use crate::run::Run;

const BOOL: ParameterKind = ParameterKind::Bool;
const TEXT: ParameterKind = ParameterKind::Text;

/// The table entry.
pub const TASKS: &[Task] = &[Task {
    namespace: "docker",
    name: "logs",
    aliases: &[],
    about: "Print the logs of containers.",
    help: "MAP.CONFIG, MAP.CONFIG.INSTANCE, or words as for `actions.update` after a map's name, are the containers of \
           the map, on its clients; any other word is a container's name, looked for on each host. Of several \
           containers every line starts with the container's name.\n\n\
           With `--follow` lines are printed as they are written, of all containers at once, until the containers \
           end, or Ctrl-C (exit code 130).",
    parameters: &[
        &[Parameter::rest("containers", "configurations of a map, or names of containers")],
        &[
            Parameter::keyword("follow", BOOL, "false", "go on with what is written from now on"),
            Parameter::keyword("tail", TEXT, "all", "last lines only: a number for each container"),
            Parameter::keyword(
                "since",
                TEXT,
                "",
                "lines since then only: 10m, seconds since 1970, or 2024-05-01T12:00:00Z",
            ),
            Parameter::keyword("until", TEXT, "", "lines before then only"),
            Parameter::keyword("timestamps", BOOL, "false", "lines with their time"),
        ],
    ],
    words: Some("[MAP] CONFIG [INSTANCE]... | CONTAINER..."),
    scope: Scope::Clients,
    run: |run, arguments| logs(run, arguments).boxed_local(),
}];

/// A container whose log is read.
struct Source {
    backend: Arc<dyn Backend>,
    /// The host before its lines; `None` where there is one engine without a name.
    place: Option<String>,
    container: String,
    /// Before its lines, where there are several: its name, as wide as the longest.
    prefix: Option<String>,
}

async fn logs(run: &Run, arguments: &Arguments) -> Result<Report> {
    const TASK: &str = "docker.logs";
    let follow = arguments.flag("follow");
    if follow && run.console.is_json() {
        return Err(Failure::usage("`--follow` has no end, and a JSON document has")
            .hint("leave `--follow` out, or read the lines of `--output human`"));
    }
    let options = options(arguments)?;
    let before = run.engines.requests();
    let mut sources = sources(run, arguments.list("containers")).await?;
    set_prefixes(run, &mut sources);
    let mut outputs = Vec::new();
    let mut failures = Vec::new();
    if follow {
        let mut following: FuturesUnordered<_> = sources
            .iter()
            .map(|source| print_lines(run, source, options, true).map(move |end| (source, end)))
            .collect();
        loop {
            let next = tokio::select! {
                next = following.next() => next,
                // Dropping the streams ends what runs for them on the hosts.
                () = run.interrupt.finish.cancelled() => break,
            };
            let Some((source, end)) = next else { break };
            match end {
                Ok(()) if sources.len() > 1 => {
                    let prefix = source.prefix.as_deref().unwrap_or(&source.container);
                    run.console.note(source.place.as_deref(), &format!("{prefix}the container has ended"));
                }
                Ok(()) => {}
                Err(failure) => {
                    // The others go on, perhaps for hours: this cannot wait for their end.
                    run.console.warn(source.place.as_deref(), &failure.one_line());
                    failures.push((source, failure));
                }
            }
        }
    } else {
        for source in &sources {
            let read = tokio::select! {
                biased;
                () = run.interrupt.finish.cancelled() => break,
                read = read_one(run, source, options) => read,
            };
            match read {
                Ok(log) => {
                    outputs.push(json!({"host": source.place, "container": source.container, "log": log}));
                }
                Err(failure) => failures.push((source, failure)),
            }
        }
    }
    let failed = failures
        .iter()
        .filter(|(_, failure)| failure.kind == Kind::Connection)
        .map(|(source, failure)| json!({"client": source.place, "error": report::error(failure)}))
        .collect();
    let report = Report {
        outputs: (!follow).then_some(outputs),
        hosts_failed: failed,
        requests: Some(run.engines.requests() - before),
        ..Report::done(TASK)
    };
    Ok(match failures.len() {
        0 => report,
        1 => report.failed(failures.remove(0).1),
        many => {
            let message = format!("{} could not be read", crate::text::count(many, "log"));
            let mut failure = Failure::new(failures[0].1.kind, message);
            failure.causes = failures.iter().map(|(_, failure)| failure.one_line()).collect();
            failure.hints = failures.remove(0).1.hints;
            report.failed(failure)
        }
    })
}

fn options(arguments: &Arguments) -> Result<LogOptions> {
    let moment = |name: &str| {
        let text = arguments.text(name).filter(|text| !text.is_empty());
        let read = |text: &str| {
            Moment::parse(text, Moment::now())
                .map_err(|problem| Failure::usage(format!("{problem} (argument `{name}`)")))
        };
        text.map(read).transpose()
    };
    let tail = arguments.text("tail").filter(|tail| !tail.is_empty() && *tail != "all").map(|tail| {
        tail.parse().map_err(|_| Failure::usage(format!("`{tail}` is no number of lines (argument `tail`)")))
    });
    Ok(LogOptions {
        tail: tail.transpose()?,
        timestamps: arguments.flag("timestamps"),
        since: moment("since")?,
        until: moment("until")?,
        only: None,
    })
}

/// Finds the containers that words mean: of a map, on its clients; else by name, on each host.
async fn sources(run: &Run, words: &[String]) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for (reference, is_of_map) in references(run, words)? {
        let found =
            if is_of_map { of_map(run, reference).await? } else { by_name(run, &reference[0]).await? };
        for source in found {
            let known = |other: &Source| {
                Arc::ptr_eq(&other.backend, &source.backend) && other.container == source.container
            };
            if !sources.iter().any(known) {
                sources.push(source);
            }
        }
    }
    if sources.is_empty() {
        return Err(Failure::usage("there is no container among what is named"));
    }
    Ok(sources)
}

/// Takes the words apart, and tells which are of a map.
fn references<'a>(run: &Run, words: &'a [String]) -> Result<Vec<(&'a [String], bool)>> {
    let Some(first) = words.first() else {
        return Err(Failure::usage("task `docker.logs`: no container is named")
            .hint("usage: dfab docker.logs [MAP] CONFIG [INSTANCE]... | CONTAINER..."));
    };
    let maps = run.project.map_names();
    let is_map = |name: &str| maps.iter().any(|map| map == name);
    // `example_map web_server` is one reference; `example_map.web_server other` are two words.
    if is_map(first) {
        return Ok(vec![(words, true)]);
    }
    let of_map = |word: &[String]| is_map(word[0].split('.').next().unwrap_or(&word[0]));
    Ok(words.chunks(1).map(|word| (word, of_map(word))).collect())
}

/// Checks the names and arguments of a call.
///
/// # Errors
///
/// As the task.
pub async fn check(run: &Run, arguments: &Arguments) -> Result<()> {
    options(arguments)?;
    for (reference, is_of_map) in references(run, arguments.list("containers"))? {
        if is_of_map {
            Selection::of_words(run, &Arguments::default(), reference).await?;
        }
    }
    Ok(())
}

async fn of_map(run: &Run, words: &[String]) -> Result<Vec<Source>> {
    let selection = Selection::of_words(run, &Arguments::default(), words).await?;
    let containers = actions::selected_containers(run, &selection).await?;
    containers
        .into_iter()
        .map(|(target, container)| {
            let place = (target.name != ClientName::default_client()).then(|| target.name.to_string());
            Ok(Source { backend: run.engines.backend(&target)?, place, container, prefix: None })
        })
        .collect()
}

async fn by_name(run: &Run, name: &str) -> Result<Vec<Source>> {
    let targets = run.default_targets().await?;
    targets
        .into_iter()
        .map(|target| {
            let place = (target.name != ClientName::default_client()).then(|| target.name.to_string());
            let backend = run.engines.backend(&target)?;
            Ok(Source { backend, place, container: name.to_owned(), prefix: None })
        })
        .collect()
}

/// Colours of prefixes, in turn. Red is left to what has failed.
const COLORS: [fn(Style) -> Style; 5] =
    [Style::cyan, Style::yellow, Style::green, Style::magenta, Style::blue];

fn set_prefixes(run: &Run, sources: &mut [Source]) {
    let names: std::collections::BTreeSet<String> =
        sources.iter().map(|source| source.container.clone()).collect();
    if sources.len() < 2 {
        return;
    }
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (number, source) in sources.iter_mut().enumerate() {
        let style = COLORS[number % COLORS.len()](Style::new());
        let text = format!("{:<width$} |", source.container);
        source.prefix = Some(format!("{} ", run.console.styled(run.console.color(), &text, style)));
    }
}

fn print(run: &Run, source: &Source, line: &str) {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    run.console.line(source.place.as_deref(), &format!("{prefix}{line}"));
}

/// Prints a log up to now; into a JSON document it is returned instead.
async fn read_one(run: &Run, source: &Source, options: LogOptions) -> Result<Option<Value>> {
    // Line by line, for a log may be larger than the memory. The `docker` program writes both outputs of a container
    // into two pipes, of which nobody could tell the order: there the host puts them together first.
    if !run.console.is_json() && run.settings.backend == BackendKind::Api {
        print_lines(run, source, options, false).await?;
        return Ok(None);
    }
    let log = source.backend.container_logs(&source.container, options).await;
    let log = log.map_err(|error| engine_failure(&error))?;
    let log = String::from_utf8_lossy(&log);
    for line in log.lines() {
        print(run, source, line);
    }
    Ok(run.console.is_json().then(|| json!(log)))
}

/// Prints the lines of a log as they come: up to now, or until the container ends.
async fn print_lines(run: &Run, source: &Source, options: LogOptions, follow: bool) -> Result<()> {
    let lines = source.backend.log_lines(&source.container, options, follow).await;
    let mut lines = lines.map_err(|error| engine_failure(&error))?;
    while let Some(line) = lines.next().await {
        print(run, source, &line.map_err(|error| engine_failure(&error))?.to_string());
    }
    Ok(())
}
