//! Tables about an engine: version, images, containers, networks, volumes (clients-tasks §8.6, §8.7).
//!
//! Rows are made from the engine's own answers ([`dfab_client::Information`]) by pure functions.

use std::fmt;

use dfab_client::{Backend, Error, Information};
use serde_json::Value;

/// Columns of the table of images.
pub const IMAGE_COLUMNS: [&str; 6] = ["Id", "RepoTags", "ParentId", "Created", "VirtualSize", "Size"];
/// Columns of the table of containers.
pub const CONTAINER_COLUMNS: [&str; 7] = ["Id", "Names", "Image", "Command", "Ports", "Status", "Created"];
/// Columns of the table of networks.
pub const NETWORK_COLUMNS: [&str; 4] = ["Id", "Name", "Driver", "Scope"];
/// Columns of the table of volumes.
pub const VOLUME_COLUMNS: [&str; 2] = ["Name", "Driver"];

/// Rows with a title for each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Column titles.
    pub columns: Vec<&'static str>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell. Prints as the tables show it: a list is one line an entry, nothing is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Several texts.
    List(Vec<String>),
    /// Nothing.
    Empty,
}

/// What the images table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// Intermediate images too.
    pub list_all: bool,
    /// IDs in full.
    pub full_ids: bool,
}

/// What the containers table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerOptions {
    /// Also what does not run.
    pub list_all: bool,
    /// Image names without registry and path.
    pub short_image: bool,
    /// IDs in full.
    pub full_ids: bool,
    /// Commands in full.
    pub full_cmd: bool,
}

impl Default for ContainerOptions {
    fn default() -> Self {
        Self { list_all: true, short_image: true, full_ids: false, full_cmd: false }
    }
}

/// The entries of a version answer that come first, in this order.
const VERSION_ORDER: [&str; 10] = [
    "Version",
    "ApiVersion",
    "MinAPIVersion",
    "GitCommit",
    "GoVersion",
    "Os",
    "Arch",
    "KernelVersion",
    "BuildTime",
    "Experimental",
];

/// Returns the entries of the engine's version answer, the well-known ones first, others by name.
/// Nested values are left out.
///
/// # Errors
///
/// Those of the call.
pub async fn version(backend: &dyn Backend) -> Result<Vec<(String, String)>, Error> {
    Ok(version_entries(&backend.information(Information::Version).await?))
}

fn version_entries(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let Some(answer) = answer.as_object() else { return Vec::new() };
    let mut others: Vec<&str> =
        answer.keys().map(String::as_str).filter(|key| !VERSION_ORDER.contains(key)).collect();
    others.sort_unstable();
    let keys = VERSION_ORDER.into_iter().chain(others);
    keys.filter_map(|key| Some((key.to_owned(), text(answer.get(key)?)?))).collect()
}

/// Returns the table of images.
///
/// # Errors
///
/// Those of the call.
pub async fn images(backend: &dyn Backend, options: ImageOptions) -> Result<Rows, Error> {
    let answer = backend.information(Information::Images { all: options.list_all }).await?;
    let columns = IMAGE_COLUMNS.to_vec();
    let row = |image: &Value| {
        // `<none>:<none>` is how older engines say "no tag"; it is shown as it comes.
        let known = |key: &str| image[key].as_i64().filter(|size| *size >= 0);
        // It is gone from API 1.44 on, and from the program's output; since 1.24 it is the size.
        let virtual_size = known("VirtualSize").or(known("Size")).map_or(Cell::Empty, Cell::Number);
        let size = known("Size").map_or(Cell::Empty, Cell::Number);
        vec![
            id(&image["Id"], options.full_ids),
            texts(&image["RepoTags"]),
            id(&image["ParentId"], options.full_ids),
            created(&image["Created"]),
            virtual_size,
            size,
        ]
    };
    Ok(Rows { columns, rows: elements(&answer).map(row).collect() })
}

/// Returns the table of containers.
///
/// # Errors
///
/// Those of the call.
pub async fn containers(backend: &dyn Backend, options: ContainerOptions) -> Result<Rows, Error> {
    let answer = backend.information(Information::Containers { all: options.list_all }).await?;
    let columns = CONTAINER_COLUMNS.to_vec();
    let row = |container: &Value| {
        vec![
            id(&container["Id"], options.full_ids),
            texts(&container["Names"]),
            match (text(&container["Image"]), options.short_image) {
                (Cell::Text(image), true) => {
                    Cell::Text(image.rsplit('/').next().unwrap_or_default().to_owned())
                }
                (image, _) => image,
            },
            match (text(&container["Command"]), options.full_cmd) {
                (Cell::Text(command), false) => Cell::Text(command.chars().take(25).collect()),
                (command, _) => command,
            },
            Cell::List(elements(&container["Ports"]).map(port).collect()),
            text(&container["Status"]),
            created(&container["Created"]),
        ]
    };
    Ok(Rows { columns, rows: elements(&answer).map(row).collect() })
}

/// Returns the table of networks by name, as `docker network ls` does: engines list them in no order.
///
/// # Errors
///
/// Those of the call.
pub async fn networks(backend: &dyn Backend, full_ids: bool) -> Result<Rows, Error> {
    let answer = backend.information(Information::Networks).await?;
    let row = |network: &Value| {
        let name = |key: &str| text(&network[key]);
        vec![id(&network["Id"], full_ids), name("Name"), name("Driver"), name("Scope")]
    };
    let rows = by_name(elements(&answer)).into_iter().map(row).collect();
    Ok(Rows { columns: NETWORK_COLUMNS.to_vec(), rows })
}

/// Returns the table of volumes by name.
///
/// # Errors
///
/// Those of the call.
pub async fn volumes(backend: &dyn Backend) -> Result<Rows, Error> {
    let answer = backend.information(Information::Volumes).await?;
    let row = |volume: &Value| vec![text(&volume["Name"]), text(&volume["Driver"])];
    let rows = by_name(elements(&answer["Volumes"])).into_iter().map(row).collect();
    Ok(Rows { columns: VOLUME_COLUMNS.to_vec(), rows })
}

fn by_name<'a>(items: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut items: Vec<&Value> = items.collect();
    items.sort_by_key(|item| item["Name"].as_str());
    items
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Cell {
    value.as_str().filter(|text| !text.is_empty()).map_or(Cell::Empty, |text| Cell::Text(text.to_owned()))
}

fn texts(value: &Value) -> Cell {
    Cell::List(elements(value).filter_map(Value::as_str).map(str::to_owned).collect())
}

/// An ID without `sha256:` (D-39), its first 12 characters unless `full`.
fn id(value: &Value, full: bool) -> Cell {
    match text(value) {
        Cell::Text(id) => {
            let id = id.strip_prefix("sha256:").unwrap_or(&id);
            Cell::Text(if full { id.to_owned() } else { id.chars().take(12).collect() })
        }
        other => other,
    }
}

fn port(port: &Value) -> String {
    let number = |key: &str| port[key].as_u64().filter(|number| *number > 0);
    let private = number("PrivatePort").unwrap_or_default();
    let protocol = port["Type"].as_str().unwrap_or("tcp");
    match number("PublicPort") {
        Some(public) => {
            let address = port["IP"].as_str().unwrap_or_default();
            let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            format!("{address}:{public}->{private}/{protocol}")
        }
        None => format!("{private}/{protocol}"),
    }
}

/// Seconds since 1970 (or, for the CLI backend, a text) as `YYYY-MM-DDTHH:MM:SS` in UTC.
fn created(value: &Value) -> Cell {
    match value {
        Value::Number(number) => number.as_i64().map_or(Cell::Empty, |seconds| Cell::Text(utc(seconds))),
        other => text(other),
    }
}

/// Civil date from days since 1970-01-01, after Howard Hinnant's `civil_from_days`, written anew.
fn utc(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years start in March, so that the leap day is the last of its year; eras have 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

impl Cell {
    /// Returns the cell for programs: a list is an array, nothing is null.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::List(items) => Value::from(items.as_slice()),
            Self::Empty => Value::Null,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(items) => f.write_str(&items.join("\n")),
            Self::Empty => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_utc_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_487_067_072, "2017-02-14T10:11:12"),
            (4_102_444_799, "2099-12-31T23:59:59"),
            (-1, "1969-12-31T23:59:59"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(utc(seconds), expected);
        }
    }

    #[test]
    fn ids_lose_their_algorithm_and_are_shortened() {
        let value = json!("sha256:0f1e2d3c4b5a69788796");
        assert_eq!(id(&value, false), Cell::Text("0f1e2d3c4b5a".into()));
        assert_eq!(id(&value, true), Cell::Text("0f1e2d3c4b5a69788796".into()));
        assert_eq!(id(&json!(""), false), Cell::Empty);
    }

    #[test]
    fn ports_show_where_they_are_published() {
        let cases = [
            (
                json!({"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}),
                "0.0.0.0:8080->80/tcp",
            ),
            (json!({"IP": "::", "PrivatePort": 80, "PublicPort": 80, "Type": "tcp"}), "[::]:80->80/tcp"),
            (json!({"PrivatePort": 53, "Type": "udp"}), "53/udp"),
        ];
        for (value, expected) in cases {
            assert_eq!(port(&value), expected);
        }
    }

    #[test]
    fn a_version_answer_has_a_fixed_order_without_nested_values() {
        let answer = json!({
            "Platform": {"Name": "x"}, "Components": [], "Zone": "z", "Arch": "amd64", "Version": "24.0.7",
            "ApiVersion": "1.43", "Experimental": false, "Another": 1,
        });
        let shown: Vec<String> =
            version_entries(&answer).iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            shown,
            ["Version=24.0.7", "ApiVersion=1.43", "Arch=amd64", "Experimental=false", "Another=1", "Zone=z"]
        );
    }
}
