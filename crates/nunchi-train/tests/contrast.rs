//! Made-up sentences are data to train on; what tests a network is never among them.

#![allow(clippy::unwrap_used)]

use nunchi_data::{CommentKey, CommentKeys};
use nunchi_train::contrast::sentences;
use std::collections::HashSet;
use std::path::Path;

/// Letters and digits alone: what is left of a sentence that is typed differently.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}

#[test]
fn no_sentence_is_one_of_the_test() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let (mut tested, mut tested_letters) = (HashSet::new(), HashSet::new());
    for file in ["pairs.tsv", "pairs-blind.tsv"] {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.delimiter(b'\t').quoting(false).from_path(samples.join(file)).unwrap();
        for record in reader.records().map(Result::unwrap) {
            for text in [&record[1], &record[3]] {
                tested.insert(CommentKey::of(text));
                tested_letters.extend(Some(letters(text)).filter(|letters| !letters.is_empty()));
            }
        }
    }
    assert!(tested.len() > 1_200 && tested_letters.len() > 1_200);
    let mut keys = CommentKeys::default();
    for seed in 0..4 {
        for (text, _) in sentences(seed, 100_000) {
            assert!(!tested.contains(&keys.key(&text)), "{text}");
            // Nor with other signs between the words.
            assert!(!tested_letters.contains(&letters(&text)), "{text}");
        }
    }
}
