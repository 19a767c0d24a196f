//! Looking late values up when they are needed (map-model §11).
//!
//! Nothing in this crate resolves a late value while loading, extending, merging, checking or ordering,
//! except `repository` and `default_tag`, which image items need. What turns a map into engine calls
//! asks here, with the property's path for the message.

use indexmap::IndexMap;

use crate::model::{Auth, Options, User};
use crate::value::{Late, Lazy, Lookup, Number, Unresolved, Value};

/// A type that a looked-up value can be read as.
pub trait FromValue: Sized {
    /// What is accepted, for messages: `a text`, `a port number`.
    const EXPECTED: &'static str;

    /// Reads the value; `None` when it does not fit.
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: FromValue + Clone> Late<T> {
    /// Returns the value, looking it up where it is late. `property` is named in the error.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] when the variable is not set, or its value is no `T`.
    pub fn resolve(&self, lookup: &dyn Lookup, property: &str) -> Result<T, Unresolved> {
        match self {
            Self::Known(value) => Ok(value.clone()),
            Self::Lazy(lazy) => {
                let value = lazy.look_up(lookup, property)?;
                let found = value.describe();
                T::from_value(value).ok_or_else(|| {
                    lazy.unresolved(property, &format!("is {found}, expected {}", T::EXPECTED))
                })
            }
        }
    }
}

impl Auth {
    /// Returns the login with its late values looked up.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] for the first one that cannot be.
    pub fn resolve(&self, lookup: &dyn Lookup) -> Result<Self, Unresolved> {
        let username = Late::Known(self.username.resolve(lookup, "auth_configs.username")?);
        let password = Late::Known(self.password.resolve(lookup, "auth_configs.password")?);
        Ok(Self { username, password, email: self.email.clone() })
    }
}

impl Lazy {
    /// Looks the value up.
    ///
    /// # Errors
    ///
    /// [`Unresolved`], naming the variable, `property` and the position.
    pub fn look_up(&self, lookup: &dyn Lookup, property: &str) -> Result<Value, Unresolved> {
        match self {
            Self::Env(name, _) => match lookup.variable(name) {
                Some(Value::Lazy(_)) => Err(self.unresolved(property, "is itself a late value")),
                Some(value) => Ok(value),
                None => Err(self.unresolved(property, "is not set")),
            },
            Self::Path(text, at) => match expand_path(text, lookup) {
                Ok(path) => Ok(Value::String(path)),
                Err(problem) => Err(Unresolved {
                    what: format!("{problem} in `!path_lazy {text}`, needed for `{property}`"),
                    position: at.0.clone(),
                }),
            },
        }
    }

    fn unresolved(&self, property: &str, problem: &str) -> Unresolved {
        match self {
            Self::Env(name, at) => Unresolved {
                what: format!("deployment variable `{name}` {problem}, needed for `{property}`"),
                position: at.0.clone(),
            },
            Self::Path(text, at) => Unresolved {
                what: format!("`!path_lazy {text}` {problem}, needed for `{property}`"),
                position: at.0.clone(),
            },
        }
    }
}

impl Value {
    /// Returns the value with the late values in it looked up: itself, list elements and mapping
    /// values. `property` is the path of this value; elements add `[0]` or `.key` to it.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] for the first late value that cannot be looked up.
    pub fn resolve(&self, lookup: &dyn Lookup, property: &str) -> Result<Self, Unresolved> {
        match self {
            Self::Lazy(lazy) => lazy.look_up(lookup, property),
            Self::List(items) => {
                let item = |(at, item): (usize, &Self)| item.resolve(lookup, &format!("{property}[{at}]"));
                Ok(Self::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?))
            }
            Self::Mapping(entries) => Ok(Self::Mapping(resolve_entries(entries, lookup, property)?)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => Ok(self.clone()),
        }
    }

    /// Says what this is, for messages. Never shows the value of a text, which may be secret.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
            Self::Lazy(_) => "a late value",
        }
    }
}

/// Returns a mapping with the late values in it looked up, see [`Value::resolve`].
///
/// # Errors
///
/// [`Unresolved`] for the first late value that cannot be looked up.
pub fn resolve_entries(
    entries: &IndexMap<String, Value>,
    lookup: &dyn Lookup,
    property: &str,
) -> Result<IndexMap<String, Value>, Unresolved> {
    let entry = |(key, value): (&String, &Value)| {
        Ok((key.clone(), value.resolve(lookup, &format!("{property}.{key}"))?))
    };
    entries.iter().map(entry).collect()
}

impl Options {
    /// Returns all layers as one mapping without late values.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] for the first late value that cannot be looked up.
    pub fn resolve(
        &self,
        lookup: &dyn Lookup,
        property: &str,
    ) -> Result<IndexMap<String, Value>, Unresolved> {
        let mut all = IndexMap::new();
        for layer in self.layers() {
            let entries = layer.resolve(lookup, property)?;
            all.extend(resolve_entries(&entries, lookup, property)?);
        }
        Ok(all)
    }
}

/// Expands `$NAME` and `${NAME}` from the process environment, then a leading `~` or `~user`
/// (map-model §10.3). There is no escape for `$`.
///
/// # Errors
///
/// What is missing, as a fragment: `` variable `NOPE` is not set ``.
pub fn expand_path(text: &str, lookup: &dyn Lookup) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, tail) = match after.strip_prefix('{') {
            Some(braced) => match braced.split_once('}') {
                Some((name, tail)) => (name, tail),
                None => ("", after),
            },
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if name.is_empty() {
            expanded.push('$');
            rest = after;
        } else {
            let value = lookup.environment(name);
            expanded.push_str(&value.ok_or_else(|| format!("environment variable `{name}` is not set"))?);
            rest = tail;
        }
    }
    expanded.push_str(rest);
    let Some(tilde) = expanded.strip_prefix('~') else { return Ok(expanded) };
    let (user, path) = tilde.split_at(tilde.find('/').unwrap_or(tilde.len()));
    let home = lookup.home((!user.is_empty()).then_some(user));
    let home = home.ok_or_else(|| match user {
        "" => "the home directory is not known".to_owned(),
        user => format!("user `{user}` has no known home directory"),
    })?;
    Ok(format!("{}{path}", home.trim_end_matches('/')))
}

impl FromValue for String {
    const EXPECTED: &'static str = "a text";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}

/// A port number, as a number or as its text.
impl FromValue for u16 {
    const EXPECTED: &'static str = "a port number from 1 to 65535";

    fn from_value(value: Value) -> Option<Self> {
        let text = String::from_value(value)?;
        text.parse().ok().filter(|port| *port != 0)
    }
}

impl FromValue for User {
    const EXPECTED: &'static str = "a user as `name`, `name:group` or `[name, group]`";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::List(parts) => {
                let mut parts = parts.into_iter().map(String::from_value);
                let (user, group) = (parts.next()??, parts.next()??);
                (parts.next().is_none() && !user.is_empty() && !group.is_empty())
                    .then_some(Self { user, group: Some(group) })
            }
            scalar => Self::parse(&String::from_value(scalar)?),
        }
    }
}

impl User {
    /// Reads `user` or `user:group` (map-model §2.14); `None` when a part is empty or there are three.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let bad = |part: &str| part.is_empty() || part.contains(':');
        (!bad(user) && !group.is_some_and(bad))
            .then(|| Self { user: user.to_owned(), group: group.map(str::to_owned) })
    }
}

impl FromValue for IndexMap<String, Value> {
    const EXPECTED: &'static str = "a mapping";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Mapping(entries) => Some(entries),
            Value::Null => Some(Self::new()),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

#[cfg(test)]
mod tests;
