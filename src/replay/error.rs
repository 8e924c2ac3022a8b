//! Why a replay cannot begin or had to end.

use crate::config::ConfigErrors;
use crate::kafka::BrokerError;
use crate::pipeline::PipelineError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a replay cannot begin or had to end.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The request is invalid: a retry fails the same way.
    #[error("{0}")]
    Usage(String),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] BrokerError),
    /// The workers failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A file could not be written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The state of an earlier process does not allow to continue.
    #[error("{0}")]
    State(String),
}

impl ReplayError {
    pub(super) fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        ReplayError::File { path: path.to_owned(), reason: reason.to_string() }
    }

    /// A topic is missing that `flag` names.
    pub(super) fn unknown_topic(topic: &str, flag: &str) -> Self {
        ReplayError::Usage(format!(
            "the topic `{topic}` ({flag}) does not exist; create it, or name another one"
        ))
    }
}

impl From<ConfigErrors> for ReplayError {
    fn from(errors: ConfigErrors) -> Self {
        ReplayError::Usage(errors.to_string())
    }
}
