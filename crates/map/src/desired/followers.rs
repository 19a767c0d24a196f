//! Containers outside of a run that cannot outlive what the run makes anew.
//!
//! A container in the network of another one, with its volumes, or linked to it is left broken when that
//! one is removed: it goes on in a network that is gone, with volumes that nobody else sees, or with
//! links that the engine has dropped. The run takes such containers with it, although it was not asked for
//! them (engine §4 treats those of the run in the same way). They are looked at for this only: what
//! else differs in them waits for an action of their own.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::clients::Targets;
use super::maker::Maker;
use super::{Desired, Entry, Object, Role, Session, Unclear};
use crate::deps::{Dependencies, NeedProperty, Target, needs};
use crate::diagnostic::{Findings, Severity};
use crate::image::ImageDefaults;
use crate::item::{Item, ItemId};
use crate::model::Map;
use crate::names::{ClientName, container_name};
use crate::volumes::{Used, Volumes};

/// What followers are found and made with.
pub(super) struct Followers<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) targets: &'a Targets<'a>,
    pub(super) map: &'a Map,
    pub(super) volumes: &'a Volumes<'a>,
    pub(super) images: &'a ImageDefaults,
}

impl Followers<'_> {
    /// Adds the entries of all followers, each after what it is tied to.
    pub(super) fn add<'i>(
        &self,
        dependencies: &'i Dependencies,
        indexes: &mut HashMap<(&'i Item, ClientName), usize>,
        desired: &mut Desired,
    ) {
        let in_run: HashSet<&Item> = indexes.keys().map(|(item, _)| *item).collect();
        // A configuration that is tied to nothing makes no follower, and most are not.
        let tied: HashMap<&str, HashSet<Item>> = self
            .map
            .containers
            .keys()
            .map(|name| (name.as_str(), self.tied_to(dependencies, name)))
            .filter(|(_, tied)| !tied.is_empty())
            .collect();
        if tied.is_empty() {
            return;
        }
        let all: Vec<Item> =
            dependencies.items().filter(|item| matches!(item, Item::Container { .. })).cloned().collect();
        for item in dependencies.forward(&all) {
            let Item::Container { config, .. } = &item else { continue };
            let Some(tied) = tied.get(config.as_str()).filter(|_| !in_run.contains(&item)) else { continue };
            let item = dependencies.item(&item).expect("it is one of the graph's");
            for client in self.targets.known_of_config(self.map, config) {
                let needs: Vec<usize> = tied
                    .iter()
                    .filter_map(|other| indexes.get(&(dependencies.item(other)?, client.clone())).copied())
                    .collect();
                if let Some(entry) = self.entry(item, &client, needs, desired) {
                    indexes.insert((item, client), desired.entries.len());
                    desired.entries.push(entry);
                }
            }
        }
    }

    /// Returns the containers that those of a configuration cannot outlive.
    fn tied_to(&self, dependencies: &Dependencies, config: &str) -> HashSet<Item> {
        let mut tied = HashSet::new();
        for need in needs(self.volumes, config) {
            let path = need.path();
            let used = || self.volumes.used(config, path.strip_prefix("uses.").unwrap_or_default());
            let ties = match need.property {
                NeedProperty::NetworkMode | NeedProperty::Links => true,
                NeedProperty::Uses => matches!(used(), Some(Used::Container(_))),
                // By name inside the network, which is looked up at each use.
                NeedProperty::EndpointLinks | NeedProperty::Networks => false,
            };
            if let Target::Containers { config, instance, .. } = need.target
                && ties
            {
                let of_config = crate::deps::instances(config, &self.map.containers[config]);
                let wanted = |item: &Item| match item {
                    Item::Container { instance: found, .. } => {
                        instance.is_none() || found.as_ref() == instance
                    }
                    _ => false,
                };
                tied.extend(of_config.filter(wanted).filter(|item| dependencies.item(item).is_some()));
            }
        }
        tied
    }

    /// Makes the entry. A follower that cannot be made, for a value that is missing or wrong, is recorded:
    /// it matters only if it has to be made anew.
    fn entry(
        &self,
        item: &Item,
        client: &ClientName,
        needs: Vec<usize>,
        desired: &mut Desired,
    ) -> Option<Entry> {
        let Item::Container { config, instance } = item else { return None };
        if needs.is_empty() {
            return None;
        }
        let target = self.targets.get(client)?;
        let findings = RefCell::default();
        let maker = Maker {
            session: self.session,
            map: self.map,
            volumes: self.volumes,
            images: self.images,
            target: &target,
            findings: &findings,
        };
        let made = maker.container(config, instance.as_ref(), &IndexMap::new());
        let name = container_name(&self.map.name, config, instance.as_deref());
        let mut findings = Findings(findings.take());
        match made.filter(|_| !findings.has_errors()) {
            Some(container) => {
                let id = ItemId { map: self.map.name.clone(), item: item.clone() };
                let object = Object::Container(Box::new(container));
                let mut needs = needs;
                needs.sort_unstable();
                Some(Entry { id, client: client.clone(), name, role: Role::Follower, needs, object })
            }
            None => {
                findings.0.retain(|finding| finding.severity == Severity::Error);
                let tied_to = needs.iter().map(|need| desired.entries[*need].name.clone()).collect();
                desired.unclear.push(Unclear { client: client.clone(), name, tied_to, findings });
                None
            }
        }
    }
}
