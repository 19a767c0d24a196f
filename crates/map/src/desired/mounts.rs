//! Volumes of a container: `shares`, `binds`, `attaches`, `uses` (engine §6.3.1, map-model §3.2, §3.4).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::layers::Layers;
use super::maker::{Maker, Owner};
use super::{Binding, BindingKind, DesiredMount};
use crate::model::{Bind, Container, HostPath, Keyed, Reference};
use crate::names::{ConfigName, InstanceName, VolumeAlias, container_name};
use crate::property::Property;
use crate::value::Late;
use crate::volumes::Used;

/// The word under which [`super::Container::origins`] has the position of each mount.
pub(crate) const MOUNTS: &str = "mounts";

/// The volumes of one container so far.
#[derive(Default)]
struct Mounts {
    /// Paths inside the container, for `Volumes`.
    paths: Vec<String>,
    /// `source:path:mode`.
    binds: Vec<String>,
    /// `container` or `container:ro`.
    volumes_from: Vec<String>,
    bound_to: Vec<Binding>,
    /// Path inside the container, and the path of what says so in the configuration's origins.
    written: Vec<(String, String)>,
}

impl Maker<'_> {
    /// Puts the volumes of a container into `layers`, and returns the containers whose volumes it takes.
    pub(super) fn mounts(
        &self,
        config: &ConfigName,
        container: &Container,
        instance: Option<&InstanceName>,
        layers: &mut Layers,
    ) -> Vec<Binding> {
        let owner = Owner::new("configuration", config, &container.origins);
        let mut mounts = Mounts::default();
        for share in &container.shares {
            let path = format!("shares.{}", share.key());
            if let Some(inside) = self.resolve(owner, &path, share) {
                self.add_path(owner, &path, &inside, &mut mounts);
            }
        }
        for bind in &container.binds {
            self.bind(owner, bind, instance, &mut mounts);
        }
        for attach in &container.attaches {
            let path = format!("attaches.{}", attach.name);
            let inside = attach.path.as_ref().or_else(|| self.volumes.path(config, &attach.name));
            let source = self.volumes.docker_name(config, &attach.name);
            let mode = self.volume_mode(config, &attach.name, false);
            self.volume(owner, &path, inside, &source, mode, &mut mounts);
        }
        for used in &container.uses {
            let path = format!("uses.{}", used.name);
            match self.volumes.used(config, &used.name) {
                Some(Used::Attached { owner: of, alias }) => {
                    let inside = used.path.as_ref().or_else(|| self.volumes.path(&of, &alias));
                    let source = self.volumes.docker_name(&of, &alias);
                    let mode = self.volume_mode(&of, &alias, used.readonly);
                    self.volume(owner, &path, inside, &source, mode, &mut mounts);
                }
                Some(Used::Container(reference)) => {
                    for name in self.container_names(&reference) {
                        let mode = if used.readonly { ":ro" } else { "" };
                        mounts.volumes_from.push(format!("{name}{mode}"));
                        mounts.bound_to.push(Binding { container: name, kind: BindingKind::VolumesFrom });
                    }
                }
                None => self.fail(
                    owner,
                    &path,
                    format!("`{}` is neither an attached volume nor a container of the map", used.name),
                ),
            }
        }
        for (property, values, word) in [
            (Property::Shares, &mounts.paths, "shares"),
            (Property::Binds, &mounts.binds, "binds"),
            (Property::VolumesFrom, &mounts.volumes_from, "uses"),
        ] {
            if !values.is_empty() {
                layers.merge(property, json!(values));
                layers.origin(property.name(), container.origins.get(word));
            }
        }
        for (inside, path) in &mounts.written {
            layers.origin(format!("{MOUNTS}.{inside}"), container.origins.get(path));
        }
        mounts.bound_to
    }

    fn bind(&self, owner: Owner<'_>, bind: &Bind, instance: Option<&InstanceName>, mounts: &mut Mounts) {
        let path = format!("binds.{}", bind.key());
        let (inside, host, readonly) = match bind {
            Bind::Alias { name, readonly } => {
                let Some(inside) = self.volumes.default_path(name) else {
                    let hint = format!("set `volumes.{name}` to a path");
                    let message = format!("volume alias `{name}` has no path inside the container");
                    return self.fail_with_hint(owner, &path, message, hint);
                };
                let Some(host) = self.map.host.get(name) else {
                    let hint = format!("set `host.{name}` to a path");
                    return self.fail_with_hint(
                        owner,
                        &path,
                        format!("volume alias `{name}` has no host path"),
                        hint,
                    );
                };
                (inside, host, *readonly)
            }
            Bind::Path { path, host_path, readonly } => (path, host_path, *readonly),
        };
        let inside = self.resolve(owner, &path, inside);
        let host = self.host_path(owner, &path, host, instance);
        if let (Some(inside), Some(host)) = (inside, host) {
            self.mount(owner, &path, &host, &inside, if readonly { "ro" } else { "rw" }, mounts);
        }
    }

    /// Resolves a path on the host (map-model §3.2).
    fn host_path(
        &self,
        owner: Owner<'_>,
        path: &str,
        host: &HostPath,
        instance: Option<&InstanceName>,
    ) -> Option<String> {
        let late = match (host, instance) {
            (HostPath::Path(late), _) => Some(late),
            (HostPath::PerInstance(paths), Some(instance)) => paths.get(instance),
            (HostPath::PerInstance(paths), None) => paths.get("default"),
        };
        let Some(late) = late else {
            let of =
                instance.map_or_else(|| "`default`".to_owned(), |instance| format!("instance `{instance}`"));
            self.fail(owner, path, format!("no host path for {of}"));
            return None;
        };
        let written = self.resolve(owner, path, late)?;
        if written.is_empty() {
            self.fail(owner, path, "the host path is empty");
            return None;
        }
        if written.starts_with('/') {
            return Some(clean(&written));
        }
        match &self.map.host_root {
            Some(root) => {
                let root = self.resolve(owner, "host_root", root)?;
                Some(clean(&format!("{root}/{written}")))
            }
            None => {
                let hint = "make it absolute, or set `host_root`".to_owned();
                self.fail_with_hint(owner, path, format!("host path `{written}` is relative"), hint);
                None
            }
        }
    }

    /// Returns the mode of a bind of an attached volume.
    ///
    /// A volume that has got an owner or a mode is never filled again: into an empty one, an engine
    /// would copy the folder that the image has at the path, owner and mode included, whenever a
    /// container is created. What was to be copied, the helper has had copied before (engine §6.11).
    fn volume_mode(&self, owner: &ConfigName, alias: &VolumeAlias, readonly: bool) -> &'static str {
        let prepared =
            self.volumes.user(owner, alias).is_some() || self.volumes.permissions(owner, alias).is_some();
        match (readonly, prepared) {
            (false, false) => "rw",
            (false, true) => "rw,nocopy",
            (true, false) => "ro",
            (true, true) => "ro,nocopy",
        }
    }

    fn volume(
        &self,
        owner: Owner<'_>,
        path: &str,
        inside: Option<&Late<String>>,
        source: &str,
        mode: &str,
        mounts: &mut Mounts,
    ) {
        match inside {
            Some(inside) => {
                if let Some(inside) = self.resolve(owner, path, inside) {
                    self.mount(owner, path, source, &inside, mode, mounts);
                }
            }
            None => self.fail_with_hint(
                owner,
                path,
                format!("volume {source} has no path inside the container"),
                "give a path here, or a default path under `volumes`".to_owned(),
            ),
        }
    }

    fn mount(
        &self,
        owner: Owner<'_>,
        path: &str,
        source: &str,
        inside: &str,
        mode: &str,
        mounts: &mut Mounts,
    ) {
        let inside_clean = clean(inside);
        let taken = mounts.binds.iter().find(|bind| super::layers::container_path(bind) == inside_clean);
        if let Some(taken) = taken {
            // A volume that a configuration attaches and uses itself is one mount (map-model D37).
            if taken.split(':').next() != Some(source) {
                self.fail(owner, path, format!("two volumes are mounted at `{inside_clean}`"));
            }
            return;
        }
        if self.add_path(owner, path, inside, mounts) {
            if source.contains(':') {
                return self.fail(
                    owner,
                    path,
                    format!("a host path with a colon cannot be mounted: `{source}`"),
                );
            }
            mounts.written.push((inside_clean.clone(), path.to_owned()));
            mounts.binds.push(format!("{source}:{inside_clean}:{mode}"));
        }
    }

    fn add_path(&self, owner: Owner<'_>, path: &str, inside: &str, mounts: &mut Mounts) -> bool {
        if !inside.starts_with('/') || inside.contains(':') {
            self.fail(owner, path, format!("`{inside}` is not an absolute path without a colon"));
            return false;
        }
        let inside = clean(inside);
        if !mounts.paths.contains(&inside) {
            mounts.paths.push(inside);
        }
        true
    }

    /// Returns the names of the containers that a reference stands for: all instances where none is named.
    pub(super) fn container_names(&self, reference: &Reference) -> Vec<String> {
        let name = |instance: Option<&InstanceName>| {
            container_name(&self.map.name, &reference.config, instance.map(InstanceName::as_str))
        };
        let declared = self.map.containers.get(&reference.config).map_or(&[][..], |config| &config.instances);
        match &reference.instance {
            Some(instance) => vec![name(Some(instance))],
            None if declared.is_empty() => vec![name(None)],
            None => declared.iter().map(|instance| name(Some(instance))).collect(),
        }
    }
}

/// Reads the mounts of `HostConfig.Binds`: what is mounted where. Options other than `ro` are not
/// part of it.
pub(super) fn desired_mounts(binds: Option<&Json>) -> Vec<(String, DesiredMount)> {
    let binds = binds.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    binds
        .filter_map(|bind| {
            let mut parts = bind.splitn(3, ':');
            let (source, path) = (parts.next()?, parts.next()?);
            let readonly =
                parts.next().is_some_and(|options| options.split(',').any(|option| option == "ro"));
            let is_volume = !source.starts_with('/');
            let source = if is_volume { source.to_owned() } else { clean(source) };
            Some((clean(path), DesiredMount { source, is_volume, readonly }))
        })
        .collect()
}

/// Returns the value of [`Property::Shares`] without the paths at which something is mounted: those
/// are part of it when a container is created (engine §6.3.1), but compared as mounts.
pub(crate) fn own_shares(shares: &Json, mounts: &BTreeMap<String, DesiredMount>) -> Json {
    let paths = shares.as_array().into_iter().flatten();
    let own = paths.filter(|path| path.as_str().is_none_or(|path| !mounts.contains_key(path)));
    match own.cloned().collect::<Vec<Json>>() {
        own if own.is_empty() => Json::Null,
        own => Json::Array(own),
    }
}

/// Cleans a path lexically, as the engine does: no `.`, no `..`, no doubled or trailing slash.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_the_engine_does() {
        for (path, expected) in
            [("/data/", "/data"), ("/r/./x", "/r/x"), ("/a//b/../c", "/a/c"), ("/", "/"), ("/..", "/")]
        {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
