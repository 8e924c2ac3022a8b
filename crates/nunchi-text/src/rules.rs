//! Sentencepiece's compiled rules of normalization (`precompiled_charsmap`): a double-array trie in the layout of the library
//! darts-clone, whose values are places in a table of replacements that end with a zero byte.
//!
//! `u32` size of the trie in bytes, the trie, the table; numbers little-endian. A text is replaced rule by rule, the longest one
//! that matches at a place.

use std::collections::{BTreeMap, HashSet};

/// A unit's flag: a value hangs below it.
const HAS_VALUE: u32 = 1 << 8;
/// A unit's flag: its offset counts in steps of 256.
const WIDE: u32 = 1 << 9;
/// A unit that is a value.
const VALUE: u32 = 1 << 31;
/// Offsets below this are written as they are.
const NARROW: u32 = 1 << 21;

/// Compiles rules; none gives no bytes (sentencepiece's sign for "leave everything alone"). Keys hold no zero byte.
pub(super) fn compile(rules: &[(String, String)]) -> Vec<u8> {
    if rules.is_empty() {
        return Vec::new();
    }
    let (mut table, mut places) = (Vec::new(), BTreeMap::new());
    let mut root = Node::default();
    for (from, to) in rules {
        let place = *places.entry(to.as_str()).or_insert_with(|| {
            let place = table.len() as u32;
            table.extend(to.as_bytes());
            table.push(0);
            place
        });
        root.insert(from.as_bytes(), place);
    }
    let mut array =
        DoubleArray { units: vec![0; 256], taken: vec![false; 256], bases: HashSet::new(), free: 1 };
    array.taken[0] = true;
    array.place(&root, 0);
    let mut bytes = Vec::with_capacity(4 + array.units.len() * 4 + table.len());
    bytes.extend((array.units.len() as u32 * 4).to_le_bytes());
    bytes.extend(array.units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend(table);
    bytes
}

/// A node of the trie while it is built.
#[derive(Default)]
struct Node {
    value: Option<u32>,
    children: BTreeMap<u8, Node>,
}

impl Node {
    fn insert(&mut self, key: &[u8], value: u32) {
        match key.split_first() {
            None => self.value = Some(value),
            Some((first, rest)) => self.children.entry(*first).or_default().insert(rest, value),
        }
    }
}

/// The trie as an array: the child of unit `at` by byte `b` is unit `at ^ offset ^ b`, and says `b` in its lowest byte.
struct DoubleArray {
    units: Vec<u32>,
    taken: Vec<bool>,
    /// Every node's children have a base of their own: bytes alone tell whose child a unit is.
    bases: HashSet<u32>,
    /// Units below are not looked at any more.
    free: u32,
}

impl DoubleArray {
    /// Places the children of `node`, whose unit is `at`.
    fn place(&mut self, node: &Node, at: u32) {
        let mut labels: Vec<u8> = node.value.iter().map(|_| 0).collect();
        labels.extend(node.children.keys());
        let base = self.base(&labels, at);
        self.bases.insert(base);
        let offset = at ^ base;
        self.units[at as usize] |= if offset < NARROW { offset << 10 } else { offset << 2 | WIDE };
        for &label in &labels {
            self.taken[(base ^ u32::from(label)) as usize] = true;
        }
        if let Some(value) = node.value {
            self.units[at as usize] |= HAS_VALUE;
            self.units[base as usize] = value | VALUE;
        }
        for &label in node.children.keys() {
            self.units[(base ^ u32::from(label)) as usize] = u32::from(label);
        }
        for (&label, child) in &node.children {
            self.place(child, base ^ u32::from(label));
        }
    }

    /// A base whose units for `labels` are free, and that can be told from `at`.
    fn base(&mut self, labels: &[u8], at: u32) -> u32 {
        while self.taken.get(self.free as usize).copied().unwrap_or(false) {
            self.free += 1;
        }
        let mut unit = self.free;
        let give_up = unit + 1024;
        loop {
            if unit == give_up {
                // Nearly full here: a new block, and what is left below stays empty.
                unit = self.units.len() as u32;
                self.free = unit;
            }
            let base = unit ^ u32::from(labels[0]);
            self.grow(base);
            let offset = at ^ base;
            let fits = labels.iter().all(|&label| !self.taken[(base ^ u32::from(label)) as usize]);
            if fits && base != 0 && !self.bases.contains(&base) && (offset < NARROW || offset & 0xff == 0) {
                return base;
            }
            unit += 1;
        }
    }

    /// Makes room for the block of 256 units that `base` is in.
    fn grow(&mut self, base: u32) {
        let room = (base as usize | 0xff) + 1;
        if self.units.len() < room {
            self.units.resize(room, 0);
            self.taken.resize(room, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest rule at the beginning of `text`, read as darts-clone reads: its length and its replacement.
    fn longest<'a>(compiled: &'a [u8], text: &str) -> Option<(usize, &'a str)> {
        let size = u32::from_le_bytes(compiled[..4].try_into().unwrap()) as usize;
        let unit = |at: u32| {
            let at = 4 + at as usize * 4;
            u32::from_le_bytes(compiled[at..at + 4].try_into().unwrap())
        };
        let offset = |unit: u32| (unit >> 10) << ((unit & WIDE) >> 6);
        let mut at = offset(unit(0));
        let mut found = None;
        for (length, byte) in (1..).zip(text.bytes()) {
            at ^= u32::from(byte);
            let here = unit(at);
            if here & (VALUE | 0xff) != u32::from(byte) {
                break;
            }
            at ^= offset(here);
            if here & HAS_VALUE != 0 {
                let table = &compiled[4 + size + (unit(at) & !VALUE) as usize..];
                let end = table.iter().position(|&byte| byte == 0).unwrap();
                found = Some((length, std::str::from_utf8(&table[..end]).unwrap()));
            }
        }
        found
    }

    #[test]
    fn every_rule_is_found_and_nothing_else() {
        let mut rules: Vec<(String, String)> = (0x21..0x3000)
            .filter_map(char::from_u32)
            .map(|c| (c.to_string(), format!("{:x}", u32::from(c) % 97)))
            .collect();
        rules.push(("!!!!".to_owned(), "!!!".to_owned()));
        rules.push(("!!!!!".to_owned(), String::new()));
        let compiled = compile(&rules);
        for (from, to) in &rules {
            assert_eq!(longest(&compiled, from), Some((from.len(), to.as_str())), "{from}");
        }
        assert_eq!(longest(&compiled, "!!!x"), Some((1, "21")));
        for stranger in [" ", "가", "\u{1f44d}", "\u{3000}", "\u{1}"] {
            assert_eq!(longest(&compiled, stranger), None, "{stranger:?}");
        }
        assert!(compile(&[]).is_empty());
    }
}
