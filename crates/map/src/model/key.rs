//! Keys of list elements: what makes two elements of a list property "the same one".
//!
//! A key serves two purposes, so that it is computed in one place. Merging replaces the inherited
//! element with the same key (map-model §5.2), and [`crate::position::Origins`] records the position
//! of an element under `property.key`: `binds.conf`, `exposes.80/tcp`, `links.app.one:db`.

use std::borrow::Cow;

use super::{Attach, Bind, CommandLine, Endpoint, ExecCommand, Link, Port, Reference, Use};
use crate::names::{ClientName, ConfigName, InstanceName};
use crate::value::Late;

/// An element of a list property that has a key inside its list.
pub trait Keyed {
    /// Returns the key. It is unique inside the list for the keyed properties of map-model §5.2;
    /// for `exposes`, and where a list repeats an element, several elements share one.
    fn key(&self) -> Cow<'_, str>;
}

impl Keyed for Bind {
    /// The alias, or the container path.
    fn key(&self) -> Cow<'_, str> {
        match self {
            Self::Alias { name, .. } => Cow::Borrowed(name),
            Self::Path { path, .. } => path.key(),
        }
    }
}

impl Keyed for Attach {
    /// The alias.
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

impl Keyed for Use {
    /// The name as written.
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

impl Keyed for Endpoint {
    /// The network.
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.network_name)
    }
}

impl Keyed for Port {
    /// `number/protocol`.
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(Self::key(self))
    }
}

impl Keyed for Link {
    /// `container`, or `container:alias`.
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(match &self.alias {
            Some(alias) => format!("{}:{alias}", self.container),
            None => self.container.to_string(),
        })
    }
}

impl Keyed for ExecCommand {
    /// The command's text, its words joined by blanks.
    fn key(&self) -> Cow<'_, str> {
        match &self.cmd {
            CommandLine::Text(text) => text.key(),
            CommandLine::Words(words) => {
                Cow::Owned(words.iter().map(Keyed::key).collect::<Vec<_>>().join(" "))
            }
        }
    }
}

impl Keyed for Late<String> {
    /// The text, or the tag and its text for a late value.
    fn key(&self) -> Cow<'_, str> {
        match self {
            Self::Known(text) => Cow::Borrowed(text),
            Self::Lazy(lazy) => Cow::Owned(lazy.to_string()),
        }
    }
}

impl Keyed for Reference {
    /// `config` or `config.instance`.
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

macro_rules! keyed_by_name {
    ($($name:ty),*) => {$(
        impl Keyed for $name {
            /// The name itself.
            fn key(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }
        }
    )*};
}

keyed_by_name!(ConfigName, InstanceName, ClientName);
