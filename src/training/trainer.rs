//! Mini-batch gradient descent on all cores.
//!
//! A batch is cut into shards of a fixed size whose gradients are added in a fixed order: for a seed the result is the
//! same, bit by bit, whatever the number of threads (on one kind of CPU).

use super::examples::{Examples, Group};
use super::judge;
use super::metrics::balanced_accuracy;
use super::optimiser::{Optimiser, Schedule};
use super::step::{Classify, Example, StepSettings, Stepper};
use crate::engine::backprop::Backprop;
use crate::rnn::{Network, Target};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// Batches whose examples are sorted by length together: enough that a batch is nearly of one length, few enough that
/// batches stay mixed.
const WINDOW: usize = 50;

/// How to train.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Passes over the data.
    pub epochs: usize,
    /// Examples a step.
    pub batch: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// The share of all steps in which the rate rises.
    pub warm_up: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// The largest norm of a step's gradient.
    pub clip: f64,
    /// The share of the embeddings' values that is dropped.
    pub dropout_inputs: f64,
    /// The share of the values between layers and before the head that is dropped.
    pub dropout_features: f64,
    /// The share of tokens that is left out of a sequence.
    pub word_dropout: f64,
    /// The share of a target's probability that is spread over all classes.
    pub smoothing: f64,
    /// Decay of the moving average of the weights that is kept in the end; 0 keeps the last weights.
    pub average: f64,
    /// Epochs without a better development score after which training ends; 0 never ends early.
    pub patience: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads; the result does not depend on them.
    #[serde(skip)]
    pub threads: usize,
}

/// What came out of one epoch.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss of an example, in nats.
    pub loss: f64,
    /// Balanced accuracy on each development group.
    pub dev: Vec<f64>,
    /// Trained examples a second; in no report, so that the same training gives the same file.
    #[serde(skip)]
    pub examples_per_s: f64,
}

impl Epoch {
    /// What decides which epoch is best: the mean over the development groups.
    pub fn score(&self) -> Option<f64> {
        (!self.dev.is_empty()).then(|| self.dev.iter().sum::<f64>() / self.dev.len() as f64)
    }
}

/// Hears how training goes on.
pub trait Progress {
    /// A step over `examples` examples ended; their mean loss.
    fn step(&mut self, examples: usize, loss: f64);
    /// An epoch ended and was measured.
    fn epoch(&mut self, epoch: &Epoch);
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The weights of the best epoch (of the last without development data).
    pub network: Network<f32>,
    /// Every epoch that was trained.
    pub epochs: Vec<Epoch>,
    /// Which of them was kept, counted from 1.
    pub best: usize,
    /// How long it took.
    pub took: Duration,
}

/// Trains `network` on `examples`.
pub fn train(
    network: Network<f32>,
    examples: &Examples,
    dev: &[Group],
    settings: &Settings,
    progress: &mut dyn Progress,
) -> Trained {
    let begin = Instant::now();
    let steps = examples.len().div_ceil(settings.batch) * settings.epochs;
    let schedule =
        Schedule { peak: settings.rate, steps, warm_up: (steps as f64 * settings.warm_up) as usize };
    let backprop = Backprop::best();
    let mut run = Run {
        optimiser: Optimiser::new(
            &network,
            settings.weight_decay,
            settings.clip,
            settings.average,
            backprop.arch(),
        ),
        stepper: Stepper::new(backprop),
        network,
        schedule,
        step: 0,
        settings,
        examples,
    };
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut best: Option<(f64, usize, Network<f32>)> = None;
    for number in 1..=settings.epochs {
        let epoch_begin = Instant::now();
        let loss = run.epoch(number, progress);
        let seconds = epoch_begin.elapsed().as_secs_f64();
        let candidate = run.optimiser.averaged(&run.network);
        let dev: Vec<f64> = dev
            .iter()
            .map(|group| balanced_accuracy(&judge::judge(&candidate, &group.examples, 1.0, settings.threads)))
            .collect();
        let epoch = Epoch { epoch: number, loss, dev, examples_per_s: examples.len() as f64 / seconds };
        progress.epoch(&epoch);
        // Without development data later is better.
        let score = epoch.score().unwrap_or(number as f64);
        epochs.push(epoch);
        if best.as_ref().is_none_or(|(highest, _, _)| score > *highest) {
            best = Some((score, number, candidate));
        }
        let since_best = best.as_ref().map_or(0, |(_, at, _)| number - at);
        if settings.patience > 0 && since_best >= settings.patience {
            break;
        }
    }
    let (best, network) = match best {
        Some((_, number, network)) => (number, network),
        None => (0, run.network),
    };
    Trained { network, epochs, best, took: begin.elapsed() }
}

/// The state of one run.
struct Run<'a> {
    network: Network<f32>,
    optimiser: Optimiser,
    stepper: Stepper,
    schedule: Schedule,
    step: usize,
    settings: &'a Settings,
    examples: &'a Examples,
}

impl Run<'_> {
    /// One pass over the data; the mean loss of an example.
    fn epoch(&mut self, number: usize, progress: &mut dyn Progress) -> f64 {
        let batches = batches(self.examples, self.settings.batch, self.settings.seed, number as u64);
        let mut total = 0.0;
        for batch in &batches {
            let thinned = self.leave_out_words(batch);
            let examples: Vec<Example<'_>> = batch
                .iter()
                .enumerate()
                .map(|(place, &example)| Example {
                    tokens: thinned.as_ref().map_or(self.examples.sequence(example), |all| &all[place]),
                    target: Target {
                        class: self.examples.class(example),
                        weight: self.examples.weight(example),
                        soft: None,
                    },
                })
                .collect();
            let settings = StepSettings {
                rate: self.schedule.rate(self.step) as f32,
                dropout_inputs: self.settings.dropout_inputs as f32,
                dropout_features: self.settings.dropout_features as f32,
                smoothing: self.settings.smoothing,
                key: self.settings.seed.wrapping_mul(1 << 32).wrapping_add(self.step as u64),
                threads: self.settings.threads,
            };
            let stepped =
                self.stepper.step(&mut self.network, &mut self.optimiser, &Classify, &examples, &settings);
            self.step += 1;
            total += stepped.loss * batch.len() as f64;
            progress.step(batch.len(), stepped.loss);
        }
        total / self.examples.len() as f64
    }

    /// The batch's sequences without some of their tokens, at least one of each staying.
    fn leave_out_words(&self, batch: &[usize]) -> Option<Vec<Vec<u32>>> {
        let share = self.settings.word_dropout;
        if share <= 0.0 {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.settings.seed ^ 0x5eed);
        random.set_stream(self.step as u64);
        let thin = |sequence: &[u32]| {
            let kept: Vec<u32> =
                sequence.iter().copied().filter(|_| random.random::<f64>() >= share).collect();
            if kept.is_empty() { sequence.to_vec() } else { kept }
        };
        Some(batch.iter().map(|&example| self.examples.sequence(example)).map(thin).collect())
    }
}

/// Every example once: shuffled, sorted by length within windows, cut into batches, the batches shuffled.
fn batches(examples: &Examples, size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.shuffle(&mut random);
    for window in order.chunks_mut(size * WINDOW) {
        window.sort_by_key(|&example| examples.sequence(example).len());
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut random);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_exactly_one_batch_and_batches_are_of_similar_lengths() {
        let mut examples = Examples::default();
        for index in 0..1_003_usize {
            examples.push(&vec![1; index % 37 + 1], 0, 1.0);
        }
        let batches = batches(&examples, 16, 1, 1);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..1_003).collect::<Vec<_>>());
        let spread = |batch: &Vec<usize>| {
            let lengths = batch.iter().map(|&example| examples.sequence(example).len());
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        // Unsorted, 16 of 37 lengths differ by 33 on average. The last window is short, and so less alike.
        let spreads: usize = batches.iter().map(spread).sum();
        assert!(spreads <= 2 * batches.len(), "{spreads} in {} batches", batches.len());
        assert_ne!(batches, super::batches(&examples, 16, 1, 2), "another epoch, another order");
    }
}
