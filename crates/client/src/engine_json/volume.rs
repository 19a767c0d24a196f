//! Volumes and images: `GET /volumes`, `GET /images/json`.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::observed::{ObservedVolume, image_key};
use dfab_map::spec::VolumeSpec;
use serde_json::Value;

use super::{Unreadable, list, required, text, texts};

/// Reads one element of `Volumes` in `GET /volumes`, or the answer of `GET /volumes/{name}`.
/// Who holds it is not shown there.
///
/// # Errors
///
/// [`Unreadable`] when the element has no name.
pub fn listed_volume(element: &Value) -> Result<ObservedVolume, Unreadable> {
    let name = required(element, "a listed volume", "Name")?;
    let spec = VolumeSpec {
        name: name.to_owned(),
        driver: text(element, "Driver").to_owned(),
        driver_opts: texts(element, "Options"),
        labels: texts(element, "Labels"),
        own_labels: BTreeMap::new(),
    };
    Ok(ObservedVolume { spec, holders: BTreeSet::new() })
}

/// Reads `GET /images/json`: ID by every tag and digest, see [`image_key`].
///
/// # Errors
///
/// [`Unreadable`] when an element has no ID.
pub fn images_by_reference(answer: &Value) -> Result<BTreeMap<String, String>, Unreadable> {
    let mut images = BTreeMap::new();
    for element in answer.as_array().into_iter().flatten() {
        let id = required(element, "a listed image", "Id")?;
        let references = list(element, "RepoTags").chain(list(element, "RepoDigests"));
        // Engines up to 24 write `<none>:<none>` and `<none>@<none>` where there is nothing.
        for reference in references.filter(|reference| !reference.contains("<none>")) {
            images.insert(image_key(reference), id.to_owned());
        }
    }
    Ok(images)
}
