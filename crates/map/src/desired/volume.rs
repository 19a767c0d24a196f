//! Attached volumes (engine §6.10, §6.11).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Volume;
use super::maker::{Maker, Owner};
use super::network::texts;
use super::read::{self, Read};
use crate::digest;
use crate::image;
use crate::model;
use crate::names::{ConfigName, VolumeAlias};
use crate::position::Origins;
use crate::spec::{PrepareSpec, VolumeSpec};
use crate::value::Value;

/// The keys of `create_options` of a volume.
const KEYS: [&str; 2] = ["labels", "driver_opts"];

impl Maker<'_> {
    /// Makes the volume `alias` that `config` attaches. `local` allows a command on the engine's host.
    pub(super) fn attached_volume(&self, config: &ConfigName, alias: &VolumeAlias, local: bool) -> Volume {
        // Settings stand under the alias; the source looks under the container's name (D-04).
        let default = model::Volume::default();
        let volume = self.map.volumes.get(alias).unwrap_or(&default);
        let owner = Owner::new("volume", alias, &volume.origins);
        let mut spec = VolumeSpec {
            name: self.volumes.docker_name(config, alias),
            driver: volume.driver.clone().unwrap_or_else(|| "local".to_owned()),
            driver_opts: self.option_texts(owner, "driver_options", &volume.driver_options),
            ..VolumeSpec::default()
        };
        for (key, value) in &self.entries(owner, "create_options", &volume.create_options) {
            let path = format!("create_options.{key}");
            if let Err(problem) = set(&mut spec, key, value) {
                if KEYS.contains(&key.as_str()) {
                    self.fail(owner, &path, problem);
                } else {
                    self.unknown(owner, &path, key, &KEYS);
                }
            }
        }
        let prepare = self.prepare(owner, config, alias, &spec.name, local);
        let mut recorded = digested(&spec);
        if let Some(prepare) = &prepare {
            recorded.extend(prepare.owner.as_ref().map(|owner| ("user", json!(owner))));
            recorded.extend(prepare.mode.as_ref().map(|mode| ("permissions", json!(mode))));
        }
        spec.own_labels = BTreeMap::from([
            (digest::MAP.to_owned(), self.map.name.to_string()),
            (digest::CONFIG.to_owned(), config.to_string()),
            (digest::DESIRED.to_owned(), digest::label(recorded)),
        ]);
        let mut origins = volume.origins.clone();
        if let Some(container) = self.map.containers.get(config)
            && origins.get("").is_none()
        {
            let path = format!("attaches.{alias}");
            if let Some(position) = container.origins.get(&path) {
                origins.set("", position.clone());
            }
        }
        Volume { spec, prepare, origins }
    }

    fn prepare(
        &self,
        volume: Owner<'_>,
        config: &ConfigName,
        alias: &VolumeAlias,
        name: &str,
        local: bool,
    ) -> Option<PrepareSpec> {
        let none = Origins::default();
        let origins = self.map.containers.get(config).map_or(&none, |container| &container.origins);
        // What is wrong with a value is reported where it stands.
        let of = |property: &str| match volume.origins.get(property) == volume.origins.get("") {
            true => Owner::new("configuration", config, origins),
            false => volume,
        };
        let user = self.volumes.user(config, alias);
        let user = user.and_then(|user| self.resolve(of("user"), "user", user));
        let mode = self.volumes.permissions(config, alias);
        let mode = mode.and_then(|mode| self.resolve(of("permissions"), "permissions", mode));
        let mode = mode.filter(|mode| !mode.is_empty());
        if user.is_none() && mode.is_none() {
            return None;
        }
        let image = image::of_configuration(self.map, config, self.images).ok();
        let inside =
            self.volumes.path(config, alias).and_then(|path| self.resolve(volume, "default_path", path));
        let images = [Some(self.session.settings.prepare_image.clone()), image.clone()];
        Some(PrepareSpec {
            volume: name.to_owned(),
            owner: user.map(|user| user.ownership()),
            mode,
            local,
            images: images.into_iter().flatten().collect(),
            content_from: image.zip(inside),
        })
    }
}

fn set(spec: &mut VolumeSpec, key: &str, value: &Value) -> Read<()> {
    match (key, value) {
        (_, Value::Null) => {}
        ("labels", value) => spec.labels.extend(texts(read::labels(value, '=')?)),
        ("driver_opts", value) => spec.driver_opts.extend(texts(read::labels(value, '=')?)),
        _ => return Err(String::new()),
    }
    Ok(())
}

/// What a volume's label records.
fn digested(spec: &VolumeSpec) -> Vec<(&'static str, Json)> {
    let all = [("driver_options", &spec.driver_opts), ("labels", &spec.labels)];
    all.into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name, json!(values)))
        .collect()
}
