//! Batches: sequences of similar length, laid out step by step so that the rows alive are always a prefix.

use super::kernel::ROW_BLOCK;

/// The sequences of a call: all tokens one after the other, and how many each sequence has.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    pub tokens: &'a [u32],
    pub lengths: &'a [u32],
}

/// The order in which a call's sequences are computed: longest first, equal lengths as they came.
#[derive(Debug, Default)]
pub struct Order {
    /// Indices of sequences, longest first.
    pub indices: Vec<u32>,
    /// Where each sequence's tokens begin, in the order in which they came.
    pub starts: Vec<usize>,
    /// Where the next sequence of each length goes.
    next: Vec<u32>,
}

impl Order {
    /// Sorts by counting: linear in sequences and lengths.
    pub fn sort(&mut self, sequences: Sequences<'_>) {
        self.starts.clear();
        let mut start = 0;
        for &length in sequences.lengths {
            self.starts.push(start);
            start += length as usize;
        }
        let longest = sequences.lengths.iter().copied().max().unwrap_or(0) as usize;
        self.next.clear();
        self.next.resize(longest + 2, 0);
        // next[longest - length + 1] counts, and after summing next[longest - length] is where that length begins.
        for &length in sequences.lengths {
            self.next[longest - length as usize + 1] += 1;
        }
        for slot in 1..self.next.len() {
            self.next[slot] += self.next[slot - 1];
        }
        self.indices.clear();
        self.indices.resize(sequences.lengths.len(), 0);
        for (index, &length) in (0u32..).zip(sequences.lengths) {
            let place = &mut self.next[longest - length as usize];
            self.indices[*place as usize] = index;
            *place += 1;
        }
    }
}

/// One batch, step by step. Row `r` is the `r`-th longest sequence.
#[derive(Debug, Default)]
pub struct Batch {
    /// Each row's length; never grows from row to row.
    pub lengths: Vec<usize>,
    /// Rows alive at each step; never grows from step to step, and ends with a 0.
    pub live: Vec<usize>,
    /// Where each step's rows begin among all steps' rows.
    pub offsets: Vec<usize>,
    /// Where each step's states begin, in state rows, where all are kept: each step has a multiple of [`ROW_BLOCK`].
    pub places: Vec<usize>,
    /// Each step's tokens, read from the first token on.
    pub forward: Vec<u32>,
    /// Each step's tokens, read from the last token on; empty unless asked for.
    pub backward: Vec<u32>,
}

impl Batch {
    /// Lays out the sequences `indices` (longest first).
    pub fn fill(&mut self, sequences: Sequences<'_>, order: &Order, indices: &[u32], both: bool) {
        self.lengths.clear();
        self.lengths.extend(indices.iter().map(|&index| sequences.lengths[index as usize] as usize));
        let steps = self.lengths.first().copied().unwrap_or(0);
        self.live.clear();
        self.offsets.clear();
        self.places.clear();
        let (mut rows, mut offset, mut place) = (self.lengths.len(), 0, 0);
        for step in 0..=steps {
            while rows > 0 && self.lengths[rows - 1] <= step {
                rows -= 1;
            }
            self.live.push(rows);
            self.offsets.push(offset);
            self.places.push(place);
            offset += rows;
            place += rows.next_multiple_of(ROW_BLOCK);
        }
        self.forward.clear();
        self.forward.resize(offset, 0);
        self.backward.clear();
        self.backward.resize(if both { offset } else { 0 }, 0);
        for (row, &index) in indices.iter().enumerate() {
            let start = order.starts[index as usize];
            let tokens = &sequences.tokens[start..start + self.lengths[row]];
            for (step, &token) in tokens.iter().enumerate() {
                self.forward[self.offsets[step] + row] = token;
            }
            if both {
                for (step, &token) in tokens.iter().rev().enumerate() {
                    self.backward[self.offsets[step] + row] = token;
                }
            }
        }
    }

    /// State rows of all steps.
    pub fn state_rows(&self) -> usize {
        self.places.last().copied().unwrap_or(0)
    }

    /// Steps of the longest sequence.
    pub fn steps(&self) -> usize {
        self.live.len() - 1
    }

    /// The tokens of one step.
    pub fn tokens(&self, backward: bool, step: usize) -> &[u32] {
        let tokens = if backward { &self.backward } else { &self.forward };
        &tokens[self.offsets[step]..][..self.live[step]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_first_and_equal_lengths_as_they_came() {
        let mut order = Order::default();
        order.sort(Sequences { tokens: &[0; 11], lengths: &[2, 5, 1, 2, 1, 0] });
        assert_eq!(order.indices, [1, 0, 3, 2, 4, 5]);
        assert_eq!(order.starts, [0, 2, 7, 8, 10, 11]);
        order.sort(Sequences { tokens: &[], lengths: &[] });
        assert!(order.indices.is_empty());
    }

    #[test]
    fn rows_alive_are_a_prefix() {
        let sequences = Sequences { tokens: &[1, 2, 3, 4, 5, 6], lengths: &[1, 3, 2] };
        let (mut order, mut batch) = (Order::default(), Batch::default());
        order.sort(sequences);
        batch.fill(sequences, &order, &order.indices, true);
        assert_eq!((batch.steps(), &batch.live[..]), (3, &[3, 2, 1, 0][..]));
        let steps: Vec<_> = (0..3).map(|step| batch.tokens(false, step).to_vec()).collect();
        assert_eq!(steps, [vec![2, 5, 1], vec![3, 6], vec![4]]);
        let steps: Vec<_> = (0..3).map(|step| batch.tokens(true, step).to_vec()).collect();
        assert_eq!(steps, [vec![4, 6, 1], vec![3, 5], vec![2]]);
    }
}
