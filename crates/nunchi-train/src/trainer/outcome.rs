//! How a training ends.

use super::checkpoint::CheckpointError;
use super::progress::Epoch;
use nunchi_model::rnn::Network;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// How training ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// At its end.
    Finished(Box<Trained>),
    /// Somebody set [`Task::stop`](super::Task::stop). There is no network: one of a part of a training would be taken for a finished
    /// one, and the checkpoint holds more.
    Interrupted(Interrupted),
}

/// A training that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Epochs of learning classes that are finished.
    pub epochs: usize,
    /// What holds all that was trained, if checkpoints are kept.
    pub checkpoint: Option<PathBuf>,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.epochs == 1 { "" } else { "s" };
        write!(f, "interrupted after {} finished epoch{plural}: no model was written; ", self.epochs)?;
        match &self.checkpoint {
            Some(path) => {
                write!(f, "the same command goes on from {} (--restart begins anew)", path.display())
            }
            None => f.write_str("what was trained is lost"),
        }
    }
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
    Corpus(std::io::Error),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It diverged again and again, before there was anything that classifies.
    #[error(transparent)]
    Diverged(#[from] Diverged),
}

// Not `#[from]`: the message contains the cause, which would be printed a second time as the source.
impl From<std::io::Error> for TrainError {
    fn from(error: std::io::Error) -> Self {
        TrainError::Corpus(error)
    }
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
