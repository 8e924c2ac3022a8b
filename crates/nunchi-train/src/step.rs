//! One step of training: a batch's gradients, shard by shard on all cores, then one step of the optimizer.
//!
//! A batch is cut into shards of a fixed size whose gradients are added in a fixed order: for a seed the result is the same,
//! bit by bit, whatever the number of threads (on one kind of CPU).

use super::optimizer::Optimizer;
use ndarray::Array2;
use nunchi_engine::backprop::{Backprop, DropoutMasks, Pass, Session, ShardGradients, Weights, spread};
use nunchi_model::rnn::{Network, Target, pool, unpool};

/// Examples that one thread takes at a time, and whose gradients are added up in one place.
const SHARD: usize = 64;
/// Examples of one pass: what a pass leaves for the backward pass should stay in L2.
const PASS: usize = 32;

/// What to learn from one example.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Its tokens, at least one.
    pub tokens: &'a [u32],
    /// The target, and its weight.
    pub target: Target<f32>,
}

/// How a step computes.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    /// The learning rate.
    pub rate: f32,
    /// The share of the embeddings' values that is dropped.
    pub dropout_inputs: f32,
    /// The share of the values between layers and before the head that is dropped.
    pub dropout_features: f32,
    /// The share of a target's probability that is spread over all classes.
    pub smoothing: f64,
    /// The key of the dropout masks.
    pub key: u64,
    /// Threads; the result does not depend on them.
    pub threads: usize,
}

/// What came out of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepResult {
    /// The mean loss of an example, in nats.
    pub loss: f64,
    /// The norm of the gradient. If it is not a number, nothing was changed.
    pub norm: f32,
}

/// What a network is trained to do.
pub trait Objective: Sync {
    /// One shard's part of the batch's mean loss, whose gradients are added to `shard.gradients`. On a thread that is ready for
    /// passes.
    fn shard(&self, shard: Shard<'_>) -> f64;
}

/// A shard of a batch, and what its gradients are computed with.
#[derive(Debug)]
pub struct Shard<'a> {
    /// How passes are computed.
    pub backprop: &'a Backprop,
    /// The proof that this thread is ready for its products.
    pub session: &'a Session,
    /// The network.
    pub network: &'a Network<f32>,
    /// Its weights, packed.
    pub weights: &'a Weights,
    /// The shard's examples.
    pub examples: &'a [Example<'a>],
    /// Examples of the whole batch.
    pub batch: usize,
    /// The dropout masks.
    pub dropout: DropoutMasks,
    /// How the step computes.
    pub settings: &'a StepSettings,
    /// Memory.
    pub pass: &'a mut Pass,
    /// Where gradients are added.
    pub gradients: &'a mut ShardGradients,
}

/// Memory of steps: packed weights, and one pass and its gradients a shard.
#[derive(Debug)]
pub struct Stepper {
    backprop: Backprop,
    weights: Weights,
    passes: Vec<Pass>,
    gradients: Vec<ShardGradients>,
}

struct Job<'a> {
    index: usize,
    examples: &'a [Example<'a>],
    pass: &'a mut Pass,
    gradients: &'a mut ShardGradients,
    loss: f64,
}

impl Stepper {
    /// Memory for steps that are computed by `backprop`.
    pub fn new(backprop: Backprop) -> Self {
        Stepper { backprop, weights: Weights::default(), passes: Vec::new(), gradients: Vec::new() }
    }

    /// One step of `optimizer` along the gradient of the mean loss of all `parts` together, which are computed one after the other.
    pub fn step(
        &mut self,
        network: &mut Network<f32>,
        optimizer: &mut Optimizer,
        objective: &dyn Objective,
        parts: &[&[Example<'_>]],
        settings: &StepSettings,
    ) -> StepResult {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let shards = parts.iter().map(|part| part.len().div_ceil(SHARD)).max().unwrap_or(0);
        self.backprop.pack(network, &mut self.weights, settings.threads);
        if self.passes.len() < shards {
            self.passes.resize_with(shards, Pass::default);
            self.gradients.resize_with(shards, || ShardGradients::new(network));
        }
        spread(settings.threads, &mut self.gradients[..shards], ShardGradients::clear);
        let (backprop, weights) = (&self.backprop, &self.weights);
        let shared: &Network<f32> = network;
        let mut loss = 0.0;
        for (number, part) in parts.iter().enumerate() {
            let mut jobs: Vec<Job<'_>> = part
                .chunks(SHARD)
                .zip(&mut self.passes)
                .zip(&mut self.gradients)
                .enumerate()
                .map(|(index, ((examples, pass), gradients))| Job {
                    index,
                    examples,
                    pass,
                    gradients,
                    loss: 0.0,
                })
                .collect();
            spread(settings.threads, &mut jobs, |job| {
                let session = backprop.enter();
                for (index, examples) in job.examples.chunks(PASS).enumerate() {
                    job.loss += objective.shard(Shard {
                        backprop,
                        session: &session,
                        network: shared,
                        weights,
                        examples,
                        batch: total,
                        dropout: settings.dropout((number * 4_096 + job.index) * SHARD + index),
                        settings,
                        pass: job.pass,
                        gradients: job.gradients,
                    });
                }
            });
            loss += jobs.iter().map(|job| job.loss).sum::<f64>();
        }
        let norm = optimizer.step(network, &mut self.gradients[..shards], settings.rate, settings.threads);
        StepResult { loss, norm }
    }
}

impl StepSettings {
    /// The dropout masks of a shard, which do not depend on the thread.
    fn dropout(&self, shard: usize) -> DropoutMasks {
        DropoutMasks {
            inputs: self.dropout_inputs,
            features: self.dropout_features,
            key: self.key.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(shard as u64),
        }
    }
}

/// Learning classes: the weighted cross entropy of the head's output.
#[derive(Clone, Copy, Debug)]
pub struct Classify;

impl Objective for Classify {
    fn shard(&self, shard: Shard<'_>) -> f64 {
        let Shard {
            backprop, session, network, weights, examples, dropout, settings, pass, gradients, ..
        } = shard;
        let sequences: Vec<&[u32]> = examples.iter().map(|example| example.tokens).collect();
        backprop.forward(session, network, weights, &sequences, &dropout, pass);
        let shape = &network.shape;
        let batch = pass.batch();
        let states = pass.states();
        let mut features = pool(shape, states, batch);
        let place = shape.layers as u32 + 1;
        dropout.apply(backprop.arch(), place, dropout.features, flat(&mut features));
        let logits = network.head.logits(features.view());
        // Rows are in the batch's order: longest first.
        let targets: Vec<Target<f32>> = batch
            .order
            .iter()
            .map(|&example| {
                let target = examples[example].target;
                Target { weight: target.weight / shard.batch as f32, ..target }
            })
            .collect();
        let (loss, of_logits) = shape.head.loss(&logits, &targets, settings.smoothing);
        gradients.head.weight += &of_logits.t().dot(&features);
        gradients.head.bias += &of_logits.sum_axis(ndarray::Axis(0));
        let mut of_features = of_logits.dot(&network.head.weight);
        dropout.apply(backprop.arch(), place, dropout.features, flat(&mut of_features));
        let of_states = unpool(shape, states, of_features.view(), batch);
        pass.of_states(of_states);
        backprop.backward(session, network, weights, &dropout, pass, gradients);
        f64::from(loss)
    }
}

fn flat(matrix: &mut Array2<f32>) -> &mut [f32] {
    matrix.as_slice_mut().expect("matrices are in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_model::rnn::{Cell, HeadKind, Layer, Pooling, Shape};

    fn shapes() -> Vec<Shape> {
        let base = Shape {
            cell: Cell::Gru,
            vocabulary: 50,
            embedding: 20,
            hidden: 24,
            layers: 1,
            bidirectional: false,
            pooling: Pooling::Last,
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        let mut all = vec![Shape { cell: Cell::Bag, layers: 0, pooling: Pooling::Mean, ..base }];
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
            all.push(Shape { cell, ..base });
            all.push(Shape { cell, layers: 2, bidirectional: true, pooling: Pooling::Max, ..base });
            all.push(Shape { cell, layers: 2, bidirectional: true, pooling: Pooling::Mean, ..base });
            all.push(Shape {
                cell,
                hidden: 33,
                head: HeadKind::Softmax,
                outputs: 3,
                bidirectional: true,
                ..base
            });
        }
        all
    }

    fn examples() -> Vec<(Vec<u32>, Target<f32>)> {
        (0..40_u32)
            .map(|index| {
                let tokens = (0..index * 7 % 13 + 1).map(|step| (index * 11 + step * 3) % 50).collect();
                let soft = (index % 4 == 0).then_some(0.3);
                (tokens, Target { class: index as usize % 2, weight: 1.0 + index as f32 / 40.0, soft })
            })
            .collect()
    }

    /// Largest difference of two tensors, as a share of the largest number.
    fn apart<'a>(ours: impl Iterator<Item = &'a f32>, theirs: impl Iterator<Item = &'a f32>) -> f32 {
        let (mut apart, mut largest) = (0.0_f32, 1e-6_f32);
        for (ours, theirs) in ours.zip(theirs) {
            apart = apart.max((ours - theirs).abs());
            largest = largest.max(theirs.abs());
        }
        apart / largest
    }

    fn agrees_with_the_reference(backprop: Backprop, bound: f32) {
        // Rounding may choose another winner of a maximum, which is another gradient and no error.
        let rounds = backprop.precision() != nunchi_model::Precision::F32;
        for shape in shapes().into_iter().filter(|shape| !rounds || shape.pooling != Pooling::Max) {
            let network = Network::<f32>::random(shape, 3).unwrap();
            let owned = examples();
            let batch: Vec<Example<'_>> =
                owned.iter().map(|(tokens, target)| Example { tokens, target: *target }).collect();
            let settings = StepSettings {
                rate: 0.0,
                dropout_inputs: 0.0,
                dropout_features: 0.0,
                smoothing: 0.1,
                key: 0,
                threads: 1,
            };
            let mut weights = Weights::default();
            backprop.pack(&network, &mut weights, 1);
            let (mut pass, mut gradients) = (Pass::default(), ShardGradients::new(&network));
            let mut loss = 0.0;
            // Twice: what an earlier pass left must not matter.
            for _ in 0..2 {
                let session = backprop.enter();
                gradients.clear();
                loss = Classify.shard(Shard {
                    backprop: &backprop,
                    session: &session,
                    network: &network,
                    weights: &weights,
                    examples: &batch,
                    batch: batch.len(),
                    dropout: settings.dropout(0),
                    settings: &settings,
                    pass: &mut pass,
                    gradients: &mut gradients,
                });
            }

            let sequences: Vec<&[u32]> = owned.iter().map(|(tokens, _)| tokens.as_slice()).collect();
            let targets: Vec<Target<f32>> =
                owned.iter().map(|(_, target)| Target { weight: target.weight / 40.0, ..*target }).collect();
            let tape = network.forward(&sequences, None);
            let (want_loss, of_logits) = shape.head.loss(&tape.logits, &targets, 0.1);
            let want = network.backward(tape, of_logits.view());
            assert!((loss - f64::from(want_loss)).abs() < f64::from(bound), "{shape:?}: {loss} {want_loss}");
            for (index, (ours, theirs)) in gradients
                .layers
                .iter()
                .flat_map(Layer::directions)
                .zip(want.layers.iter().flat_map(Layer::directions))
                .enumerate()
            {
                let parts = [
                    apart(ours.weight_ih.iter(), theirs.weight_ih.iter()),
                    apart(ours.weight_hh.iter(), theirs.weight_hh.iter()),
                    apart(ours.bias_ih.iter(), theirs.bias_ih.iter()),
                    apart(ours.bias_hh.iter(), theirs.bias_hh.iter()),
                ];
                assert!(parts.iter().all(|&part| part < bound), "{shape:?} direction {index}: {parts:?}");
            }
            assert!(apart(gradients.head.weight.iter(), want.head.weight.iter()) < bound);
            let mut rows = Array2::<f32>::zeros((50, shape.embedding));
            for (&token, row) in gradients.tokens.iter().zip(gradients.embedding.chunks(shape.embedding)) {
                let mut sum = rows.row_mut(token as usize);
                sum += &ndarray::ArrayView1::from(row);
            }
            let mut wanted = Array2::<f32>::zeros((50, shape.embedding));
            for (&token, row) in want.embedding.tokens.iter().zip(want.embedding.rows.rows()) {
                wanted.row_mut(token as usize).assign(&row);
            }
            assert!(apart(rows.iter(), wanted.iter()) < bound, "{shape:?}: embeddings");
        }
    }

    #[test]
    fn gradients_are_those_of_the_reference_in_f32() {
        agrees_with_the_reference(Backprop::library(), 2e-5);
        agrees_with_the_reference(Backprop::f32(), 2e-5);
        if let Some(avx2) = Backprop::avx2() {
            agrees_with_the_reference(avx2, 2e-5);
        }
    }

    #[test]
    fn gradients_are_those_of_the_reference_within_the_precision_of_tiles() {
        agrees_with_the_reference(Backprop::best(), 4e-2);
        #[cfg(target_arch = "x86_64")]
        agrees_with_the_reference(Backprop::plain_tiles(), 4e-2);
    }

    #[test]
    fn threads_change_no_bit() {
        let shape = shapes()[2];
        let run = |threads| {
            let mut network = Network::<f32>::random(shape, 3).unwrap();
            let backprop = Backprop::best();
            let mut optimizer = Optimizer::new(&network, 0.01, 1.0, 0.99, backprop.arch());
            let mut stepper = Stepper::new(backprop);
            let owned: Vec<_> = (0..5).flat_map(|_| examples()).collect();
            let batch: Vec<Example<'_>> =
                owned.iter().map(|(tokens, target)| Example { tokens, target: *target }).collect();
            for key in 0..3 {
                let settings = StepSettings {
                    rate: 1e-2,
                    dropout_inputs: 0.2,
                    dropout_features: 0.2,
                    smoothing: 0.0,
                    key,
                    threads,
                };
                stepper.step(&mut network, &mut optimizer, &Classify, &[&batch], &settings);
            }
            network
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(5));
    }
}
