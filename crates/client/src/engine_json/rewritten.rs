//! Properties that the command line can only give in another form, and the label that remembers.
//!
//! This is about the backend over the `docker` command line, but any backend may have to read what
//! it created. `docker create` takes one word as entry point, a health check only as shell text, and "no
//! network" only as network mode. The container behaves as asked, but inspection shows the other
//! form, and every later comparison would find a difference. The label [`Rewritten::LABEL`] says which form
//! was meant; [`Rewritten::restore`] turns an inspected container back, whichever backend reads it.

use dfab_map::property::Property;
use dfab_map::spec::Properties;
use serde_json::{Value, json};

/// What was written differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Number of words of the entry point, where it is more than one: all but the first stand
    /// before the command.
    pub entrypoint: Option<usize>,
    /// A health check of form `CMD` became shell text.
    pub healthcheck: bool,
    /// A disabled network became network mode `none`.
    pub network_disabled: bool,
    /// A path that is both a volume of the configuration and a bind was given as a bind only.
    pub shares: bool,
}

impl Rewritten {
    /// The label that remembers: `entrypoint=2,healthcheck,network_disabled,shares`.
    pub const LABEL: &'static str = "dfab.cli";

    /// Returns the value of the label; `None` when nothing was written differently.
    pub fn label(&self) -> Option<String> {
        let mut parts = Vec::new();
        parts.extend(self.entrypoint.map(|count| format!("entrypoint={count}")));
        parts.extend(self.healthcheck.then(|| "healthcheck".to_owned()));
        parts.extend(self.network_disabled.then(|| "network_disabled".to_owned()));
        parts.extend(self.shares.then(|| "shares".to_owned()));
        (!parts.is_empty()).then(|| parts.join(","))
    }

    /// Reads the value of the label. Parts that are not understood change nothing.
    pub fn parse(label: &str) -> Self {
        let mut rewritten = Self::default();
        for part in label.split(',') {
            match part.split_once('=') {
                Some(("entrypoint", count)) => rewritten.entrypoint = count.parse().ok(),
                None if part == "healthcheck" => rewritten.healthcheck = true,
                None if part == "network_disabled" => rewritten.network_disabled = true,
                None if part == "shares" => rewritten.shares = true,
                _ => {}
            }
        }
        rewritten
    }

    /// Turns inspected properties back into the form that was asked for.
    pub fn restore(&self, properties: &mut Properties) {
        if let Some(count) = self.entrypoint {
            restore_entrypoint(properties, count);
        }
        if self.healthcheck
            && let Some(test) =
                properties.get_mut(&Property::Healthcheck).and_then(|check| check.get_mut("Test"))
            && let Some(words) =
                test.get(1).and_then(Value::as_str).and_then(|text| shell_words::split(text).ok())
            && test.get(0).and_then(Value::as_str) == Some("CMD-SHELL")
        {
            *test = std::iter::once("CMD".to_owned()).chain(words).collect();
        }
        if self.network_disabled && properties.get(&Property::NetworkMode) == Some(&json!("none")) {
            properties.insert(Property::NetworkDisabled, json!(true));
        }
        if self.shares {
            restore_shares(properties);
        }
    }
}

/// Every path of a bind is a volume of the configuration too.
fn restore_shares(properties: &mut Properties) {
    let texts = |property| {
        let values = properties.get(&property).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut shares = texts(Property::Shares);
    shares.extend(texts(Property::Binds).iter().filter_map(|bind| bind.split(':').nth(1)).map(str::to_owned));
    shares.sort();
    shares.dedup();
    if !shares.is_empty() {
        properties.insert(Property::Shares, shares.into());
    }
}

fn restore_entrypoint(properties: &mut Properties, count: usize) {
    let words = |property| properties.get(&property).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = words(Property::Entrypoint);
    all.extend(words(Property::Command));
    if count > all.len() {
        return;
    }
    let command = all.split_off(count);
    properties.insert(Property::Entrypoint, Value::Array(all));
    let command = if command.is_empty() { Value::Null } else { Value::Array(command) };
    properties.insert(Property::Command, command);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What inspection shows after `create` with `asked`, put through the label.
    fn restored(label: &str, shown: &[(Property, Value)]) -> Properties {
        let mut properties: Properties = shown.iter().cloned().collect();
        Rewritten::parse(label).restore(&mut properties);
        properties
    }

    #[test]
    fn an_entry_point_of_several_words_comes_back() {
        let asked =
            Properties::from([(Property::Entrypoint, json!(["a", "b"])), (Property::Command, json!(["c"]))]);
        let label = Rewritten { entrypoint: Some(2), ..Rewritten::default() }.label();
        assert_eq!(label.as_deref(), Some("entrypoint=2"));
        let shown = [(Property::Entrypoint, json!(["a"])), (Property::Command, json!(["b", "c"]))];
        assert_eq!(restored("entrypoint=2", &shown), asked);
        // Without a command of its own, none is left.
        let shown = [(Property::Entrypoint, json!(["a"])), (Property::Command, json!(["b"]))];
        assert_eq!(restored("entrypoint=2", &shown)[&Property::Command], Value::Null);
    }

    #[test]
    fn a_health_check_of_words_comes_back() {
        let shown = [(Property::Healthcheck, json!({"Test": ["CMD-SHELL", "curl 'a b' x"], "Retries": 3}))];
        let expected = json!({"Test": ["CMD", "curl", "a b", "x"], "Retries": 3});
        assert_eq!(restored("healthcheck", &shown)[&Property::Healthcheck], expected);
    }

    #[test]
    fn a_disabled_network_comes_back() {
        let shown = [(Property::NetworkMode, json!("none"))];
        let expected = Properties::from([
            (Property::NetworkMode, json!("none")),
            (Property::NetworkDisabled, json!(true)),
        ]);
        assert_eq!(restored("network_disabled", &shown), expected);
    }

    #[test]
    fn volumes_under_binds_come_back() {
        let shown =
            [(Property::Binds, json!(["m.data:/data:rw", "/srv:/srv"])), (Property::Shares, json!(["/b"]))];
        assert_eq!(restored("shares", &shown)[&Property::Shares], json!(["/b", "/data", "/srv"]));
    }

    #[test]
    fn a_label_that_does_not_fit_changes_nothing() {
        let shown = [(Property::Entrypoint, json!(["a"])), (Property::NetworkMode, json!("host"))];
        for label in ["", "x", "entrypoint=9", "entrypoint=x", "healthcheck,network_disabled", "entrypoint"] {
            assert_eq!(restored(label, &shown), shown.iter().cloned().collect(), "{label}");
        }
    }
}
