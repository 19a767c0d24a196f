//! The engine itself: `version`, `info`.

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
