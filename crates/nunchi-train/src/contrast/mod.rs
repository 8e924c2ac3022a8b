//! Synthetic sentences in which one word inverts the label: contrast, negation, double negation, expectation.
//!
//! Real comments hold few of these, so a network learns to add up words instead of reading. The sentences are data to
//! train on, beside real ones. They are made from lists (`words`, of `entry`s), endings (`inflect`), claims (`claims`) and patterns
//! (`patterns`), and typed as people type (`noise`). What stands in `samples/pairs.tsv` is a test and never among them.
//!
//! The label is what the sentence says in the end: after -지만, -는데 or 하지만 the last clause decides where it is a
//! verdict on the whole (or says what came of it); a denial turns a word, a double denial turns it back.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

mod claims;
mod entry;
mod inflect;
mod noise;
mod patterns;
mod words;

use inflect::{Link, Style};
use words::{DOMAINS, Domain};

/// `count` sentences and whether each says something good; half of them do. They depend on `seed` alone. Few repeat.
pub fn sentences(seed: u64, count: usize) -> impl Iterator<Item = (String, bool)> {
    let mut writer = Writer::new(seed);
    (0..count).map(move |_| writer.write())
}

/// How often each pattern is used, out of the sum.
type Pattern = (u32, fn(&mut Writer, bool) -> String);

const PATTERNS: [Pattern; 16] = [
    (18, Writer::alone),
    (26, Writer::contrast),
    (7, Writer::contrast_of_several),
    (8, Writer::agreement),
    (10, Writer::two_sentences),
    (8, Writer::expectation),
    (6, Writer::promise),
    (4, Writer::exception),
    (3, Writer::afterthought),
    (4, Writer::concession),
    (5, Writer::change),
    (5, Writer::others),
    (4, Writer::praise_and_event),
    (4, Writer::comparison),
    (3, Writer::doubt),
    (4, Writer::wish),
];

const STYLES: [(u32, Style); 7] = [
    (42, Style::Polite),
    (16, Style::Formal),
    (12, Style::Noticing),
    (9, Style::Plain),
    (10, Style::Nominal),
    (5, Style::Casual),
    (6, Style::Recalling),
];
const LINKS: [(u32, Link); 5] =
    [(5, Link::But), (5, Link::While), (1, Link::Yet), (2, Link::Admitted), (1, Link::AdmittedBut)];

/// Writes sentences, one after another.
struct Writer {
    rng: ChaCha8Rng,
    /// What the sentence at hand is about.
    domain: &'static Domain,
    /// How polite it is.
    style: Style,
}

fn weighted<T: Copy>(rng: &mut ChaCha8Rng, choices: &[(u32, T)]) -> T {
    let sum: u32 = choices.iter().map(|(weight, _)| weight).sum();
    let mut draw = rng.random_range(0..sum);
    for &(weight, choice) in choices {
        if draw < weight {
            return choice;
        }
        draw -= weight;
    }
    choices[0].1
}

impl Writer {
    fn new(seed: u64) -> Self {
        Writer { rng: ChaCha8Rng::seed_from_u64(seed), domain: DOMAINS[0], style: Style::Polite }
    }

    fn write(&mut self) -> (String, bool) {
        let good = self.chance(0.5);
        self.domain = self.pick(&DOMAINS);
        self.style = weighted(&mut self.rng, &STYLES);
        let pattern = weighted(&mut self.rng, &PATTERNS);
        let mut text = pattern(self, good);
        if self.chance(0.08) {
            text = format!("{} {text}", self.pick(self.domain.openings));
        }
        text.push_str(self.tail(good));
        (noise::roughen(text, &mut self.rng), good)
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.rng).expect("no list of words is empty")
    }

    fn tail(&mut self, good: bool) -> &'static str {
        if self.chance(0.12) {
            let tails: &[&str] = if good {
                &["^^", " ^^", " ㅎㅎ", " 👍", " 😊", "♡", "!!"]
            } else {
                &[" ㅠㅠ", "ㅜㅜ", " ㅡㅡ", ";;", " 👎", " 😡", "..."]
            };
            return self.pick(tails);
        }
        self.pick(&["", "", "", "", "", ".", ".", ".", "!", "~", "..", " ㅋㅋ", " ㅠㅠ"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Letters and digits alone: what is left of a sentence that is typed differently.
    fn letters(text: &str) -> String {
        text.chars().filter(|character| character.is_alphanumeric()).collect()
    }

    #[test]
    fn the_seed_alone_decides() {
        let made = |seed| sentences(seed, 500).collect::<Vec<_>>();
        assert_eq!(made(3), made(3));
        assert_ne!(made(3), made(4));
        assert_eq!(made(3)[..100], sentences(3, 100).collect::<Vec<_>>());
    }

    #[test]
    fn half_are_good_few_repeat_and_all_are_one_line() {
        let all: Vec<_> = sentences(1, 50_000).collect();
        let good = all.iter().filter(|(_, good)| *good).count();
        assert!((24_000..26_000).contains(&good), "{good}");
        let different: HashSet<_> = all.iter().map(|(text, _)| text).collect();
        assert!(different.len() > 44_000, "{}", different.len());
        for (text, _) in &all {
            assert!(!text.trim().is_empty() && !text.contains(['\t', '\n', '{', '}']), "{text}");
            assert!(text.chars().count() < 120, "{text}");
            assert!(!text.contains("  "), "{text}");
        }
    }

    #[test]
    fn the_same_sentence_never_has_two_labels() {
        let mut labels = std::collections::HashMap::new();
        for (text, good) in sentences(2, 100_000) {
            let said = labels.entry(letters(&text)).or_insert(good);
            assert_eq!(*said, good, "{text}");
        }
    }
}
