//! From the states of the last layer (or from embeddings) to the head's inputs.

use super::batch::Batch;
use ndarray::Array2;
use nunchi_model::rnn::Pooling;
use std::ops::Range;

/// The head's inputs of a batch, `[rows, features]`, gathered step by step.
#[derive(Debug)]
pub(crate) struct Pool {
    kind: Pooling,
    width: usize,
    values: Vec<f32>,
}

impl Default for Pool {
    fn default() -> Self {
        Pool { kind: Pooling::Last, width: 0, values: Vec::new() }
    }
}

impl Pool {
    /// Starts a batch of `rows` rows of `width` features.
    pub(crate) fn begin(&mut self, kind: Pooling, rows: usize, width: usize) {
        (self.kind, self.width) = (kind, width);
        self.values.clear();
        self.values.resize(rows * width, if kind == Pooling::Max { f32::NEG_INFINITY } else { 0.0 });
    }

    /// Takes the states of one step, `[live, units]`, for the features `range`. Rows from `next` on end here.
    pub(crate) fn take(
        &mut self,
        range: Range<usize>,
        states: &[f32],
        units: usize,
        live: usize,
        next: usize,
    ) {
        let count = range.len();
        let first = if self.kind == Pooling::Last { next } else { 0 };
        for row in first..live {
            self.add(row, range.clone(), &states[row * units..][..count]);
        }
    }

    fn add(&mut self, row: usize, range: Range<usize>, state: &[f32]) {
        let pooled = &mut self.values[row * self.width..][range];
        match self.kind {
            Pooling::Last => pooled.copy_from_slice(state),
            Pooling::Mean => pooled.iter_mut().zip(state).for_each(|(sum, value)| *sum += value),
            Pooling::Max => pooled.iter_mut().zip(state).for_each(|(most, value)| *most = most.max(*value)),
        }
    }

    /// Ends a batch: sums become means. A row without steps has zeros.
    pub(crate) fn finish(&mut self, lengths: &[usize]) {
        for (row, &length) in self.values.chunks_exact_mut(self.width.max(1)).zip(lengths) {
            match self.kind {
                _ if length == 0 => row.fill(0.0),
                Pooling::Mean => row.iter_mut().for_each(|sum| *sum /= length as f32),
                Pooling::Last | Pooling::Max => {}
            }
        }
    }

    /// The head's inputs of one row.
    pub(crate) fn features(&self, row: usize, width: usize) -> &[f32] {
        &self.values[row * width..][..width]
    }
}

/// Pools the embeddings themselves: the network without recurrent layers.
pub(crate) fn bag(embedding: &Array2<f32>, kind: Pooling, batch: &Batch, pool: &mut Pool) {
    pool.begin(kind, batch.lengths.len(), embedding.ncols());
    for step in 0..batch.steps() {
        for (row, &token) in batch.tokens(false, step).iter().enumerate() {
            let vector = embedding.row(token as usize);
            if kind != Pooling::Last || step + 1 == batch.lengths[row] {
                pool.add(row, 0..embedding.ncols(), vector.as_slice().expect("rows are contiguous"));
            }
        }
    }
    pool.finish(&batch.lengths);
}
