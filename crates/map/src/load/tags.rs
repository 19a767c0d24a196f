//! Eager tags: `!path` and `!env` (map-model §10.3, §10.4), applied to nodes before anything else.
//!
//! A node whose tag cannot be applied keeps it: it has been reported, and readers pass over it
//! ([`Node::is_failed`]).

use indexmap::IndexMap;

use super::context::Context;
use crate::diagnostic::FindingKind;
use crate::position::Position;
use crate::resolve::expand_path;
use crate::value::{Lazy, Lookup, Value};
use crate::yaml::{Content, Entry, Key, Node, Scalar, ScalarKind, Tag};

/// Applies the eager tags of a tree.
pub(super) fn apply(node: Node, lookup: &dyn Lookup, context: &mut Context) -> Node {
    let Node { content, tag, position, length } = node;
    let mut content = content;
    let mut tag = tag;
    if let (Some(Tag::Path | Tag::PathLazy), Content::List(_) | Content::Mapping(_)) = (tag, &content) {
        // The tag of a collection means its strings on the first level.
        content = distribute(content, tag);
        tag = None;
    }
    let content = match content {
        Content::List(items) => {
            Content::List(items.into_iter().map(|item| apply(item, lookup, context)).collect())
        }
        Content::Mapping(entries) => {
            let entry = |Entry { key, value }| Entry { key, value: apply(value, lookup, context) };
            Content::Mapping(entries.into_iter().map(entry).collect())
        }
        scalar => scalar,
    };
    let node = Node { content, tag, position, length };
    match (tag, node.scalar()) {
        (Some(Tag::Path), Some(scalar)) => match expand_path(&scalar.text, lookup) {
            Ok(path) => Node { content: Content::Scalar(Scalar::quoted(path)), tag: None, ..node },
            Err(problem) => {
                let hint = "set it, or write the path without it; a `$` cannot be escaped in `!path`";
                let finding =
                    node.error(FindingKind::Unresolved, format!("{problem} (`!path {}`)", scalar.text));
                context.push(finding.hint(hint));
                node
            }
        },
        (Some(Tag::Env), Some(scalar)) => match lookup.variable(&scalar.text) {
            Some(value) => from_value(value, &node.position, node.length),
            None => {
                let message = format!("deployment variable `{}` is not set (`!env`)", scalar.text);
                let hint = "give it under `env:` in the project file, or with `--set NAME=VALUE`";
                context.push(node.error(FindingKind::Unresolved, message).hint(hint));
                node
            }
        },
        (Some(Tag::Env | Tag::EnvLazy), None) => {
            let message =
                format!("`{}` takes the name of a variable, found {}", tag_text(tag), node.describe());
            context.push(node.error(FindingKind::Load, message));
            Node { tag: Some(Tag::Env), ..node }
        }
        _ => node,
    }
}

/// Moves a path tag from a collection to the untagged strings on its first level.
fn distribute(content: Content, tag: Option<Tag>) -> Content {
    let tagged = |node: Node| match node.scalar() {
        Some(scalar) if node.tag.is_none() && is_string(scalar) => Node { tag, ..node },
        _ => node,
    };
    match content {
        Content::List(items) => Content::List(items.into_iter().map(tagged).collect()),
        Content::Mapping(entries) => {
            let entry = |Entry { key, value }| Entry { key, value: tagged(value) };
            Content::Mapping(entries.into_iter().map(entry).collect())
        }
        scalar => scalar,
    }
}

fn is_string(scalar: &Scalar) -> bool {
    matches!(scalar.kind(), ScalarKind::Text | ScalarKind::OldBool(_))
}

fn tag_text(tag: Option<Tag>) -> &'static str {
    tag.map_or("", Tag::as_str)
}

/// Turns the value of a variable into a node that stands where the tag was written.
fn from_value(value: Value, position: &Position, length: u32) -> Node {
    let node = |content| Node::new(content, position.clone(), length);
    match value {
        Value::Null => node(Content::Scalar(Scalar::plain("null"))),
        Value::Bool(value) => node(Content::Scalar(Scalar::plain(value.to_string()))),
        Value::Number(number) => node(Content::Scalar(Scalar::plain(number.to_string()))),
        Value::String(text) => node(Content::Scalar(Scalar::quoted(text))),
        Value::List(items) => {
            node(Content::List(items.into_iter().map(|item| from_value(item, position, length)).collect()))
        }
        Value::Mapping(entries) => node(Content::Mapping(from_entries(entries, position, length))),
        Value::Lazy(Lazy::Env(name, _)) => {
            Node { tag: Some(Tag::EnvLazy), ..node(Content::Scalar(Scalar::quoted(name))) }
        }
        Value::Lazy(Lazy::Path(text, _)) => {
            Node { tag: Some(Tag::PathLazy), ..node(Content::Scalar(Scalar::quoted(text))) }
        }
    }
}

fn from_entries(entries: IndexMap<String, Value>, position: &Position, length: u32) -> Vec<Entry> {
    let entry = |(text, value)| Entry {
        key: Key { text, position: position.clone(), length },
        value: from_value(value, position, length),
    };
    entries.into_iter().map(entry).collect()
}

impl Node {
    /// Tells whether an eager tag could not be applied, which has been reported.
    pub(super) fn is_failed(&self) -> bool {
        matches!(self.tag, Some(Tag::Env | Tag::Path))
    }
}
