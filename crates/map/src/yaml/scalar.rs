//! Scalars by their source text (map-model §10.6).

use compact_str::CompactString;
use indexmap::IndexMap;

use super::{Content, Node};
use crate::value::{Number, Value};

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text: the source text of plain scalars, the content of quoted and block ones.
    pub text: CompactString,
    /// Written without quotes, and not as a block: it may mean a null, a boolean or a number.
    pub plain: bool,
}

/// What a scalar means where nothing else is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A boolean of YAML 1.1 only: `yes`, `no`, `on`, `off`. A text, except where a boolean is expected.
    OldBool(bool),
    /// A number.
    Number,
    /// Anything else.
    Text,
}

impl Scalar {
    /// Makes a plain scalar.
    pub fn plain(text: impl Into<CompactString>) -> Self {
        Self { text: text.into(), plain: true }
    }

    /// Makes a quoted scalar: a text, whatever it looks like.
    pub fn quoted(text: impl Into<CompactString>) -> Self {
        Self { text: text.into(), plain: false }
    }

    /// Makes the scalar of a mapping key. A key is a name: it never means a null or a boolean, but it
    /// may mean a number (a port).
    pub(super) fn key(text: &str) -> Self {
        Self { text: text.into(), plain: number(text).is_some() }
    }

    /// Says what it means.
    pub fn kind(&self) -> ScalarKind {
        if !self.plain {
            return ScalarKind::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
            "true" | "True" | "TRUE" => ScalarKind::Bool(true),
            "false" | "False" | "FALSE" => ScalarKind::Bool(false),
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => ScalarKind::OldBool(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => ScalarKind::OldBool(false),
            text if number(text).is_some() => ScalarKind::Number,
            _ => ScalarKind::Text,
        }
    }

    /// Returns the number it means.
    pub fn number(&self) -> Option<Number> {
        if self.plain { number(&self.text) } else { None }
    }
}

/// Reads a plain text as a number: decimal by its source text; `0x1f` and `0o17` in decimal.
fn number(text: &str) -> Option<Number> {
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
            .then(|| i64::from_str_radix(digits, radix).ok())?
    };
    match radix("0x", 16).or_else(|| radix("0o", 8)) {
        Some(number) => Some(number.into()),
        None => Number::new(text),
    }
}

/// The plain data of a node. Lazy tags become late values; eager ones must have been applied
/// ([`crate::load`]) and are taken as texts otherwise.
impl From<&Node> for Value {
    fn from(node: &Node) -> Self {
        if let Some(lazy) = node.lazy() {
            return Self::Lazy(lazy);
        }
        match &node.content {
            Content::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Content::Mapping(entries) => {
                let entry = |entry: &super::Entry| (entry.key.text.to_string(), Self::from(&entry.value));
                Self::Mapping(entries.iter().map(entry).collect::<IndexMap<_, _>>())
            }
            // The text under an eager tag is no value yet, whatever it looks like.
            Content::Scalar(scalar) if node.tag.is_some() => Self::String(scalar.text.to_string()),
            Content::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Null => Self::Null,
                ScalarKind::Bool(value) => Self::Bool(value),
                ScalarKind::Number | ScalarKind::OldBool(_) | ScalarKind::Text => match scalar.number() {
                    Some(number) => Self::Number(number),
                    None => Self::String(scalar.text.to_string()),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_model_10_6_kinds() {
        let cases = [
            ("", ScalarKind::Null),
            ("~", ScalarKind::Null),
            ("true", ScalarKind::Bool(true)),
            ("yes", ScalarKind::OldBool(true)),
            ("off", ScalarKind::OldBool(false)),
            ("0750", ScalarKind::Number),
            ("1.10", ScalarKind::Number),
            ("1e3", ScalarKind::Number),
            ("0x1f", ScalarKind::Number),
            ("22:22", ScalarKind::Text),
            ("2001-01-01", ScalarKind::Text),
            ("1_000", ScalarKind::Text),
            (".nan", ScalarKind::Text),
        ];
        for (text, kind) in cases {
            assert_eq!(Scalar::plain(text).kind(), kind, "{text:?}");
            assert_eq!(Scalar::quoted(text).kind(), ScalarKind::Text, "{text:?} in quotes");
        }
        assert_eq!(Scalar::plain("0x1f").number(), Some(31.into()));
        assert_eq!(Scalar::plain("1.10").number().map(|n| n.to_string()).as_deref(), Some("1.10"));
    }
}
