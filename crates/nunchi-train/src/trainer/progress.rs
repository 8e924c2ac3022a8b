//! The progress of a training, epoch by epoch and step by step, for a display.

use serde::{Deserialize, Serialize};

/// What came out of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss of an example, in nats.
    pub loss: f64,
    /// Balanced accuracy on each development group.
    pub dev: Vec<f64>,
    /// What decides which epoch is best: the mean over the development groups, by their numbers of comments. A few hundred comments
    /// would otherwise outweigh many thousands, by noise alone.
    pub score: Option<f64>,
    /// Trained examples a second; in no report, so that the same training gives the same file.
    #[serde(skip)]
    pub examples_per_s: f64,
}

/// Follows a training.
pub trait Progress: Send {
    /// A stage begins: `name` for people, its epochs, and the examples of all of them together.
    fn stage(&mut self, name: &str, epochs: usize, examples: u64) {
        let _ = (name, epochs, examples);
    }
    /// The stage goes on in this epoch; so many of its examples were trained on before this process.
    fn resumed(&mut self, epoch: usize, examples: u64) {
        let _ = (epoch, examples);
    }
    /// A step over `examples` examples ended; their mean loss and the learning rate.
    fn step(&mut self, examples: usize, loss: f64, rate: f64);
    /// An epoch ended and was measured.
    fn epoch(&mut self, epoch: &Epoch);
    /// A message for the user.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}
