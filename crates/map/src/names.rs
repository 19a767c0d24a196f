//! Names: checked newtypes for what a map names (map-model §1.4), and the names that the resulting
//! Docker objects get (map-model §7).

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use compact_str::CompactString;

/// A name that breaks the rule of its kind (map-model §1.4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {kind} name")]
pub struct InvalidName {
    /// What the name was meant for: `map`, `configuration`, `instance`, …
    pub kind: &'static str,
    /// The text that was given.
    pub name: String,
    /// What is allowed, as a sentence fragment for a hint.
    pub rule: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(CompactString);

        impl $type {
            /// Checks `name` against the rule of map-model §1.4.
            ///
            /// # Errors
            ///
            /// [`InvalidName`] with the rule that was broken.
            pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
                let name = name.as_ref();
                let check: fn(&str) -> bool = $check;
                match check(name) {
                    true => Ok(Self(CompactString::new(name))),
                    false => Err(InvalidName { kind: $kind, name: name.to_owned(), rule: $rule }),
                }
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $type {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = InvalidName;
            fn try_from(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }
    };
}

name_type!(
    /// The name of a map: the first part of every Docker name made from it.
    MapName, "map", "letters, digits, `_` and `-`, starting with a letter or digit, and not `__all__`", is_plain
);
name_type!(
    /// The name of a container configuration or of a group; the two share a name space.
    ConfigName, "configuration", "letters, digits, `_` and `-`, starting with a letter or digit, and not `__all__`", is_plain
);
name_type!(
    /// The name of one instance of a container configuration.
    InstanceName, "instance", "letters, digits, `_`, `.` and `-`, starting with a letter, a digit or `_`",
    |name| name.starts_with('_') && name.chars().all(is_docker_character) || is_docker_name(name)
);
name_type!(
    /// A volume alias: the name of a volume inside its map.
    VolumeAlias, "volume", "letters, digits, `_`, `.` and `-`, starting with a letter or digit", is_docker_name
);
name_type!(
    /// The name of a network inside its map, or one of the preset names `bridge`, `host`, `none`.
    NetworkName, "network", "letters, digits, `_`, `.` and `-`, starting with a letter or digit", is_docker_name
);
name_type!(
    /// The name of a client configuration: one Docker engine and the way to it.
    ClientName, "client", "anything but an empty text", |name| !name.is_empty()
);

/// The name of the default client in `clients` lists (map-model §4.6).
pub const DEFAULT_CLIENT: &str = "__default__";

/// The word that selects every map or configuration (map-model §6.1).
pub const ALL: &str = "__all__";

/// Network names that Docker itself defines; they are never created, renamed or removed.
pub const PRESET_NETWORKS: [&str; 3] = ["bridge", "host", "none"];

impl ClientName {
    /// Returns the name of the default client, `__default__`.
    pub fn default_client() -> Self {
        Self(CompactString::const_new(DEFAULT_CLIENT))
    }

    /// Tells whether this is the default client, which host names do not mention.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_CLIENT
    }
}

/// Returns the Docker name of a container: `map.config` or `map.config.instance` (map-model §7.1).
pub fn container_name(map: &str, config: &str, instance: Option<&str>) -> String {
    match instance {
        Some(instance) => format!("{map}.{config}.{instance}"),
        None => format!("{map}.{config}"),
    }
}

/// Returns the Docker name of an attached volume (map-model §7.2): `map.alias`, or
/// `map.config.alias` where the map sets `use_attached_parent_name`.
pub fn volume_name(map: &str, parent: Option<&str>, alias: &str) -> String {
    match parent {
        Some(config) => format!("{map}.{config}.{alias}"),
        None => format!("{map}.{alias}"),
    }
}

/// Returns the Docker name of a network (map-model §7.3); preset names stay as they are.
pub fn network_name(map: &str, network: &str) -> String {
    if PRESET_NETWORKS.contains(&network) { network.to_owned() } else { format!("{map}.{network}") }
}

/// Returns the host name of a container (map-model §7.4): its name and that of its client, with these
/// replacements made one after the other. The default client is `None`, and adds nothing.
pub fn host_name(
    container_name: &str,
    client: Option<&ClientName>,
    replacements: &[(String, String)],
) -> String {
    match client {
        None => replaced(container_name, replacements),
        Some(client) => {
            format!("{}-{}", replaced(container_name, replacements), replaced(client, replacements))
        }
    }
}

/// The replacements of host names and default link aliases where nothing else is set: `_` and `.` are `-`.
pub fn dashes() -> Vec<(String, String)> {
    ["_", "."].map(|from| (from.to_owned(), "-".to_owned())).into()
}

/// Returns `text` with these replacements made, one after the other (engine §8.3, `hostname_replace`).
pub fn replaced(text: &str, replacements: &[(String, String)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn is_docker_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn is_docker_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_docker_character)
}

fn is_plain(name: &str) -> bool {
    is_docker_name(name) && !name.contains('.') && name != ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_dashes_and_the_client_last() {
        let named = ClientName::new("cl_1.x").unwrap();
        for (row, container, client, expected) in [
            ("§7.4 default client", "m.a", None, "m-a"),
            ("§7.4 named client", "m.a_b.i_1", Some(&named), "m-a-b-i-1-cl-1-x"),
        ] {
            assert_eq!(host_name(container, client, &dashes()), expected, "{row}");
        }
    }

    #[test]
    fn docker_names_of_a_map() {
        // §7.1 containers, §7.2 volumes, §7.3 networks, §7.4 link aliases: made name, expected.
        for (section, made, expected) in [
            ("§7.1", container_name("m", "a", None), "m.a"),
            ("§7.1", container_name("m", "a", Some("i.1")), "m.a.i.1"),
            ("§7.2", volume_name("m", None, "log"), "m.log"),
            ("§7.2 with parent names", volume_name("m", Some("a"), "log"), "m.a.log"),
            ("§7.3", network_name("m", "front"), "m.front"),
            ("§7.3 preset", network_name("m", "bridge"), "bridge"),
            ("§7.3 preset", network_name("m", "host"), "host"),
            ("§7.3 preset", network_name("m", "none"), "none"),
            ("§7.4 link alias", replaced("app.one", &dashes()), "app-one"),
        ] {
            assert_eq!(made, expected, "{section}");
        }
    }

    #[test]
    fn each_kind_of_name_has_its_rule() {
        // §1.4 (D5): accepted, refused.
        let long = "a".repeat(300);
        type Rule<'a> = (&'a str, fn(&str) -> bool, &'a [&'a str], &'a [&'a str]);
        let checks: [Rule<'_>; 5] = [
            (
                "map",
                |name| MapName::new(name).is_ok(),
                &["m", "1_a-B", &long],
                &["a.b", "", "-a", "_a", "__all__", "a b", "ä"],
            ),
            (
                "configuration",
                |name| ConfigName::new(name).is_ok(),
                &["a", "web_server"],
                &["a.b", "", "__all__", "a/b"],
            ),
            (
                "instance",
                |name| InstanceName::new(name).is_ok(),
                &["1", "_1.x", "a-b"],
                &["", ".a", "-a", "a b"],
            ),
            ("volume", |name| VolumeAlias::new(name).is_ok(), &["a.b", "1"], &["", "_a", "/a", "a:b"]),
            ("network", |name| NetworkName::new(name).is_ok(), &["front.1", "n_1"], &["", ".n", "n n"]),
        ];
        for (kind, accepts, good, bad) in checks {
            assert_eq!(good.iter().find(|name| !accepts(name)), None, "§1.4 {kind}");
            assert_eq!(bad.iter().find(|name| accepts(name)), None, "§1.4 {kind}");
        }
    }

    #[test]
    fn a_configuration_name_has_no_dot() {
        assert!(ConfigName::new("web_server").is_ok());
        for name in ["a.b", "", "-a", "__all__", "a b"] {
            assert!(ConfigName::new(name).is_err(), "{name}");
        }
        assert!(InstanceName::new("_1.x").is_ok());
    }
}
