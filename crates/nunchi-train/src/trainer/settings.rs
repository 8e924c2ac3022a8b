//! How to train.

use crate::schedule;
use serde::Serialize;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Passes over the data.
    pub epochs: usize,
    /// Passes over all comments, labeled or not, in which next tokens are predicted, before.
    pub pretraining: usize,
    /// Examples that are computed together.
    pub batch: usize,
    /// Batches whose gradients are added for one step.
    pub accumulate: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// How the rate changes.
    pub schedule: schedule::Shape,
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
    /// The share of the soft label in the target, the label having the rest, in `0..=1`.
    #[serde(rename = "teacher_share")]
    pub distillation_weight: f64,
    /// Decay of the moving average of the weights that is kept in the end; 0 keeps the last weights.
    pub average: f64,
    /// Which epoch's weights are kept.
    pub keep: Keep,
    /// How far the kept weights lie from those that training began with to those that it led to, in `0..=1`: below 1 fine-tuning
    /// forgets less (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*). Of a network that first
    /// learns tokens nothing is left to begin with.
    pub blend: f64,
    /// Epochs without a better development score after which training ends; 0 never ends early.
    pub patience: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads; the result does not depend on them.
    #[serde(skip)]
    pub threads: usize,
}

/// Which epoch's weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The one that is best on the development data
    #[default]
    Best,
    /// The last one, for development sets whose mean is not the goal; patience does not end the training then
    Last,
}
