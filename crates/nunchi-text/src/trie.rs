//! Which pieces begin here? A double-array trie over characters, with the characters renumbered densely first.

use super::{REASON, TextError, excerpt};
use std::collections::BTreeMap;

/// Most different characters that pieces may be made of: renumbered, they stay below the surrogates.
const MAX_CHARACTERS: usize = 0xd000;
/// Entries of a page of the character table.
const PAGE: usize = 256;

/// A character's number in the alphabet of the pieces, as `char` because that is what the trie is made of; `NONE` for
/// characters that no piece contains.
pub(super) type Symbol = char;
/// The symbol of characters that no piece contains.
pub(super) const NONE: Symbol = '\0';

/// Finds pieces at the beginning of a string of symbols.
pub(super) struct Trie {
    /// Page of `table` by the upper bits of a character; page 0 is the empty one.
    pages: Vec<u16>,
    table: Vec<Symbol>,
    trie: crawdad::Trie,
}

impl Trie {
    /// A trie of `(text, value)`; the texts are not empty and differ.
    pub fn new<'a>(records: impl Iterator<Item = (&'a str, u32)> + Clone) -> Result<Self, TextError> {
        let mut frequency: BTreeMap<char, u32> = BTreeMap::new();
        for c in records.clone().flat_map(|(text, _)| text.chars()) {
            *frequency.entry(c).or_default() += 1;
        }
        if frequency.len() > MAX_CHARACTERS {
            return Err(TextError::Damaged(format!(
                "its pieces use {} different characters",
                frequency.len()
            )));
        }
        let (mut pages, mut table) = (Vec::new(), vec![NONE; PAGE]);
        for (number, &c) in (1..).zip(frequency.keys()) {
            let page = c as usize / PAGE;
            if pages.len() <= page {
                pages.resize(page + 1, 0u16);
            }
            if pages[page] == 0 {
                pages[page] = (table.len() / PAGE) as u16;
                table.resize(table.len() + PAGE, NONE);
            }
            table[usize::from(pages[page]) * PAGE + c as usize % PAGE] =
                char::from_u32(number).expect("numbers stay below the surrogates");
        }
        let symbol = |c: char| table[usize::from(pages[c as usize / PAGE]) * PAGE + c as usize % PAGE];
        let keys: Vec<(String, u32)> =
            records.map(|(text, value)| (text.chars().map(symbol).collect(), value)).collect();
        if keys.is_empty() {
            return Err(TextError::Damaged("no piece matches text".into()));
        }
        let trie = crawdad::Trie::from_records(keys.iter().map(|(key, value)| (key.as_str(), *value)))
            .map_err(|error| TextError::Damaged(excerpt(&error.to_string(), REASON)))?;
        Ok(Trie { pages, table, trie })
    }

    /// The symbol of `c`.
    #[inline]
    pub fn symbol(&self, c: char) -> Symbol {
        let page = self.pages.get(c as usize / PAGE).map_or(0, |&page| usize::from(page));
        self.table[page * PAGE + c as usize % PAGE]
    }

    /// Values and lengths (in symbols) of the pieces that `symbols` begins with, shortest first.
    #[inline]
    pub fn prefixes<'a>(&'a self, symbols: &'a [Symbol]) -> impl Iterator<Item = (u32, usize)> + 'a {
        self.trie.common_prefix_search(symbols.iter().copied())
    }
}

impl std::fmt::Debug for Trie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trie").field("nodes", &self.trie.num_elems()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_prefix() {
        let pieces = ["▁좋", "▁좋아", "▁좋아요", "아", "😀"];
        let trie = Trie::new(pieces.iter().zip(0..).map(|(&text, id)| (text, id))).unwrap();
        let symbols: Vec<char> = "▁좋아욧".chars().map(|c| trie.symbol(c)).collect();
        assert_eq!(trie.prefixes(&symbols).collect::<Vec<_>>(), [(0, 2), (1, 3)]);
        assert_eq!(trie.prefixes(&symbols[2..]).collect::<Vec<_>>(), [(3, 1)]);
        assert_eq!(trie.symbol('욧'), NONE);
        assert_eq!(trie.symbol('\u{10ffff}'), NONE);
    }
}
