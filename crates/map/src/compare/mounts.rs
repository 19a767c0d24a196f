//! Mounts, volumes of other containers (engine §4.3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::reason::{because, differs, short};
use crate::desired::{Container, DesiredMount, MOUNTS, clean};
use crate::digest::{self, Digests};
use crate::observed::{ContainerDetail, Mount, Observed};
use crate::plan::Reason;
use crate::property::Property;

pub(super) fn mounts(
    desired: &Container,
    detail: &ContainerDetail,
    recorded: Option<&Digests>,
    observed: &Observed,
) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = desired
        .mounts
        .iter()
        .filter_map(|(path, wanted)| mount(desired, path, wanted, detail.mounts.get(path)))
        .collect();
    reasons.extend(extra(desired, detail));
    reasons.extend(volumes_from(desired, detail, observed));
    if reasons.is_empty() {
        reasons.extend(options(desired, recorded));
    }
    reasons
}

fn mount(desired: &Container, path: &str, wanted: &DesiredMount, current: Option<&Mount>) -> Option<Reason> {
    let field = format!("{}.{path}", word(desired, wanted));
    let source = desired.origins.get(&format!("{MOUNTS}.{path}"));
    let shown =
        |source: &str, readonly: bool| Some(format!("{source}{}", if readonly { " (ro)" } else { "" }));
    let is = shown(&wanted.source, wanted.readonly);
    match current {
        None => Some(differs(field, None, is, source)),
        Some(mount) => {
            let now = if mount.is_volume { mount.source.clone() } else { clean(&mount.source) };
            let same = now == wanted.source && mount.is_volume == wanted.is_volume;
            let same = same && mount.writable != wanted.readonly;
            (!same).then(|| differs(field, shown(&now, !mount.writable), is, source))
        }
    }
}

/// The map's word for what mounts something.
fn word(desired: &Container, mount: &DesiredMount) -> &'static str {
    match mount.is_volume {
        true if desired.lifecycle.attached.contains(&mount.source) => "attaches",
        true => "uses",
        false => "binds",
    }
}

/// Binds that the container was given and the map no longer has. An image has none.
fn extra(desired: &Container, detail: &ContainerDetail) -> Vec<Reason> {
    let binds = detail.properties.get(&Property::Binds).and_then(Value::as_array).into_iter().flatten();
    let given = binds.filter_map(|bind| {
        let mut parts = bind.as_str()?.splitn(3, ':');
        let source = parts.next()?;
        Some((source.to_owned(), clean(parts.next()?)))
    });
    given
        .filter(|(_, path)| !desired.mounts.contains_key(path))
        .map(|(source, path)| differs(format!("binds.{path}"), Some(source), None, desired.origins.get("")))
        .collect()
}

/// The volumes that come from another container must be those that it has now (D-20, D-21).
pub(super) fn volumes_from(
    desired: &Container,
    detail: &ContainerDetail,
    observed: &Observed,
) -> Vec<Reason> {
    let list = |value: Option<&Value>| -> BTreeSet<String> {
        let texts = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.map(|text| text.strip_suffix(":rw").unwrap_or(text).to_owned()).collect()
    };
    let wanted = list(desired.spec.properties.get(&Property::VolumesFrom));
    let current = list(detail.properties.get(&Property::VolumesFrom));
    let mut reasons = Vec::new();
    for name in wanted.union(&current) {
        let source = desired.origins.get(Property::VolumesFrom.name());
        let shown = |set: &BTreeSet<String>| set.contains(name).then(|| name.clone());
        let other = name.strip_suffix(":ro").unwrap_or(name);
        let field = format!("uses.{}", short(other));
        if wanted.contains(name) != current.contains(name) {
            reasons.push(differs(field, shown(&current), shown(&wanted), source));
            continue;
        }
        for path in volumes_of(name, observed).keys() {
            // Where several containers have a volume at this path, the engine takes one of them.
            let mine = detail.mounts.get(path).filter(|mine| {
                let mut offered = wanted.iter().filter_map(|name| volumes_of(name, observed).get(path));
                offered.any(|mount| mount.source == mine.source)
            });
            if !desired.mounts.contains_key(path) && mine.is_none() {
                let text = format!("the volume of {other} at {path} is another one");
                reasons.push(because(&field, text, source));
            }
        }
    }
    reasons
}

/// What is mounted in the container that an element of `volumes_from` names.
fn volumes_of<'a>(element: &str, observed: &'a Observed) -> &'a BTreeMap<String, Mount> {
    static NONE: BTreeMap<String, Mount> = BTreeMap::new();
    let name = element.strip_suffix(":ro").unwrap_or(element);
    let detail = observed.containers.get(name).and_then(|container| container.detail.as_ref());
    detail.map_or(&NONE, |detail| &detail.mounts)
}

/// Options of binds beside `ro`, such as `z` or `nocopy`.
fn options(desired: &Container, recorded: Option<&Digests>) -> Option<Reason> {
    let recorded = recorded?.get(Property::Binds.name())?;
    let wanted = desired.spec.properties.get(&Property::Binds)?;
    (*recorded != digest::of_value(wanted))
        .then(|| because("binds", "options of a mount differ", desired.origins.get(Property::Binds.name())))
}
