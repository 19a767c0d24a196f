//! The integrity check: do the names in a map fit together (map-model §9)?
//!
//! Findings carry the number of their check in the message. What a single property may look like is
//! decided while loading; here only what needs the whole, extended map is looked at:
//!
//! | check | file |
//! |---|---|
//! | 1, 2 groups | `groups` |
//! | 3 inheritance | [`crate::extend`] |
//! | 4, 5, 6, 7, 12 volumes | `volumes` |
//! | 8, 11 links · 9 networks · 10 network mode | `containers` |
//! | 13 circles | [`crate::deps`] |
//! | settings that exclude each other | `exclusions` |

mod clients;
mod containers;
mod exclusions;
mod groups;
mod volumes;

use std::collections::HashSet;

use crate::deps::Needs;
use crate::diagnostic::{Finding, FindingKind, Severity, nearest};
use crate::extend;
use crate::model::Map;
use crate::names::ConfigName;
use crate::place::{in_configuration, written_at};
use crate::volumes::Volumes;
use volumes::VolumeSources;

pub use clients::clients;
pub use exclusions::{EXCLUSIONS, Excluding, Exclusion};

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Check 4: no volume source name occurs twice.
    pub duplicates: bool,
    /// Checks that commands can do without: 1, 2, 5, 6, 7, 12, and 4 if `duplicates` is set. The others
    /// (8–11, 13, and settings that exclude each other) always run, since acting on a map that
    /// breaks them can only fail.
    pub integrity: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { duplicates: true, integrity: true }
    }
}

/// Checks an extended map. The findings stand in the order of their places; errors and warnings are
/// told apart by their severity.
///
/// Check 3 is not among them: an extended map has no parents any more. [`check_written`] does it all.
pub fn check(map: &Map, options: Options) -> Vec<Finding> {
    Check::new(map, map, HashSet::new()).run(options)
}

/// Extends a map as it was written and checks it: all thirteen checks of map-model §9 at once.
///
/// What may only echo a missing parent is not reported, so that the list stays short.
pub fn check_written(map: &Map, options: Options) -> Vec<Finding> {
    let mut extension = extend::extend(map);
    let mut findings = std::mem::take(&mut extension.findings);
    if let Some(extended) = &extension.map {
        findings.extend(Check::new(extended, map, extension.incomplete).run(options));
    }
    in_order(findings)
}

/// How many findings get a "did you mean": each compares against all names of the map.
const SUGGESTIONS: u32 = 100;

struct Check<'a> {
    map: &'a Map,
    /// The map with its abstract configurations, where it is at hand.
    written: &'a Map,
    volumes: Volumes<'a>,
    incomplete: HashSet<ConfigName>,
    findings: Vec<Finding>,
    suggestions: u32,
}

/// Where a wrong name stands: in a property of a configuration.
#[derive(Clone, Copy)]
struct Source<'a> {
    config: &'a ConfigName,
    /// The property, for the message.
    property: &'static str,
    /// The path of the element in the configuration's origins; made only for a finding.
    path: &'a dyn Fn() -> String,
    /// The name itself.
    name: &'a str,
}

impl<'a> Check<'a> {
    fn new(map: &'a Map, written: &'a Map, incomplete: HashSet<ConfigName>) -> Self {
        let volumes = Volumes::new(map);
        Self { map, written, volumes, incomplete, findings: Vec::new(), suggestions: SUGGESTIONS }
    }

    fn run(mut self, options: Options) -> Vec<Finding> {
        if options.integrity {
            self.groups();
        }
        // One walk over the configurations for all checks: with thousands of them, most of the time is
        // waiting for their memory.
        let mut sources = VolumeSources::new(self.map);
        let mut needs = Needs::new(self.map);
        for (number, (config, container)) in self.map.containers.iter().enumerate() {
            if options.integrity {
                if options.duplicates {
                    sources.add(&mut self.findings, config, container);
                }
                self.volumes(number, config, container);
            }
            self.container(config, container);
            self.exclusions(config, container);
            needs.push(&self.volumes);
        }
        if options.integrity && !self.map.parent_names() {
            self.contradicting_paths();
        }
        self.findings.extend(needs.cycles(self.map, &self.volumes));
        in_order(self.findings)
    }

    /// Records what is wrong with a name.
    fn wrong(&mut self, kind: FindingKind, source: Source<'_>, message: String, hint: Option<String>) {
        let Source { config, property, path, name } = source;
        // A configuration without its parent may lack just what is complained about.
        if self.incomplete.contains(config) {
            return;
        }
        let mut finding =
            Finding::error(kind, message).about(in_configuration(&self.map.name, config, property));
        finding.hint = hint;
        self.findings.push(written_at(finding, &self.map.containers[config].origins, &path(), name));
    }

    fn warn(&mut self, kind: FindingKind, source: Source<'_>, message: String, hint: Option<String>) {
        let before = self.findings.len();
        self.wrong(kind, source, message, hint);
        for finding in &mut self.findings[before..] {
            finding.severity = Severity::Warning;
        }
    }

    /// Returns a "did you mean" for the nearest of the known names.
    fn suggest<'n>(&mut self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
        self.suggestions = self.suggestions.checked_sub(1)?;
        nearest(name, known).map(|near| format!("did you mean `{near}`?"))
    }
}

/// Sorts by place; findings without one stay in front, in their order.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        let position = |finding: &Finding| finding.place.as_ref().map(|place| place.position.clone());
        position(a).cmp(&position(b))
    });
    findings
}

#[cfg(test)]
mod tests;
