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

/// Applies the eager tags of a tree, in place: most nodes have none.
pub(super) fn apply(node: &mut Node, lookup: &dyn Lookup, context: &mut Context) {
    if let (Some(Tag::Path | Tag::PathLazy), Content::List(_) | Content::Mapping(_)) =
        (node.tag, &node.content)
    {
        // The tag of a collection means its strings on the first level.
        let tag = node.tag.take();
        children(&mut node.content).for_each(|child| inherit(child, tag));
    }
    children(&mut node.content).for_each(|child| apply(child, lookup, context));
    match (node.tag, node.scalar()) {
        (Some(Tag::Path), Some(scalar)) => match expand_path(&scalar.text, lookup) {
            Ok(path) => {
                node.content = Content::Scalar(Scalar::quoted(path));
                node.tag = None;
            }
            Err(problem) => {
                let hint = "set it, or write the path without it; a `$` cannot be escaped in `!path`";
                let finding =
                    node.error(FindingKind::Unresolved, format!("{problem} (`!path {}`)", scalar.text));
                context.push(finding.hint(hint));
            }
        },
        (Some(Tag::Env), Some(scalar)) => match lookup.variable(&scalar.text) {
            Some(value) => *node = from_value(value, &node.position, node.length),
            None => {
                let message = format!("deployment variable `{}` is not set (`!env`)", scalar.text);
                let hint = "give it under `env:` in the project file, or with `--set NAME=VALUE`";
                context.push(node.error(FindingKind::Unresolved, message).hint(hint));
            }
        },
        (Some(tag @ (Tag::Env | Tag::EnvLazy)), None) => {
            let message =
                format!("`{}` takes the name of a variable, found {}", tag.as_str(), node.describe());
            context.push(node.error(FindingKind::Load, message));
            node.tag = Some(Tag::Env);
        }
        _ => {}
    }
}

/// Returns the items of a list, or the values of a mapping.
fn children(content: &mut Content) -> impl Iterator<Item = &mut Node> {
    let (items, entries) = match content {
        Content::List(items) => (&mut items[..], &mut [][..]),
        Content::Mapping(entries) => (&mut [][..], &mut entries[..]),
        Content::Scalar(_) => (&mut [][..], &mut [][..]),
    };
    items.iter_mut().chain(entries.iter_mut().map(|entry| &mut entry.value))
}

/// Gives the path tag of a collection to a node on its first level, if that is an untagged string.
fn inherit(node: &mut Node, tag: Option<Tag>) {
    if node.tag.is_none() && node.scalar().is_some_and(is_string) {
        node.tag = tag;
    }
}

fn is_string(scalar: &Scalar) -> bool {
    matches!(scalar.kind(), ScalarKind::Text | ScalarKind::OldBool(_))
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
    let entry = |(text, value): (String, Value)| Entry {
        key: Key { text: text.into(), position: position.clone(), length },
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
