//! A unigram language model over pieces, while its vocabulary shrinks.
//!
//! The forward and backward sums run over plain probabilities, not logarithms: words have at most 32 characters and every
//! character has a piece of at least e^-20, so nothing falls below e^-640 (the smallest `f64` is e^-708).

use super::TextError;
use crate::trie::{Symbol, Trie};

/// Pieces expected less often than this are dropped (sentencepiece's threshold).
const FEWEST_EXPECTED: f64 = 0.5;
/// Lowest logarithm of a probability; see the module's description.
const LOWEST_SCORE: f64 = -20.0;

/// Pieces with natural logarithms of their probabilities. The first `required` are the characters, which always stay.
pub(super) struct Model {
    pub pieces: Vec<(String, f64)>,
    pub required: usize,
    trie: Trie,
}

/// Everything in a word that matches a piece: `(begin, end, piece)`, by begin.
type Edges = Vec<(usize, usize, usize)>;

impl Model {
    /// A model whose probabilities are proportional to `seeds`; the first of them are the `characters`.
    pub fn new(seeds: Vec<(String, f64)>, characters: &[(char, u64)]) -> Result<Self, TextError> {
        let total: f64 = seeds.iter().map(|(_, count)| count).sum();
        let pieces =
            seeds.into_iter().map(|(text, count)| (text, (count / total).ln().max(LOWEST_SCORE))).collect();
        Model::with(pieces, characters.len())
    }

    fn with(pieces: Vec<(String, f64)>, required: usize) -> Result<Self, TextError> {
        let trie = Trie::new(pieces.iter().zip(0..).map(|((text, _), id)| (text.as_str(), id)))?;
        Ok(Model { pieces, required, trie })
    }

    /// Fills `edges` with the matches in `word`; returns its length in characters.
    fn match_pieces(&self, word: &str, symbols: &mut Vec<Symbol>, edges: &mut Edges) -> usize {
        symbols.clear();
        symbols.extend(word.chars().map(|c| self.trie.symbol(c)));
        edges.clear();
        for begin in 0..symbols.len() {
            edges.extend(
                self.trie
                    .prefixes(&symbols[begin..])
                    .map(|(id, length)| (begin, begin + length, id as usize)),
            );
        }
        symbols.len()
    }

    /// How often each piece is expected in `words`, over all cuts by their probability (forward-backward).
    pub fn expected_counts(&self, words: &[(String, u64)]) -> Vec<f64> {
        let probability: Vec<f64> = self.pieces.iter().map(|(_, score)| score.exp()).collect();
        let mut expected = vec![0.0; self.pieces.len()];
        let (mut symbols, mut edges) = (Vec::new(), Edges::new());
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for (word, count) in words {
            let length = self.match_pieces(word, &mut symbols, &mut edges);
            forward.clear();
            forward.resize(length + 1, 0.0);
            backward.clear();
            backward.resize(length + 1, 0.0);
            forward[0] = 1.0;
            backward[length] = 1.0;
            for &(begin, end, id) in &edges {
                forward[end] += forward[begin] * probability[id];
            }
            for &(begin, end, id) in edges.iter().rev() {
                backward[begin] += probability[id] * backward[end];
            }
            let weight = *count as f64 / forward[length];
            for &(begin, end, id) in &edges {
                expected[id] += weight * forward[begin] * probability[id] * backward[end];
            }
        }
        expected
    }

    /// New probabilities from expected counts, with the sparse prior that sentencepiece uses (digamma instead of the
    /// logarithm); pieces that are hardly expected go.
    pub fn maximize(&mut self, expected: &[f64]) -> Result<(), TextError> {
        let kept: Vec<usize> = (0..self.pieces.len())
            .filter(|&id| id < self.required || expected[id] >= FEWEST_EXPECTED)
            .collect();
        let count = |id: usize| expected[id].max(FEWEST_EXPECTED);
        let total = digamma(kept.iter().map(|&id| count(id)).sum());
        let pieces = kept
            .into_iter()
            .map(|id| {
                let text = std::mem::take(&mut self.pieces[id].0);
                (text, (digamma(count(id)) - total).max(LOWEST_SCORE))
            })
            .collect();
        *self = Model::with(pieces, self.required)?;
        Ok(())
    }

    /// Keeps the `size` pieces whose loss would make the words the least probable, and all characters.
    pub fn prune(&mut self, words: &[(String, u64)], size: usize) -> Result<(), TextError> {
        let used = self.best_counts(words);
        let total: f64 = used.iter().sum();
        let mut losses: Vec<(f64, usize)> = Vec::new();
        for id in self.required..self.pieces.len() {
            // Without the piece, its occurrences are cut in the second best way, which makes those pieces more frequent.
            let Some(alternative) = self.cut_without(id) else { continue };
            if used[id] == 0.0 {
                continue;
            }
            let new_total = (total + used[id] * (alternative.len() as f64 - 1.0)).ln();
            let after: f64 = alternative.iter().map(|&other| (used[other] + used[id]).ln() - new_total).sum();
            losses.push((used[id] * (used[id].ln() - total.ln() - after), id));
        }
        losses.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        losses.truncate(size.saturating_sub(self.required));
        let mut kept: Vec<usize> = (0..self.required).chain(losses.into_iter().map(|(_, id)| id)).collect();
        kept.sort_unstable();
        let pieces = kept.into_iter().map(|id| std::mem::take(&mut self.pieces[id])).collect();
        *self = Model::with(pieces, self.required)?;
        Ok(())
    }

    /// How often each piece occurs in the best cuts of `words`.
    fn best_counts(&self, words: &[(String, u64)]) -> Vec<f64> {
        let mut used = vec![0.0; self.pieces.len()];
        let (mut symbols, mut edges, mut best) = (Vec::new(), Edges::new(), Vec::new());
        for (word, count) in words {
            let length = self.match_pieces(word, &mut symbols, &mut edges);
            for id in self.best_cut(&edges, length, usize::MAX, &mut best) {
                used[id] += *count as f64;
            }
        }
        used
    }

    /// The best cut of piece `id`'s text into other pieces; `None` if that beats the piece itself, which then is of no use.
    fn cut_without(&self, id: usize) -> Option<Vec<usize>> {
        let (mut symbols, mut edges, mut best) = (Vec::new(), Edges::new(), Vec::new());
        let length = self.match_pieces(&self.pieces[id].0, &mut symbols, &mut edges);
        let others: Vec<usize> = self.best_cut(&edges, length, id, &mut best).collect();
        (best[length].0 <= self.pieces[id].1).then_some(others)
    }

    /// The pieces of the most probable cut that does not use `forbidden`, last to first.
    fn best_cut<'a>(
        &self,
        edges: &Edges,
        length: usize,
        forbidden: usize,
        best: &'a mut Vec<(f64, usize, usize)>,
    ) -> impl Iterator<Item = usize> + 'a {
        best.clear();
        best.resize(length + 1, (f64::NEG_INFINITY, 0, 0));
        best[0].0 = 0.0;
        for &(begin, end, id) in edges {
            let score = best[begin].0 + self.pieces[id].1;
            if id != forbidden && score > best[end].0 {
                best[end] = (score, begin, id);
            }
        }
        let mut end = length;
        std::iter::from_fn(move || {
            let (_, begin, id) = best[end];
            (end > 0).then(|| {
                end = begin;
                id
            })
        })
    }
}

/// The derivative of the logarithm of the gamma function, for positive `x` (recurrence, then asymptotic series).
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 7.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    let y = x - 0.5;
    let square = 1.0 / (y * y);
    let series = 1.0 / 24.0 - square * (7.0 / 960.0 - square * (31.0 / 8064.0 - square * 127.0 / 30720.0));
    result + y.ln() + square * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_is_right() {
        // Values from Abramowitz & Stegun, table 6.1.
        for (x, want) in [(0.5, -1.963_510_026_0), (1.0, -0.577_215_664_9), (10.0, 2.251_752_589_1)] {
            assert!((digamma(x) - want).abs() < 1e-8, "{x}");
        }
    }

    #[test]
    fn expected_counts_are_those_of_all_cuts() {
        // "ab" is cut as "ab" (0.5) or as "a" + "b" (0.3 * 0.2 = 0.06).
        let pieces = [("a", 0.3f64), ("b", 0.2), ("ab", 0.5)];
        let pieces = pieces.map(|(text, p)| (text.to_owned(), p.ln())).to_vec();
        let model = Model::with(pieces, 2).unwrap();
        let expected = model.expected_counts(&[("ab".to_owned(), 56)]);
        for (got, want) in expected.iter().zip([6.0, 6.0, 50.0]) {
            assert!((got - want).abs() < 1e-9, "{expected:?}");
        }
    }
}
