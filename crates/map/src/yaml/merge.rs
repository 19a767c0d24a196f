//! Closing a mapping: duplicate keys (D41) and merge keys.

use std::collections::HashMap;

use compact_str::CompactString;

use super::{Content, Entry, Key, MAX_FINDINGS, Node};
use crate::diagnostic::{Finding, FindingKind};

/// The key that merges other mappings in, when it is written plain.
pub(super) const MERGE_KEY: &str = "<<";

/// Puts the entries of a mapping together: merged ones first, as YAML 1.1 orders them, each
/// overridden in place by what the mapping itself gives.
pub(super) fn close(own: Vec<Entry>, merge: Option<(Key, Node)>, findings: &mut Vec<Finding>) -> Vec<Entry> {
    let mut own = without_duplicates(own, findings);
    let Some((key, node)) = merge else {
        // Most mappings have few keys, and a growing list makes room for four.
        own.shrink_to_fit();
        return own;
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut index: HashMap<CompactString, usize> = HashMap::with_capacity(own.len());
    let mut put = |entry: Entry| match index.get(&entry.key.text) {
        Some(&at) => entries[at] = entry,
        None => {
            index.insert(entry.key.text.clone(), entries.len());
            entries.push(entry);
        }
    };
    // In a list of mappings an earlier one overrides a later one (yaml.org/type/merge.html).
    sources(key, node, findings).into_iter().rev().flatten().for_each(&mut put);
    own.into_iter().for_each(put);
    entries
}

/// Returns the mappings that a merge key names.
fn sources(key: Key, node: Node, findings: &mut Vec<Finding>) -> Vec<Vec<Entry>> {
    let nodes = match node.content {
        Content::List(nodes) if node.tag.is_none() => nodes,
        _ => vec![node],
    };
    let mut mappings = Vec::new();
    for node in nodes {
        match node {
            Node { content: Content::Mapping(entries), tag: None, .. } => mappings.push(entries),
            other => {
                let message = format!("a merge key `<<` takes mappings, found {}", other.describe());
                let hint = "name a mapping by its alias, or several: `<<: [*first, *second]`";
                findings.push(Finding::error(FindingKind::Load, message).at(key.place()).hint(hint));
            }
        }
    }
    mappings
}

/// Drops repeated keys, each with a finding that shows both places.
fn without_duplicates(entries: Vec<Entry>, findings: &mut Vec<Finding>) -> Vec<Entry> {
    const FEW: usize = 8;
    let repeats = |at: usize| entries[..at].iter().any(|entry| entry.key.text == entries[at].key.text);
    if entries.len() <= FEW && !(1..entries.len()).any(repeats) {
        return entries;
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut repeated = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match seen.get(entry.key.text.as_str()) {
            Some(&first) => {
                if findings.len() < MAX_FINDINGS {
                    findings.push(duplicate(&entry.key, &entries[first].key));
                }
                repeated.push(at);
            }
            None => {
                seen.insert(&entry.key.text, at);
            }
        }
    }
    let mut repeated = repeated.into_iter().peekable();
    let kept = entries.into_iter().enumerate().filter(|(at, _)| repeated.next_if_eq(at).is_none());
    kept.map(|(_, entry)| entry).collect()
}

/// Makes the finding of a key that is given twice.
pub(super) fn duplicate(key: &Key, first: &Key) -> Finding {
    Finding::error(
        FindingKind::Load,
        format!("key `{}` is given twice in one mapping", super::shortened(&key.text)),
    )
    .at(key.place())
    .with_related(first.place(), "first given here")
    .hint("keep one of them; which one would win is not the same in every YAML reader")
}
