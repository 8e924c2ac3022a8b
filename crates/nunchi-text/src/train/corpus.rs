//! The words of the texts and how often each occurs.

use super::{Normalizer, TextError};
use std::collections::HashMap;

/// Above this many different words the rarest so far are forgotten, down to half as many.
const MAX_COUNTED: usize = 4_000_000;
/// Most different words that training looks at, the most frequent ones.
const MAX_WORDS: usize = 500_000;
/// Longer words are cut: their probability must not underflow (see `model`).
const MAX_WORD: usize = 32;
/// The share of all characters that get pieces of their own; the rare rest is spelled in bytes.
const COVERAGE: f64 = 0.9998;
/// From this many pieces on, all jamo and ASCII characters get pieces even if the texts lack them.
const ROOM_FOR_ALPHABETS: usize = 4_000;

/// Words and characters with their counts, in a fixed order.
pub(super) struct Corpus {
    /// Stretches of one script; none longer than [`MAX_WORD`].
    pub words: Vec<(String, u64)>,
    /// Characters that get pieces of their own. Words are made of them alone.
    pub characters: Vec<(char, u64)>,
}

/// Kinds of characters that do not share a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Hangul,
    Digit,
    Letter,
    Other,
}

impl Script {
    fn of(c: char) -> Self {
        match c {
            '가'..='힣' | '\u{3131}'..='\u{318e}' => Script::Hangul,
            _ if c.is_numeric() => Script::Digit,
            _ if c.is_alphabetic() => Script::Letter,
            _ => Script::Other,
        }
    }
}

impl Corpus {
    /// Counts the words of `texts`; at most three quarters of `wanted` pieces may be characters.
    pub fn read<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, wanted: usize) -> Result<Self, TextError> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let (mut normal, mut spare, mut stretch) = (String::new(), String::new(), String::new());
        for text in texts {
            // With spaces: pieces are found inside of words, though they are looked for in texts without spaces.
            Normalizer::Nunchi3.words_into(text.as_ref(), &mut normal, &mut spare);
            for word in normal.split(' ').filter(|word| !word.is_empty()) {
                for_each_stretch(word, &mut stretch, |stretch| match counts.get_mut(stretch) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(stretch.to_owned(), 1);
                    }
                });
            }
            if counts.len() > MAX_COUNTED {
                forget_rare(&mut counts, MAX_COUNTED / 2);
            }
        }
        if counts.is_empty() {
            return Err(TextError::Training("the texts hold no words".into()));
        }
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(MAX_WORDS);
        let characters = frequent_characters(&words, wanted);
        Ok(Corpus { words: without_rare(words, &characters), characters })
    }
}

/// Drops the words seen once so far, then those seen twice, …, until at most `most` are left.
fn forget_rare(counts: &mut HashMap<String, u64>, most: usize) {
    let mut rare = 1;
    while counts.len() > most {
        counts.retain(|_, count| *count > rare);
        rare += 1;
    }
}

/// Calls `each` with the stretches of one script of `word`.
fn for_each_stretch(word: &str, stretch: &mut String, mut each: impl FnMut(&str)) {
    stretch.clear();
    let (mut script, mut length) = (None, 0);
    for c in word.chars() {
        let this = Some(Script::of(c));
        if (script.is_some() && script != this) || length == MAX_WORD {
            each(stretch);
            stretch.clear();
            length = 0;
        }
        stretch.push(c);
        length += 1;
        script = this;
    }
    each(stretch);
}

/// The most frequent characters that make up [`COVERAGE`] of the words, most frequent first.
fn frequent_characters(words: &[(String, u64)], wanted: usize) -> Vec<(char, u64)> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_default() += count;
        }
    }
    if wanted >= ROOM_FOR_ALPHABETS {
        for c in ('!'..='~').filter(|c| !c.is_ascii_uppercase()).chain('\u{3131}'..='\u{3163}') {
            counts.entry(c).or_default();
        }
    }
    let total: u64 = counts.values().sum();
    let mut characters: Vec<(char, u64)> = counts.into_iter().collect();
    characters.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut covered = 0;
    let mut kept = Vec::new();
    for (c, count) in characters {
        let always = wanted >= ROOM_FOR_ALPHABETS && (c.is_ascii() || ('\u{3131}'..='\u{3163}').contains(&c));
        let needed = always || (covered as f64) < COVERAGE * total as f64;
        if needed && kept.len() < wanted * 3 / 4 {
            kept.push((c, count));
        }
        covered += count;
    }
    kept
}

/// The words, cut at characters that have no piece.
fn without_rare(words: Vec<(String, u64)>, characters: &[(char, u64)]) -> Vec<(String, u64)> {
    let known: std::collections::HashSet<char> = characters.iter().map(|&(c, _)| c).collect();
    let mut out = Vec::with_capacity(words.len());
    for (word, count) in words {
        if word.chars().all(|c| known.contains(&c)) {
            out.push((word, count));
        } else {
            let parts = word.split(|c| !known.contains(&c)).filter(|part| !part.is_empty());
            out.extend(parts.map(|part| (part.to_owned(), count)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_words_as_must_be_are_forgotten_the_rarest_first() {
        let mut counts: HashMap<String, u64> =
            (0..100).map(|word| (word.to_string(), word / 10 + 1)).collect();
        forget_rare(&mut counts, 35);
        assert_eq!(counts.len(), 30);
        assert!(counts.values().all(|&count| count > 7));
    }
}
