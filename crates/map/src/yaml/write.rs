//! Nodes back to text.
//!
//! Written here and not with `yaml_serde`, because the text has to come back as the same nodes: numbers
//! by their source text (`1.10`, `0750`), and the tags of late values.

use super::{Content, Entry, Node, Scalar, ScalarKind};

/// Collections inside lists stand on one line up to this width.
const WIDTH: usize = 100;

/// Writes a document, with a newline at its end.
///
/// [`super::parse`] reads it back as an equal tree, positions aside. Texts that any YAML version
/// could take for something else are quoted.
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    match &node.content {
        Content::Mapping(entries) if !entries.is_empty() && node.tag.is_none() => {
            mapping(&mut out, entries, 0, false);
        }
        Content::List(items) if !items.is_empty() && node.tag.is_none() => list(&mut out, items, 0),
        _ => {
            out.push_str(&flow(node));
            out.push('\n');
        }
    }
    out
}

/// Writes a block mapping. `inline` continues a line that has its indentation already (after `- `).
fn mapping(out: &mut String, entries: &[Entry], indent: usize, inline: bool) {
    for (at, Entry { key, value }) in entries.iter().enumerate() {
        if at > 0 || !inline {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&text(&key.text, number_key(&key.text)));
        out.push(':');
        after_key(out, value, indent);
    }
}

fn after_key(out: &mut String, value: &Node, indent: usize) {
    match &value.content {
        Content::Mapping(entries) if !entries.is_empty() => {
            tag(out, value);
            out.push('\n');
            mapping(out, entries, indent + 2, false);
        }
        Content::List(items) if !items.is_empty() && !on_one_line(value) => {
            tag(out, value);
            out.push('\n');
            list(out, items, indent);
        }
        _ => {
            out.push(' ');
            out.push_str(&flow(value));
            out.push('\n');
        }
    }
}

fn tag(out: &mut String, node: &Node) {
    if let Some(tag) = node.tag {
        out.push(' ');
        out.push_str(tag.as_str());
    }
}

fn list(out: &mut String, items: &[Node], indent: usize) {
    for item in items {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str("- ");
        let line = flow(item);
        match &item.content {
            Content::Mapping(entries) if line.len() > WIDTH && item.tag.is_none() && !entries.is_empty() => {
                mapping(out, entries, indent + 2, true);
            }
            _ => {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
}

/// Lists of scalars stand on one line when they fit.
fn on_one_line(node: &Node) -> bool {
    let scalars = |items: &[Node]| items.iter().all(|item| item.scalar().is_some());
    matches!(&node.content, Content::List(items) if scalars(items)) && flow(node).len() <= WIDTH
}

fn flow(node: &Node) -> String {
    let body = match &node.content {
        Content::Scalar(scalar) => scalar_text(scalar, node.tag.is_some()),
        Content::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Content::Mapping(entries) => {
            let entry = |Entry { key, value }: &Entry| {
                format!("{}: {}", text(&key.text, number_key(&key.text)), flow(value))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    };
    match node.tag {
        Some(tag) => format!("{} {body}", tag.as_str()),
        None => body,
    }
}

fn scalar_text(scalar: &Scalar, tagged: bool) -> String {
    match scalar.kind() {
        ScalarKind::Null if !tagged => "null".to_owned(),
        ScalarKind::Bool(value) if !tagged => value.to_string(),
        ScalarKind::Number if !tagged => scalar.text.to_string(),
        // A plain `yes` stays one: quotes would make it a text.
        ScalarKind::OldBool(_) if !tagged => scalar.text.to_string(),
        _ => text(&scalar.text, false),
    }
}

fn number_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes a text, in double quotes unless every YAML reader takes it for a text (or it is a number
/// and may be `plain`).
fn text(text: &str, plain: bool) -> String {
    if plain || is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // Controls, YAML's other line breaks, byte order marks and non-characters.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}') =>
            {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    let inner =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | '+' | '@' | '=' | ':');
    // Single letters `y` and `n` are booleans to some readers.
    let boolean = matches!(text, "y" | "Y" | "n" | "N") || Scalar::plain(text).kind() != ScalarKind::Text;
    starts && text.chars().all(inner) && !text.ends_with(':') && !text.contains("::") && !boolean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn texts_are_quoted_where_a_reader_could_err() {
        let cases = [
            ("name", "name"),
            ("/etc/x", "/etc/x"),
            ("nginx:1.27", "nginx:1.27"),
            ("0750", "\"0750\""),
            ("22:22", "\"22:22\""),
            ("yes", "\"yes\""),
            ("n", "\"n\""),
            ("null", "\"null\""),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a:", "\"a:\""),
            ("<<", "\"<<\""),
            ("- x", "\"- x\""),
            ("a\u{7}\"\\", "\"a\\u0007\\\"\\\\\""),
        ];
        for (given, expected) in cases {
            assert_eq!(text(given, false), expected);
        }
    }

    #[test]
    fn layout() {
        let source = "\
name: m
web:
  binds:
  - {name: conf, readonly: true}
  - [/a, [b, ro]]
  shares: [/x, /y]
  empty: {}
  none: []
  late: !env_lazy port
  80: 1.10
  nothing: null
";
        assert_eq!(write(&parse(source, "f").unwrap()), source);
    }
}
