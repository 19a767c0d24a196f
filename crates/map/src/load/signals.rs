//! `stop_signal`, `stop_timeout`, `start_delay` (map-model §2.15).

use std::time::Duration;

use super::context::Context;
use crate::diagnostic::nearest;
use crate::model::Signal;
use crate::yaml::Node;

pub(super) const SIGNAL_FORMS: &str = "accepted are a name such as `SIGINT`, or a number from 1 to 64";
pub(super) const SECONDS_FORMS: &str = "accepted is a whole number of seconds, without a unit";
pub(super) const DELAY_FORMS: &str = "accepted is a number of seconds, without a unit";

/// The longest delay that is accepted: a day.
const MAX_DELAY: f64 = 86_400.0;

/// Linux signals 1–31 on the architectures that Docker runs on (signal(7)).
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

pub(super) fn signal(context: &mut Context, node: &Node) -> Option<Signal> {
    let text = context.text(node, "a signal")?;
    let signal = parse(&text);
    if signal.is_none() {
        let full = with_prefix(&text);
        let hint = match nearest(&full, NAMES) {
            Some(name) => format!("did you mean `{name}`?"),
            None => SIGNAL_FORMS.to_owned(),
        };
        context.invalid_hint(node, format!("`{}` is no signal", crate::yaml::shortened(&text)), hint);
    }
    signal
}

pub(super) fn delay(context: &mut Context, node: &Node) -> Option<Duration> {
    let text = context.text(node, "a number of seconds")?;
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_DELAY).contains(&seconds) => Some(Duration::from_secs_f64(seconds)),
        Ok(_) => {
            context.invalid(node, format!("`{text}` is not between 0 and {MAX_DELAY} seconds"));
            None
        }
        Err(_) => {
            context.expected(node, "a number of seconds");
            None
        }
    }
}

/// Reads a number or a name, with or without `SIG`.
fn parse(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<usize>() {
        return match number {
            1..=31 => Some(Signal(NAMES[number - 1].to_owned())),
            // Reserved by the C library; they have no name.
            32 | 33 => Some(Signal(number.to_string())),
            34 => Some(Signal("SIGRTMIN".to_owned())),
            35..=64 => Some(Signal(format!("SIGRTMIN+{}", number - 34))),
            _ => None,
        };
    }
    let name = with_prefix(text);
    if NAMES.contains(&&*name) {
        return Some(Signal(name));
    }
    let offset = |digits: &str, limit: u32| digits.parse::<u32>().ok().filter(|offset| *offset <= limit);
    if let Some(rest) = name.strip_prefix("SIGRTMIN") {
        let offset = if rest.is_empty() { 0 } else { offset(rest.strip_prefix('+')?, 30)? };
        return parse(&(34 + offset).to_string());
    }
    if let Some(rest) = name.strip_prefix("SIGRTMAX") {
        let offset = if rest.is_empty() { 0 } else { offset(rest.strip_prefix('-')?, 30)? };
        return parse(&(64 - offset).to_string());
    }
    match &*name {
        "SIGIOT" => Some(Signal("SIGABRT".to_owned())),
        "SIGPOLL" => Some(Signal("SIGIO".to_owned())),
        "SIGCLD" => Some(Signal("SIGCHLD".to_owned())),
        _ => None,
    }
}

fn with_prefix(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn map_model_2_15_signals() {
        let cases = [
            ("SIGINT", Some("SIGINT")),
            ("int", Some("SIGINT")),
            ("2", Some("SIGINT")),
            ("15", Some("SIGTERM")),
            ("34", Some("SIGRTMIN")),
            ("37", Some("SIGRTMIN+3")),
            ("SIGRTMIN+3", Some("SIGRTMIN+3")),
            ("SIGRTMAX-1", Some("SIGRTMIN+29")),
            ("64", Some("SIGRTMIN+30")),
            ("0", None),
            ("65", None),
            ("SIGRTMIN+31", None),
            ("SIGNOPE", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(|signal| signal.0).as_deref(), expected, "{text}");
        }
    }
}
