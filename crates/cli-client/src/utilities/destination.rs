//! Where resources of a container are copied to (clients-tasks §6.2).

use dfab_client::error::Cause;

use crate::command::{self, Command};

/// The entry of a mapping for all other resources.
const OTHERS: &str = "*";

/// What is copied from a container, and how it is arranged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Absolute paths of files and folders in the container.
    pub resources: Vec<String>,
    /// Destination by resource; `*` is that of all others, and a folder. A resource without one keeps its path.
    pub destinations: Vec<(String, String)>,
    /// `chown -R` of the result: a user and a group, quoted where needed.
    pub owner: Option<String>,
    /// `chmod -R` of the result.
    pub mode: Option<String>,
}

/// A destination that is not in the folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the destination `{0}` leads out of the folder: it has an element `..`")]
pub struct Outside(String);

/// All copies, checked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) copies: Vec<Copy>,
    pub(super) owner: Option<String>,
    pub(super) mode: Option<String>,
}

/// One resource: its command without the target, and the target's path below the folder.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) command: Command,
    /// Where the contents of a folder go.
    pub(super) folder: String,
    /// What a file becomes.
    pub(super) file: String,
}

impl Plan {
    pub(super) fn new(container: &str, copies: &Copies) -> Result<Self, Cause> {
        if copies.resources.is_empty() {
            return Err(Cause::Input("no resource is named".to_owned()));
        }
        let unknown = copies.destinations.iter().find(|(name, _)| {
            name != OTHERS && !copies.resources.iter().any(|known| trimmed(known) == trimmed(name))
        });
        if let Some((name, _)) = unknown {
            return Err(Cause::Input(format!("a destination is given for `{name}`, which is not copied")));
        }
        let mut planned = Vec::new();
        for given in &copies.resources {
            let path = resource(given)?;
            let base = path.rsplit('/').next().unwrap_or_default().to_owned();
            let of = |wanted: &str| {
                let found = copies.destinations.iter().find(|(name, _)| trimmed(name) == trimmed(wanted));
                found.map(|(_, destination)| destination.as_str())
            };
            let inside = |path: &str| inside(path).map_err(|error| Cause::Input(error.to_string()));
            let (folder, file) = match (of(&path), of(OTHERS)) {
                (Some(own), _) => (inside(own)?, inside(own)?),
                (None, Some(others)) => {
                    let folder = inside(others)?;
                    let file = if folder.is_empty() { base } else { format!("{folder}/{base}") };
                    (folder, file)
                }
                (None, None) => (inside(&path)?, inside(&path)?),
            };
            let mut command = command::copy_from(container, &path)?;
            // The target is shell text: a variable of the script.
            command.words.pop();
            planned.push(Copy { command, folder, file });
        }
        Ok(Self { copies: planned, owner: copies.owner.clone(), mode: copies.mode.clone() })
    }
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Checks a path in a container. A slash at its end is ignored.
pub(super) fn resource(path: &str) -> Result<String, Cause> {
    let path = match trimmed(path) {
        "" if path.starts_with('/') => "/",
        trimmed => trimmed,
    };
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(Cause::Input(format!("`{path}` is not an absolute path in the container"))),
    }
}

/// Checks the name of a container or image (clients-tasks §6).
pub(super) fn checked(name: &str) -> Result<(), Cause> {
    let is_first = |char: char| char.is_ascii_alphanumeric();
    let is_further = |char: char| is_first(char) || "_.:/@-".contains(char);
    match name.starts_with(is_first) && name.chars().all(is_further) {
        true => Ok(()),
        false => Err(Cause::Input(format!("`{name}` is no name of a container or image"))),
    }
}

fn inside(path: &str) -> Result<String, Outside> {
    let elements: Vec<&str> = path.split('/').filter(|element| !matches!(*element, "" | ".")).collect();
    if elements.contains(&"..") {
        return Err(Outside(path.to_owned()));
    }
    Ok(elements.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(resources: &[&str], destinations: &[(&str, &str)]) -> Copies {
        Copies {
            resources: resources.iter().map(|&resource| resource.to_owned()).collect(),
            destinations: destinations.iter().map(|(name, to)| ((*name).into(), (*to).into())).collect(),
            ..Copies::default()
        }
    }

    /// clients-tasks §6.2, the table: (folder for contents, path of a file).
    #[test]
    fn destinations() {
        let (data1, data2, hosts) = ("/var/lib/app/data1", "/var/lib/app/data2", "/etc/hosts");
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);
        let cases: [Case<'_>; 11] = [
            (&[data1], &[], &[("var/lib/app/data1", "var/lib/app/data1")]),
            (&[hosts], &[], &[("etc/hosts", "etc/hosts")]),
            (&[data1], &[(data1, "d1")], &[("d1", "d1")]),
            (&[data1], &[(data1, "/x//d1/")], &[("x/d1", "x/d1")]),
            (&["/var/lib/app/data1/"], &[(data1, "d1")], &[("d1", "d1")]),
            (&[hosts], &[(hosts, "conf/h")], &[("conf/h", "conf/h")]),
            (&[data1, data2], &[("*", "merged")], &[("merged", "merged/data1"), ("merged", "merged/data2")]),
            (&[data1, data2], &[("*", "")], &[("", "data1"), ("", "data2")]),
            (&[data1, data2], &[("*", "m"), (data1, "d1")], &[("d1", "d1"), ("m", "m/data2")]),
            (&[hosts], &[("*", "m")], &[("m", "m/hosts")]),
            (&["/"], &[("/", "root")], &[("root", "root")]),
        ];
        for (resources, destinations, expected) in cases {
            let plan = Plan::new("c", &copies(resources, destinations)).unwrap();
            let found: Vec<(&str, &str)> =
                plan.copies.iter().map(|copy| (copy.folder.as_str(), copy.file.as_str())).collect();
            assert_eq!(found, expected, "{resources:?} {destinations:?}");
        }
    }

    #[test]
    fn what_cannot_be_copied() {
        for (resources, destinations, expected) in [
            (&[][..], &[][..], "no resource is named"),
            (&["etc"], &[], "`etc` is not an absolute path in the container"),
            (
                &["/a"],
                &[("/a", "x/../../y")],
                "the destination `x/../../y` leads out of the folder: it has an element `..`",
            ),
            (&["/a/../b"], &[], "the destination `/a/../b` leads out of the folder: it has an element `..`"),
            (&["/a"], &[("/b", "x")], "a destination is given for `/b`, which is not copied"),
        ] {
            let error = Plan::new("c", &copies(resources, destinations)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for name in ["", "-x", "a b", "a;b", "$x", "a'b", "ä"] {
            assert!(checked(name).is_err(), "{name}");
        }
        for name in ["web", "reg.example.com:5000/a/b:1.0", "a@sha256:00", "main_map.web-1"] {
            checked(name).unwrap();
        }
    }
}
