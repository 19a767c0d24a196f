//! Checks 8 to 11: links, networks and network modes.

use super::{Check, Source};
use crate::diagnostic::FindingKind;
use crate::model::{Container, Keyed, NetworkMode, Reference};
use crate::names::{ConfigName, PRESET_NETWORKS};

impl Check<'_> {
    pub(super) fn container(&mut self, config: &ConfigName, container: &Container) {
        let map = self.map;
        for link in &container.links {
            let path = || format!("links.{}", link.key());
            self.target(8, config, "links", &path, &link.container);
        }
        for endpoint in &container.networks {
            let name = endpoint.network_name.as_str();
            let path = || format!("networks.{name}");
            if !PRESET_NETWORKS.contains(&name) && !map.networks.contains_key(name) {
                let known = map.networks.keys().map(|name| name.as_str()).chain(PRESET_NETWORKS);
                let hint = self.suggest(name, known);
                let source = Source { config, property: "networks", path: &path, name };
                self.wrong(
                    FindingKind::Integrity,
                    source,
                    format!("`{name}` is no network of the map (check 9)"),
                    hint,
                );
            }
            for link in &endpoint.links {
                let path = || format!("networks.{name}.links.{}", link.key());
                self.target(11, config, "networks.links", &path, &link.container);
            }
        }
        if let Some(NetworkMode::Container(reference)) = container.network_mode.value() {
            self.target(10, config, "network_mode", &|| "network_mode".to_owned(), reference);
        }
    }

    /// A reference to one container: `config` without instances, or `config.instance`.
    fn target(
        &mut self,
        check: u8,
        config: &ConfigName,
        property: &'static str,
        path: &dyn Fn() -> String,
        to: &Reference,
    ) {
        if self.incomplete.contains(&to.config) {
            return;
        }
        let number = self.volumes.number(&to.config);
        match (number, &to.instance) {
            (Some(number), None) if self.volumes.instance_count(number) == 0 => return,
            (Some(number), Some(instance)) if self.volumes.instance_at(number, instance).is_some() => return,
            _ => {}
        }
        let (problem, hint) = match (number.map(|number| self.volumes.configuration(number).1), &to.instance)
        {
            (None, _) if self.written.containers.contains_key(&to.config) => {
                (format!("`{to}` is abstract"), Some("name a configuration that extends it".to_owned()))
            }
            (None, _) => {
                let known = self.map.containers.keys().map(|name| name.as_str());
                let hint = self.suggest(&to.config, known.filter(|name| *name != config.as_str()));
                (format!("`{}` is no configuration of the map", to.config), hint)
            }
            (Some(target), None) => {
                let few: Vec<String> = target
                    .instances
                    .iter()
                    .take(5)
                    .map(|instance| format!("`{}.{instance}`", to.config))
                    .collect();
                (
                    format!("`{to}` has instances, one of which must be named"),
                    Some(format!("write {}", few.join(" or "))),
                )
            }
            (Some(target), Some(instance)) => {
                let hint = match target.instances.is_empty() {
                    true => Some(format!("`{0}` has no instances; write `{0}`", to.config)),
                    false => self.suggest(instance, target.instances.iter().map(|known| known.as_str())),
                };
                (format!("configuration `{}` has no instance `{instance}`", to.config), hint)
            }
        };
        let name = to.to_string();
        let source = Source { config, property, path, name: &name };
        self.wrong(FindingKind::Integrity, source, format!("{problem} (check {check})"), hint);
    }
}
