//! References: the words that name maps, configurations and instances in a command (map-model §6.1,
//! §6.2; cli §1.1).

use crate::diagnostic::{Finding, FindingKind};
use crate::item::Kind;
use crate::names::ALL;
use crate::select::Maps;
use crate::value::Value;

/// One reference of a command, as written: nothing in it is looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The map; `__all__` is every map, `None` the default one.
    pub map: Option<String>,
    /// The configuration or group; `__all__` is every configuration. For [`Kind::Network`] the network.
    pub config: String,
    /// The instances; empty is the command's default instances, else all. For [`Kind::Volume`] aliases.
    pub instances: Vec<String>,
    /// What is selected: containers, networks or attached volumes.
    pub kind: Kind,
}

impl Reference {
    /// Makes a reference to a configuration of the default map.
    pub fn config(config: impl Into<String>) -> Self {
        Self { map: None, config: config.into(), instances: Vec::new(), kind: Kind::Container }
    }

    /// Reads a reference text: `config`, `map.config` or `map.config.instance`.
    ///
    /// It is split at the first two dots. Two parts are always map and configuration (K11). A trailing
    /// dot equals no instance.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '.');
        let first = parts.next().unwrap_or_default();
        let Some(config) = parts.next() else { return Self::config(first) };
        let instances =
            parts.next().filter(|instance| !instance.is_empty()).map(str::to_owned).into_iter().collect();
        Self { map: Some(first.to_owned()), instances, ..Self::config(config) }
    }

    /// Reads the word CONFIG of a command line (cli §1.1), `map` being the word MAP before it.
    ///
    /// With a map it is `config` or `config.instance`. Without one, a first part that is the name of
    /// a configured map (or `__all__`) is the map; else the word is `config.instance` too.
    pub fn word(maps: &Maps, map: Option<&str>, word: &str) -> Self {
        let first = word.split_once('.').map(|(first, _)| first);
        let is_map = first.is_some_and(|first| first == ALL || maps.contains_key(first));
        let has_config = |map: &str| {
            let config = first.unwrap_or(word);
            maps.get(map)
                .is_some_and(|map| map.containers.contains_key(config) || map.groups.contains_key(config))
        };
        if is_map && !map.is_some_and(has_config) {
            return Self::parse(word);
        }
        let (config, instance) = word.split_once('.').unwrap_or((word, ""));
        let instances = if instance.is_empty() { Vec::new() } else { vec![instance.to_owned()] };
        Self { map: map.map(str::to_owned), instances, ..Self::config(config) }
    }

    /// Reads the words `[MAP] CONFIG [INSTANCE]...` of a command line (cli §1.1).
    ///
    /// # Errors
    ///
    /// No words at all.
    pub fn words(maps: &Maps, words: &[impl AsRef<str>]) -> Result<Self, Finding> {
        let (map, rest) = map_and_rest(maps, words);
        let Some((word, instances)) = rest.split_first() else {
            let message = "no configuration is named";
            let hint = format!("name a configuration, a group, or `{ALL}`");
            return Err(Finding::error(FindingKind::UnknownReference, message).hint(hint));
        };
        let mut reference = Self::word(maps, map, word.as_ref());
        reference.instances.extend(instances.iter().map(|instance| instance.as_ref().to_owned()));
        Ok(reference)
    }

    /// Reads references from data (map-model §6.2): a text, a mapping, or a list of references; null
    /// selects nothing. In a list, an inner list is `[config]`, `[map, config]` or
    /// `[map, config, instance-or-list]`, and a mapping has `config_name`, `map_name`,
    /// `instance_names` and `config_type`.
    ///
    /// # Errors
    ///
    /// The first shape that is not accepted ([`FindingKind::InvalidInput`]).
    pub fn read(value: &Value) -> Result<Vec<Self>, Finding> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::List(items) => items.iter().map(Self::read_one).collect(),
            single => Ok(vec![Self::read_one(single)?]),
        }
    }

    fn read_one(value: &Value) -> Result<Self, Finding> {
        match value {
            Value::List(parts) => match parts.as_slice() {
                [config] => Ok(Self::config(text(config, "configuration")?)),
                [map, config] => {
                    Ok(Self { map: optional(map, "map")?, ..Self::config(text(config, "configuration")?) })
                }
                [map, config, instances] => Ok(Self {
                    map: optional(map, "map")?,
                    instances: names(instances)?,
                    ..Self::config(text(config, "configuration")?)
                }),
                _ => Err(invalid(format!(
                    "a reference in list form has 1 to 3 elements (configuration; map, configuration; map, configuration, instances), not {}",
                    parts.len()
                ))),
            },
            Value::Mapping(entries) => {
                let known = ["config_name", "map_name", "instance_names", "config_type"];
                if let Some(key) = entries.keys().find(|key| !known.contains(&key.as_str())) {
                    let finding = Finding::error(
                        FindingKind::UnknownKey,
                        format!("`{key}` is not a key of a reference"),
                    );
                    return Err(finding.hint(format!("known are `{}`", known.join("`, `"))));
                }
                let config =
                    entries.get("config_name").ok_or_else(|| invalid("a reference needs `config_name`"))?;
                let kind = match entries.get("config_type") {
                    None | Some(Value::Null) => Kind::Container,
                    Some(kind) => match text(kind, "`config_type`")?.as_str() {
                        "container" => Kind::Container,
                        "network" => Kind::Network,
                        "volume" => Kind::Volume,
                        other => {
                            return Err(invalid(format!(
                                "`config_type` is `{other}`, expected `container`, `network` or `volume`"
                            )));
                        }
                    },
                };
                Ok(Self {
                    map: optional(entries.get("map_name").unwrap_or(&Value::Null), "map")?,
                    instances: names(entries.get("instance_names").unwrap_or(&Value::Null))?,
                    kind,
                    ..Self::config(text(config, "configuration")?)
                })
            }
            single => Ok(Self::parse(&text(single, "reference")?)),
        }
    }
}

/// Takes the word MAP off the words of a command line: the first of at least two words is a map when a
/// map of this name is configured. (`__all__` is always CONFIG; every map is `__all__.__all__`.)
pub fn map_and_rest<'a, S: AsRef<str>>(maps: &Maps, words: &'a [S]) -> (Option<&'a str>, &'a [S]) {
    match words {
        [first, rest @ ..] if !rest.is_empty() && maps.contains_key(first.as_ref()) => {
            (Some(first.as_ref()), rest)
        }
        _ => (None, words),
    }
}

/// A name in data: a text, or a number by its text (map-model §1.4).
fn text(value: &Value, what: &str) -> Result<String, Finding> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => {
            Err(invalid(format!("the {what} name of a reference is {}, expected a text", other.describe())))
        }
    }
}

fn optional(value: &Value, what: &str) -> Result<Option<String>, Finding> {
    if *value == Value::Null { Ok(None) } else { text(value, what).map(Some) }
}

fn names(value: &Value) -> Result<Vec<String>, Finding> {
    match value {
        // A null among the instances means all of them (§6.4): no name is left then.
        Value::List(items) if items.contains(&Value::Null) => Ok(Vec::new()),
        Value::List(items) => items.iter().map(|item| text(item, "instance")).collect(),
        single => Ok(optional(single, "instance")?.into_iter().collect()),
    }
}

fn invalid(message: impl Into<String>) -> Finding {
    Finding::error(FindingKind::InvalidInput, message)
}
