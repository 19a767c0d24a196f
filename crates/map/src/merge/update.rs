//! Updating a map: what is given replaces, without regard to what was there (map-model §5.5).

use super::replace_origins;
use crate::model::{Container, Map, Network, Volume};
use crate::position::Origins;

/// The argument of [`update`]: values, and which of them are given.
#[derive(Clone, Debug)]
pub struct Patch {
    map: Map,
    whole: bool,
}

impl Patch {
    /// A map-shaped document, loaded under any name: only what was written is given, an empty list or
    /// null included.
    ///
    /// What was written is what the [`Origins`] of `map` and its parts record: [`crate::load::map`]
    /// records every key. To change a map in code, set its fields.
    pub fn written(map: Map) -> Self {
        Self { map, whole: false }
    }

    /// A map as a value: everything is given, so that unset values replace too.
    pub fn whole(map: Map) -> Self {
        Self { map, whole: true }
    }

    fn gives(&self, origins: &Origins, name: &str) -> bool {
        self.whole || origins.has(name)
    }
}

/// Returns `map` with everything replaced that `patch` gives; its name stays.
///
/// Configurations, volumes and networks that `map` lacks are added. In existing ones the given
/// properties are replaced, `abstract` and `extends` included; `groups` are replaced as a whole, host
/// paths one by one. A volume given as a text loses all its other settings.
#[must_use]
pub fn update(map: &Map, patch: &Patch) -> Map {
    let mut updated = map.clone();
    let new = &patch.map;
    macro_rules! each {
        ($($property:ident),*) => {$(
            if patch.gives(&new.origins, stringify!($property)) {
                updated.$property.clone_from(&new.$property);
                replace_origins(&mut updated.origins, &new.origins, stringify!($property));
            }
        )*};
    }
    each!(clients, groups, repository, default_tag, default_domain, set_hostname, use_attached_parent_name);
    // The root has two spellings (K1); whichever was written, it is one setting.
    if patch.gives(&new.origins, "host_root") || new.origins.has("host.root") {
        updated.host_root.clone_from(&new.host_root);
        replace_origins(&mut updated.origins, &new.origins, "host_root");
        replace_origins(&mut updated.origins, &new.origins, "host.root");
    }
    for (alias, path) in &new.host {
        updated.host.insert(alias.clone(), path.clone());
        replace_origins(&mut updated.origins, &new.origins, &format!("host.{alias}"));
    }
    for (name, new) in &new.containers {
        update_container(updated.containers.entry(name.clone()).or_default(), new, patch);
    }
    for (alias, new) in &new.volumes {
        update_volume(updated.volumes.entry(alias.clone()).or_default(), new, patch);
    }
    for (name, new) in &new.networks {
        update_network(updated.networks.entry(name.clone()).or_default(), new, patch);
    }
    updated
}

macro_rules! replace_given {
    ($known:ident, $new:ident, $patch:ident: $($property:ident = $name:literal),*) => {$(
        if $patch.gives(&$new.origins, $name) {
            $known.$property.clone_from(&$new.$property);
            replace_origins(&mut $known.origins, &$new.origins, $name);
        }
    )*};
}

fn update_container(known: &mut Container, new: &Container, patch: &Patch) {
    replace_given!(known, new, patch:
        is_abstract = "abstract", extends = "extends", image = "image", instances = "instances",
        clients = "clients", shares = "shares", binds = "binds", attaches = "attaches", uses = "uses",
        links = "links", exposes = "exposes", networks = "networks", network_mode = "network_mode",
        exec_commands = "exec_commands", healthcheck = "healthcheck", user = "user",
        permissions = "permissions", stop_timeout = "stop_timeout", stop_signal = "stop_signal",
        start_delay = "start_delay", persistent = "persistent", create_options = "create_options",
        host_config = "host_config");
    // `start_options` is another spelling of `host_config` (D4).
    if new.origins.has("start_options") && !patch.gives(&new.origins, "host_config") {
        known.host_config.clone_from(&new.host_config);
        replace_origins(&mut known.origins, &new.origins, "host_config");
    }
    known.origins.adopt_missing("", &new.origins);
}

fn update_volume(known: &mut Volume, new: &Volume, patch: &Patch) {
    // Written as a text, it has a path without having the key `default_path`.
    if new.default_path.is_some() && !new.origins.has("default_path") {
        known.clone_from(new);
        return;
    }
    replace_given!(known, new, patch:
        default_path = "default_path", driver = "driver", driver_options = "driver_options",
        create_options = "create_options", user = "user", permissions = "permissions");
    known.origins.adopt_missing("", &new.origins);
}

fn update_network(known: &mut Network, new: &Network, patch: &Patch) {
    replace_given!(known, new, patch:
        driver = "driver", driver_options = "driver_options", internal = "internal",
        create_options = "create_options");
    known.origins.adopt_missing("", &new.origins);
}
