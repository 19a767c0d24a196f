//! `cleanup_images`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Partial, Removal, Tell, remove_each};
use crate::apply::CancellationToken;
use crate::backend::{Backend, Result};
use crate::information::Information;

/// How `cleanup_images` chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupImages {
    /// Also images that have names, unless one of their tags is `latest` or in `keep_tags`.
    pub remove_old: bool,
    /// Tags to keep; whole tags, so that `0` is not `1.0`.
    pub keep_tags: BTreeSet<String>,
    /// Also images that have names in several repositories.
    pub force: bool,
    /// End at the first failure instead of going on.
    pub raise_on_error: bool,
    /// Remove nothing.
    pub list_only: bool,
}

/// Chooses images that nothing needs from the answer of `GET /images/json?all=1`, children before
/// their parents, otherwise in the order of the list.
///
/// Kept are images of `used` (IDs of containers' images), images with names (with `remove_old`: with
/// a kept tag), and what those are built on.
pub fn removable_images(answer: &Value, used: &BTreeSet<String>, options: &CleanupImages) -> Vec<String> {
    let elements: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    let text = |element: &Value, field: &str| {
        element.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let parents: BTreeMap<String, String> = elements
        .iter()
        .filter_map(|element| Some((text(element, "Id")?, text(element, "ParentId")?)))
        .collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for element in &elements {
        let Some(id) = text(element, "Id") else { continue };
        if !used.contains(&id) && !is_named(element, options) {
            continue;
        }
        // Up to the root; an image that is kept already has its ancestors kept.
        let mut next = Some(id);
        while let Some(id) = next {
            next = parents.get(&id).filter(|parent| !kept.contains(*parent)).cloned();
            kept.insert(id);
        }
    }
    let mut open: Vec<String> =
        elements.iter().filter_map(|element| text(element, "Id")).filter(|id| !kept.contains(id)).collect();
    let mut ordered = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let waiting: BTreeSet<&String> = open.iter().filter_map(|id| parents.get(id)).collect();
        let free: Vec<String> = open.iter().filter(|id| !waiting.contains(id)).cloned().collect();
        if free.is_empty() {
            // A circle cannot come from an engine; in its order it goes, then.
            ordered.append(&mut open);
        }
        open.retain(|id| !free.contains(id));
        ordered.extend(free);
    }
    ordered
}

fn is_named(element: &Value, options: &CleanupImages) -> bool {
    let tags = element.get("RepoTags").and_then(Value::as_array).into_iter().flatten();
    let mut tags = tags.filter_map(Value::as_str).filter(|tag| *tag != "<none>:<none>");
    if !options.remove_old {
        return tags.next().is_some();
    }
    tags.any(|name| {
        let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
        tag == "latest" || options.keep_tags.contains(tag)
    })
}

/// Removes images that nothing needs, and returns the IDs of what was removed, or would be. Once `cancel` is cancelled
/// no other is removed.
///
/// # Errors
///
/// [`Partial`] when the lists cannot be read, the host is lost, the work is cancelled, or, where asked for, at the
/// first image that cannot be removed. Other failures are told.
pub async fn cleanup_images(
    backend: &dyn Backend,
    options: &CleanupImages,
    cancel: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Vec<String>, Partial<Vec<String>>> {
    let nothing = |error| Partial { done: Vec::new(), error };
    let containers = backend.list_containers().await.map_err(nothing)?;
    let used = containers.into_values().map(|listed| listed.container.image_id).collect();
    let answer = backend.information(Information::Images { all: true }).await.map_err(nothing)?;
    let chosen = removable_images(&answer, &used, options);
    if options.list_only {
        return Ok(chosen);
    }
    // Removing a child takes parents without a name along; their own removal then finds nothing.
    let removal = Removal { backend, what: "images", raise: options.raise_on_error, cancel, tell };
    remove_each(&chosen, &removal, |id| id, async |id| backend.remove_image(id, options.force).await).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The worked example of clients-tasks §4.9.
    #[test]
    fn images_that_nothing_needs_are_chosen_children_first() {
        let element =
            |id: &str, parent: &str, tags: Value| json!({"Id": id, "ParentId": parent, "RepoTags": tags});
        let none = || json!(["<none>:<none>"]);
        let answer = json!([
            element("base", "", json!(["ubuntu:14.04"])),
            element("l1", "base", none()),
            element("l2", "base", none()),
            element("l3", "base", none()),
            element("l4", "base", json!(null)),
            element("app2", "l2", json!(["app:latest", "app:2.0"])),
            element("app1", "l1", json!(["app:1.0"])),
            element("app0", "l1", json!(["app:0.9"])),
            element("dang", "l3", none()),
            element("dangused", "l4", json!([])),
            element("old", "", json!(["tool:3"])),
        ]);
        let used = BTreeSet::from(["dangused".to_owned()]);
        for (remove_old, keep_tags, expected) in [
            (false, &[][..], &["dang", "l3"][..]),
            (false, &["1.0"], &["dang", "l3"]),
            (true, &[], &["app1", "app0", "dang", "old", "l1", "l3"]),
            (true, &["1.0"], &["app0", "dang", "old", "l3"]),
            (true, &["1.0", "14.04"], &["app0", "dang", "old", "l3"]),
            (true, &["0"], &["app1", "app0", "dang", "old", "l1", "l3"]),
        ] {
            let keep_tags = keep_tags.iter().map(|tag| (*tag).to_owned()).collect();
            let options = CleanupImages { remove_old, keep_tags, ..CleanupImages::default() };
            assert_eq!(removable_images(&answer, &used, &options), expected, "{options:?}");
        }
    }
}
