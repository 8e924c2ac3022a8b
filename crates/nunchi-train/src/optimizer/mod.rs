//! AdamW (Loshchilov and Hutter 2019) and a moving average of the weights, both in a lazy form for the embedding table: rows
//! that a batch does not touch cost nothing, so that a step's cost does not depend on the vocabulary.
//!
//! Gradients come in shards, which are added in their order; all of it is spread over threads in fixed pieces. The result is
//! the same, bit by bit, whatever the number of threads.

mod arithmetic;
mod dense;
mod table;

use arithmetic::{BETA1, BETA2, Step};
use nunchi_engine::backprop::ShardGradients;
use nunchi_model::rnn::Network;
use pulp::Arch;

/// First and second moments of one tensor's gradient.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

impl Moments {
    fn new(len: usize) -> Self {
        Moments { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// The moving average of the weights. A row of the embedding table is brought up to date when a batch touches it, and all of
/// them by [`Optimizer::averaged`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Average {
    pub(crate) network: Network<f32>,
    pub(crate) decay: f64,
    /// The logarithm of the product of all decays so far.
    pub(crate) decayed: f64,
    /// That logarithm when each row of the embedding table was last brought up to date.
    pub(crate) rows: Vec<f64>,
}

/// The optimizer's memory for one network.
#[derive(Debug, Clone)]
pub struct Optimizer {
    pub(crate) embedding: Moments,
    pub(crate) dense: Vec<Moments>,
    pub(crate) average: Option<Average>,
    pub(crate) steps: i32,
    decay: f32,
    clip: f32,
    arch: Arch,
    scratch: Scratch,
}

/// Memory that steps reuse.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// For every token its place in `tokens`, or none.
    places: Vec<u32>,
    tokens: Vec<u32>,
    /// `[tokens, embedding]`
    rows: Vec<f32>,
}

impl Optimizer {
    /// Memory for `network`; `decay` shrinks weight matrices (neither biases nor embeddings), gradients are scaled down to a norm
    /// of at most `clip`, `average` is the decay of the moving average (0: none).
    pub fn new(network: &Network<f32>, decay: f64, clip: f64, average: f64, arch: Arch) -> Self {
        let mut sizes = network.tensors().into_iter().map(|(_, tensor)| tensor.len());
        let embedding = Moments::new(sizes.next().expect("the first tensor is the embedding table"));
        let average = (average > 0.0).then(|| Average {
            network: network.clone(),
            decay: average,
            decayed: 0.0,
            rows: vec![0.0; network.shape.vocabulary],
        });
        Optimizer {
            embedding,
            dense: sizes.map(Moments::new).collect(),
            average,
            steps: 0,
            decay: decay as f32,
            clip: clip as f32,
            arch,
            scratch: Scratch::default(),
        }
    }

    /// The averaged weights, or without an average the weights themselves.
    pub(crate) fn averaged(&self, network: &Network<f32>) -> Network<f32> {
        let Some(average) = &self.average else { return network.clone() };
        let mut all = average.network.clone();
        for (token, &since) in average.rows.iter().enumerate() {
            let kept = (average.decayed - since).exp() as f32;
            if kept < 1.0 {
                let mut row = all.embedding.row_mut(token);
                row.zip_mut_with(&network.embedding.row(token), |mean, &weight| {
                    *mean = weight + (*mean - weight) * kept;
                });
            }
        }
        all
    }

    /// One step at learning rate `rate` along the sum of the shards' gradients, which the first shard then holds. Returns the
    /// gradient's norm; if that is not a number, nothing was changed.
    pub fn step(
        &mut self,
        network: &mut Network<f32>,
        shards: &mut [ShardGradients],
        rate: f32,
        threads: usize,
    ) -> f32 {
        let (first, others) = shards.split_first_mut().expect("a batch has at least one shard");
        let square = self.sum_dense(first, others, threads) + self.sum_rows(network, first, others, threads);
        let norm = square.sqrt() as f32;
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let step = Step {
            rate,
            correction1: 1.0 / (1.0 - BETA1.powi(self.steps)),
            correction2: 1.0 / (1.0 - BETA2.powi(self.steps)),
            scale: if norm > self.clip { self.clip / norm } else { 1.0 },
            keep: 1.0,
        };
        // Early on a long average would contain much of the random start.
        let warm_up = (1.0 + f64::from(self.steps)) / (10.0 + f64::from(self.steps));
        let blend = self.average.as_mut().map_or(0.0, |average| {
            let decay = average.decay.min(warm_up);
            average.decayed += decay.ln();
            1.0 - decay
        });
        self.change_rows(network, step, blend, threads);
        self.change_dense(network, first, step, blend as f32, threads);
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};

    fn bag() -> Network<f32> {
        Network::zeros(Shape {
            cell: Cell::Bag,
            vocabulary: 3,
            embedding: 2,
            hidden: 0,
            layers: 0,
            bidirectional: false,
            pooling: Pooling::Mean,
            head: HeadKind::Sigmoid,
            outputs: 1,
        })
        .unwrap()
    }

    fn gradients(network: &Network<f32>) -> ShardGradients {
        let mut gradients = ShardGradients::new(network);
        gradients.tokens = vec![1, 1];
        gradients.embedding = vec![1.0, 0.0, 2.0, 0.0];
        gradients.head.bias[0] = -4.0;
        gradients
    }

    #[test]
    fn a_first_step_goes_one_rate_against_the_gradient() {
        let mut network = bag();
        let mut shards = [gradients(&network)];
        let norm =
            Optimizer::new(&network, 0.0, 1.0, 0.0, Arch::new()).step(&mut network, &mut shards, 0.1, 1);
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((network.embedding[[1, 0]] + 0.1).abs() < 1e-6);
        assert!((network.head.bias[0] - 0.1).abs() < 1e-6);
        assert_eq!(
            network.embedding.row(0).sum() + network.embedding.row(2).sum(),
            0.0,
            "untouched rows stay"
        );
    }

    #[test]
    fn decay_shrinks_matrices_alone() {
        let mut network = bag();
        network.head.weight.fill(1.0);
        network.embedding.fill(1.0);
        let mut none = gradients(&network);
        none.head.bias.fill(0.0);
        none.embedding.fill(0.0);
        Optimizer::new(&network, 0.5, 1.0, 0.0, Arch::new()).step(&mut network, &mut [none], 0.1, 1);
        assert!((network.head.weight[[0, 0]] - 0.95).abs() < 1e-6);
        assert_eq!(network.embedding[[1, 0]], 1.0);
    }

    #[test]
    fn what_is_not_a_number_changes_nothing() {
        let mut network = bag();
        let mut broken = gradients(&network);
        broken.head.bias[0] = f32::NAN;
        let norm =
            Optimizer::new(&network, 0.5, 1.0, 0.9, Arch::new()).step(&mut network, &mut [broken], 0.1, 1);
        assert!(norm.is_nan());
        assert_eq!(network, bag());
    }

    /// The lazy average is what a plain one would be, and threads and shards change no bit.
    #[test]
    fn the_lazy_average_is_the_plain_one_whatever_the_threads() {
        let run = |threads: usize| {
            let mut network = bag();
            let mut optimizer = Optimizer::new(&network, 0.01, 1.0, 0.95, Arch::new());
            let mut plain = network.clone();
            for step in 0..40_u32 {
                let mut one = gradients(&network);
                one.tokens = vec![step % 3, (step / 5) % 3];
                one.embedding = vec![0.3, -0.1, (step as f32).sin(), 0.2];
                let other = gradients(&network);
                optimizer.step(&mut network, &mut [one, other], 0.05, threads);
                let warm_up = (1.0 + f64::from(step + 1)) / (10.0 + f64::from(step + 1));
                let share = 1.0 - 0.95_f64.min(warm_up) as f32;
                for ((_, mut mean), (_, weights)) in plain.tensors_mut().into_iter().zip(network.tensors()) {
                    mean.zip_mut_with(&weights, |mean, &weight| *mean += share * (weight - *mean));
                }
            }
            let lazy = optimizer.averaged(&network);
            for ((name, lazy), (_, plain)) in lazy.tensors().into_iter().zip(plain.tensors()) {
                for (lazy, plain) in lazy.iter().zip(plain.iter()) {
                    assert!((lazy - plain).abs() < 1e-5, "{name}: {lazy} {plain}");
                }
            }
            (network, lazy)
        };
        assert_eq!(run(1), run(3));
    }
}
