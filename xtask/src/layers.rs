//! The layering rules of design §2, held by machine over what `cargo metadata` says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::project;
use crate::run::Runs as _;

/// What each of our crates may use of ours, in normal and build dependencies.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("dfab-map", &[]),
    ("dfab-tunnel", &[]),
    ("dfab-client", &["dfab-map"]),
    ("dfab-cli-client", &["dfab-client", "dfab-map", "dfab-tunnel"]),
    ("dfab-tasks", &["dfab-client", "dfab-map", "dfab-tunnel"]),
    ("dfab", &["dfab-cli-client", "dfab-client", "dfab-map", "dfab-tasks", "dfab-tunnel"]),
    ("xtask", &[]),
    ("dfab-tests", &["dfab-cli-client", "dfab-client", "dfab-map", "dfab-tasks", "dfab-tunnel"]),
];

/// Crates that reach a host, a clock, a file or a terminal: none may stand in `dfab-map`'s tree.
const IO_CRATES: [&str; 20] = [
    "anstream",
    "async-std",
    "bollard",
    "chrono",
    "clap",
    "console",
    "dirs",
    "hyper",
    "indicatif",
    "libssh2-sys",
    "mio",
    "nix",
    "reqwest",
    "rustix",
    "socket2",
    "ssh2",
    "tempfile",
    "tokio",
    "tracing-subscriber",
    "walkdir",
];

/// What a crate that stands alone brings along.
const FILES: [&str; 3] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    description: Option<String>,
    license: Option<String>,
    readme: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    rust_version: Option<String>,
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    req: String,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Returns a sentence for each rule that the workspace breaks.
pub fn broken_rules() -> Result<Vec<String>> {
    let text =
        project::cargo().args(["metadata", "--format-version=1", "--locked", "--all-features"]).read()?;
    let metadata: Metadata = serde_json::from_str(&text).context("cannot read what `cargo metadata` says")?;
    let has_text = |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
    Ok(check(&metadata, &has_text))
}

fn check(metadata: &Metadata, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    let members: Vec<&Package> =
        metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect();
    let ours: BTreeSet<&str> = members.iter().map(|package| package.name.as_str()).collect();
    for package in &members {
        check_dependencies(package, &ours, &mut broken);
        // An empty list means `publish = false`.
        if package.publish.as_ref().is_none_or(|registries| !registries.is_empty()) {
            check_manifest(package, exists, &mut broken);
        }
    }
    check_map(metadata, &members, &mut broken);
    broken
}

fn check_dependencies(package: &Package, ours: &BTreeSet<&str>, broken: &mut Vec<String>) {
    let name = &package.name;
    let allowed = ALLOWED.iter().find(|(member, _)| member == name).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else {
        broken.push(format!("`{name}` is new: say in xtask/src/layers.rs what it may use"));
        return;
    };
    for dependency in &package.dependencies {
        let used = dependency.name.as_str();
        let is_test = dependency.kind.as_deref() == Some("dev");
        if ours.contains(used) && !is_test && !allowed.contains(&used) {
            broken.push(format!("`{name}` depends on `{used}`; design §2 does not allow that"));
        }
        // Tests of a lower layer that need a higher one belong to `tests/`; cargo could not publish them either.
        if ours.contains(used) && is_test && !allowed.contains(&used) {
            broken.push(format!("the tests of `{name}` depend on `{used}`; put them into `tests/`"));
        }
        if dependency.path.is_some() && dependency.req == "*" {
            broken.push(format!("`{name}` depends on `{used}` by path only; give it a version"));
        }
    }
}

fn check_manifest(package: &Package, exists: &dyn Fn(&Path) -> bool, broken: &mut Vec<String>) {
    let name = &package.name;
    let fields = [
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("readme", package.readme.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("keywords", !package.keywords.is_empty()),
    ];
    for (field, _) in fields.iter().filter(|(_, present)| !present) {
        broken.push(format!("`{name}` has no `{field}` in its manifest"));
    }
    let folder = Path::new(&package.manifest_path).parent().unwrap_or(Path::new("."));
    for file in FILES.iter().filter(|file| !exists(&folder.join(file))) {
        broken.push(format!("`{name}` has no file `{file}`, or an empty one"));
    }
}

/// Looks for crates that do I/O in `dfab-map`'s tree, and says by which way each came in.
fn check_map(metadata: &Metadata, members: &[&Package], broken: &mut Vec<String>) {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes: BTreeMap<&str, &Node> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let Some(map) = members.iter().find(|package| package.name == "dfab-map") else {
        broken.push("there is no crate `dfab-map`".to_owned());
        return;
    };
    let mut seen = BTreeSet::from([map.id.as_str()]);
    let mut ways = vec![vec![map.id.as_str()]];
    while let Some(way) = ways.pop() {
        let last = way[way.len() - 1];
        let name = names.get(last).copied().unwrap_or(last);
        if IO_CRATES.contains(&name) {
            let way: Vec<&str> = way.iter().map(|id| names.get(id).copied().unwrap_or(id)).collect();
            broken.push(format!("`dfab-map` does no I/O, but `{name}` is in its tree: {}", way.join(" -> ")));
            continue;
        }
        for edge in nodes.get(last).map(|node| node.deps.as_slice()).unwrap_or_default() {
            let is_normal = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if is_normal && seen.insert(&edge.pkg) {
                let mut longer = way.clone();
                longer.push(&edge.pkg);
                ways.push(longer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Metadata, check};

    /// A workspace of `dfab-map` and `dfab-client` with these dependencies each, and `tokio` under `helper`.
    fn rules_broken_by(
        map: &[serde_json::Value],
        client: &[serde_json::Value],
        map_edges: &[&str],
    ) -> Vec<String> {
        let package = |name: &str, dependencies: &[serde_json::Value]| {
            json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "description": "d",
                   "license": "MIT", "readme": "README.md", "keywords": ["docker"], "rust_version": "1.88",
                   "publish": null, "dependencies": dependencies})
        };
        let edges: Vec<_> =
            map_edges.iter().map(|id| json!({"pkg": id, "dep_kinds": [{"kind": null}]})).collect();
        let metadata = json!({
            "packages": [package("dfab-map", map), package("dfab-client", client), package("helper", &[]), package("tokio", &[])],
            "workspace_members": ["dfab-map", "dfab-client"],
            "resolve": {"nodes": [
                {"id": "dfab-map", "deps": edges},
                {"id": "helper", "deps": [{"pkg": "tokio", "dep_kinds": [{"kind": null}]}]},
            ]},
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        check(&metadata, &|path| !path.ends_with("dfab-client/LICENSE-MIT"))
    }

    #[test]
    fn each_broken_rule_has_its_sentence() {
        let ours = |name: &str, req: &str| json!({"name": name, "kind": null, "req": req, "path": "/w/x"});
        let licence = "`dfab-client` has no file `LICENSE-MIT`, or an empty one";
        assert_eq!(rules_broken_by(&[], &[ours("dfab-map", "^0.1.0")], &[]), [licence]);
        assert_eq!(
            rules_broken_by(&[ours("dfab-client", "^0.1.0")], &[ours("dfab-map", "*")], &["helper"]),
            [
                "`dfab-map` depends on `dfab-client`; design §2 does not allow that",
                "`dfab-client` depends on `dfab-map` by path only; give it a version",
                licence,
                "`dfab-map` does no I/O, but `tokio` is in its tree: dfab-map -> helper -> tokio",
            ]
        );
    }
}
