//! Who owns which volume, what a `uses` name means, and where a volume is mounted
//! (map-model §2.7, §3.4; engine §1.7).

use hashbrown::HashMap;

use crate::interner::Interner;
use crate::model::{Attach, Container, Map, Reference, Setting, User};
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

/// A [`Used`] by numbers, which costs no look at the configurations.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Attached {
        /// Number of the owner in document order.
        owner: usize,
        /// Number of the volume in the owner's `attaches`.
        at: usize,
    },
    Container(Declared<'a>),
}

/// A configuration that the map has, or one of its instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared<'a> {
    /// Number of the configuration in document order.
    pub number: usize,
    pub instance: Option<&'a InstanceName>,
}

/// The volumes and containers of an extended map, indexed for look-up.
#[derive(Clone, Debug)]
pub struct Volumes<'a> {
    map: &'a Map,
    /// Configurations by their numbers in document order.
    configs: Interner,
    /// How many instances each configuration declares.
    counts: Vec<u32>,
    /// Number in `instances` of a configuration, by that of the configuration and the instance.
    instances: HashMap<(usize, &'a str), usize>,
    aliases: Interner,
    /// For each alias its first and last owner, as numbers in `attached`.
    owners: Vec<(u32, u32)>,
    /// In document order.
    attached: Vec<Attached>,
    /// By owner and alias, for aliases that have several owners.
    shared: HashMap<(u32, u32), u32>,
}

/// A volume and the configuration that attaches it.
#[derive(Clone, Copy, Debug)]
struct Attached {
    /// Number of the owner in document order.
    owner: u32,
    /// Number of the volume in its `attaches`.
    at: u32,
    /// The next one of the same alias, as a number in `attached`.
    next: Option<u32>,
}

impl<'a> Volumes<'a> {
    /// Indexes an extended map.
    pub fn new(map: &'a Map) -> Self {
        let count = map.containers.len();
        let mut volumes = Self {
            map,
            configs: Interner::with_capacity(count),
            counts: Vec::with_capacity(count),
            instances: HashMap::new(),
            aliases: Interner::with_capacity(count),
            owners: Vec::with_capacity(count),
            attached: Vec::with_capacity(count),
            shared: HashMap::new(),
        };
        for (owner, (name, container)) in map.containers.iter().enumerate() {
            volumes.configs.insert(name);
            volumes.counts.push(short(container.instances.len()));
            for (at, attach) in container.attaches.iter().enumerate() {
                volumes.add(&attach.name, Attached { owner: short(owner), at: short(at), next: None });
            }
            for (number, instance) in container.instances.iter().enumerate() {
                volumes.instances.insert((owner, instance), number);
            }
        }
        volumes
    }

    fn add(&mut self, alias: &str, attached: Attached) {
        let number = short(self.attached.len());
        match self.aliases.insert(alias) {
            (_, true) => self.owners.push((number, number)),
            (alias, false) => {
                let (first, last) = &mut self.owners[alias];
                if first == last {
                    self.shared.insert((self.attached[*first as usize].owner, short(alias)), *first);
                }
                self.shared.insert((attached.owner, short(alias)), number);
                self.attached[*last as usize].next = Some(number);
                *last = number;
            }
        }
        self.attached.push(attached);
    }

    /// Returns what `name` means in the `uses` of the configuration `user`; `None` when the map has
    /// neither such a volume nor such a container.
    ///
    /// Without parent names an attached alias is the volume: the one that `user` attaches itself,
    /// else that of the last configuration that attaches it. With parent names it is written
    /// `config.alias`. Everything else is a container, split at the first dot.
    pub fn used(&self, user: &str, name: &str) -> Option<Used> {
        self.find(self.configs.get(user), name).map(|found| match found {
            Found::Attached { owner, at } => {
                let (name, container) = self.configuration(owner);
                Used::Attached { owner: name.clone(), alias: container.attaches[at].name.clone() }
            }
            Found::Container(Declared { number, instance }) => {
                let config = self.configuration(number).0.clone();
                Used::Container(Reference { config, instance: instance.cloned() })
            }
        })
    }

    /// Does what [`Volumes::used`] does, by numbers.
    pub(crate) fn find(&self, user: Option<usize>, name: &str) -> Option<Found<'a>> {
        let attached = if self.map.parent_names() {
            name.split_once('.').and_then(|(owner, alias)| self.own(self.configs.get(owner)?, alias))
        } else {
            self.aliases.get(name).and_then(|alias| {
                let (first, last) = self.owners[alias];
                let own = user.filter(|_| first != last).and_then(|user| self.own(user, name));
                own.or(self.attached.get(last as usize))
            })
        };
        if let Some(&Attached { owner, at, .. }) = attached {
            return Some(Found::Attached { owner: owner as usize, at: at as usize });
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
        let number = self.configs.get(config)?;
        let instance = match instance {
            None => None,
            Some(instance) => {
                let at = *self.instances.get(&(number, instance))?;
                Some(&self.configuration(number).1.instances[at])
            }
        };
        Some(Declared { number, instance })
    }

    /// Returns a configuration by its number in document order.
    pub(crate) fn configuration(&self, number: usize) -> (&'a ConfigName, &'a Container) {
        let (name, container) =
            self.map.containers.get_index(number).expect("it is a number of a configuration");
        (name, container)
    }

    /// Returns the number of a configuration in document order.
    pub(crate) fn number(&self, config: &str) -> Option<usize> {
        self.configs.get(config)
    }

    /// Returns how many instances a configuration declares.
    pub(crate) fn instance_count(&self, number: usize) -> usize {
        self.counts[number] as usize
    }

    /// Returns the place of an instance among those that a configuration declares.
    pub(crate) fn instance_at(&self, number: usize, instance: &str) -> Option<usize> {
        self.instances.get(&(number, instance)).copied()
    }

    /// Returns the configurations that attach `alias`, in document order.
    pub fn owners(&self, alias: &str) -> impl Iterator<Item = &'a ConfigName> {
        self.all_of(self.aliases.get(alias)).map(|attached| self.configuration(attached.owner as usize).0)
    }

    /// Returns the volumes of each alias that has several, with their owners, in document order.
    pub(crate) fn of_several_owners(&self) -> impl Iterator<Item = Vec<(&'a ConfigName, &'a Attach)>> {
        let several = self.owners.iter().enumerate().filter(|(_, (first, last))| first != last);
        several.map(|(alias, _)| {
            let owned = |attached: &Attached| {
                let (owner, container) = self.configuration(attached.owner as usize);
                (owner, &container.attaches[attached.at as usize])
            };
            self.all_of(Some(alias)).map(owned).collect()
        })
    }

    fn all_of(&self, alias: Option<usize>) -> impl Iterator<Item = &Attached> {
        let first = alias.map(|alias| &self.attached[self.owners[alias].0 as usize]);
        std::iter::successors(first, |attached| attached.next.map(|next| &self.attached[next as usize]))
    }

    fn own(&self, owner: usize, alias: &str) -> Option<&Attached> {
        let alias = self.aliases.get(alias)?;
        let (first, last) = self.owners[alias];
        let only = &self.attached[first as usize];
        if first == last {
            return Some(only).filter(|only| only.owner as usize == owner);
        }
        self.shared.get(&(short(owner), short(alias))).map(|at| &self.attached[*at as usize])
    }

    /// Returns where the owner mounts its volume, and where users without an own path do: the path
    /// in the owner's `attaches` (D24), else the alias' default path, else, without parent names,
    /// the path in another configuration's `attaches` (check 7 of map-model §9).
    pub fn path(&self, owner: &str, alias: &str) -> Option<&'a Late<String>> {
        let path = |attached: &Attached| {
            self.configuration(attached.owner as usize).1.attaches[attached.at as usize].path.as_ref()
        };
        let own = self.configs.get(owner).and_then(|owner| self.own(owner, alias)).and_then(path);
        let others = || {
            let alias = self.aliases.get(alias).filter(|_| !self.map.parent_names());
            self.all_of(alias).filter_map(path).last()
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

fn short(number: usize) -> u32 {
    u32::try_from(number).expect("parts of a map are counted in memory, by far fewer than 2^32")
}
