//! The place in a run, as it stands in a checkpoint.

use super::divergence::DivergenceDetector;
use super::progress::Epoch;
use serde::{Deserialize, Serialize};

/// The place in a run, as it stands in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainingCursor {
    /// 0: predicting tokens; 1: learning classes.
    pub stage: usize,
    /// The epoch, counted from 1; 0 before the first.
    pub epoch: usize,
    pub window: usize,
    /// The next batch of the window.
    pub batch: usize,
    /// Steps of the stage so far.
    pub step: u64,
    /// Examples of the stage so far.
    pub examples: u64,
    /// Of the epoch so far: the sum of losses, and over how many examples.
    pub loss: f64,
    pub loss_examples: u64,
    pub detector: DivergenceDetector,
    pub epochs: Vec<Epoch>,
    /// The best epoch's score and number.
    pub best: Option<(f64, usize)>,
}
