//! What all parts of the desired state are made with: the map, the target, and the findings so far.

use std::cell::RefCell;

use serde_json::Value as Json;

use super::keyword::{self, Group, Key};
use super::layers::Layers;
use super::{Session, Target, layers};
use crate::diagnostic::{Finding, FindingKind, Place, Subject, nearest};
use crate::image::ImageDefaults;
use crate::model::Map;
use crate::position::{Origins, Position};
use crate::property::Property;
use crate::resolve::FromValue;
use crate::value::{Late, Unresolved, Value};
use crate::volumes::Volumes;

/// Makes the desired objects of one map on one target, and collects what is wrong with them.
pub(super) struct Maker<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) map: &'a Map,
    pub(super) volumes: &'a Volumes<'a>,
    pub(super) images: &'a ImageDefaults,
    pub(super) target: &'a Target,
    pub(super) findings: &'a RefCell<Vec<Finding>>,
}

/// The object of a map that is being made, for findings.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) origins: &'a Origins,
}

impl<'a> Owner<'a> {
    pub(super) fn new(kind: &'static str, name: &'a str, origins: &'a Origins) -> Self {
        Self { kind, name, origins }
    }
}

impl Maker<'_> {
    /// Records a finding about the property at `path` of `owner`.
    pub(super) fn fail(&self, owner: Owner<'_>, path: &str, message: impl Into<String>) {
        self.push(self.finding(
            owner,
            path,
            FindingKind::InvalidInput,
            message.into(),
            owner.origins.get(path),
        ));
    }

    /// Records a finding with what to do about it.
    pub(super) fn fail_with_hint(&self, owner: Owner<'_>, path: &str, message: String, hint: String) {
        let finding = self.finding(owner, path, FindingKind::InvalidInput, message, owner.origins.get(path));
        self.push(finding.hint(hint));
    }

    /// Records something that was looked up in vain.
    pub(super) fn fail_unresolved(&self, owner: Owner<'_>, path: &str, error: &Unresolved) {
        let position = error.position.as_ref().or_else(|| owner.origins.get(path));
        self.push(self.finding(owner, path, FindingKind::Unresolved, error.what.clone(), position));
    }

    /// Returns a late value; a failure is recorded and yields nothing.
    pub(super) fn resolve<T: FromValue + Clone>(
        &self,
        owner: Owner<'_>,
        path: &str,
        late: &Late<T>,
    ) -> Option<T> {
        let resolved = late.resolve(self.session.lookup, path);
        resolved.map_err(|error| self.fail_unresolved(owner, path, &error)).ok()
    }

    /// Merges the keys of an option mapping. `origin` is the mapping's path in the owner's origins.
    pub(super) fn merge_options(
        &self,
        owner: Owner<'_>,
        group: Group,
        entries: &indexmap::IndexMap<String, Value>,
        layers: &mut Layers,
    ) {
        for (key, value) in entries {
            let path = format!("{}.{key}", group.as_str());
            match group.key(key) {
                Some(Key::NoEffect) => {}
                Some(Key::Property(property)) => match keyword::read(property, value) {
                    Ok(json) => self.merge_option(owner, &path, property, json, layers),
                    Err(problem) => self.fail(owner, &path, problem),
                },
                None => self.unknown_option(owner, group, key, &path),
            }
        }
    }

    fn merge_option(
        &self,
        owner: Owner<'_>,
        path: &str,
        property: Property,
        json: Json,
        layers: &mut Layers,
    ) {
        // `host_config` has priority over the host settings that old SDKs took at creation (D-64).
        let moved = property.is_host() && path.starts_with(Group::Create.as_str());
        if moved && layers.get(property).is_some() {
            return;
        }
        layers.origin(property.name(), owner.origins.get(path));
        for key in layers::keys(property, &json) {
            layers.origin(format!("{}.{key}", property.name()), owner.origins.get(&format!("{path}.{key}")));
        }
        layers.merge(property, json);
    }

    fn unknown_option(&self, owner: Owner<'_>, group: Group, key: &str, path: &str) {
        let other = match group {
            Group::Create => Group::Host,
            Group::Host => Group::Create,
        };
        let message = format!("unknown key `{key}` in `{}`", group.as_str());
        let mut finding =
            self.finding(owner, path, FindingKind::UnknownKey, message, owner.origins.get(path));
        if let Some(hint) = instead(key) {
            finding = finding.hint(hint);
        } else if other.key(key).is_some() {
            finding = finding.hint(format!("`{key}` belongs into `{}`", other.as_str()));
        } else if let Some(name) = nearest(key, group.keys()) {
            finding = finding.hint(format!("did you mean `{name}`?"));
        }
        self.push(finding);
    }

    fn finding(
        &self,
        owner: Owner<'_>,
        path: &str,
        kind: FindingKind,
        message: String,
        position: Option<&Position>,
    ) -> Finding {
        let finding = Finding::error(kind, message).about(Subject {
            map: Some(self.map.name.to_string()),
            object: Some((owner.kind, owner.name.to_owned())),
            property: (!path.is_empty()).then(|| path.to_owned()),
        });
        match position {
            Some(position) => finding.at(Place::from(position.clone())),
            None => finding,
        }
    }

    /// The same property is read once for each instance and client: one finding is enough.
    fn push(&self, finding: Finding) {
        let mut findings = self.findings.borrow_mut();
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

/// Says how a map writes what the SDK takes as an argument of its own.
fn instead(key: &str) -> Option<&'static str> {
    Some(match key {
        "image" | "name" => "the configuration's `image` and name decide it",
        "networking_config" => "use the property `networks`",
        "host_config" => "use the property `host_config`",
        "shares" | "exposes" => "use the property of this name in the configuration itself",
        "cpuset" => "use `cpuset_cpus` in `host_config`",
        "isolation" | "cpu_count" | "cpu_percent" => "this setting is for Windows engines only",
        _ => return None,
    })
}
