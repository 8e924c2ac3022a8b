//! Sequences of different lengths, packed so that nothing is ever padded.
//!
//! The rows of a batch are its sequences, longest first. Everything that exists once a token is a matrix with one row
//! a token, time step after time step: step `t` holds the rows that are still alive at `t`, which are a prefix of the
//! batch (PyTorch calls this layout a *packed sequence*).

use std::ops::Range;

/// Packed sequences.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// For each row of the batch, which of the given sequences it is.
    pub order: Vec<usize>,
    /// For each row its number of tokens, descending.
    pub lengths: Vec<usize>,
    /// For each time step the number of rows alive, descending.
    rows: Vec<usize>,
    /// For each time step where its rows begin in the packed matrices.
    offsets: Vec<usize>,
    /// Rows of the packed matrices: all tokens together.
    pub total: usize,
}

impl Batch {
    /// Packs sequences of the given lengths.
    ///
    /// # Panics
    /// If a length is 0: a text without tokens is one unknown token, so there is no empty sequence.
    pub fn new(lengths: &[usize]) -> Self {
        assert!(lengths.iter().all(|&length| length > 0), "every sequence has at least one token");
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
        let lengths: Vec<usize> = order.iter().map(|&index| lengths[index]).collect();
        let steps = lengths.first().copied().unwrap_or(0);
        let mut rows = Vec::with_capacity(steps);
        let mut offsets = Vec::with_capacity(steps);
        let (mut alive, mut total) = (lengths.len(), 0);
        for step in 0..steps {
            while lengths[alive - 1] <= step {
                alive -= 1;
            }
            rows.push(alive);
            offsets.push(total);
            total += alive;
        }
        Batch { order, lengths, rows, offsets, total }
    }

    /// Puts the tokens of `sequences` (those whose lengths were packed) into `tokens`, packed.
    pub fn pack(&self, sequences: &[&[u32]], tokens: &mut Vec<u32>) {
        tokens.clear();
        tokens.reserve(self.total);
        for step in self.reading(false) {
            let alive = self.at(step).len();
            tokens.extend(self.order[..alive].iter().map(|&index| sequences[index][step]));
        }
    }

    /// Time steps of the longest sequence.
    pub fn steps(&self) -> usize {
        self.rows.len()
    }

    /// The packed rows of time step `step`.
    pub fn at(&self, step: usize) -> Range<usize> {
        self.offsets[step]..self.offsets[step] + self.rows[step]
    }

    /// The packed row of batch row `row` at time step `step`; the sequence must be that long.
    pub fn index(&self, row: usize, step: usize) -> usize {
        debug_assert!(step < self.lengths[row]);
        self.offsets[step] + row
    }

    /// The time steps in the order in which a direction reads them.
    pub fn reading(&self, backward: bool) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let steps = self.steps();
        (0..steps).map(move |step| if backward { steps - 1 - step } else { step })
    }

    /// The packed rows of the states that step `step` continues: those of the step read before it, as far as a row is
    /// alive in both. The first rows of `step` belong to them; the others begin at `step`.
    pub fn before(&self, step: usize, backward: bool) -> Range<usize> {
        let previous = if backward { step + 1 } else { step.wrapping_sub(1) };
        if previous >= self.steps() {
            return 0..0;
        }
        let shared = self.rows[step].min(self.rows[previous]);
        self.offsets[previous]..self.offsets[previous] + shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_alive_are_a_prefix_longest_first() {
        let batch = Batch::new(&[1, 3, 2]);
        assert_eq!(batch.order, [1, 2, 0]);
        assert_eq!((0..3).map(|step| batch.at(step)).collect::<Vec<_>>(), [0..3, 3..5, 5..6]);
        assert_eq!(batch.total, 6);
        assert_eq!(batch.before(0, false), 0..0);
        assert_eq!(batch.before(2, false), 3..4);
        assert_eq!(batch.before(2, true), 0..0);
        assert_eq!(batch.before(0, true), 3..5);
        assert_eq!(batch.reading(true).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn no_sequences_are_a_batch_too() {
        let batch = Batch::new(&[]);
        assert_eq!((batch.steps(), batch.total), (0, 0));
    }
}
