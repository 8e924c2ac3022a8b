//! Finds the pieces of a tokenizer in texts: the expectation-maximization of Kudo 2018 ("Subword Regularization"), as in
//! sentencepiece.
//!
//! 1. [`corpus`]: normalize, cut into words where the script changes, count the different ones.
//! 2. Begin with every frequent substring, far too many.
//! 3. [`model`]: fit their probabilities; drop the quarter whose loss costs the least; again, until few enough are left.
//!
//! Deterministic: the same texts in the same order give the same pieces on every machine (sums run in a fixed order, and
//! ties are broken by text).

mod corpus;
mod model;

use super::TextError;
use super::normalize::Normalizer;
use super::tokenizer::Tokenizer;
use super::vocabulary::{Piece, Role, Vocabulary, byte_name};
use corpus::Corpus;
use model::Model;
use std::collections::HashMap;

/// The unknown piece and the byte pieces.
const RESERVED: usize = 257;
/// Substrings to begin with, for each piece wanted.
const SEEDS_PER_PIECE: usize = 20;
/// Longest piece in characters.
const MAX_PIECE: usize = 12;
/// What is kept of the pieces in each round.
const SHRINK: f64 = 0.75;
/// Pieces are pruned down to this multiple of what is wanted; the last ones go by probability.
const OVERSHOOT: f64 = 1.1;

/// Trains a tokenizer of at most `vocabulary` pieces (fewer if the texts have no more to give) on `texts`, normalized by
/// `nunchi-3`: one unknown piece, 256 bytes, every frequent character, and the most useful subwords.
///
/// Half a million comments take well under a minute and some hundred megabytes; memory is bounded by counting only the more
/// frequent of very many different words.
///
/// # Errors
/// No texts; a vocabulary too small for the bytes and the characters.
pub fn train<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
    vocabulary: usize,
) -> Result<Tokenizer, TextError> {
    let wanted = vocabulary.checked_sub(RESERVED).filter(|&wanted| wanted >= 8).ok_or_else(|| {
        TextError::Training(format!("{vocabulary} pieces are too few; at least {} are needed", RESERVED + 8))
    })?;
    let corpus = Corpus::read(texts, wanted)?;
    let mut model = Model::new(seeds(&corpus, wanted), &corpus.characters)?;
    let goal = (wanted as f64 * OVERSHOOT) as usize;
    loop {
        for _ in 0..2 {
            let expected = model.expected_counts(&corpus.words);
            model.maximize(&expected)?;
        }
        if model.pieces.len() <= goal {
            break;
        }
        let size = goal.max((model.pieces.len() as f64 * SHRINK) as usize);
        model.prune(&corpus.words, size)?;
    }
    Tokenizer::new(Vocabulary::new(finish(model, wanted), false)?, Normalizer::Nunchi3)
}

/// Frequent substrings of at least two characters and all characters, with their counts.
fn seeds(corpus: &Corpus, wanted: usize) -> Vec<(String, f64)> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for (word, count) in &corpus.words {
        let places: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        for begin in 0..places.len() {
            for end in begin + 2..places.len().min(begin + MAX_PIECE + 1) {
                *counts.entry(&word[places[begin]..places[end]]).or_default() += count;
            }
        }
    }
    let mut substrings: Vec<(u64, &str)> = counts
        .into_iter()
        .filter(|&(_, count)| count > 1)
        .map(|(text, count)| (count * text.chars().count() as u64, text))
        .collect();
    substrings.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    substrings.truncate(wanted * SEEDS_PER_PIECE);
    let characters = corpus.characters.iter().map(|&(c, count)| (c.to_string(), count.max(1) as f64));
    characters.chain(substrings.into_iter().map(|(score, text)| (text.to_owned(), score as f64))).collect()
}

/// Unknown piece, bytes, all characters and the most probable of the rest.
fn finish(mut model: Model, wanted: usize) -> Vec<Piece> {
    // Characters first, so that cutting the list down keeps them.
    let characters = model.required;
    model.pieces[characters..].sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    model.pieces.truncate(wanted.max(characters));
    model.pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let unknown = Piece { text: "<unk>".to_owned(), score: 0.0, role: Role::Unknown };
    let bytes = (0..=255).map(|byte| Piece { text: byte_name(byte), score: 0.0, role: Role::Byte });
    let learned = model.pieces.into_iter();
    let learned = learned.map(|(text, score)| Piece { text, score: score as f32, role: Role::Normal });
    std::iter::once(unknown).chain(bytes).chain(learned).collect()
}
