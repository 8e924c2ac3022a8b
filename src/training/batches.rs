//! From rows on disk to batches of tokens: windows of rows are cut into tokens, sorted by length and cut into batches, so that the
//! comments of a batch are nearly of one length, and the batches are shuffled.
//!
//! Always holds: what comes depends on the seed, the epoch and the place in the epoch alone, so that a run that goes on in the
//! middle sees what an undisturbed one would have seen.

use super::corpus::{Corpus, Row};
use super::step::Example;
use crate::rnn::Target;
use crate::text::{Scratch, Tokenizer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::ops::Range;

/// Batches of a window: enough that a batch is nearly of one length.
const BATCHES: usize = 50;
/// Fewest rows of a window: enough blocks of neighbouring rows that a window is mixed.
const FEWEST_ROWS: usize = 16_384;

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
    /// How much a teacher's word counts against the label where a row does not say otherwise, in `0..=1`.
    pub teacher_share: f64,
    /// Whether comments without a label and a teacher's word are wanted too.
    pub unlabelled: bool,
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
        let mut windows = self.corpus.windows(self.seed, epoch, (self.batch * BATCHES).max(FEWEST_ROWS));
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
        if self.corpus.labelled() == self.corpus.len() {
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
            self.tokenizer.encode(&row.text, self.max_tokens, scratch, &mut window.tokens);
            if self.word_dropout > 0.0 {
                leave_out(&mut window.tokens, begin, self.word_dropout, random);
            }
            window.rows.push((begin..window.tokens.len(), target));
        }
        let mut order: Vec<u32> = (0..window.rows.len() as u32).collect();
        order.sort_by_key(|&row| window.rows[row as usize].0.len());
        window.batches = order.chunks(self.batch.max(1)).map(<[u32]>::to_vec).collect();
        window.batches.shuffle(random);
        window
    }

    /// What is wanted of a row; nothing if nobody knows and nobody need know.
    fn target(&self, row: &Row) -> Option<Target<f32>> {
        let share = row.teacher_share.unwrap_or(self.teacher_share as f32);
        let teacher = row.soft.filter(|_| share > 0.0);
        match (row.class, teacher) {
            (Some(class), None) => Some(Target { class: class as usize, weight: row.weight, soft: None }),
            (Some(class), Some(soft)) => {
                let soft = Some(share * soft + (1.0 - share) * class as f32);
                Some(Target { class: class as usize, weight: row.weight, soft })
            }
            (None, Some(soft)) => {
                Some(Target { class: usize::from(soft >= 0.5), weight: row.weight, soft: Some(soft) })
            }
            (None, None) => self.unlabelled.then_some(Target { class: 0, weight: 1.0, soft: None }),
        }
    }
}

/// Leaves tokens from `begin` on out by chance, at least one staying.
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
