//! Mini-batch gradient descent on all cores, over data that is streamed from disk.
//!
//! A run is two stages: predicting next tokens ([`super::language`], if asked for), then telling classes apart. It can be stopped
//! and killed at any moment: from its last checkpoint it goes on as if nothing had happened, to the same weights, bit by bit.
//! A loss that is not a number or runs away takes it back to the last good weights, with a smaller rate.

mod run;

pub(super) use run::TrainingCursor;

use super::checkpoint::CheckpointError;
use super::corpus::Corpus;
use super::schedule::Shape as RateShape;
use nunchi_data::examples::Group;
use nunchi_engine::backprop::{Backprop, on_threads};
use nunchi_model::rnn::Network;
use nunchi_text::Tokenizer;
use run::Run;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// What a fingerprint is made of, to be changed with it.
const FINGERPRINT: &[u8] = b"nunchi training 2";

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Passes over the data.
    pub epochs: usize,
    /// Passes over all comments, labelled or not, in which next tokens are predicted, before.
    pub pretraining: usize,
    /// Examples that are computed together.
    pub batch: usize,
    /// Batches whose gradients are added for one step.
    pub accumulate: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// How the rate changes.
    pub schedule: RateShape,
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
    /// How much a teacher's word counts against the label, in `0..=1`.
    pub teacher_share: f64,
    /// Decay of the moving average of the weights that is kept in the end; 0 keeps the last weights.
    pub average: f64,
    /// Which epoch's weights are kept.
    pub keep: Keep,
    /// How far the kept weights lie from those that training began with to those that it led to, in `0..=1`: below 1 a network that is
    /// taught something new forgets less (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*). Of a network that first
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
    /// The last one: of several development sets the mean may not say what matters. No epoch is one too many then: patience does not end
    /// the training
    Last,
}

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
    /// would otherwise outvote many thousands by chance.
    pub score: Option<f64>,
    /// Trained examples a second; in no report, so that the same training gives the same file.
    #[serde(skip)]
    pub examples_per_s: f64,
}

/// Hears how training goes on.
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
    /// Something that a person wants to know.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// What to train on, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The comments.
    pub corpus: &'a Corpus,
    /// What cuts them into tokens.
    pub tokenizer: &'a Tokenizer,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// What epochs are compared on.
    pub dev: &'a [Group],
    /// How.
    pub settings: &'a Settings,
    /// What else a checkpoint must agree with: who the teachers are.
    pub teachers: &'a str,
    /// Where checkpoints are kept, if they are, and how often one is written; for the caller to remove when training is done.
    pub checkpoint: Option<(&'a Path, Duration)>,
    /// Set to end early, with the best weights so far.
    pub stop: &'a AtomicBool,
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The weights of the best epoch (of the last without development data).
    pub network: Network<f32>,
    /// Every epoch that was trained.
    pub epochs: Vec<Epoch>,
    /// Which of them was kept, counted from 1; 0 if training was stopped within the first.
    pub best: usize,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Whether it ended before its time because it diverged again and again; the best epoch before that is kept.
    pub diverged: Option<Diverged>,
    /// How long it took, in this process.
    pub took: Duration,
}

/// Why training ended without a network.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The comments cannot be read again.
    #[error("cannot read the comments to train on again: {0}")]
    Corpus(#[from] std::io::Error),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It was stopped before there was anything that judges.
    #[error("stopped while next tokens were learned: there is no model yet")]
    Stopped,
    /// It diverged again and again, before there was anything that judges.
    #[error(transparent)]
    Diverged(#[from] Diverged),
}

/// The loss ran away, or was not a number, too often.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "training diverges: the loss ran away or was not a number {times} times, the last time at a rate of {rate:.1e}; \
     try a smaller --rate with --restart, or look for comments whose labels contradict each other"
)]
pub struct Diverged {
    /// How often.
    pub times: usize,
    /// The highest learning rate of the last attempt.
    pub rate: f64,
}

/// Trains `network`.
///
/// # Errors
/// See [`TrainError`].
pub fn train(
    network: Network<f32>,
    task: &Task<'_>,
    progress: &mut dyn Progress,
) -> Result<Trained, TrainError> {
    let begin = Instant::now();
    let fingerprint = task.fingerprint(&network);
    on_threads(task.settings.threads, || {
        let mut run = Run::new(network, task, fingerprint)?;
        run.pretrain(progress)?;
        run.classify(progress)?;
        Ok(run.finish(begin))
    })
}

impl Task<'_> {
    /// What a checkpoint must agree with to go on from.
    fn fingerprint(&self, network: &Network<f32>) -> String {
        use sha2::{Digest, Sha256};
        let settings = serde_json::to_string(self.settings).expect("settings are plain data");
        let mut hash = Sha256::new();
        for part in [
            FINGERPRINT,
            settings.as_bytes(),
            self.corpus.fingerprint().as_bytes(),
            self.teachers.as_bytes(),
            &self.tokenizer.to_parts().1,
            format!("{:?} {}", network.shape, self.max_tokens).as_bytes(),
            Backprop::best().precision().as_bytes(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // Weights to begin with: a few of them tell.
        for value in network.embedding.iter().take(4_096).chain(&network.head.weight) {
            hash.update(value.to_le_bytes());
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
