//! Plain data inside a map (option mappings, variables) and late values (map-model §11).

use std::fmt;

use indexmap::IndexMap;

use crate::position::Position;

/// A value as it stands in a map: YAML's data model, with late values as leaves.
///
/// Scalars keep what was written: a number is its source text, so that `1.10` in a position that
/// expects text is `1.10` (map-model §10.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A YAML boolean.
    Bool(bool),
    /// A plain scalar that reads as a number.
    Number(Number),
    /// Any other scalar.
    String(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping, in document order.
    Mapping(IndexMap<String, Value>),
    /// A value that is looked up at first use (`!env_lazy`, `!path_lazy`).
    Lazy(Lazy),
}

/// A number by its source text. Two numbers are equal when their texts are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// Takes `text` when it is a decimal integer or floating-point number.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let starts = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        (starts && text.parse::<f64>().is_ok_and(f64::is_finite)).then_some(Self(text))
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the value when it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// Returns the value as a floating-point number.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a late value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lazy {
    /// `!env_lazy NAME`: the deployment variable of this name.
    Env(String, At),
    /// `!path_lazy TEXT`: the text with process environment variables and `~` expanded.
    Path(String, At),
}

/// As it is written in YAML: `!env_lazy NAME`.
impl fmt::Display for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name, _) => write!(f, "!env_lazy {name}"),
            Self::Path(text, _) => write!(f, "!path_lazy {text}"),
        }
    }
}

/// The position of a late value, for messages. All are equal: late values compare by their source
/// (map-model §11.1).
#[derive(Clone, Debug, Default)]
pub struct At(pub Option<Position>);

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

impl std::hash::Hash for At {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// A typed property that is either known or looked up at first use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Late<T> {
    /// The value itself.
    Known(T),
    /// The value that the look-up yields, read as a `T`. Boxed: it is rare, and a map has many values.
    Lazy(Box<Lazy>),
}

impl<T> Late<T> {
    /// Returns the value when no look-up is needed.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Lazy(_) => None,
        }
    }
}

impl From<&str> for Late<String> {
    fn from(text: &str) -> Self {
        Self::Known(text.to_owned())
    }
}

/// What a map may ask its surroundings: this crate reads no environment and no file by itself.
pub trait Lookup {
    /// Returns the deployment variable `name` (`!env`, map-model §10.4).
    fn variable(&self, name: &str) -> Option<Value>;

    /// Returns the process environment variable `name` (`!path`, map-model §10.3).
    fn environment(&self, name: &str) -> Option<String>;

    /// Returns the home directory of `user`, or of the current user for `None`.
    fn home(&self, user: Option<&str>) -> Option<String>;
}

/// A [`Lookup`] over tables, for tests and for callers that build maps in code.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Deployment variables.
    pub variables: IndexMap<String, Value>,
    /// Process environment.
    pub environment: IndexMap<String, String>,
    /// Home directories by user name; the empty name is the current user.
    pub homes: IndexMap<String, String>,
}

impl Lookup for Tables {
    fn variable(&self, name: &str) -> Option<Value> {
        self.variables.get(name).cloned()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        self.homes.get(user.unwrap_or_default()).cloned()
    }
}

/// A late value that could not be looked up, or whose value does not fit its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", position.as_ref().map(|p| format!("{p}: ")).unwrap_or_default())]
pub struct Unresolved {
    /// What is wrong, naming the variable and the property.
    pub what: String,
    /// Where the late value was written.
    pub position: Option<Position>,
}
