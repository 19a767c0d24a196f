//! Who owns which volume, what a `uses` name means, and where a volume is mounted
//! (map-model §2.7, §3.4; engine §1.7).

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::model::{Attach, Map, Reference, Setting, User};
use crate::names::{ConfigName, InstanceName, VolumeAlias, volume_name};
use crate::value::Late;

/// What a name in `uses` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Used {
    /// An attached volume.
    Attached {
        /// The configuration that attaches it.
        owner: ConfigName,
        /// Its alias.
        alias: VolumeAlias,
    },
    /// All volumes of a container. Without an instance, of every instance of the configuration.
    Container(Reference),
}

/// A [`Used`] that borrows its names from the map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Attached { owner: &'a ConfigName, alias: &'a VolumeAlias },
    Container { config: &'a ConfigName, instance: Option<&'a InstanceName> },
}

/// The volumes and containers of an extended map, indexed for look-up.
#[derive(Clone, Debug)]
pub struct Volumes<'a> {
    map: &'a Map,
    /// By alias, then by owner in document order.
    attached: HashMap<&'a str, IndexMap<&'a str, Attached<'a>>>,
    instances: HashMap<(&'a str, &'a str), &'a InstanceName>,
}

#[derive(Clone, Copy, Debug)]
struct Attached<'a> {
    owner: &'a ConfigName,
    attach: &'a Attach,
}

impl<'a> Volumes<'a> {
    /// Indexes an extended map.
    pub fn new(map: &'a Map) -> Self {
        let mut attached: HashMap<&str, IndexMap<&str, Attached<'_>>> = HashMap::new();
        let mut instances = HashMap::new();
        for (owner, container) in &map.containers {
            for attach in &container.attaches {
                attached.entry(&attach.name).or_default().insert(owner, Attached { owner, attach });
            }
            for instance in &container.instances {
                instances.insert((owner.as_str(), instance.as_str()), instance);
            }
        }
        Self { map, attached, instances }
    }

    /// Returns what `name` means in the `uses` of the configuration `user`; `None` when the map has
    /// neither such a volume nor such a container.
    ///
    /// Without parent names an attached alias is the volume: the one that `user` attaches itself,
    /// else that of the last configuration that attaches it. With parent names it is written
    /// `config.alias`. Everything else is a container, split at the first dot.
    pub fn used(&self, user: &str, name: &str) -> Option<Used> {
        self.find(user, name).map(|found| match found {
            Found::Attached { owner, alias } => Used::Attached { owner: owner.clone(), alias: alias.clone() },
            Found::Container { config, instance } => {
                Used::Container(Reference { config: config.clone(), instance: instance.cloned() })
            }
        })
    }

    /// Does what [`Volumes::used`] does, without copying names.
    pub(crate) fn find(&self, user: &str, name: &str) -> Option<Found<'a>> {
        let attached = if self.map.parent_names() {
            name.split_once('.').and_then(|(owner, alias)| self.attached.get(alias)?.get(owner))
        } else {
            self.attached.get(name).and_then(|owners| owners.get(user).or_else(|| owners.values().last()))
        };
        match attached {
            Some(Attached { owner, attach }) => Some(Found::Attached { owner, alias: &attach.name }),
            None => self.container(name).map(|(config, instance)| Found::Container { config, instance }),
        }
    }

    /// Returns the configuration and instance that `text` writes, split at the first dot, if the map
    /// has them.
    pub(crate) fn container(&self, text: &str) -> Option<(&'a ConfigName, Option<&'a InstanceName>)> {
        let (config, instance) =
            text.split_once('.').map_or((text, None), |(config, rest)| (config, Some(rest)));
        let (config, _) = self.map.containers.get_key_value(config)?;
        match instance {
            None => Some((config, None)),
            Some(instance) => Some((config, Some(self.instances.get(&(config.as_str(), instance))?))),
        }
    }

    /// Returns the configuration and instance of a reference, if the map has them.
    pub(crate) fn declared(
        &self,
        reference: &Reference,
    ) -> Option<(&'a ConfigName, Option<&'a InstanceName>)> {
        let (config, _) = self.map.containers.get_key_value(&reference.config)?;
        match &reference.instance {
            None => Some((config, None)),
            Some(instance) => {
                Some((config, Some(self.instances.get(&(config.as_str(), instance.as_str()))?)))
            }
        }
    }

    /// Tells whether `instance` is declared by `config`.
    pub fn has_instance(&self, config: &str, instance: &str) -> bool {
        self.instances.contains_key(&(config, instance))
    }

    /// Returns the configurations that attach `alias`, in document order.
    pub fn owners(&self, alias: &str) -> impl Iterator<Item = &'a ConfigName> {
        self.attached.get(alias).into_iter().flat_map(|owners| owners.values().map(|attached| attached.owner))
    }

    /// Returns where the owner mounts its volume, and where users without an own path do: the path
    /// in the owner's `attaches` (D24), else the alias' default path, else, without parent names,
    /// the path in another configuration's `attaches` (check 7 of map-model §9).
    pub fn path(&self, owner: &str, alias: &str) -> Option<&'a Late<String>> {
        let attaches = self.attached.get(alias);
        let own =
            attaches.and_then(|owners| owners.get(owner)).and_then(|attached| attached.attach.path.as_ref());
        let others = || {
            let owners = attaches.filter(|_| !self.map.parent_names())?;
            owners.values().rev().find_map(|attached| attached.attach.path.as_ref())
        };
        own.or_else(|| self.default_path(alias)).or_else(others)
    }

    /// Returns `volumes.<alias>.default_path`, the only path of aliases in `binds`.
    pub fn default_path(&self, alias: &str) -> Option<&'a Late<String>> {
        self.map.volumes.get(alias)?.default_path.as_ref()
    }

    /// Returns the owner that is set on a new volume: the alias' `user`, else that of the
    /// configuration that attaches it. An alias with an explicitly empty `user` has none.
    pub fn user(&self, owner: &str, alias: &str) -> Option<&'a Late<User>> {
        match self.map.volumes.get(alias).map(|volume| &volume.user) {
            None | Some(Setting::Unset) => self.map.containers.get(owner)?.user.value(),
            Some(setting) => setting.value(),
        }
    }

    /// Returns the mode that is set on a new volume, by the rule of [`Volumes::user`].
    pub fn permissions(&self, owner: &str, alias: &str) -> Option<&'a Late<String>> {
        match self.map.volumes.get(alias).map(|volume| &volume.permissions) {
            None | Some(Setting::Unset) => self.map.containers.get(owner)?.permissions.value(),
            Some(setting) => setting.value(),
        }
    }

    /// Returns the Docker name of an attached volume (map-model §7.2).
    pub fn docker_name(&self, owner: &str, alias: &str) -> String {
        volume_name(&self.map.name, self.map.parent_names().then_some(owner), alias)
    }
}
