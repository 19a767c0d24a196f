//! Image names: from what a map writes to the full reference (map-model §7.5).

use std::fmt;

use crate::diagnostic::{Finding, FindingKind};
use crate::model::{Container, Map};
use crate::names::ConfigName;
use crate::place::{in_configuration, place, written_at};
use crate::value::{Late, Lookup, Unresolved};

/// A full image reference: repository with a tag, or with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    /// Registry and path, for example `registry.example.com/app`.
    pub repository: String,
    /// What names the image inside the repository.
    pub version: ImageVersion,
}

/// A tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageVersion {
    /// `:tag`
    Tag(String),
    /// `@sha256:…`
    Digest(String),
}

/// An image text that is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an image reference; expected `[registry[:port]/]name[:tag]` or `name@sha256:…`")]
pub struct InvalidImage(pub String);

impl ImageName {
    /// Expands `image` as written in a map (map-model §7.5): a text without `/` gets `repository` in
    /// front, a leading `/` means "no prefix", a missing tag is `default_tag`, else `latest`. A
    /// digest is never split and gets no tag.
    ///
    /// # Errors
    ///
    /// [`InvalidImage`] when the name or the tag is empty or has blanks.
    pub fn expand(
        image: &str,
        repository: Option<&str>,
        default_tag: Option<&str>,
    ) -> Result<Self, InvalidImage> {
        let invalid = || InvalidImage(image.to_owned());
        let (name, version) = match image.split_once('@') {
            Some((name, digest)) if digest.contains(':') => {
                (name, Some(ImageVersion::Digest(digest.to_owned())))
            }
            Some(_) => return Err(invalid()),
            None => match image.rsplit_once(':') {
                Some((name, tag)) if !tag.contains('/') => (name, Some(ImageVersion::Tag(tag.to_owned()))),
                _ => (image, None),
            },
        };
        let bad = |text: &str| text.is_empty() || text.chars().any(char::is_whitespace);
        if let Some(ImageVersion::Tag(text) | ImageVersion::Digest(text)) = &version
            && bad(text)
        {
            return Err(invalid());
        }
        let full = match (name.contains('/'), repository) {
            (true, _) => name.strip_prefix('/').unwrap_or(name).to_owned(),
            (false, Some(prefix)) if !prefix.is_empty() => format!("{}/{name}", prefix.trim_end_matches('/')),
            (false, _) => name.to_owned(),
        };
        if bad(name) || bad(&full) || full.ends_with('/') {
            return Err(invalid());
        }
        let version =
            version.unwrap_or_else(|| ImageVersion::Tag(default_tag.unwrap_or("latest").to_owned()));
        Ok(Self { repository: full, version })
    }

    /// Returns the host of the registry: the first path component if it contains `.` or `:` or is
    /// `localhost` (map-model §4.5). `None` is Docker Hub.
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.repository.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            ImageVersion::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            ImageVersion::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

/// What image names are completed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDefaults {
    /// `repository`
    pub repository: Option<String>,
    /// `default_tag`
    pub tag: Option<String>,
}

impl ImageDefaults {
    /// Looks up `repository` and `default_tag` of a map.
    ///
    /// # Errors
    ///
    /// One finding for each of them that cannot be looked up.
    pub fn of(map: &Map, lookup: &dyn Lookup) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut text = |late: &Option<Late<String>>, property: &str| {
            let resolved = late.as_ref()?.resolve(lookup, &format!("{}.{property}", map.name));
            resolved.map_err(|error| findings.push(unresolved(error))).ok()
        };
        let defaults = Self {
            repository: text(&map.repository, "repository"),
            tag: text(&map.default_tag, "default_tag"),
        };
        if findings.is_empty() { Ok(defaults) } else { Err(findings) }
    }
}

fn unresolved(error: Unresolved) -> Finding {
    let finding = Finding::error(FindingKind::Unresolved, error.what);
    match &error.position {
        Some(position) => finding.at(place(position, "")),
        None => finding,
    }
}

/// Returns the image of a configuration as it is written; unset is the configuration's own name.
pub(crate) fn written<'a>(name: &'a ConfigName, container: &'a Container) -> &'a str {
    container.image.value().map_or(name.as_str(), String::as_str)
}

/// Returns the expanded image of a configuration (map-model §7.5).
///
/// # Errors
///
/// An image that is no reference, with its place.
pub fn of_configuration(
    map: &Map,
    name: &ConfigName,
    defaults: &ImageDefaults,
) -> Result<ImageName, Finding> {
    let container = &map.containers[name];
    let written = written(name, container);
    ImageName::expand(written, defaults.repository.as_deref(), defaults.tag.as_deref()).map_err(|error| {
        let finding = Finding::error(FindingKind::InvalidInput, error.to_string());
        let finding = finding.about(in_configuration(&map.name, name, "image"));
        written_at(finding, &container.origins, "image", written)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table_of_image_names() {
        // §7.5: image, then without prefix and tag, with repository, with default tag, with both.
        let r = "registry.example.com";
        for (image, expected) in [
            (
                "app-server",
                ["app-server:latest", "r/app-server:latest", "app-server:devel", "r/app-server:devel"],
            ),
            ("image1", ["image1:latest", "r/image1:latest", "image1:devel", "r/image1:devel"]),
            ("/image1", ["image1:latest", "image1:latest", "image1:devel", "image1:devel"]),
            ("image1:one", ["image1:one", "r/image1:one", "image1:one", "r/image1:one"]),
            ("/image1:two", ["image1:two"; 4]),
            ("x/image1", ["x/image1:latest", "x/image1:latest", "x/image1:devel", "x/image1:devel"]),
            ("x/image1:3", ["x/image1:3"; 4]),
            ("/x/image1", ["x/image1:latest", "x/image1:latest", "x/image1:devel", "x/image1:devel"]),
            ("host:5000/image1:t", ["host:5000/image1:t"; 4]),
            (
                "host:5000/image1",
                [
                    "host:5000/image1:latest",
                    "host:5000/image1:latest",
                    "host:5000/image1:devel",
                    "host:5000/image1:devel",
                ],
            ),
            (
                "image1@sha256:ab12",
                ["image1@sha256:ab12", "r/image1@sha256:ab12", "image1@sha256:ab12", "r/image1@sha256:ab12"],
            ),
            ("host:5000/x@sha256:ab12", ["host:5000/x@sha256:ab12"; 4]),
        ] {
            let columns = [(None, None), (Some(r), None), (None, Some("devel")), (Some(r), Some("devel"))];
            for ((repository, tag), expected) in columns.into_iter().zip(expected) {
                let expected = expected.replace("r/", "registry.example.com/");
                let found = ImageName::expand(image, repository, tag).map(|name| name.to_string());
                assert_eq!(found, Ok(expected), "§7.5 (D35) {image} {repository:?} {tag:?}");
            }
        }
        for image in [":tag", "image:", "/", "", "a b", "x/", "image@", "@sha256:ab", "image@sha256"] {
            assert!(ImageName::expand(image, None, None).is_err(), "§7.5 {image}");
        }
    }

    #[test]
    fn the_registry_is_the_first_component_that_looks_like_a_host() {
        // §4.5 (D26), engine D-52
        for (image, expected) in [
            ("reg.example.com/team/app:1", Some("reg.example.com")),
            ("quay.io/org/team/app:1", Some("quay.io")),
            ("host:5000/app", Some("host:5000")),
            ("localhost/app", Some("localhost")),
            ("team/app", None),
            ("app", None),
        ] {
            assert_eq!(ImageName::expand(image, None, None).unwrap().registry(), expected, "§4.5 {image}");
        }
    }
}
