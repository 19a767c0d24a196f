//! Labels of ours on containers, networks and volumes, and the digests of what was asked for (design
//! §4, O-14).
//!
//! The digests show what inspection cannot: that a property was removed from the map. They hold no
//! value, only the first 64 bits of a SHA-256 of its canonical form.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::spec::Properties;

/// Label with the name of the map.
pub const MAP: &str = "dfab.map";
/// Label with the name of the configuration (of the owner, on volumes).
pub const CONFIG: &str = "dfab.config";
/// Label with the name of the instance; absent for a configuration without instances.
pub const INSTANCE: &str = "dfab.instance";
/// Label with a JSON object: the digest of each property that the map set, and the [`VERSION`].
pub const DESIRED: &str = "dfab.desired";
/// Label of a marker volume with the kind and name of what is not finished, see
/// [`crate::plan::marker`].
pub const UNFINISHED: &str = "dfab.unfinished";
/// The prefix of all our labels.
pub const PREFIX: &str = "dfab.";

/// How digests are made. It goes up whenever the same map gives another digest: a record of another version
/// says nothing, and such a container is compared by what inspection shows, instead of being made anew.
pub const VERSION: &str = "1";

/// The key of the version in the label; no property is called so.
const VERSION_KEY: &str = "version";

/// The digests in a label, by property.
pub type Digests = BTreeMap<String, String>;

/// Returns the digest of a canonical value: 16 hexadecimal digits.
pub fn of_value(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the text of the label for a container's properties. Values that are set to nothing are
/// like those that are not set.
pub fn of_properties(properties: &Properties) -> String {
    let set = properties.iter().filter(|(_, value)| !value.is_null());
    label(set.map(|(property, value)| (property.name(), value.clone())))
}

/// Returns the text of the label for named values.
pub fn label<'a>(values: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let mut digests: Digests =
        values.into_iter().map(|(name, value)| (name.to_owned(), of_value(&value))).collect();
    digests.insert(VERSION_KEY.to_owned(), VERSION.to_owned());
    serde_json::to_string(&digests).expect("a map of texts is always JSON")
}

/// Reads the label, if there is one of this version. Labels without a version are of the first one.
pub fn recorded(labels: &BTreeMap<String, String>) -> Option<Digests> {
    let mut digests: Digests = serde_json::from_str(labels.get(DESIRED)?).ok()?;
    let version = digests.remove(VERSION_KEY);
    version.is_none_or(|version| version == VERSION).then_some(digests)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::property::Property;

    #[test]
    fn a_label_holds_a_digest_and_no_value() {
        let properties = Properties::from([
            (Property::Environment, json!(["PASSWORD=secret"])),
            (Property::Privileged, Value::Null),
        ]);
        let text = of_properties(&properties);
        assert_eq!(text, r#"{"environment":"409225bdb98544cc","version":"1"}"#);
        let labels = BTreeMap::from([(DESIRED.to_owned(), text)]);
        assert_eq!(recorded(&labels).unwrap()["environment"].len(), 16);
        assert_eq!(Property::by_name(VERSION_KEY), None);
        assert_eq!(recorded(&BTreeMap::from([(DESIRED.to_owned(), "?".to_owned())])), None);
    }
    #[test]
    fn a_record_of_another_version_says_nothing() {
        for (label, known) in [
            (r#"{"user":"409225bdb98544cc","version":"1"}"#, true),
            (r#"{"user":"409225bdb98544cc"}"#, true),
            (r#"{"user":"409225bdb98544cc","version":"2"}"#, false),
            (r#"{"user":{"sha3":"409225bdb98544cc"},"version":"2"}"#, false),
        ] {
            let labels = BTreeMap::from([(DESIRED.to_owned(), label.to_owned())]);
            let found = recorded(&labels).map(|digests| digests.into_keys().collect::<Vec<_>>());
            assert_eq!(found, known.then(|| vec!["user".to_owned()]), "{label}");
        }
    }
}
