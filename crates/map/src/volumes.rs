//! Who owns which volume, what a `uses` name means, and where a volume is mounted
//! (map-model §2.7, §3.4; engine §1.7).

use std::collections::HashMap;

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
    Attached {
        owner: &'a ConfigName,
        /// The owner's number in document order.
        number: usize,
        alias: &'a VolumeAlias,
    },
    Container(Declared<'a>),
}

/// A configuration that the map has, or one of its instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared<'a> {
    /// Number of the configuration in document order.
    pub number: usize,
    pub config: &'a ConfigName,
    pub instance: Option<&'a InstanceName>,
}

/// The volumes and containers of an extended map, indexed for look-up.
#[derive(Clone, Debug)]
pub struct Volumes<'a> {
    map: &'a Map,
    /// By alias, in document order of the owners.
    attached: HashMap<&'a str, Vec<Attached<'a>>>,
    /// By owner and alias.
    own: HashMap<(&'a str, &'a str), Attached<'a>>,
    instances: HashMap<(&'a str, &'a str), &'a InstanceName>,
}

#[derive(Clone, Copy, Debug)]
struct Attached<'a> {
    owner: &'a ConfigName,
    /// The owner's number in document order.
    number: usize,
    attach: &'a Attach,
}

impl<'a> Volumes<'a> {
    /// Indexes an extended map.
    pub fn new(map: &'a Map) -> Self {
        let mut volumes =
            Self { map, attached: HashMap::new(), own: HashMap::new(), instances: HashMap::new() };
        for (number, (owner, container)) in map.containers.iter().enumerate() {
            for attach in &container.attaches {
                let attached = Attached { owner, number, attach };
                volumes.attached.entry(&attach.name).or_default().push(attached);
                volumes.own.insert((owner, &attach.name), attached);
            }
            for instance in &container.instances {
                volumes.instances.insert((owner, instance), instance);
            }
        }
        volumes
    }

    /// Returns what `name` means in the `uses` of the configuration `user`; `None` when the map has
    /// neither such a volume nor such a container.
    ///
    /// Without parent names an attached alias is the volume: the one that `user` attaches itself,
    /// else that of the last configuration that attaches it. With parent names it is written
    /// `config.alias`. Everything else is a container, split at the first dot.
    pub fn used(&self, user: &str, name: &str) -> Option<Used> {
        self.find(user, name).map(|found| match found {
            Found::Attached { owner, alias, .. } => {
                Used::Attached { owner: owner.clone(), alias: alias.clone() }
            }
            Found::Container(Declared { config, instance, .. }) => {
                Used::Container(Reference { config: config.clone(), instance: instance.cloned() })
            }
        })
    }

    /// Does what [`Volumes::used`] does, without copying names.
    pub(crate) fn find(&self, user: &str, name: &str) -> Option<Found<'a>> {
        let attached = if self.map.parent_names() {
            name.split_once('.').and_then(|part| self.own.get(&part))
        } else {
            self.attached.get(name).and_then(|owners| match owners.as_slice() {
                [only] => Some(only),
                owners => self.own.get(&(user, name)).or(owners.last()),
            })
        };
        if let Some(&Attached { owner, number, attach }) = attached {
            return Some(Found::Attached { owner, number, alias: &attach.name });
        }
        let (config, instance) =
            name.split_once('.').map_or((name, None), |(config, rest)| (config, Some(rest)));
        self.find_container(config, instance).map(Found::Container)
    }

    /// Returns the configuration and instance of a reference, if the map has them.
    pub(crate) fn declared(&self, reference: &Reference) -> Option<Declared<'a>> {
        self.find_container(&reference.config, reference.instance.as_deref())
    }

    fn find_container(&self, config: &str, instance: Option<&str>) -> Option<Declared<'a>> {
        let (number, config, _) = self.map.containers.get_full(config)?;
        let instance = match instance {
            None => None,
            Some(instance) => Some(*self.instances.get(&(config.as_str(), instance))?),
        };
        Some(Declared { number, config, instance })
    }

    /// Tells whether `instance` is declared by `config`.
    pub fn has_instance(&self, config: &str, instance: &str) -> bool {
        self.instances.contains_key(&(config, instance))
    }

    /// Returns the configurations that attach `alias`, in document order.
    pub fn owners(&self, alias: &str) -> impl Iterator<Item = &'a ConfigName> {
        self.attached.get(alias).into_iter().flatten().map(|attached| attached.owner)
    }

    /// Returns where the owner mounts its volume, and where users without an own path do: the path
    /// in the owner's `attaches` (D24), else the alias' default path, else, without parent names,
    /// the path in another configuration's `attaches` (check 7 of map-model §9).
    pub fn path(&self, owner: &str, alias: &str) -> Option<&'a Late<String>> {
        let own = self.own.get(&(owner, alias)).and_then(|attached| attached.attach.path.as_ref());
        let others = || {
            let owners = self.attached.get(alias).filter(|_| !self.map.parent_names())?;
            owners.iter().rev().find_map(|attached| attached.attach.path.as_ref())
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
