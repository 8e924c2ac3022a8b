//! Why a retraining cannot go on. Whatever the reason: nothing was published that is not whole.

use crate::kafka::error::BrokerError;
use crate::registry::{Entry, RegistryError, Version};
use nunchi_data::DataError;
use nunchi_engine::EngineError;
use nunchi_eval::pairs::PairsError;
use nunchi_model::ModelError;
use nunchi_model::rnn::RnnError;
use nunchi_text::TextError;
use nunchi_train::corpus::CorpusError;
use nunchi_train::trainer::TrainError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a retraining cannot go on.
#[derive(Debug, Error)]
pub enum RetrainError {
    /// What was asked for cannot be: other flags help, trying again does not.
    #[error("{0}")]
    Usage(String),
    /// The store refuses or does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Kafka does not answer, or a topic is missing.
    #[error(
        "the history cannot be read: {0}. Nothing was published; the next run reads the same window again"
    )]
    History(#[from] BrokerError),
    /// A file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of pairs cannot be used.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// The topic of corrections holds more than a run keeps in memory.
    #[error(
        "the topic `{topic}` holds more than {megabytes} MiB of corrections ({corrections} fit): withdraw those that are no \
         longer needed (a record with the comment's id as its key and no value), or name a topic with fewer with --corrections"
    )]
    TooManyCorrections {
        /// The topic.
        topic: String,
        /// How many fit.
        corrections: usize,
        /// The bound.
        megabytes: usize,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A network cannot be loaded.
    #[error("the network cannot be judged with: {0}")]
    Engine(#[from] EngineError),
    /// The candidate cannot be written as a model.
    #[error("the candidate cannot be stored: {0}")]
    Model(#[from] ModelError),
    /// No tokenizer can be trained.
    #[error("the tokenizer cannot be trained: {0}")]
    Text(#[from] TextError),
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] RnnError),
    /// Another version was promoted meanwhile.
    #[error(
        "somebody else was faster: entry {number} of the promotion log is {who}'s {action} of {version} ({why:?}), while this \
         run compared its candidate with {parent}. The candidate was not promoted; run again to compare with what is \
         current now",
        number = entry.number, who = entry.who, action = entry.action, version = entry.version, why = entry.why
    )]
    Overtaken {
        /// The version that was current at the start.
        parent: Version,
        /// What was written since.
        entry: Box<Entry>,
    },
    /// The comments to train on cannot be kept.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Training ended without a network.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A stop was asked for.
    #[error("stopped before the end; nothing was published, and the next run starts anew")]
    Stopped,
}

impl RetrainError {
    /// Whether the command was called wrongly (and not: called rightly, and failed).
    pub fn is_usage(&self) -> bool {
        match self {
            RetrainError::Usage(_) => true,
            RetrainError::Registry(error) => error.is_usage(),
            _ => false,
        }
    }

    pub(super) fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        RetrainError::File { path: path.to_owned(), reason: reason.to_string() }
    }
}
