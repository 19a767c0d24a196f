//! Which engines an item belongs to (map-model §2.3, §4.6; engine O-01).

use std::cell::RefCell;

use indexmap::IndexMap;

use super::{Session, Target};
use crate::diagnostic::{Finding, FindingKind, Place, Subject, nearest};
use crate::model::Map;
use crate::names::{ClientName, ConfigName, DEFAULT_CLIENT};
use crate::position::Position;

/// The targets of a run, by the name that plans use.
pub(super) struct Targets<'a> {
    session: &'a Session<'a>,
    known: RefCell<IndexMap<ClientName, Target>>,
    findings: &'a RefCell<Vec<Finding>>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(session: &'a Session<'a>, findings: &'a RefCell<Vec<Finding>>) -> Self {
        Self { session, known: RefCell::default(), findings }
    }

    /// Returns the effective clients of a configuration: its own, else the map's, else the default
    /// client, which stands for one target or several. One that is not configured is a finding.
    pub(super) fn of_config(&self, map: &Map, config: &ConfigName) -> Vec<ClientName> {
        self.look_up(map, config, true)
    }

    /// As [`Targets::of_config`], without findings: for configurations that the run does not touch.
    pub(super) fn known_of_config(&self, map: &Map, config: &ConfigName) -> Vec<ClientName> {
        self.look_up(map, config, false)
    }

    fn look_up(&self, map: &Map, config: &ConfigName, report: bool) -> Vec<ClientName> {
        let container = map.containers.get(config);
        let (names, origins, object) = match container {
            Some(container) if !container.clients.is_empty() => {
                (&container.clients, &container.origins, Some(("configuration", config.to_string())))
            }
            _ => (&map.clients, &map.origins, None),
        };
        if names.is_empty() {
            return self.defaults();
        }
        let mut clients = Vec::new();
        for name in names {
            let found =
                if name.is_default() { self.defaults() } else { self.named(name).into_iter().collect() };
            if found.is_empty() && report {
                let subject = Subject {
                    map: Some(map.name.to_string()),
                    object: object.clone(),
                    property: Some("clients".into()),
                };
                let position = origins.get(&format!("clients.{name}"));
                self.unknown(name, subject, position);
            }
            for client in found {
                if !clients.contains(&client) {
                    clients.push(client);
                }
            }
        }
        clients
    }

    /// Returns a target by its name in plans.
    pub(super) fn get(&self, name: &ClientName) -> Option<Target> {
        self.known.borrow().get(name).cloned()
    }

    fn defaults(&self) -> Vec<ClientName> {
        let defaults = self.session.defaults.iter();
        let names = defaults.map(|target| self.know(target.clone()));
        names.collect()
    }

    fn named(&self, name: &ClientName) -> Option<ClientName> {
        let config = self.session.clients.get(name)?;
        Some(self.know(Target { name: name.clone(), config: config.clone(), is_default: false }))
    }

    fn know(&self, target: Target) -> ClientName {
        let name = target.name.clone();
        self.known.borrow_mut().entry(name.clone()).or_insert(target);
        name
    }

    fn unknown(&self, name: &ClientName, subject: Subject, position: Option<&Position>) {
        let message = match name.is_default() {
            true => "there is no default client".to_owned(),
            false => format!("client `{name}` is not configured"),
        };
        let mut finding = Finding::error(FindingKind::UnknownReference, message).about(subject);
        if let Some(position) = position {
            finding = finding.at(Place::from(position.clone()));
        }
        let known = self.session.clients.keys().map(ClientName::as_str).chain([DEFAULT_CLIENT]);
        if let Some(near) = nearest(name, known) {
            finding = finding.hint(format!("did you mean `{near}`?"));
        }
        let mut findings = self.findings.borrow_mut();
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}
