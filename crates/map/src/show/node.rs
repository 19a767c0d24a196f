//! Building nodes from values.

use compact_str::CompactString;
use std::fmt::Display;

use indexmap::IndexMap;

use crate::model::Setting;
use crate::position::Position;
use crate::value::{Late, Lazy, Value};
use crate::yaml::{Content, Entry, Key, Node, Scalar, Tag};

/// The fields of a mapping in order; those of no value are left out.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, Node)>);

impl Fields {
    pub(super) fn put(&mut self, name: &str, node: Node) {
        self.0.push((name.to_owned(), node));
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.put(name, text(value));
    }

    pub(super) fn boolean(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.put(name, scalar(value.to_string()));
        }
    }

    pub(super) fn late(&mut self, name: &str, value: Option<&Late<String>>) {
        if let Some(value) = value {
            self.put(name, late(value, |value| text(value)));
        }
    }

    pub(super) fn setting<T>(&mut self, name: &str, setting: &Setting<T>, node: impl Fn(&T) -> Node) {
        match setting {
            Setting::Unset => {}
            Setting::Null => self.put(name, scalar("null")),
            Setting::Value(value) => self.put(name, node(value)),
        }
    }

    pub(super) fn list<T>(&mut self, name: &str, items: &[T], node: impl Fn(&T) -> Node) {
        if !items.is_empty() {
            self.put(name, list(items.iter().map(node)));
        }
    }

    pub(super) fn mapping<K: Display, V>(
        &mut self,
        name: &str,
        entries: &IndexMap<K, V>,
        node: impl Fn(&V) -> Node,
    ) {
        if !entries.is_empty() {
            self.put(name, mapping(entries.iter().map(|(key, value)| (key.to_string(), node(value)))));
        }
    }

    pub(super) fn node(self) -> Node {
        mapping(self.0)
    }
}

fn node(content: Content) -> Node {
    Node::new(content, nowhere(), 1)
}

/// These nodes were not read from a text.
fn nowhere() -> Position {
    Position::new("", 1, 1)
}

/// A plain scalar: a number, a boolean, null.
pub(super) fn scalar(text: impl Into<CompactString>) -> Node {
    node(Content::Scalar(Scalar::plain(text)))
}

/// A text, whatever it looks like.
pub(super) fn text(text: &str) -> Node {
    node(Content::Scalar(Scalar::quoted(text)))
}

pub(super) fn list(items: impl IntoIterator<Item = Node>) -> Node {
    node(Content::List(items.into_iter().collect()))
}

pub(super) fn mapping(entries: impl IntoIterator<Item = (String, Node)>) -> Node {
    let entry = |(text, value): (String, Node)| Entry {
        key: Key { text: text.into(), position: nowhere(), length: 1 },
        value,
    };
    node(Content::Mapping(entries.into_iter().map(entry).collect()))
}

pub(super) fn late<T>(value: &Late<T>, known: impl Fn(&T) -> Node) -> Node {
    match value {
        Late::Known(value) => known(value),
        Late::Lazy(value) => lazy(value),
    }
}

fn lazy(lazy: &Lazy) -> Node {
    let (tag, source) = match lazy {
        Lazy::Env(name, _) => (Tag::EnvLazy, name),
        Lazy::Path(path, _) => (Tag::PathLazy, path),
    };
    Node { tag: Some(tag), ..text(source) }
}

pub(super) fn value(value: &Value) -> Node {
    match value {
        Value::Null => scalar("null"),
        Value::Bool(value) => scalar(value.to_string()),
        Value::Number(number) => scalar(number.as_str()),
        Value::String(value) => text(value),
        Value::List(items) => list(items.iter().map(self::value)),
        Value::Mapping(entries) => {
            mapping(entries.iter().map(|(key, value)| (key.clone(), self::value(value))))
        }
        Value::Lazy(value) => lazy(value),
    }
}
