//! From token ids to logits.

use super::batch::Batch;
use super::cell::{self, Trace};
use super::pooling::pool;
use super::product::{add_bias, product_with_transposed};
use super::slice::rows;
use super::{Cell, Dense, Dropout, HeadKind, Layer, Network, Pooling, Real};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate};

/// What one layer leaves for the backward pass.
#[derive(Clone, Debug)]
pub(super) struct LayerTape<F: Real> {
    /// What the layer read, after dropout, `[tokens, inputs]`.
    pub input: Array2<F>,
    /// The dropout of the input: factors of the same dimensions, or nothing.
    pub mask: Option<Array2<F>>,
    /// One trace a direction.
    pub traces: Vec<Trace<F>>,
}

/// What a forward pass leaves for [`Network::backward`], and its result.
#[derive(Clone, Debug)]
pub struct Tape<F: Real> {
    pub(super) batch: Batch,
    /// Token ids, packed.
    pub(super) tokens: Vec<u32>,
    pub(super) layers: Vec<LayerTape<F>>,
    /// All states of the last layer, `[tokens, features]`; of a bag the embeddings.
    pub(super) states: Array2<F>,
    /// Dropout of a bag's embeddings (recurrent layers keep their own).
    pub(super) states_mask: Option<Array2<F>>,
    /// The head's input after dropout, in the order of the batch's rows, `[batch, features]`.
    pub(super) features: Array2<F>,
    pub(super) features_mask: Option<Array2<F>>,
    /// The head's output in the order of the given sequences, `[batch, outputs]`.
    pub logits: Array2<F>,
}

impl<F: Real> Network<F> {
    /// The head's output for each sequence of token ids, `[batch, outputs]`. A sequence's logits do not depend on its
    /// neighbors beyond rounding.
    ///
    /// # Panics
    /// If a sequence is empty or a token is not below the vocabulary.
    pub fn logits(&self, sequences: &[&[u32]]) -> Array2<F> {
        self.forward(sequences, None).logits
    }

    /// The head's input for each sequence of token ids, `[batch, features]`: the pooled states of the last layer.
    ///
    /// # Panics
    /// As [`Network::logits`].
    pub fn features(&self, sequences: &[&[u32]]) -> Array2<F> {
        let Tape { batch, features: packed, .. } = self.forward(sequences, None);
        let mut features = Array2::zeros(packed.raw_dim());
        for (row, &sequence) in batch.order.iter().enumerate() {
            features.row_mut(sequence).assign(&packed.row(row));
        }
        features
    }

    /// The prediction after each token of one comment, `[tokens, outputs]`; the last row equals [`Network::logits`].
    ///
    /// A network that reads one way and takes its last state has the head applied at every time step (many to many).
    /// Bidirectional and pooled networks classify each prefix as a comment of its own.
    ///
    /// # Panics
    /// As [`Network::logits`].
    pub fn logits_at_every_step(&self, tokens: &[u32]) -> Array2<F> {
        let shape = &self.shape;
        let one_pass = !shape.bidirectional && shape.pooling == Pooling::Last;
        if one_pass {
            // One sequence, packed, is its states in order.
            self.head.logits(self.forward(&[tokens], None).states.view())
        } else {
            let prefixes: Vec<&[u32]> = (1..=tokens.len()).map(|end| &tokens[..end]).collect();
            self.logits(&prefixes)
        }
    }

    /// As [`Network::logits`], leaving what [`Network::backward`] needs; with `dropout` values are dropped as in
    /// training.
    ///
    /// # Panics
    /// As [`Network::logits`].
    pub fn forward(&self, sequences: &[&[u32]], mut dropout: Option<&mut Dropout>) -> Tape<F> {
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
        let batch = Batch::new(&lengths);
        let mut tokens = Vec::new();
        batch.pack(sequences, &mut tokens);
        let mut states = self.embed(&tokens);
        let mut layers = Vec::with_capacity(self.layers.len());
        let mut states_mask = None;
        if self.shape.cell == Cell::Bag {
            states_mask = dropout.as_deref_mut().and_then(|dropout| dropout.drop_inputs(&mut states));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let mask = dropout.as_deref_mut().and_then(|dropout| match index {
                0 => dropout.drop_inputs(&mut states),
                _ => dropout.drop_features(&mut states),
            });
            let traces = layer.run(self.shape.cell, states.view(), &batch);
            let output = join(&traces);
            layers.push(LayerTape { input: std::mem::replace(&mut states, output), mask, traces });
        }
        let mut features = pool(&self.shape, states.view(), &batch);
        let features_mask = dropout.and_then(|dropout| dropout.drop_features(&mut features));
        let packed_logits = self.head.logits(features.view());
        let mut logits = Array2::zeros(packed_logits.raw_dim());
        for (row, &sequence) in batch.order.iter().enumerate() {
            logits.row_mut(sequence).assign(&packed_logits.row(row));
        }
        Tape { batch, tokens, layers, states, states_mask, features, features_mask, logits }
    }

    fn embed(&self, tokens: &[u32]) -> Array2<F> {
        let rows: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
        self.embedding.select(Axis(0), &rows)
    }
}

impl<F: Real> Layer<F> {
    /// All states of one sequence of feature vectors: `[time, inputs]` becomes `[time, directions * hidden]`, which is
    /// what a layer below another hands on.
    pub fn states(&self, cell: Cell, input: ArrayView2<'_, F>) -> Array2<F> {
        if input.nrows() == 0 {
            return Array2::zeros((0, self.directions().map(|direction| direction.weight_hh.ncols()).sum()));
        }
        join(&self.run(cell, input, &Batch::new(&[input.nrows()])))
    }

    /// The last state of one sequence of feature vectors: `[time, inputs]` becomes `[directions * hidden]`, the
    /// forward state at the last step, then the backward state at the first.
    ///
    /// # Panics
    /// If there is no time step.
    pub fn last_state(&self, cell: Cell, input: ArrayView2<'_, F>) -> Array1<F> {
        let states = self.states(cell, input);
        let hidden = self.forward.weight_hh.ncols();
        let (last, first) = (states.row(states.nrows() - 1), states.row(0));
        concatenate![Axis(0), rows(&last, 0..hidden), rows(&first, hidden..first.len())]
    }

    fn run(&self, cell: Cell, input: ArrayView2<'_, F>, batch: &Batch) -> Vec<Trace<F>> {
        self.directions()
            .enumerate()
            .map(|(index, weights)| cell::forward(cell, weights, input, batch, index == 1))
            .collect()
    }
}

impl<F: Real> Dense<F> {
    /// `x Wᵀ + b`: `[rows, inputs]` becomes `[rows, outputs]`.
    pub fn logits(&self, input: ArrayView2<'_, F>) -> Array2<F> {
        let mut out = product_with_transposed(input, self.weight.view());
        add_bias(&mut out, &self.bias);
        out
    }
}

impl HeadKind {
    /// Probabilities from one row of logits: of a sigmoid the probability of positive, of a softmax one a class.
    /// Logits are divided by `temperature` first, which calibrates scores and changes no verdict.
    pub fn probabilities<F: Real>(self, logits: ArrayView1<'_, F>, temperature: F) -> Array1<F> {
        let scaled = logits.mapv(|logit| logit / temperature);
        match self {
            HeadKind::Sigmoid => scaled.mapv(|logit| F::one() / (F::one() + (-logit).exp())),
            HeadKind::Softmax => {
                let largest = scaled.fold(F::neg_infinity(), |max, &logit| max.max(logit));
                let powers = scaled.mapv(|logit| (logit - largest).exp());
                let sum = powers.sum();
                powers / sum
            }
        }
    }
}

/// Puts the states of both directions side by side.
fn join<F: Real>(traces: &[Trace<F>]) -> Array2<F> {
    match traces {
        [one] => one.states.clone(),
        _ => {
            let views: Vec<_> = traces.iter().map(|trace| trace.states.view()).collect();
            concatenate(Axis(1), &views).expect("both directions have one row a token")
        }
    }
}
