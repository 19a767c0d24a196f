//! What image and archive calls take and give: byte streams, build options, progress.

mod blocks;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::io::AsyncRead;

pub use self::blocks::{Blocks, produced};

/// A stream of bytes. Reading to the end is the caller's part; dropping it early closes the
/// connection.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// How an image is built: `POST /build` (clients-tasks §4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// Name of the result, `repository:tag`.
    pub tag: String,
    /// Path of the Dockerfile inside the context; `None` is `Dockerfile`.
    pub dockerfile: Option<String>,
    /// Use no layers of earlier builds.
    pub nocache: bool,
    /// Pull newer base images.
    pub pull: bool,
    /// Print no build output.
    pub quiet: bool,
    /// Remove intermediate containers after a success.
    pub rm: bool,
    /// Remove intermediate containers in any case.
    pub forcerm: bool,
    /// Build arguments.
    pub buildargs: BTreeMap<String, String>,
    /// Labels of the result.
    pub labels: BTreeMap<String, String>,
    /// Images whose layers may be used.
    pub cache_from: Vec<String>,
    /// Stage to build.
    pub target: Option<String>,
    /// Network mode of `RUN`.
    pub network_mode: Option<String>,
    /// Further lines of `/etc/hosts` during the build, as `host:address`.
    pub extra_hosts: Vec<String>,
    /// Platform, where the engine can build for others.
    pub platform: Option<String>,
    /// Limits of the containers of `RUN`.
    pub limits: BuildLimits,
    /// Time for all of it; `None` is no limit beside the backend's own.
    pub timeout: Option<Duration>,
}

/// Limits of the containers that run a build's commands (`container_limits`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildLimits {
    /// Memory in bytes.
    pub memory: Option<i64>,
    /// Memory and swap in bytes; -1 is no limit.
    pub memory_swap: Option<i64>,
    /// Weight among containers.
    pub cpu_shares: Option<i64>,
    /// Processors, as `0-2,4`.
    pub cpuset_cpus: Option<String>,
}

/// Something that a streaming call reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A line of output, without its end.
    Line(String),
    /// A layer has moved on.
    Layer {
        /// Layer ID.
        id: String,
        /// Status text of the engine.
        status: String,
        /// Bytes so far and in all, where the engine says.
        bytes: Option<(u64, u64)>,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line),
            Self::Layer { id, status, bytes: Some((done, all)) } => write!(f, "{status} {id} {done}/{all}"),
            Self::Layer { id, status, bytes: None } => write!(f, "{status} {id}"),
        }
    }
}

/// Splits an image name into repository and tag: the tag is what follows the last colon after the
/// last slash, and a digest is none (clients-tasks §4.5).
pub fn repository_and_tag(name: &str) -> (&str, Option<&str>) {
    let name_only = name.split_once('@').map_or(name, |(name, _)| name);
    match name_only.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name_only, None),
    }
}

/// Returns the names that an image named `main_tag` gets beside it: the extra tags in their order,
/// without repetitions, `latest` last, never the main tag again (clients-tasks §4.5).
pub fn extra_names(main_tag: &str, extra_tags: &[String], add_latest: bool) -> Vec<(String, String)> {
    let (repository, tag) = repository_and_tag(main_tag);
    let main = tag.unwrap_or("latest");
    let latest = "latest".to_owned();
    let all =
        extra_tags.iter().filter(|tag| **tag != latest || !add_latest).chain(add_latest.then_some(&latest));
    let mut names: Vec<(String, String)> = Vec::new();
    for tag in all.filter(|tag| *tag != main) {
        let name = (repository.to_owned(), tag.clone());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_follows_the_last_colon_after_the_last_slash() {
        for (name, expected) in [
            ("app", ("app", None)),
            ("app:1", ("app", Some("1"))),
            ("reg:5000/app", ("reg:5000/app", None)),
            ("reg:5000/app:1", ("reg:5000/app", Some("1"))),
            ("app@sha256:00", ("app", None)),
        ] {
            assert_eq!(repository_and_tag(name), expected, "{name}");
        }
    }

    /// The table of clients-tasks §4.5.
    #[test]
    fn extra_tags_keep_their_repository_and_their_order() {
        for (main, extra, latest, expected) in [
            ("app:1.0", &["2", "1.0"][..], true, &["app:2", "app:latest"][..]),
            ("app:latest", &[], true, &[]),
            ("app", &["x"], true, &["app:x"]),
            ("reg:5000/app", &["x"], true, &["reg:5000/app:x"]),
            ("reg:5000/app:1", &[], true, &["reg:5000/app:latest"]),
            ("app:1", &["latest", "b", "b"], true, &["app:b", "app:latest"]),
        ] {
            let extra: Vec<String> = extra.iter().map(|tag| (*tag).to_owned()).collect();
            let names = extra_names(main, &extra, latest);
            let names: Vec<String> = names.into_iter().map(|(name, tag)| format!("{name}:{tag}")).collect();
            assert_eq!(names, expected, "{main}");
        }
    }
}
