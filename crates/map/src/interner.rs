//! Texts as numbers, for work that looks up tens of thousands of names.
//!
//! The names of a map lie scattered over its memory, and most of the time of a look-up is waiting for
//! it. Here they lie side by side: text, ends and table of ten thousand names fit into a second-level cache.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Numbers texts from zero, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    text: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    /// Makes an empty one that has room for so many texts.
    pub(crate) fn with_capacity(count: usize) -> Self {
        const USUAL_LENGTH: usize = 12;
        Self {
            text: String::with_capacity(count * USUAL_LENGTH),
            ends: Vec::with_capacity(count),
            table: HashTable::with_capacity(count),
            hasher: RandomState::default(),
        }
    }

    /// Returns the number of a text, and whether it is new.
    pub(crate) fn insert(&mut self, text: &str) -> (usize, bool) {
        if let Some(known) = self.get(text) {
            return (known, false);
        }
        let number = self.ends.len();
        self.text.push_str(text);
        self.ends.push(self.text.len());
        let (all, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let hash = |text: &str| hasher.hash_one(text);
        let entry = u32::try_from(number).expect("texts are counted in memory, by far fewer than 2^32");
        self.table.insert_unique(hash(text), entry, |known| hash(at(all, ends, *known)));
        (number, true)
    }

    /// Returns the number of a text.
    pub(crate) fn get(&self, text: &str) -> Option<usize> {
        let is_it = |known: &u32| at(&self.text, &self.ends, *known) == text;
        self.table.find(self.hasher.hash_one(text), is_it).map(|known| *known as usize)
    }
}

fn at<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &text[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_first_time() {
        let mut names = Interner::default();
        let texts: Vec<String> = (0..1000).map(|number| format!("é{number}")).collect();
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(names.get(text), None);
            assert_eq!(names.insert(text), (number, true));
        }
        assert_eq!(names.insert(""), (1000, true));
        for (number, text) in texts.iter().enumerate() {
            assert_eq!((names.get(text), names.insert(text)), (Some(number), (number, false)));
        }
        assert_eq!((names.get(""), names.get("x")), (Some(1000), None));
    }
}
