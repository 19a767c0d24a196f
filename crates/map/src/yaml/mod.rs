//! The one YAML reader: text in, a tree of nodes with their positions out.
//!
//! It stands on the events of `saphyr-parser`. A reader that yields plain values (`yaml_serde`) would
//! lose what a good message and an old map file need: the position of every key and value, the
//! source text of a scalar (`0750`, `1.10`, `22:22`; map-model §10.6), both places of a duplicate key
//! (D41), and a bound on what aliases may grow to. [`write()`] turns nodes back into text.
//!
//! What it reads: exactly one document of YAML 1.2; anchors and aliases; merge keys (`<<`), with the
//! precedence and order of YAML 1.1; the tags of map-model §10.3 and §10.4, which are kept on their
//! nodes; the core tags (`!!str`, `!!int`, …). Every other tag is an error. Keys are texts.
//!
//! # Limits
//!
//! Whatever the input, time and memory are bounded: [`MAX_TEXT`], [`MAX_NODES`],
//! [`MAX_DEPTH`] and [`MAX_FINDINGS`].
//! Trees are shallow enough for recursive functions on any thread.

mod merge;
mod outlet;
mod parse;
mod scalar;
mod write;

use compact_str::CompactString;

use crate::diagnostic::{Finding, FindingKind, Place};
use crate::position::Position;
use crate::value::{At, Lazy};

pub use parse::parse;
pub(crate) use parse::{Root, entries};
pub use scalar::{Scalar, ScalarKind};
pub use write::write;

/// The largest text that is read, in bytes (16 MiB).
pub const MAX_TEXT: usize = 16 << 20;

/// The most nodes (keys included) that a document may have after its aliases are expanded.
///
/// A map of 10,000 configurations has about 200,000.
pub const MAX_NODES: usize = 1_000_000;

/// The deepest nesting of lists and mappings, aliases expanded.
pub const MAX_DEPTH: usize = 100;

/// The most findings that are reported of one text; reading stops there.
pub const MAX_FINDINGS: usize = 500;

/// A value in a YAML text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// A tag of ours; core tags are applied to the content.
    pub tag: Option<Tag>,
    /// Its first character. An empty value stands at its key.
    pub position: Position,
    /// How many characters to mark in its line, at least one.
    pub length: u32,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in document order; keys are unique.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A mapping key: the text of a scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its text; a number is its source text. Short ones, which most are, need no memory of their own.
    pub text: CompactString,
    /// Its first character.
    pub position: Position,
    /// How many characters to mark in its line, at least one.
    pub length: u32,
}

/// The tags of map-model §10.3 and §10.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `!path`: expanded while loading.
    Path,
    /// `!path_lazy`: expanded at first use.
    PathLazy,
    /// `!env`: a deployment variable, looked up while loading.
    Env,
    /// `!env_lazy`: a deployment variable, looked up at first use.
    EnvLazy,
}

impl Tag {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Path, Self::PathLazy, Self::Env, Self::EnvLazy];

    /// Returns the tag as it is written: `!path`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "!path",
            Self::PathLazy => "!path_lazy",
            Self::Env => "!env",
            Self::EnvLazy => "!env_lazy",
        }
    }

    /// Tells whether the value is looked up at first use only.
    pub fn is_lazy(self) -> bool {
        matches!(self, Self::PathLazy | Self::EnvLazy)
    }
}

impl Node {
    /// Makes an untagged node.
    pub fn new(content: Content, position: Position, length: u32) -> Self {
        Self { content, tag: None, position, length }
    }

    /// Returns the place of this node, for findings.
    pub fn place(&self) -> Place {
        Place { position: self.position.clone(), line_text: String::new(), length: self.length }
    }

    /// Makes an error at this node.
    pub fn error(&self, kind: FindingKind, message: impl Into<String>) -> Finding {
        Finding::error(kind, message).at(self.place())
    }

    /// Tells whether this is an untagged null: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.tag.is_none() && self.scalar().is_some_and(|scalar| scalar.kind() == ScalarKind::Null)
    }

    /// Tells whether this is an untagged plain number.
    pub fn is_number(&self) -> bool {
        self.tag.is_none() && self.scalar().is_some_and(|scalar| scalar.kind() == ScalarKind::Number)
    }

    /// Returns the scalar, whatever the tag.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::List(_) | Content::Mapping(_) => None,
        }
    }

    /// Returns the text of an untagged scalar that is not null: the source text of plain ones
    /// (map-model §10.6).
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) if self.tag.is_none() && !self.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Returns the late value of a scalar with a lazy tag.
    pub fn lazy(&self) -> Option<Lazy> {
        let tag = self.tag.filter(|tag| tag.is_lazy())?;
        let text = self.scalar()?.text.to_string();
        let at = At(Some(self.position.clone()));
        Some(if tag == Tag::EnvLazy { Lazy::Env(text, at) } else { Lazy::Path(text, at) })
    }

    /// Returns the elements of an untagged sequence.
    pub fn list(&self) -> Option<&[Self]> {
        match &self.content {
            Content::List(items) if self.tag.is_none() => Some(items),
            _ => None,
        }
    }

    /// Returns the entries of an untagged mapping.
    pub fn mapping(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Mapping(entries) if self.tag.is_none() => Some(entries),
            _ => None,
        }
    }

    /// Returns the value of `key` in an untagged mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.mapping()?.iter().find(|entry| entry.key.text == key).map(|entry| &entry.value)
    }

    /// Says what this is, for messages: `a list`, `the number 80`, `null`, `!env_lazy port`.
    pub fn describe(&self) -> String {
        match &self.content {
            Content::List(items) if items.is_empty() => "an empty list".to_owned(),
            Content::List(items) if items.len() == 1 => "a list of one element".to_owned(),
            Content::List(items) => format!("a list of {} elements", items.len()),
            Content::Mapping(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
            Content::Scalar(scalar) => {
                let text = shortened(&scalar.text);
                match (self.tag, scalar.kind()) {
                    (Some(tag), _) => format!("`{} {text}`", tag.as_str()),
                    (None, ScalarKind::Null) => "null".to_owned(),
                    (None, ScalarKind::Bool(_)) => format!("the boolean `{text}`"),
                    (None, ScalarKind::Number) => format!("the number `{text}`"),
                    (None, ScalarKind::OldBool(_) | ScalarKind::Text) => format!("the text `{text}`"),
                }
            }
        }
    }
}

impl Key {
    /// Returns the place of this key, for findings.
    pub fn place(&self) -> Place {
        Place { position: self.position.clone(), line_text: String::new(), length: self.length }
    }

    /// Returns the key as a text node, for forms in which a mapping entry means `[key, value]`.
    pub fn to_node(&self) -> Node {
        Node::new(Content::Scalar(Scalar::key(&self.text)), self.position.clone(), self.length)
    }
}

/// Cuts a text that is too long for a message.
pub(crate) fn shortened(text: &str) -> String {
    const LIMIT: usize = 60;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
