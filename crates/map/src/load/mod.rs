//! From text to the model: every input form of map-model §1–§4, and every rejection.
//!
//! Loading has three stages. [`crate::yaml`] reads the text into nodes with positions. Eager tags
//! (`!path`, `!env`) are applied to the nodes. Then each property's reader turns its nodes into normal
//! form, and reports what it cannot; one file here is one family of properties. The entries of a map
//! go through all three one after the other, so that a large map never is a tree as a whole. All findings
//! of a text are reported together, at most [`MAX_FINDINGS`]. Nothing late is looked up.
//!
//! What depends on other configurations is not judged here: see [`crate::extend`] and
//! [`crate::check`] for inheritance and cross-references.

mod attaches;
mod binds;
mod clients;
mod container;
mod context;
mod elements;
mod endpoints;
mod exec_commands;
mod exposes;
mod healthcheck;
pub(crate) mod keys;
mod links;
mod map;
mod network_mode;
mod options;
mod scalars;
mod signals;
mod tags;
mod user;
mod uses;
mod volumes;

use crate::diagnostic::{Finding, FindingKind, Findings, Severity, Sources};
use crate::model::{Clients, Map};
use crate::names::MapName;
use crate::value::Lookup;
use crate::yaml::{self, Content, Node, Root};
use context::Context;

/// The most findings that one load reports; a last one says how many more there are.
pub const MAX_FINDINGS: usize = yaml::MAX_FINDINGS;

/// What loading needs beside the text.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Name of the text for positions, usually its path.
    pub file: &'a str,
    /// Name of the map (map-model §10.1): `None` takes the root key `name`; an empty text takes the
    /// file's base name without its last extension; anything else is the name. Clients ignore it.
    pub name: Option<&'a str>,
    /// Variables for eager tags.
    pub lookup: &'a dyn Lookup,
}

/// A loaded value with what its reader should hear about it.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// Findings that do not stop the work, with their source lines.
    pub warnings: Vec<Finding>,
    /// The text, for findings that later work makes from positions.
    pub sources: Sources,
}

/// Loads a map from YAML.
///
/// The map is complete and valid in itself; cross-references are not checked (map-model §9).
///
/// # Errors
///
/// All findings of the text, in the order of their places: `Load`, `InvalidInput`, `UnknownKey`,
/// `Unresolved`. Warnings are among them.
pub fn map(text: &str, options: &LoadOptions<'_>) -> Result<Loaded<Map>, Findings> {
    let mut reader = map::Reader::new(options);
    let root = yaml::entries(text, options.file, &mut |mut entry| {
        tags::apply(&mut entry.value, options.lookup, &mut reader.context);
        reader.entry(&entry);
    })?;
    let sources = Sources::of(options.file, text);
    match root {
        Root::Given(root) => reader.finish(&root, sources),
        Root::Whole(root) => map_node(root, sources, options),
    }
}

/// Loads a map from a node, for maps that stand inside another document.
///
/// `sources` holds the text of the document.
///
/// # Errors
///
/// As [`map`].
pub fn map_node(
    mut root: Node,
    sources: Sources,
    options: &LoadOptions<'_>,
) -> Result<Loaded<Map>, Findings> {
    let mut reader = map::Reader::new(options);
    tags::apply(&mut root, options.lookup, &mut reader.context);
    if let (None, Content::Mapping(entries)) = (root.tag, &mut root.content) {
        // Each entry is given back as soon as it is read: it is in the caches then.
        std::mem::take(entries).into_iter().for_each(|entry| reader.entry(&entry));
    }
    reader.finish(&root, sources)
}

/// Loads client configurations from YAML (map-model §4).
///
/// # Errors
///
/// As [`map`].
pub fn clients(text: &str, options: &LoadOptions<'_>) -> Result<Loaded<Clients>, Findings> {
    let root = yaml::parse(text, options.file)?;
    clients_node(root, Sources::of(options.file, text), options)
}

/// Loads client configurations from a node, see [`map_node`].
///
/// # Errors
///
/// As [`map`].
pub fn clients_node(
    mut root: Node,
    sources: Sources,
    options: &LoadOptions<'_>,
) -> Result<Loaded<Clients>, Findings> {
    let mut context = Context::default();
    tags::apply(&mut root, options.lookup, &mut context);
    let clients = clients::read(&root, &mut context);
    loaded(Some(clients), context.into_findings(None), sources)
}

/// Puts the findings in order, of which some were dropped, and yields what was read if it may be used.
fn loaded<T>(
    value: Option<T>,
    (findings, dropped): (Vec<Finding>, usize),
    sources: Sources,
) -> Result<Loaded<T>, Findings> {
    let mut findings = Findings(in_order(findings, dropped));
    sources.fill_all(&mut findings);
    match value {
        Some(value) if !findings.has_errors() => Ok(Loaded { value, warnings: findings.0, sources }),
        _ => Err(findings),
    }
}

/// Sorts findings by place, drops repetitions (aliased nodes are read more than once) and cuts
/// the list at [`MAX_FINDINGS`]. `dropped` findings had no room before.
fn in_order(mut findings: Vec<Finding>, dropped: usize) -> Vec<Finding> {
    findings.sort_by_key(position);
    findings.dedup();
    let more = findings.len().saturating_sub(MAX_FINDINGS) + dropped;
    if more > 0 {
        // Errors first: a cut must never hide the reason of a refusal behind warnings.
        findings.sort_by_key(|finding| finding.severity);
        findings.truncate(MAX_FINDINGS);
        findings.sort_by_key(position);
        let message = format!("{more} further findings are not shown");
        findings.push(Finding { severity: Severity::Warning, ..Finding::error(FindingKind::Load, message) });
    }
    findings
}

fn position(finding: &Finding) -> Option<(u32, u32)> {
    finding.place.as_ref().map(|place| (place.position.line, place.position.column))
}

/// Returns the name that a file gives its map: the base name without its last extension.
fn name_of_file(file: &str) -> &str {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    match base.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => base,
    }
}

/// Checks the name of a map that did not come from the text.
fn given_name(name: &str, context: &mut Context) -> Option<MapName> {
    match MapName::new(name) {
        Ok(name) => Some(name),
        Err(error) => {
            context.push(
                Finding::error(FindingKind::Load, error.to_string()).hint(format!("use {}", error.rule)),
            );
            None
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
