//! From rows on disk to batches of tokens: windows of rows are cut into tokens, sorted by length and cut into batches, so that the
//! comments of a batch are nearly of one length, and the batches are shuffled.
//!
//! Always holds: what comes depends on the seed, the epoch and the place in the epoch alone, so that a run that goes on in the
//! middle sees what an undisturbed one would have seen.

use super::corpus::{Corpus, Row};
use super::step::Example;
use super::variation::vary;
use nunchi_engine::score::WrittenScore;
use nunchi_model::rnn::Target;
use nunchi_text::{Scratch, Tokenizer};
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
            let varied = (row.manner.vary > 0.0 && random.random_bool(row.manner.vary))
                .then(|| vary(&row.text, random));
            let text = varied.as_ref().unwrap_or(&row.text);
            self.tokenizer.encode(text, self.max_tokens, scratch, &mut window.tokens);
            let word_dropout = row.manner.word_dropout.unwrap_or(self.word_dropout);
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

    /// What is wanted of a row; nothing if nobody knows and nobody need know.
    fn target(&self, row: &Row) -> Option<Target<f32>> {
        let share = row.manner.teacher_share.unwrap_or(self.teacher_share as f32);
        let teacher = row.soft.filter(|_| share > 0.0);
        match (row.class, teacher) {
            (Some(class), None) => Some(Target { class: class as usize, weight: row.weight, soft: None }),
            (Some(class), Some(soft)) => {
                let soft = Some(share * soft + (1.0 - share) * class as f32);
                Some(Target { class: class as usize, weight: row.weight, soft })
            }
            (None, Some(soft)) => {
                Some(Target { class: WrittenScore::new(soft).label(), weight: row.weight, soft: Some(soft) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{NewRow, RowOptions, Writer};
    use nunchi_data::CommentKey;

    /// Rows of one source, learned as `manner` says: the soft targets and lengths of what comes.
    fn read(manner: RowOptions, every_token: bool) -> Vec<(Option<f32>, usize, Vec<u32>)> {
        let texts: Vec<String> =
            (0..300).map(|row| format!("{row}번 시켰는데 배송이 느려서 화가 났어요")).collect();
        let tokenizer = nunchi_text::train(texts.iter().cloned(), 300).unwrap();
        let mut writer = Writer::new(None, 2).unwrap();
        writer.begin_source(1.0);
        writer.set_manner(manner);
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
            teacher_share: 0.8,
            unlabelled: false,
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
    fn a_source_is_learned_in_its_own_manner() {
        let lengths = |rows: &[(Option<f32>, usize, Vec<u32>)]| rows.iter().map(|row| row.1).sum::<usize>();
        let usual = read(RowOptions::default(), false);
        assert!(usual.iter().all(|row| (row.0.unwrap() - 0.4).abs() < 1e-6), "0.8 of 0.25 and 0.2 of 1");

        let own = RowOptions { teacher_share: Some(0.0), word_dropout: Some(0.0), vary: 0.0 };
        let strict = read(own, false);
        assert!(strict.iter().all(|row| row.0.is_none_or(|soft| soft == 1.0)), "the label alone");
        assert!(lengths(&usual) * 3 < lengths(&strict) * 2, "half of the tokens are left out elsewhere");
        assert_eq!(
            lengths(&read(RowOptions::default(), true)),
            lengths(&strict),
            "what is predicted is there"
        );

        let varied = read(RowOptions { vary: 1.0, ..own }, false);
        assert_eq!(varied.len(), strict.len());
        let known: std::collections::HashSet<&Vec<u32>> = strict.iter().map(|row| &row.2).collect();
        assert!(varied.iter().filter(|row| !known.contains(&row.2)).count() > varied.len() / 3);
    }
}
