//! What the program prints, as the JSON that the Engine API answers (clients-tasks §5.7).
//!
//! `docker inspect` prints the engine's own JSON; what only lists print is in [`lists`].

mod lists;

use std::collections::BTreeMap;

use dfab_client::backend::PullProgress;
use dfab_client::error::Cause;
use serde_json::{Map, Value};

pub(crate) use self::lists::{container_line, image_list, images, layer, top};

/// Reads one JSON value.
///
/// # Errors
///
/// [`Cause::Answer`] for anything else.
pub(crate) fn json(output: &[u8]) -> Result<Value, Cause> {
    serde_json::from_slice(output).map_err(|error| {
        let start = String::from_utf8_lossy(&output[..output.len().min(80)]).into_owned();
        Cause::Answer(format!("{error} in {start:?}"))
    })
}

/// Reads the array that `docker inspect` prints; nothing at all is an empty one.
pub(crate) fn array(output: &[u8]) -> Result<Vec<Value>, Cause> {
    if output.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    match json(output)? {
        Value::Array(elements) => Ok(elements),
        _ => Err(Cause::Answer("a list was expected".to_owned())),
    }
}

/// Reads one JSON value a line.
pub(crate) fn lines(output: &[u8]) -> Result<Vec<Value>, Cause> {
    let lines = output.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).map(json).collect()
}

/// Reads what `docker create` prints: the ID is the last line of 64 hexadecimal digits.
pub(crate) fn container_id(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.lines().map(str::trim).rfind(is_id).map(str::to_owned)
}

/// Reads what `docker commit` prints.
///
/// # Errors
///
/// [`Cause::Answer`] for anything but an ID.
pub(crate) fn image_id(output: &[u8]) -> Result<String, Cause> {
    let text = String::from_utf8_lossy(output);
    let line = text.trim();
    let digits = line.strip_prefix("sha256:").unwrap_or(line);
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(line.to_owned());
    }
    Err(Cause::Answer(format!("{line:?} is no image ID")))
}

/// Reads the warnings in a standard error.
pub(crate) fn warnings(stderr: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stderr);
    text.lines().filter_map(|line| line.trim().strip_prefix("WARNING: ")).map(str::to_owned).collect()
}

/// Reads what `docker wait` prints.
///
/// # Errors
///
/// [`Cause::Answer`] for anything but a number.
pub(crate) fn exit_code(output: &[u8]) -> Result<i64, Cause> {
    let text = String::from_utf8_lossy(output);
    let line = text.trim();
    line.parse().map_err(|_| Cause::Answer(format!("{line:?} is no exit code")))
}

/// Reads one line that `docker pull` prints without a terminal: `5040bd298390: Pull complete`.
pub(crate) fn pull_progress(line: &str) -> PullProgress {
    let line = line.trim_end();
    let is_layer = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match line.split_once(": ") {
        Some((layer, status)) if is_layer(layer) => {
            PullProgress { layer: layer.to_owned(), status: status.to_owned(), bytes: None }
        }
        _ => PullProgress { layer: String::new(), status: line.to_owned(), bytes: None },
    }
}

/// Reads a line of `docker build` that names the image: `Successfully built 5040bd298390`.
pub(crate) fn built_image(line: &str) -> Option<String> {
    line.trim().strip_prefix("Successfully built ").map(str::to_owned)
}

/// Reads `docker version`: the engine's part with the program's under `Client`; `None` without an
/// engine.
pub(crate) fn version(answer: &Value) -> Option<Value> {
    let mut server: Map<String, Value> = answer.get("Server")?.as_object()?.clone();
    // Old formats have the engine's own version at the top.
    if let Some(client) = answer.get("Client") {
        server.insert("Client".to_owned(), client.clone());
    }
    Some(Value::Object(server))
}

/// Finds each wanted container among inspected ones: by name, by ID, by the beginning of the ID.
pub(crate) fn by_name(wanted: &[String], inspected: Vec<Value>) -> BTreeMap<String, Value> {
    let text = |element: &Value, field: &str| {
        element.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut found = BTreeMap::new();
    for name in wanted {
        let element = inspected
            .iter()
            .find(|element| text(element, "Name").trim_start_matches('/') == name)
            .or_else(|| inspected.iter().find(|element| text(element, "Id").starts_with(name.as_str())));
        if let Some(element) = element {
            found.insert(name.clone(), element.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_id_of_a_new_container_is_the_last_line_of_hexadecimal_digits() {
        let id = "0123456789abcdef".repeat(4);
        let output = format!("Unable to find image\nPulling\n{id}\n");
        assert_eq!(container_id(output.as_bytes()), Some(id));
        assert_eq!(container_id(b"nothing\n"), None);
    }

    #[test]
    fn the_id_of_a_new_image_is_all_that_is_printed() {
        let id = format!("sha256:{}", "a1".repeat(32));
        assert_eq!(image_id(format!("{id}\r\n").as_bytes()).unwrap(), id);
        for other in ["", "sha256:", "Error", "sha256:12"] {
            assert!(matches!(image_id(other.as_bytes()), Err(Cause::Answer(_))), "{other}");
        }
    }

    #[test]
    fn inspected_containers_are_found_by_name_and_by_id() {
        let elements = vec![json!({"Name": "/a", "Id": "b1"}), json!({"Name": "/b", "Id": "c2"})];
        let wanted = ["a", "b", "c", "d"].map(str::to_owned);
        let found = by_name(&wanted, elements);
        let ids: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value["Id"].as_str().unwrap())).collect();
        // `b` is a name and the beginning of an ID: the name counts.
        assert_eq!(ids, [("a", "b1"), ("b", "c2"), ("c", "c2")]);
    }

    #[test]
    fn lines_of_a_pull() {
        let progress = |layer: &str, status: &str| PullProgress {
            layer: layer.into(),
            status: status.into(),
            bytes: None,
        };
        assert_eq!(
            pull_progress("5040bd298390: Pull complete\r\n"),
            progress("5040bd298390", "Pull complete")
        );
        assert_eq!(pull_progress("Digest: sha256:1"), progress("", "Digest: sha256:1"));
        assert_eq!(
            pull_progress("1.0: Pulling from library/nginx"),
            progress("", "1.0: Pulling from library/nginx")
        );
    }

    #[test]
    fn an_engine_that_is_not_there_has_no_version() {
        assert_eq!(version(&json!({"Client": {"Version": "1"}, "Server": null})), None);
        let both = json!({"Client": {"Version": "1"}, "Server": {"Version": "2"}});
        assert_eq!(version(&both), Some(json!({"Version": "2", "Client": {"Version": "1"}})));
    }

    #[test]
    fn malformed_output_is_an_error() {
        for output in [&b"{"[..], b"Got permission denied", b"\xff"] {
            assert!(matches!(json(output), Err(Cause::Answer(_))));
            assert!(matches!(array(output), Err(Cause::Answer(_))));
            assert!(matches!(lines(output), Err(Cause::Answer(_))));
        }
        assert!(matches!(array(b"{}"), Err(Cause::Answer(_))));
        assert_eq!(array(b"\n").unwrap(), Vec::<Value>::new());
        assert_eq!(lines(b"{}\r\n\r\n{}").unwrap().len(), 2);
        assert!(matches!(exit_code(b"x\n"), Err(Cause::Answer(_))));
        assert_eq!(exit_code(b"137\n").unwrap(), 137);
    }
}
