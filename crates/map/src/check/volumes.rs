//! Checks 4 to 7 and 12: who shares volumes, who uses them, and where they are.

use super::{Check, Source};
use crate::diagnostic::{Finding, FindingKind};
use crate::interner::Interner;
use crate::model::{Bind, Container, HostPath, Keyed, Map, Use};
use crate::names::ConfigName;
use crate::place::{in_map, place_of, written_at};
use crate::value::Late;
use crate::volumes::{Declared, Found};

/// Check 4: no volume source name occurs twice.
pub(super) struct VolumeSources<'a> {
    map: &'a Map,
    names: Interner,
    /// By name: who gives it, and the property and element that do. The first one stays.
    first: Vec<(&'a ConfigName, &'static str, &'a str)>,
}

impl<'a> VolumeSources<'a> {
    pub(super) fn new(map: &'a Map) -> Self {
        let count = 2 * map.containers.len();
        Self { map, names: Interner::with_capacity(count), first: Vec::with_capacity(count) }
    }

    /// Takes the sources that one configuration gives.
    pub(super) fn add(
        &mut self,
        findings: &mut Vec<Finding>,
        config: &'a ConfigName,
        container: &'a Container,
    ) {
        if shares_itself(container) {
            if container.instances.is_empty() {
                findings.extend(self.source(config, config, "", ""));
            }
            for instance in &container.instances {
                findings.extend(self.source(&format!("{config}.{instance}"), config, "instances", instance));
            }
        }
        for attach in &container.attaches {
            let alias = attach.name.as_str();
            findings.extend(match self.map.parent_names() {
                true => self.source(&format!("{config}.{alias}"), config, "attaches", alias),
                false => self.source(alias, config, "attaches", alias),
            });
        }
    }

    fn source(
        &mut self,
        name: &str,
        config: &'a ConfigName,
        property: &'static str,
        element: &'a str,
    ) -> Option<Finding> {
        let (first, first_property, first_element) = match self.names.insert(name) {
            (_, true) => {
                self.first.push((config, property, element));
                return None;
            }
            (number, false) => self.first[number],
        };
        let message =
            format!("the volume source name `{name}` is given by `{first}` and by `{config}` (check 4)");
        let mut finding = Finding::error(FindingKind::Integrity, message).about(in_map(&self.map.name));
        if !self.map.parent_names() {
            finding.hint = Some(format!(
                "set `use_attached_parent_name: true` and write `{first}.{name}` in `uses`, or rename one"
            ));
        }
        let path =
            |property: &str, element: &str| format!("{property}.{element}").trim_matches('.').to_owned();
        let origins = |config: &ConfigName| &self.map.containers[config].origins;
        let first_place = place_of(origins(first), &path(first_property, first_element), name);
        finding.related.extend(first_place.map(|place| (place, "first given here".to_owned())));
        Some(written_at(finding, origins(config), &path(property, element), name))
    }
}

impl Check<'_> {
    /// Checks 5, 6, 7 and 12.
    pub(super) fn volumes(&mut self, number: usize, config: &ConfigName, container: &Container) {
        for used in &container.uses {
            self.used(number, config, used);
        }
        for bind in &container.binds {
            self.bind(config, container, bind);
        }
        for attach in &container.attaches {
            if attach.path.is_none() && self.volumes.path(config, &attach.name).is_none() {
                let path = || format!("attaches.{}", attach.name);
                let source = Source { config, property: "attaches", path: &path, name: &attach.name };
                let hint = format!("give a path here, or as `volumes.{0}: /path`", attach.name);
                let message = format!("`{}` has no container path (check 7)", attach.name);
                self.wrong(FindingKind::Integrity, source, message, Some(hint));
            }
        }
    }

    fn used(&mut self, number: usize, config: &ConfigName, used: &Use) {
        let path = || format!("uses.{}", used.name);
        let source = Source { config, property: "uses", path: &path, name: &used.name };
        match self.volumes.find(Some(number), &used.name) {
            Some(Found::Attached { owner, .. }) if owner == number => {
                let message =
                    format!("`{0}` is attached by `{config}` itself; using it has no effect", used.name);
                self.warn(FindingKind::Integrity, source, message, Some("remove it from `uses`".to_owned()));
            }
            Some(Found::Attached { .. }) => {}
            Some(Found::Container(Declared { number, instance })) => {
                let (owner, target) = self.volumes.configuration(number);
                if self.incomplete.contains(owner) {
                    return;
                }
                if !shares_something(target) {
                    let problem = format!("`{owner}` shares and attaches no volumes (check 5)");
                    self.wrong(FindingKind::Integrity, source, problem, None);
                } else if let (None, Some(first)) = (instance, target.instances.first()) {
                    let hint = format!("write for example `{owner}.{first}`");
                    let message =
                        format!("`{}` has instances, one of which must be named (check 5)", used.name);
                    self.wrong(FindingKind::Integrity, source, message, Some(hint));
                }
                if used.path.is_some() {
                    let message =
                        format!("`{}` is a container, whose volumes cannot be given a path", used.name);
                    let hint = "a path is for attached volumes only".to_owned();
                    self.wrong(FindingKind::InvalidInput, source, message, Some(hint));
                }
            }
            // A volume that is missing may be one that an incomplete configuration would attach.
            None if !self.incomplete.is_empty() => {}
            None => {
                let hint = self.meant_by(&used.name);
                self.wrong(
                    FindingKind::Integrity,
                    source,
                    format!("nothing shares or attaches `{}` (check 5)", used.name),
                    hint,
                );
            }
        }
    }

    /// Returns what may have been meant by a `uses` name that nothing shares.
    fn meant_by(&mut self, name: &str) -> Option<String> {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if self.map.parent_names() {
            if let Some(owner) = self.volumes.owners(name).next() {
                return Some(format!("the map sets `use_attached_parent_name`: write `{owner}.{name}`"));
            }
        } else if self.volumes.owners(rest).any(|owner| owner.as_str() == first) {
            return Some(format!("write `{rest}`, or set `use_attached_parent_name: true`"));
        }
        let map = self.map;
        if let Some(container) = map.containers.get(first).filter(|_| !rest.is_empty()) {
            return self.suggest(rest, container.instances.iter().map(|instance| instance.as_str()));
        }
        let attached = map.containers.values().flat_map(|container| &container.attaches);
        let known = attached
            .map(|attach| attach.name.as_str())
            .chain(map.containers.keys().map(|name| name.as_str()));
        self.suggest(name, known)
    }

    fn bind(&mut self, config: &ConfigName, container: &Container, bind: &Bind) {
        let path = || format!("binds.{}", bind.key());
        let name = bind.key();
        let source = Source { config, property: "binds", path: &path, name: &name };
        let host_path = match bind {
            Bind::Path { host_path, .. } => Some(host_path),
            Bind::Alias { name, .. } => {
                if self.volumes.default_path(name).is_none() {
                    let hint = format!("add `volumes.{name}: /path`");
                    self.wrong(
                        FindingKind::Integrity,
                        source,
                        format!("`{name}` has no container path (check 7)"),
                        Some(hint),
                    );
                }
                let host_path = self.map.host.get(name);
                if host_path.is_none() {
                    let hint = format!("add `host.{name}: path`");
                    self.wrong(
                        FindingKind::Integrity,
                        source,
                        format!("`{name}` has no path on the host (check 6)"),
                        Some(hint),
                    );
                }
                host_path
            }
        };
        let Some(HostPath::PerInstance(paths)) = host_path else { return };
        let has = |instance: &str| {
            paths.get(instance).is_some_and(|path| !matches!(path, Late::Known(path) if path.is_empty()))
        };
        let unnamed = container.instances.is_empty().then_some("default");
        let wanted = container.instances.iter().map(|instance| instance.as_str()).chain(unnamed);
        let missing: Vec<&str> = wanted.filter(|instance| !has(instance)).collect();
        for instance in missing {
            let message = format!("`{name}` has no host path for instance `{instance}` (check 12)");
            // A warning: the configuration may never run. Using it is an error.
            self.warn(FindingKind::Integrity, source, message, None);
        }
    }

    /// Without parent names, one volume has one path, whoever attaches it (§3.4).
    pub(super) fn contradicting_paths(&mut self) {
        for owners in self.volumes.of_several_owners() {
            let mut given =
                owners.into_iter().filter_map(|(owner, attach)| Some((owner, attach, attach.path.as_ref()?)));
            let Some((first, _, first_path)) = given.next() else { continue };
            for (config, attach, path) in given.filter(|(_, _, path)| *path != first_path) {
                let message = format!(
                    "volume `{}` is attached at `{}` by `{first}` and at `{}` by `{config}`",
                    attach.name,
                    first_path.key(),
                    path.key()
                );
                let finding = Finding::error(FindingKind::Integrity, message).about(in_map(&self.map.name));
                let finding = finding.hint("set `use_attached_parent_name: true`, or use one path");
                let property = format!("attaches.{}", attach.name);
                let origins = &self.map.containers[config].origins;
                self.findings.push(written_at(finding, origins, &property, &attach.name));
            }
        }
    }
}

/// Tells whether using all volumes of the configuration gives any (D38 counts `attaches`).
fn shares_something(container: &Container) -> bool {
    shares_itself(container) || !container.attaches.is_empty()
}

/// Tells whether containers of the configuration are a source of volumes themselves.
fn shares_itself(Container { shares, binds, uses, .. }: &Container) -> bool {
    !(shares.is_empty() && binds.is_empty() && uses.is_empty())
}
