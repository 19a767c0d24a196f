//! Checks 1 and 2: group names, and what groups name.

use super::Check;
use crate::diagnostic::{Finding, FindingKind, Subject};
use crate::model::Keyed;
use crate::place::written_at;

impl Check<'_> {
    pub(super) fn groups(&mut self) {
        let map = self.map;
        for (group, members) in &map.groups {
            // `config.instance` names cannot collide: a group name has no dot (§1.4).
            if map.containers.contains_key(group) {
                let message = format!("`{group}` is a configuration and a group (check 1)");
                let finding =
                    Finding::error(FindingKind::Integrity, message).about(subject(&map.name, group));
                let finding = finding.hint("give the group another name");
                self.findings.push(written_at(finding, &map.origins, &format!("groups.{group}"), group));
            }
            for member in members {
                let (problem, hint) = match map.containers.get(&member.config) {
                    Some(_) if self.incomplete.contains(&member.config) => continue,
                    Some(container) => match &member.instance {
                        Some(instance) if !container.instances.contains(instance) => {
                            let known = container.instances.iter().map(|instance| instance.as_str());
                            let hint = self.suggest(instance, known);
                            (format!("configuration `{}` has no instance `{instance}`", member.config), hint)
                        }
                        _ => continue,
                    },
                    None if map.groups.contains_key(&member.config) => {
                        (format!("`{member}` is a group, and a group cannot contain groups"), None)
                    }
                    None if self.written.containers.contains_key(&member.config) => (
                        format!("`{member}` is abstract"),
                        Some("name a configuration that extends it".to_owned()),
                    ),
                    None => {
                        let hint =
                            self.suggest(&member.config, map.containers.keys().map(|name| name.as_str()));
                        (format!("`{}` is no configuration of the map", member.config), hint)
                    }
                };
                let message = format!("{problem} (check 2)");
                let mut finding =
                    Finding::error(FindingKind::Integrity, message).about(subject(&map.name, group));
                finding.hint = hint;
                let path = format!("groups.{group}.{}", member.key());
                self.findings.push(written_at(finding, &map.origins, &path, &member.key()));
            }
        }
    }
}

fn subject(map: &str, group: &str) -> Subject {
    Subject { map: Some(map.to_owned()), object: Some(("group", group.to_owned())), property: None }
}
