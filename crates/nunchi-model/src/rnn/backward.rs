//! Gradients: from those of the logits back to every weight (back-propagation through time).

use super::cell::{self, Pass};
use super::forward::{LayerTape, Tape};
use super::pooling::unpool;
use super::product::{add_column_sums, multiply};
use super::slice::columns;
use super::{Dense, Layer, Network, Real};
use ndarray::{Array1, Array2, ArrayView2};

/// Gradients of a network. The embedding table's is sparse: a batch touches few of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<F: Real> {
    /// Of the embedding table.
    pub embedding: SparseRows<F>,
    /// Of the recurrent layers.
    pub layers: Vec<Layer<F>>,
    /// Of the output layer.
    pub head: Dense<F>,
}

/// Rows of a table of which only some are not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseRows<F: Real> {
    /// Which rows, ascending, each once.
    pub tokens: Vec<u32>,
    /// Their values, `[tokens, embedding]`.
    pub rows: Array2<F>,
}

impl<F: Real> SparseRows<F> {
    /// Adds up packed rows that belong to the same token.
    fn gather(tokens: &[u32], packed: ArrayView2<'_, F>) -> Self {
        let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
        // Stable: equal tokens are added in packed order, so that the sum is the same every time.
        order.sort_by_key(|&index| tokens[index as usize]);
        let mut distinct: Vec<u32> = tokens.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut rows = Array2::zeros((distinct.len(), packed.ncols()));
        let mut place = 0;
        for index in order {
            let index = index as usize;
            while distinct[place] != tokens[index] {
                place += 1;
            }
            let mut row = rows.row_mut(place);
            row += &packed.row(index);
        }
        SparseRows { tokens: distinct, rows }
    }

    /// Adds `other`'s rows.
    fn add(&mut self, other: &SparseRows<F>) {
        let mut tokens: Vec<u32> = self.tokens.iter().chain(&other.tokens).copied().collect();
        tokens.sort_unstable();
        tokens.dedup();
        let mut rows = Array2::zeros((tokens.len(), self.rows.ncols()));
        for part in [&*self, other] {
            let mut place = 0;
            for (token, values) in part.tokens.iter().zip(part.rows.rows()) {
                while tokens[place] != *token {
                    place += 1;
                }
                let mut row = rows.row_mut(place);
                row += &values;
            }
        }
        *self = SparseRows { tokens, rows };
    }
}

impl<F: Real> Gradients<F> {
    /// Adds `other`, gradients of the same network.
    pub fn add(&mut self, other: &Gradients<F>) {
        self.embedding.add(&other.embedding);
        for (mine, theirs) in self.dense_mut().into_iter().zip(other.dense()) {
            for (sum, &term) in mine.iter_mut().zip(theirs) {
                *sum += term;
            }
        }
    }

    /// The gradients of everything but the embedding table, flat, in the order of [`Network::tensors`].
    pub fn dense(&self) -> Vec<&[F]> {
        let mut all = Vec::new();
        for direction in self.layers.iter().flat_map(Layer::directions) {
            all.push(direction.weight_ih.as_slice());
            all.push(direction.weight_hh.as_slice());
            all.push(direction.bias_ih.as_slice());
            all.push(direction.bias_hh.as_slice());
        }
        all.push(self.head.weight.as_slice());
        all.push(self.head.bias.as_slice());
        all.into_iter().map(|slice| slice.expect("gradients are in standard layout")).collect()
    }

    /// As [`Gradients::dense`], to be changed.
    pub fn dense_mut(&mut self) -> Vec<&mut [F]> {
        let mut all = Vec::new();
        for direction in self.layers.iter_mut().flat_map(Layer::directions_mut) {
            all.push(direction.weight_ih.as_slice_mut());
            all.push(direction.weight_hh.as_slice_mut());
            all.push(direction.bias_ih.as_slice_mut());
            all.push(direction.bias_hh.as_slice_mut());
        }
        all.push(self.head.weight.as_slice_mut());
        all.push(self.head.bias.as_slice_mut());
        all.into_iter().map(|slice| slice.expect("gradients are in standard layout")).collect()
    }
}

impl<F: Real> Network<F> {
    /// The gradient of every weight, given that of the logits: `[batch, outputs]`, in the order of the sequences that
    /// `tape`'s forward pass was given.
    pub fn backward(&self, tape: Tape<F>, of_logits: ArrayView2<'_, F>) -> Gradients<F> {
        let shape = &self.shape;
        let batch = &tape.batch;
        let mut packed = Array2::zeros(of_logits.raw_dim());
        for (row, &sequence) in batch.order.iter().enumerate() {
            packed.row_mut(row).assign(&of_logits.row(sequence));
        }
        let mut head = Dense {
            weight: Array2::zeros(self.head.weight.raw_dim()),
            bias: Array1::zeros(self.head.bias.raw_dim()),
        };
        multiply(packed.t(), tape.features.view(), head.weight.view_mut());
        add_column_sums(packed.view(), head.bias.view_mut());
        let mut of_features = Array2::zeros(tape.features.raw_dim());
        multiply(packed.view(), self.head.weight.view(), of_features.view_mut());
        apply(&mut of_features, tape.features_mask.as_ref());

        let mut arriving = unpool(shape, tape.states.view(), of_features.view(), batch);
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer_tape) in tape.layers.into_iter().enumerate().rev() {
            let LayerTape { input, mask, traces } = layer_tape;
            let mut gradient = Layer::zeros(shape, index);
            let mut of_input = Array2::zeros(input.raw_dim());
            let weights = self.layers[index].directions().zip(gradient.directions_mut());
            for (side, (trace, (weights, gradient))) in traces.into_iter().zip(weights).enumerate() {
                let arriving = columns(&arriving, side * shape.hidden..(side + 1) * shape.hidden);
                let pass = Pass { trace, arriving, backward: side == 1 };
                of_input += &cell::backward(shape.cell, weights, input.view(), batch, pass, gradient);
            }
            apply(&mut of_input, mask.as_ref());
            layers.push(gradient);
            arriving = of_input;
        }
        layers.reverse();
        apply(&mut arriving, tape.states_mask.as_ref());
        Gradients { embedding: SparseRows::gather(&tape.tokens, arriving.view()), layers, head }
    }
}

fn apply<F: Real>(gradient: &mut Array2<F>, mask: Option<&Array2<F>>) {
    if let Some(mask) = mask {
        *gradient *= mask;
    }
}
