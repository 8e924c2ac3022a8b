//! Errors of a retraining. After any of them no incomplete version is published.

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

/// Why a retraining failed.
#[derive(Debug, Error)]
pub enum RetrainError {
    /// Invalid flags: trying again does not help.
    #[error("{0}")]
    Usage(String),
    /// The store refuses or does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Kafka does not answer, or a topic is missing.
    #[error(
        "the history cannot be read: {0}. Nothing was published; the next run reads the same window again"
    )]
    History(BrokerError),
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
    /// Stars of another scale.
    #[error(
        "{beyond} of {rated} comments with stars in `{topics}` have stars beyond the scale: --negative-stars and \
         --positive-stars say what the stars mean, --skip-bad-rows leaves such comments out as long as they are not most"
    )]
    Scale {
        /// The topics.
        topics: String,
        /// How many comments.
        beyond: usize,
        /// Of how many with stars.
        rated: usize,
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
    #[error("the network cannot be loaded into the engine: {0}")]
    Engine(EngineError),
    /// The candidate cannot be written as a model.
    #[error("the candidate cannot be stored: {0}")]
    Model(ModelError),
    /// No tokenizer can be trained.
    #[error("the tokenizer cannot be trained: {0}")]
    Text(TextError),
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] RnnError),
    /// Another version was promoted meanwhile.
    #[error(
        "another writer was first: entry {number} of the promotion log is {action} of {version} by {who} ({why:?}), while this \
         run compared its candidate with {parent}. The candidate was not promoted; run again to compare with the \
         current version",
        number = entry.number, who = entry.who, action = entry.action, version = entry.version, why = entry.why
    )]
    Overtaken {
        /// The version that was current at the start.
        parent: Version,
        /// What was written since.
        entry: Box<Entry>,
    },
    /// The corpus cannot be written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Training ended without a usable network.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A stop was requested.
    #[error("stopped before the end; nothing was published, and the next run starts from the beginning")]
    Stopped,
}

// Not `#[from]`: the message contains the cause, which would be printed a second time as the source.
impl From<BrokerError> for RetrainError {
    fn from(error: BrokerError) -> Self {
        RetrainError::History(error)
    }
}

impl From<EngineError> for RetrainError {
    fn from(error: EngineError) -> Self {
        RetrainError::Engine(error)
    }
}

impl From<ModelError> for RetrainError {
    fn from(error: ModelError) -> Self {
        RetrainError::Model(error)
    }
}

impl From<TextError> for RetrainError {
    fn from(error: TextError) -> Self {
        RetrainError::Text(error)
    }
}

impl RetrainError {
    /// Whether the arguments of the command are wrong.
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
