//! The engine itself: `version`, `info`, `events`.

use dfab_client::streams::EventOptions;

use super::Command;
use super::words::Words;

/// `docker version --format={{json .}}`. Without a reachable engine, the `Server` part is null and
/// the exit status is 1.
pub fn version() -> Command {
    let mut words = Words::new("version");
    words.flag("format", "{{json .}}");
    Command::query("ask for the engine's version", words)
}

/// `docker info --format={{json .}}`.
pub fn info() -> Command {
    let mut words = Words::new("info");
    words.flag("format", "{{json .}}");
    Command::query("ask what the engine can do", words)
}

/// `docker events --format={{json .}} [--since=TIME] [--until=TIME] [--filter=NAME=VALUE]…`.
pub fn events(options: &EventOptions) -> Command {
    let mut words = Words::new("events");
    words.flag("format", "{{json .}}").each("since", options.since).each("until", options.until);
    for (name, value) in &options.filters {
        words.flag("filter", format_args!("{name}={value}"));
    }
    Command::query("watch the engine's events", words)
}
