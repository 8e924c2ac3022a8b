//! From rows on disk to batches of tokens: windows of rows are cut into tokens, sorted by length and cut into batches, so that the
//! comments of a batch are nearly of one length, and the batches are shuffled.
//!
//! Invariant: the batches depend on the seed, the epoch and the position in the epoch alone, so that a resumed run has the
//! batches of an uninterrupted one.

use super::augmentation::augment;
use super::corpus::{Corpus, Row};
use super::step::Example;
use nunchi_engine::score::WrittenScore;
use nunchi_model::rnn::Target;
use nunchi_text::{Scratch, Tokenizer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::ops::Range;

/// Batches of a window: enough that a batch is nearly of one length.
const WINDOW_BATCHES: usize = 50;
/// Fewest rows of a window: enough blocks of neighboring rows that a window is mixed.
const MIN_WINDOW_ROWS: usize = 16_384;

/// How rows become batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub corpus: &'a Corpus,
    pub tokenizer: &'a Tokenizer,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// Examples of a batch.
    pub batch: usize,
    /// The share of tokens that is left out of a sequence.
    pub word_dropout: f64,
    /// The share of the soft label in the target where a row does not say otherwise, in `0..=1`.
    pub distillation_weight: f64,
    /// Whether comments with neither a label nor a soft label are wanted too.
    pub unlabeled: bool,
    /// Whether no token is left out, whatever a source says: what is predicted must be there.
    pub every_token: bool,
    pub seed: u64,
}

/// Tokens and targets of a window's rows, and its batches.
#[derive(Debug, Default)]
pub(super) struct Window {
    tokens: Vec<u32>,
    rows: Vec<(Range<usize>, Target<f32>)>,
    batches: Vec<Vec<u32>>,
}

impl Reading<'_> {
    /// The windows of an epoch from window `first` on, with their numbers.
    pub fn windows(
        &self,
        epoch: u64,
        first: usize,
    ) -> impl Iterator<Item = io::Result<(usize, Window)>> + '_ {
        let mut windows =
            self.corpus.windows(self.seed, epoch, (self.batch * WINDOW_BATCHES).max(MIN_WINDOW_ROWS));
        windows.skip_windows(first);
        let mut scratch = Scratch::default();
        (first..).zip(windows).map(move |(number, rows)| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5eed);
            random.set_stream(epoch << 32 | number as u64);
            Ok((number, self.window(&rows?, &mut random, &mut scratch)))
        })
    }

    /// How many rows of the corpus become examples.
    pub fn usable(&self) -> io::Result<u64> {
        if self.corpus.labeled() == self.corpus.len() {
            return Ok(self.corpus.len());
        }
        let mut usable = 0;
        for row in self.corpus.rows() {
            usable += u64::from(self.target(&row?).is_some());
        }
        Ok(usable)
    }

    fn window(&self, rows: &[Row], random: &mut ChaCha8Rng, scratch: &mut Scratch) -> Window {
        let mut window = Window::default();
        for row in rows {
            let Some(target) = self.target(row) else { continue };
            let begin = window.tokens.len();
            let augmented = (row.options.augmentation > 0.0 && random.random_bool(row.options.augmentation))
                .then(|| augment(&row.text, random));
            let text = augmented.as_ref().unwrap_or(&row.text);
            self.tokenizer.encode(text, self.max_tokens, scratch, &mut window.tokens);
            let word_dropout = row.options.word_dropout.unwrap_or(self.word_dropout);
            if word_dropout > 0.0 && !self.every_token {
                leave_out(&mut window.tokens, begin, word_dropout, random);
            }
            window.rows.push((begin..window.tokens.len(), target));
        }
        let mut order: Vec<u32> = (0..window.rows.len() as u32).collect();
        order.sort_by_key(|&row| window.rows[row as usize].0.len());
        window.batches = order.chunks(self.batch.max(1)).map(<[u32]>::to_vec).collect();
        window.batches.shuffle(random);
        window
    }

    /// The target of a row; none if there is neither a label nor a soft label, and one is needed.
    fn target(&self, row: &Row) -> Option<Target<f32>> {
        let weight = row.options.distillation_weight.unwrap_or(self.distillation_weight as f32);
        let soft = row.soft.filter(|_| weight > 0.0);
        match (row.class, soft) {
            (Some(class), None) => Some(Target { class: class as usize, weight: row.weight, soft: None }),
            (Some(class), Some(soft)) => {
                let soft = Some(weight * soft + (1.0 - weight) * class as f32);
                Some(Target { class: class as usize, weight: row.weight, soft })
            }
            (None, Some(soft)) => {
                Some(Target { class: WrittenScore::new(soft).label(), weight: row.weight, soft: Some(soft) })
            }
            (None, None) => self.unlabeled.then_some(Target { class: 0, weight: 1.0, soft: None }),
        }
    }
}

/// Leaves out random tokens from `begin` on, at least one staying.
fn leave_out(tokens: &mut Vec<u32>, begin: usize, share: f64, random: &mut ChaCha8Rng) {
    let first = tokens[begin];
    let mut end = begin;
    for at in begin..tokens.len() {
        if random.random::<f64>() >= share {
            tokens[end] = tokens[at];
            end += 1;
        }
    }
    if end == begin {
        tokens[begin] = first;
        end += 1;
    }
    tokens.truncate(end);
}

impl Window {
    /// How many batches.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// The examples of batch `index`.
    pub fn batch(&self, index: usize) -> Vec<Example<'_>> {
        let example = |&row: &u32| {
            let (tokens, target) = &self.rows[row as usize];
            Example { tokens: &self.tokens[tokens.clone()], target: *target }
        };
        self.batches[index].iter().map(example).collect()
    }

    /// All tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{NewRow, RowOptions, Writer};
    use nunchi_data::CommentKey;

    /// Rows of one source, learned as `options` says: the soft targets and lengths of what comes.
    fn read(options: RowOptions, every_token: bool) -> Vec<(Option<f32>, usize, Vec<u32>)> {
        let texts: Vec<String> =
            (0..300).map(|row| format!("{row}번 시켰는데 배송이 느려서 화가 났어요")).collect();
        let tokenizer = nunchi_text::train(texts.iter().cloned(), 300).unwrap();
        let mut writer = Writer::new(None, 2).unwrap();
        writer.begin_source(1.0);
        writer.set_options(options);
        for (row, text) in texts.iter().enumerate() {
            let new =
                NewRow { text, class: Some(row as u32 % 2), soft: Some(0.25), key: CommentKey::of(text) };
            writer.push(new).unwrap();
        }
        let (corpus, _) = writer.finish(&Default::default()).unwrap();
        let reading = Reading {
            corpus: &corpus,
            tokenizer: &tokenizer,
            max_tokens: 100,
            batch: 16,
            word_dropout: 0.5,
            distillation_weight: 0.8,
            unlabeled: false,
            every_token,
            seed: 1,
        };
        let (_, window) = reading.windows(1, 0).next().unwrap().unwrap();
        let batches = (0..window.len()).flat_map(|index| window.batch(index));
        batches
            .filter(|example| example.target.class == 1)
            .map(|example| (example.target.soft, example.tokens.len(), example.tokens.to_vec()))
            .collect()
    }

    #[test]
    fn a_source_is_learned_by_its_own_options() {
        let lengths = |rows: &[(Option<f32>, usize, Vec<u32>)]| rows.iter().map(|row| row.1).sum::<usize>();
        let usual = read(RowOptions::default(), false);
        assert!(usual.iter().all(|row| (row.0.unwrap() - 0.4).abs() < 1e-6), "0.8 of 0.25 and 0.2 of 1");

        let own = RowOptions { distillation_weight: Some(0.0), word_dropout: Some(0.0), augmentation: 0.0 };
        let strict = read(own, false);
        assert!(strict.iter().all(|row| row.0.is_none_or(|soft| soft == 1.0)), "the label alone");
        assert!(lengths(&usual) * 3 < lengths(&strict) * 2, "half of the tokens are left out elsewhere");
        assert_eq!(
            lengths(&read(RowOptions::default(), true)),
            lengths(&strict),
            "what is predicted is there"
        );

        let augmented = read(RowOptions { augmentation: 1.0, ..own }, false);
        assert_eq!(augmented.len(), strict.len());
        let known: std::collections::HashSet<&Vec<u32>> = strict.iter().map(|row| &row.2).collect();
        assert!(augmented.iter().filter(|row| !known.contains(&row.2)).count() > augmented.len() / 3);
    }
}
