//! What comes from an engine bit by bit: log lines, events; and the tables that go with them.
//!
//! Streams are pulled: whoever polls decides the pace, and dropping one ends the request behind it.

mod frames;
mod lines;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::BoxStream;
use serde_json::Value;

pub(crate) use self::frames::Frames;
pub use self::lines::LineSplitter;
use crate::backend::Result;
use crate::error::Cause;

/// The lines of a log. After an error comes nothing more.
pub type LogLines<'a> = BoxStream<'a, Result<LogLine>>;

/// What happens on an engine. After an error comes nothing more.
pub type Events<'a> = BoxStream<'a, Result<Event>>;

/// Which part of a log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The last lines only; `None` is all.
    pub tail: Option<u32>,
    /// Each line starts with its time, RFC 3339 in UTC, and a blank.
    pub timestamps: bool,
    /// Only what was written at this time or later.
    pub since: Option<Moment>,
    /// Only what was written before this time.
    pub until: Option<Moment>,
    /// Only what went to this output; `None` is both.
    pub only: Option<Output>,
}

/// Where a container has written a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output; all output of a container with a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written.
    pub output: Output,
    /// The line without its end, as bytes: a container may write anything. A line of more than
    /// [`LineSplitter::LIMIT`] bytes comes in pieces.
    pub text: Vec<u8>,
}

impl fmt::Display for LogLine {
    /// The text, with U+FFFD for what is not UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// Which events are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Events since this time come first; `None` starts with the next one.
    pub since: Option<Moment>,
    /// The stream ends at this time; `None` is never.
    pub until: Option<Moment>,
    /// (filter, value), for example (`type`, `container`). One of the values of each filter holds.
    pub filters: Vec<(String, String)>,
}

impl EventOptions {
    /// Returns the filters in the form of the Engine API: `{"type":{"container":true}}`.
    pub(crate) fn filters_json(&self) -> Value {
        let mut filters = serde_json::Map::new();
        for (name, value) in &self.filters {
            let values = filters.entry(name.clone()).or_insert_with(|| Value::Object(serde_json::Map::new()));
            values[value.as_str()] = true.into();
        }
        Value::Object(filters)
    }
}

/// Something that has happened on an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub time: Moment,
    /// What kind of object: `container`, `image`, `network`, `volume`, …
    pub kind: String,
    /// What has happened: `start`, `die`, `health_status: healthy`, …
    pub action: String,
    /// ID of the object, or its name where it has none.
    pub id: String,
    /// Name of the object; empty where the engine says none.
    pub name: String,
    /// The engine's whole message.
    pub message: Value,
}

impl Event {
    /// Reads an event as `GET /events` and `docker events --format '{{json .}}'` give it.
    ///
    /// # Errors
    ///
    /// [`Cause::Answer`] when it has no type, action or time.
    pub fn from_json(message: Value) -> Result<Self, Cause> {
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let missing =
            |field: &str| Cause::Answer(format!("an event without `{field}`: {}", shortened(&message)));
        let nanos = message.get("timeNano").and_then(Value::as_u64);
        let seconds = message.get("time").and_then(Value::as_u64);
        let since_epoch = nanos.map(Duration::from_nanos).or(seconds.map(Duration::from_secs));
        Ok(Self {
            time: Moment(since_epoch.ok_or_else(|| missing("time"))?),
            kind: text("/Type").ok_or_else(|| missing("Type"))?,
            action: text("/Action").ok_or_else(|| missing("Action"))?,
            id: text("/Actor/ID").unwrap_or_default(),
            name: text("/Actor/Attributes/name").unwrap_or_default(),
            message,
        })
    }
}

fn shortened(message: &Value) -> String {
    let mut text = message.to_string();
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The processes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Titles of the columns.
    pub titles: Vec<String>,
    /// One row for each process, as long as the titles.
    pub processes: Vec<Vec<String>>,
}

impl Top {
    /// Reads the answer of `GET /containers/{id}/top`.
    ///
    /// # Errors
    ///
    /// [`Cause::Answer`] when it is none.
    pub fn from_json(answer: &Value) -> Result<Self, Cause> {
        let words = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        let titles = answer.get("Titles").and_then(words);
        // A container without processes has `null`.
        let rows = answer.get("Processes").and_then(Value::as_array).into_iter().flatten();
        let processes: Option<Vec<_>> = rows.map(words).collect();
        let unreadable = || Cause::Answer(format!("no table of processes: {}", shortened(answer)));
        let (titles, processes) = titles.zip(processes).ok_or_else(unreadable)?;
        Ok(Self { titles, processes })
    }
}

/// A moment in time, as engines count it: since the beginning of 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl Moment {
    /// Returns the present moment.
    pub fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// Reads what `--since` of the `docker` program takes: a duration before `now` such as `10m` or
    /// `2h30m`, seconds since 1970, or a date and time with its offset, `2024-05-01T12:00:00Z`.
    ///
    /// # Errors
    ///
    /// A sentence that says what can be written.
    pub fn parse(text: &str, now: Self) -> Result<Self, String> {
        let text = text.trim();
        let unreadable = || {
            format!(
                "`{text}` is no time: write a duration before now such as 10m, seconds since 1970, or a date and \
                 time with its offset such as 2024-05-01T12:00:00Z"
            )
        };
        if text.chars().all(|c| c.is_ascii_digit() || c == '.') && !text.is_empty() {
            let seconds: f64 = text.parse().map_err(|_| unreadable())?;
            return Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| unreadable());
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            let since = time.duration_since(jiff::Timestamp::UNIX_EPOCH);
            return Duration::try_from(since).map(Self).map_err(|_| unreadable());
        }
        let ago: jiff::SignedDuration = text.parse().map_err(|_| unreadable())?;
        let ago = Duration::try_from(ago).map_err(|_| unreadable())?;
        Ok(Self(now.0.saturating_sub(ago)))
    }
}

impl fmt::Display for Moment {
    /// Seconds with nine digits after the point: engines and the `docker` program read this alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_the_docker_program_reads_them() {
        let now = Moment(Duration::from_secs(1_000_000));
        for (text, expected) in [
            ("10m", Ok("999400.000000000")),
            ("2h30m", Ok("991000.000000000")),
            ("1.5s", Ok("999998.500000000")),
            ("12345", Ok("12345.000000000")),
            ("12345.25", Ok("12345.250000000")),
            ("1970-01-02T00:00:00Z", Ok("86400.000000000")),
            ("1970-01-02T02:00:00.5+02:00", Ok("86400.500000000")),
            ("100000h", Ok("0.000000000")),
            ("yesterday", Err("`yesterday` is no time")),
            ("1970-01-02T00:00:00", Err("with its offset")),
            ("", Err("`` is no time")),
            ("1.2.3", Err("is no time")),
            ("-10m", Err("is no time")),
        ] {
            match (Moment::parse(text, now), expected) {
                (Ok(moment), Ok(expected)) => assert_eq!(moment.to_string(), expected, "{text}"),
                (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn an_event_is_read_or_refused() {
        let message = json!({"Type": "container", "Action": "start", "time": 5, "timeNano": 5_000_000_001_u64,
                             "Actor": {"ID": "ab", "Attributes": {"name": "m.web"}}});
        let event = Event::from_json(message).unwrap();
        assert_eq!((event.kind.as_str(), event.action.as_str()), ("container", "start"));
        assert_eq!((event.id.as_str(), event.name.as_str()), ("ab", "m.web"));
        assert_eq!(event.time.to_string(), "5.000000001");
        let cause = Event::from_json(json!({"Type": "image", "time": 1})).unwrap_err().to_string();
        assert!(cause.contains("without `Action`"), "{cause}");
    }

    #[test]
    fn filters_of_one_name_are_alternatives() {
        let filters = [("type", "container"), ("type", "image"), ("label", "a=b")];
        let filters = filters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let json = EventOptions { filters, ..EventOptions::default() }.filters_json();
        assert_eq!(json, json!({"type": {"container": true, "image": true}, "label": {"a=b": true}}));
    }

    #[test]
    fn a_table_of_processes_is_read_or_refused() {
        let top = Top::from_json(&json!({"Titles": ["PID", "CMD"], "Processes": [["1", "sh"]]})).unwrap();
        assert_eq!((top.titles.len(), top.processes), (2, vec![vec!["1".to_owned(), "sh".to_owned()]]));
        assert!(Top::from_json(&json!({"Titles": ["PID"], "Processes": null})).unwrap().processes.is_empty());
        assert!(Top::from_json(&json!({"message": "no"})).is_err());
    }
}
