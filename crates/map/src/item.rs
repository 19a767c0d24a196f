//! Items: what an action works on (map-model §8.1).

use std::fmt;

use crate::image::ImageName;
use crate::names::{ConfigName, InstanceName, MapName, NetworkName, VolumeAlias};

/// Something of a map that exists on an engine, or should.
///
/// Prints as in map-model §8.7: `C app.one`, `V app:log`, `N front`, `I nginx:latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Item {
    /// A container: a configuration, or one instance of it.
    Container {
        /// The configuration.
        config: ConfigName,
        /// The instance, for configurations that declare some.
        instance: Option<InstanceName>,
    },
    /// An attached volume.
    Volume {
        /// The configuration that attaches it.
        config: ConfigName,
        /// Its alias.
        alias: VolumeAlias,
    },
    /// A network.
    Network(NetworkName),
    /// An image, by its expanded name (map-model §7.5).
    Image(ImageName),
}

/// An item and the map it belongs to. Edges never cross maps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId {
    /// The map.
    pub map: MapName,
    /// The item inside it.
    pub item: Item,
}

impl Item {
    /// Returns the kind of item.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Container { .. } => Kind::Container,
            Self::Volume { .. } => Kind::Volume,
            Self::Network(_) => Kind::Network,
            Self::Image(_) => Kind::Image,
        }
    }
}

/// The kinds of items, by the words that plans and JSON use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `container`
    Container,
    /// `image`
    Image,
    /// `network`
    Network,
    /// `volume`
    Volume,
}

impl Kind {
    /// Returns the word: `container`, `image`, `network`, `volume`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { config, instance: Some(instance) } => write!(f, "C {config}.{instance}"),
            Self::Container { config, instance: None } => write!(f, "C {config}"),
            Self::Volume { config, alias } => write!(f, "V {config}:{alias}"),
            Self::Network(name) => write!(f, "N {name}"),
            Self::Image(image) => write!(f, "I {image}"),
        }
    }
}
