//! What only lists print: text for people, read into the shape of the Engine API, so that one set of functions
//! ([`dfab_client::engine_json`]) makes values of it.

use serde_json::{Value, json};

/// Reads `docker images --format '{{json .}}'` into the shape of `GET /images/json`.
pub(crate) fn images(lines: &[Value]) -> Value {
    // One line for each tag and digest; the order of first appearance is kept.
    let mut images: Vec<(String, Vec<String>, Vec<String>)> = Vec::new();
    for line in lines {
        let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        let (repository, tag, digest) = (field("Repository"), field("Tag"), field("Digest"));
        let id = field("ID");
        if id.is_empty() {
            continue;
        }
        let place = images.iter().position(|(known, ..)| known == id).unwrap_or_else(|| {
            images.push((id.to_owned(), Vec::new(), Vec::new()));
            images.len() - 1
        });
        let (_, tags, digests) = &mut images[place];
        let is_set = |text: &str| !text.is_empty() && text != "<none>";
        for (list, part, separator) in [(tags, tag, ':'), (digests, digest, '@')] {
            let reference = format!("{repository}{separator}{part}");
            if is_set(repository) && is_set(part) && !list.contains(&reference) {
                list.push(reference);
            }
        }
    }
    let elements = images
        .into_iter()
        .map(|(id, tags, digests)| json!({"Id": id, "RepoTags": tags, "RepoDigests": digests}));
    Value::Array(elements.collect())
}

/// Reads inspected images into the shape of `GET /images/json`, in their order, each once.
pub(crate) fn image_list(inspected: &[Value]) -> Value {
    let mut known = std::collections::BTreeSet::new();
    let elements = inspected.iter().filter_map(|image| {
        let id = image.get("Id").and_then(Value::as_str)?;
        if !known.insert(id.to_owned()) {
            return None;
        }
        let copy = |name: &str| image.get(name).cloned().unwrap_or_default();
        let created = image.get("Created").and_then(Value::as_str).and_then(epoch_seconds);
        Some(json!({
            "Id": id,
            "ParentId": image.get("Parent").and_then(Value::as_str).unwrap_or_default(),
            "RepoTags": copy("RepoTags"),
            "RepoDigests": copy("RepoDigests"),
            "Created": created,
            "Size": copy("Size"),
            "Labels": image.pointer("/Config/Labels").cloned().unwrap_or_default(),
        }))
    });
    Value::Array(elements.collect())
}

/// Reads one line of `docker ps --format '{{json .}}'` into the shape of an element of
/// `GET /containers/json`.
pub(crate) fn container_line(line: &Value) -> Value {
    let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let names: Vec<String> =
        field("Names").split(',').filter(|name| !name.is_empty()).map(|name| format!("/{name}")).collect();
    let command = field("Command");
    let command = command.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(command);
    json!({
        "Id": field("ID"),
        "Names": names,
        "Image": field("Image"),
        "Command": command,
        "Created": epoch_seconds(field("CreatedAt")),
        "State": field("State"),
        "Status": field("Status"),
        "Ports": ports(field("Ports")),
    })
}

/// Reads `0.0.0.0:80->80/tcp, :::81->81/tcp, 443/tcp, 0.0.0.0:8000-8001->8000-8001/tcp`. Ranges
/// become single ports; what is not understood is left out.
pub(crate) fn ports(text: &str) -> Vec<Value> {
    text.split(", ").filter_map(port).flatten().collect()
}

fn port(text: &str) -> Option<Vec<Value>> {
    let (public, private) = match text.trim().split_once("->") {
        Some((public, private)) => (Some(public), private),
        None => (None, text.trim()),
    };
    let (private, protocol) = private.split_once('/')?;
    let private = range(private)?;
    let Some(public) = public else {
        return Some(private.map(|port| json!({"PrivatePort": port, "Type": protocol})).collect());
    };
    let (ip, public) = public.rsplit_once(':')?;
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    let pairs = range(public)?.zip(private);
    Some(
        pairs
            .map(|(public, private)| json!({"IP": ip, "PublicPort": public, "PrivatePort": private, "Type": protocol}))
            .collect(),
    )
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// Reads `2017-02-14 10:11:12 +0100 CET` and `2017-02-14T10:11:12.123456789Z` as seconds since the
/// epoch. Parts of seconds are dropped; without an offset it is UTC.
pub(crate) fn epoch_seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?;
    let rest =
        rest.strip_prefix('.').map_or(rest, |part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    let offset = rest.trim_start();
    let offset = match offset.chars().next() {
        Some(sign @ ('+' | '-')) => {
            let digits: String = offset[1..].chars().filter(|c| *c != ':').take(4).collect();
            let (hours, minutes) =
                (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..4)?.parse::<i64>().ok()?);
            (hours * 3600 + minutes * 60) * if sign == '-' { -1 } else { 1 }
        }
        _ => 0,
    };
    // Days since the epoch of a proleptic Gregorian date; years begin in March, so that leap days
    // come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 1
        - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Reads `docker top` into the shape of `GET /containers/{id}/top`: titles split at blanks, each
/// line into at most as many fields, so that the last one keeps its blanks.
pub(crate) fn top(output: &[u8]) -> Value {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let titles: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let rows: Vec<Value> = lines.map(|line| Value::from(fields(line, titles.len()))).collect();
    json!({"Titles": titles, "Processes": rows})
}

fn fields(line: &str, count: usize) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    while fields.len() + 1 < count {
        let Some((field, after)) = rest.split_once(char::is_whitespace) else { break };
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        fields.push(rest.to_owned());
    }
    fields
}

/// Reads one line of `docker history --human=false --format '{{json .}}'` into the shape of an element of
/// `GET /images/{name}/history`. The program does not tell `Tags`.
pub(crate) fn layer(line: &Value) -> Value {
    let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    json!({
        "Id": field("ID"),
        "Created": epoch_seconds(field("CreatedAt")),
        "CreatedBy": field("CreatedBy"),
        "Size": field("Size").parse::<u64>().ok(),
        "Comment": field("Comment"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_ps() {
        let line = json!({
            "ID": "abc", "Image": "img:1", "CreatedAt": "2017-02-14 10:11:12 +0100 CET", "Status": "Up 2 hours",
            "State": "running", "Names": "web,other/alias", "Command": "\"nginx -g || daemon\"",
            "Ports": "0.0.0.0:80->80/tcp, 443/tcp, 0.0.0.0:8000-8001->8000-8001/tcp",
        });
        assert_eq!(
            container_line(&line),
            json!({
                "Id": "abc", "Names": ["/web", "/other/alias"], "Image": "img:1", "Command": "nginx -g || daemon",
                "Created": 1_487_063_472, "State": "running", "Status": "Up 2 hours",
                "Ports": [
                    {"IP": "0.0.0.0", "PublicPort": 80, "PrivatePort": 80, "Type": "tcp"},
                    {"PrivatePort": 443, "Type": "tcp"},
                    {"IP": "0.0.0.0", "PublicPort": 8000, "PrivatePort": 8000, "Type": "tcp"},
                    {"IP": "0.0.0.0", "PublicPort": 8001, "PrivatePort": 8001, "Type": "tcp"},
                ],
            })
        );
    }

    #[test]
    fn ports_of_every_form() {
        let of = |text: &str| serde_json::to_string(&ports(text)).unwrap();
        let ipv6 = r#"[{"IP":"::","PublicPort":80,"PrivatePort":80,"Type":"tcp"}]"#;
        assert_eq!(of("[::]:80->80/tcp"), ipv6);
        assert_eq!(of(":::80->80/tcp"), ipv6);
        assert_eq!(
            of("5000-5001/udp"),
            r#"[{"PrivatePort":5000,"Type":"udp"},{"PrivatePort":5001,"Type":"udp"}]"#
        );
        for nothing in ["", "x", "80", "1-x/tcp", "9-1/tcp", "70000/tcp", "a->b"] {
            assert_eq!(of(nothing), "[]", "{nothing:?}");
        }
    }

    #[test]
    fn times_keep_their_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2017-02-14 10:11:12 +0100 CET", Some(1_487_063_472)),
            ("2017-02-14 10:11:12 +0100", Some(1_487_063_472)),
            ("2017-02-14T09:11:12.123456789Z", Some(1_487_063_472)),
            ("2017-02-14T04:11:12.5-05:00", Some(1_487_063_472)),
            ("2000-02-29 00:00:00 +0000 UTC", Some(951_782_400)),
            ("2024-12-31 23:59:59 +0000 UTC", Some(1_735_689_599)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("", None),
            ("yesterday", None),
            ("2017-02-14", None),
            ("ääääääääääääääääääää", None),
        ] {
            assert_eq!(epoch_seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn images_are_grouped_by_id() {
        let line = |repository: &str, tag: &str, digest: &str, id: &str| json!({"Repository": repository, "Tag": tag, "Digest": digest, "ID": id});
        let lines = [
            line("a", "1", "<none>", "sha256:1"),
            line("a", "2", "sha256:d", "sha256:1"),
            line("a", "1", "sha256:d", "sha256:1"),
            line("<none>", "<none>", "<none>", "sha256:2"),
            line("r:5000/b", "<none>", "sha256:e", "sha256:3"),
        ];
        assert_eq!(
            images(&lines),
            json!([
                {"Id": "sha256:1", "RepoTags": ["a:1", "a:2"], "RepoDigests": ["a@sha256:d"]},
                {"Id": "sha256:2", "RepoTags": [], "RepoDigests": []},
                {"Id": "sha256:3", "RepoTags": [], "RepoDigests": ["r:5000/b@sha256:e"]},
            ])
        );
        assert_eq!(images(&[]), json!([]));
        assert_eq!(images(&[json!({}), json!(3)]), json!([]));
    }

    #[test]
    fn the_last_column_of_top_keeps_its_blanks() {
        let output = b"UID    PID   PPID  C  STIME  TTY  TIME      CMD\r\nroot   1     0     0  10:00  ?    00:00:00  nginx: master  process -g daemon off;\n";
        let answer = top(output);
        assert_eq!(answer["Titles"], json!(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]));
        assert_eq!(
            answer["Processes"],
            json!([[
                "root",
                "1",
                "0",
                "0",
                "10:00",
                "?",
                "00:00:00",
                "nginx: master  process -g daemon off;"
            ]])
        );
        assert_eq!(top(b""), json!({"Titles": [], "Processes": []}));
        assert_eq!(top(b"A B\nx\n")["Processes"], json!([["x"]]));
    }

    #[test]
    fn layers_of_a_history_have_the_shape_of_the_engine_api() {
        let line = json!({
            "Comment": "it's", "CreatedAt": "2017-02-14T10:11:12+01:00", "CreatedBy": "sh -c true",
            "CreatedSince": "2017-02-14T10:11:12+01:00", "ID": "sha256:1", "Size": "4213",
        });
        let expected = json!({
            "Id": "sha256:1", "Created": 1_487_063_472, "CreatedBy": "sh -c true", "Size": 4213, "Comment": "it's",
        });
        assert_eq!(layer(&line), expected);
        assert_eq!(layer(&json!({}))["Size"], Value::Null);
    }
}
