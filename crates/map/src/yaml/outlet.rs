//! The entries of a root mapping, given away one by one.
//!
//! Most of the time that a large text takes is waiting for memory. An entry that is read as soon as it is
//! complete is in the caches, and leaves its memory to the next one: the text never is a tree as a whole.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;

use super::{Entry, Key, MAX_FINDINGS, merge};
use crate::diagnostic::Finding;
use crate::position::Position;

/// Where the entries of a root go.
pub(super) struct Outlet<'a> {
    give: &'a mut dyn FnMut(Entry),
    /// The keys so far, with the line, the column and the length of each.
    known: HashMap<CompactString, (u32, u32, u32), RandomState>,
    /// The length of the first key, by which a mapping is marked.
    pub(super) first_length: Option<u32>,
    /// The root merges other mappings in: which entries it has, and in which order, is known at its
    /// end only.
    pub(super) merges: bool,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(give: &'a mut dyn FnMut(Entry)) -> Self {
        Self { give, known: HashMap::default(), first_length: None, merges: false }
    }

    /// Gives an entry away, unless its key is there already, which is reported.
    pub(super) fn give(&mut self, entry: Entry, findings: &mut Vec<Finding>) {
        let Key { text, position, length } = &entry.key;
        self.first_length.get_or_insert(*length);
        match self.known.get(text) {
            None => {
                self.known.insert(text.clone(), (position.line, position.column, *length));
                (self.give)(entry);
            }
            Some(_) if findings.len() >= MAX_FINDINGS => {}
            Some(&(line, column, length)) => {
                let position = Position::new(position.file.clone(), line, column);
                findings.push(merge::duplicate(&entry.key, &Key { text: text.clone(), position, length }));
            }
        }
    }
}
