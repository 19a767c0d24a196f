//! Properties that the command line can only give in another form, and the label that remembers.
//!
//! `docker create` takes one word as entry point, a health check only as shell text, and "no
//! network" only as network mode. The container behaves as asked, but inspection shows the other
//! form, and every later comparison would find a difference. The label [`LABEL`] says which form
//! was meant; [`Rewritten::restore`] turns an inspected container back, whichever backend reads it.

use dfab_map::property::Property;
use dfab_map::spec::Properties;
use serde_json::{Value, json};

/// The label that remembers: `entrypoint=2,healthcheck,network_disabled`.
pub const LABEL: &str = "dfab.cli";

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
}

impl Rewritten {
    /// Returns the value of the label; `None` when nothing was written differently.
    pub fn label(&self) -> Option<String> {
        let mut parts = Vec::new();
        parts.extend(self.entrypoint.map(|count| format!("entrypoint={count}")));
        parts.extend(self.healthcheck.then(|| "healthcheck".to_owned()));
        parts.extend(self.network_disabled.then(|| "network_disabled".to_owned()));
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
            properties.remove(&Property::NetworkMode);
            properties.insert(Property::NetworkDisabled, json!(true));
        }
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
