//! Predicting the next token: what recurrent layers can learn from comments without labels.
//!
//! The state after each token predicts the next one (of a layer that reads from the end: the one before). The output is tied to
//! the embedding table: a state is projected to an embedding's size (the network's head does that), and a token's logit is the
//! product with its embedding. Instead of all tokens some are drawn in proportion to their frequency (*sampled softmax*, Jean et
//! al. 2015, with the correction by the logarithm of how often a token is drawn).

mod frequencies;
mod softmax;

pub(crate) use frequencies::Frequencies;

use super::step::{Objective, Shard};
use nunchi_engine::backprop::{Backprop, Matrix, PackedMatrix, ProductScratch, Session, ShardGradients};
use nunchi_model::rnn::{Batch, HeadKind, Network, Shape};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use softmax::Softmax;
use std::ops::Range;

/// The shape of the network that predicts tokens for a network of shape `shape`: its head projects one direction's states to an
/// embedding.
pub(crate) fn shape(shape: Shape) -> Shape {
    Shape { head: HeadKind::Softmax, outputs: shape.embedding.max(2), ..shape }
}

/// Predicting tokens, with the candidates of one step.
#[derive(Debug)]
pub(crate) struct Predict<'a> {
    frequencies: &'a Frequencies,
    candidates: Vec<u32>,
    /// `[candidates, embedding]`, packed for `states · Cᵀ` and for `gradients · C`.
    forward: PackedMatrix,
    back: PackedMatrix,
    /// One a direction: the projection, packed for both ways.
    projections: Vec<[PackedMatrix; 2]>,
    /// What is subtracted from each candidate's logit.
    corrections: Vec<f32>,
}

impl<'a> Predict<'a> {
    /// Draws `count` candidates by `seed` and `step`.
    pub(crate) fn new(
        backprop: &Backprop,
        network: &Network<f32>,
        frequencies: &'a Frequencies,
        count: usize,
        (seed, step): (u64, u64),
    ) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x1a);
        random.set_stream(step);
        let candidates: Vec<u32> = (0..count).map(|_| frequencies.draw(&mut random)).collect();
        let columns = network.shape.embedding;
        let mut rows = Vec::with_capacity(count * columns);
        for &token in &candidates {
            rows.extend(network.embedding.row(token as usize));
        }
        let products = backprop.products();
        let (mut forward, mut back) = (PackedMatrix::default(), PackedMatrix::default());
        products.pack_transposed(Matrix::new(&rows, columns), &mut forward);
        products.pack(Matrix::new(&rows, columns), &mut back);
        let hidden = network.shape.hidden;
        let weight = network.head.weight.as_slice().expect("weights are in standard layout");
        let whole = Matrix::new(weight, network.head.weight.ncols());
        let projections = (0..network.shape.directions())
            .map(|side| {
                let mut both = [PackedMatrix::default(), PackedMatrix::default()];
                let part = whole.columns(side * hidden..(side + 1) * hidden);
                products.pack_transposed(part, &mut both[0]);
                products.pack(part, &mut both[1]);
                both
            })
            .collect();
        let drawn = (count as f32).ln();
        let corrections =
            candidates.iter().map(|&token| frequencies.logarithms[token as usize] + drawn).collect();
        Predict { frequencies, candidates, forward, back, projections, corrections }
    }
}

/// Where one direction's predictions stand: packed rows whose state predicts, and the packed rows of what it predicts.
fn predictions(batch: &Batch, reverse: bool) -> Vec<(Range<usize>, Range<usize>)> {
    (1..batch.steps())
        .map(|step| {
            let (here, before) = (batch.at(step), batch.at(step - 1));
            let continued = before.start..before.start + here.len();
            if reverse { (here, continued) } else { (continued, here) }
        })
        .collect()
}

impl Objective for Predict<'_> {
    fn shard(&self, shard: Shard<'_>) -> f64 {
        let Shard { backprop, session, network, weights, examples, dropout, pass, gradients, .. } = shard;
        let sequences: Vec<&[u32]> = examples.iter().map(|example| example.tokens).collect();
        backprop.forward(session, network, weights, &sequences, &dropout, pass);
        let hidden = network.shape.hidden;
        let of_states = pass.zero_states();
        let mut buffers = [(); 4].map(|()| pass.take(0));
        let states = pass.states();
        let mut of_states = of_states;
        let mut loss = 0.0;
        for side in 0..network.shape.directions() {
            let columns = side * hidden..(side + 1) * hidden;
            let places = predictions(pass.batch(), side == 1);
            let mut own = Side {
                network,
                columns: columns.clone(),
                states: std::mem::take(&mut buffers[0]),
                targets: Vec::new(),
            };
            own.states.clear();
            for (from, to) in &places {
                for row in from.clone() {
                    let state = states.row(row);
                    own.states.extend(&state.as_slice().expect("rows are contiguous")[columns.clone()]);
                }
                own.targets.extend(&pass.tokens()[to.clone()]);
            }
            if own.targets.is_empty() {
                continue;
            }
            // The mean over the batch's predictions, as nearly as a shard has it.
            let share = examples.len() as f32
                / shard.batch as f32
                / own.targets.len() as f32
                / network.shape.directions() as f32;
            loss += own.predict(self, (backprop, session), (share, side), gradients, &mut buffers);
            let mut rows = own.states.chunks_exact(hidden);
            for (from, _) in &places {
                for row in from.clone() {
                    let mut to = of_states.row_mut(row);
                    let to = to.as_slice_mut().expect("rows are contiguous");
                    to[columns.clone()].copy_from_slice(rows.next().expect("one row a prediction"));
                }
            }
            buffers[0] = own.states;
        }
        buffers.into_iter().for_each(|buffer| pass.give(buffer));
        pass.of_states(of_states);
        backprop.backward(session, network, weights, &dropout, pass, gradients);
        loss
    }
}

/// One direction's predictions.
struct Side<'a> {
    network: &'a Network<f32>,
    /// The direction's columns of the head.
    columns: Range<usize>,
    /// `[predictions, hidden]`
    states: Vec<f32>,
    targets: Vec<u32>,
}

impl Side<'_> {
    /// `share` times the sum of the predictions' losses; the states are replaced by their gradients, those of the projection and
    /// of the embeddings are added to `gradients`.
    fn predict(
        &mut self,
        predict: &Predict<'_>,
        (backprop, session): (&Backprop, &Session),
        (share, side): (f32, usize),
        gradients: &mut ShardGradients,
        [_, projected, logits, of_projected]: &mut [Vec<f32>; 4],
    ) -> f64 {
        let (products, embedding) = (backprop.products(), self.network.shape.embedding);
        let (rows, candidates) = (self.targets.len(), predict.candidates.len());
        let hidden = self.columns.len();
        let states = Matrix::new(&self.states, hidden);
        let mut scratch = ProductScratch::default();
        let [projection, projection_back] = &predict.projections[side];
        let bias = self.network.head.bias.as_slice().expect("weights are in standard layout");
        projected.resize(rows * embedding, 0.0);
        products.times(session, states, projection, Some(bias), projected, &mut scratch);
        logits.resize(rows * candidates, 0.0);
        let corrections: Vec<f32> = predict.corrections.iter().map(|correction| -correction).collect();
        let as_rows = Matrix::new(projected, embedding);
        products.times(session, as_rows, &predict.forward, Some(&corrections), logits, &mut scratch);

        let drawn = (candidates as f32).ln();
        let mut loss = 0.0_f64;
        of_projected.resize(rows * embedding, 0.0);
        for (row, &target) in self.targets.iter().enumerate() {
            let own = &projected[row * embedding..][..embedding];
            let table = self.network.embedding.row(target as usize);
            let table = table.as_slice().expect("rows are contiguous");
            let correction = predict.frequencies.logarithms[target as usize] + drawn;
            let product: f32 = own.iter().zip(table).map(|(a, b)| a * b).sum();
            let logits = &mut logits[row * candidates..][..candidates];
            for (logit, &candidate) in logits.iter_mut().zip(&predict.candidates) {
                // A sampled negative that is the target is no negative.
                if candidate == target {
                    *logit = f32::NEG_INFINITY;
                }
            }
            let (probability, part) =
                backprop.arch().dispatch(Softmax { logits, target: product - correction, share });
            loss += f64::from(part);
            let slope = (probability - 1.0) * share;
            for (of, &value) in of_projected[row * embedding..][..embedding].iter_mut().zip(table) {
                *of = slope * value;
            }
            gradients.tokens.push(target);
            gradients.embedding.extend(own.iter().map(|value| slope * value));
        }
        let of_logits = Matrix::new(logits, candidates);
        products.times(session, of_logits, &predict.back, None, of_projected, &mut scratch);
        let begin = gradients.embedding.len();
        gradients.tokens.extend(&predict.candidates);
        gradients.embedding.resize(begin + candidates * embedding, 0.0);
        products.outer(session, of_logits, as_rows, &mut gradients.embedding[begin..], &mut scratch);

        let of_projected = Matrix::new(of_projected, embedding);
        let mut of_weight = vec![0.0_f32; embedding * hidden];
        products.outer(session, of_projected, states, &mut of_weight, &mut scratch);
        for (row, of) in of_weight.chunks_exact(hidden).enumerate() {
            let mut to = gradients.head.weight.row_mut(row);
            let to = &mut to.as_slice_mut().expect("rows are contiguous")[self.columns.clone()];
            to.iter_mut().zip(of).for_each(|(to, of)| *to += of);
        }
        for row in of_projected.data.chunks_exact(embedding) {
            gradients.head.bias.iter_mut().zip(row).for_each(|(to, of)| *to += of);
        }
        let zeros = vec![0.0_f32; hidden];
        products.times(session, of_projected, projection_back, Some(&zeros), &mut self.states, &mut scratch);
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Example, StepSettings};
    use nunchi_engine::backprop::{DropoutMasks, Pass, Weights};
    use nunchi_model::rnn::{Cell, Pooling, Target};

    /// The gradients are those of the loss: central differences in a few places.
    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        for bidirectional in [false, true] {
            let shape = shape(Shape {
                cell: Cell::Gru,
                vocabulary: 30,
                embedding: 8,
                hidden: 10,
                layers: 1,
                bidirectional,
                pooling: Pooling::Last,
                head: HeadKind::Sigmoid,
                outputs: 1,
            });
            let network = Network::<f32>::random(shape, 5).unwrap();
            let backprop = Backprop::f32();
            let frequencies = Frequencies::new(&vec![3; 30]);
            let sequences: Vec<Vec<u32>> = (0..9_u32)
                .map(|index| (0..index % 5 + 1).map(|step| (index * 7 + step * 3) % 30).collect())
                .collect();
            let target = Target { class: 0, weight: 1.0, soft: None };
            let examples: Vec<Example<'_>> =
                sequences.iter().map(|tokens| Example { tokens, target }).collect();
            let settings = StepSettings {
                rate: 0.0,
                dropout_inputs: 0.0,
                dropout_features: 0.0,
                smoothing: 0.0,
                key: 0,
                threads: 1,
            };
            let run = |network: &Network<f32>| {
                let mut weights = Weights::default();
                backprop.pack(network, &mut weights, 1);
                let mut gradients = ShardGradients::new(network);
                let predict = Predict::new(&backprop, network, &frequencies, 40, (1, 2));
                let session = backprop.enter();
                let loss = predict.shard(Shard {
                    backprop: &backprop,
                    session: &session,
                    network,
                    weights: &weights,
                    examples: &examples,
                    batch: examples.len(),
                    dropout: DropoutMasks::default(),
                    settings: &settings,
                    pass: &mut Pass::default(),
                    gradients: &mut gradients,
                });
                (loss, gradients)
            };
            let (loss, gradients) = run(&network);
            assert!(loss > 1.0, "{loss}");
            let check = |name: &str, analytic: f32, change: &dyn Fn(&mut Network<f32>, f32)| {
                let at = |by: f32| {
                    let mut network = network.clone();
                    change(&mut network, by);
                    run(&network).0
                };
                let slope = ((at(1e-2) - at(-1e-2)) / 2e-2) as f32;
                assert!((slope - analytic).abs() < 2e-3 + 0.02 * slope.abs(), "{name}: {slope} {analytic}");
            };
            for place in [(0, 0), (3, 7), (7, 9)] {
                check("head", gradients.head.weight[place], &|network, by| network.head.weight[place] += by);
                check("hh", gradients.layers[0].forward.weight_hh[place], &|network, by| {
                    network.layers[0].forward.weight_hh[place] += by;
                });
            }
            for token in [0_u32, 7, 21] {
                let sum: f32 = gradients
                    .tokens
                    .iter()
                    .zip(gradients.embedding.chunks(8))
                    .filter(|(own, _)| **own == token)
                    .map(|(_, row)| row[2])
                    .sum();
                check("embedding", sum, &|network, by| network.embedding[[token as usize, 2]] += by);
            }
        }
    }

    #[test]
    fn frequent_tokens_are_drawn_often() {
        let frequencies = Frequencies::new(&[0, 98, 899]);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut drawn = [0; 3];
        (0..10_000).for_each(|_| drawn[frequencies.draw(&mut random) as usize] += 1);
        assert!(drawn[0] < 50 && (800..1_200).contains(&drawn[1]), "{drawn:?}");
    }
}
