//! Why dead letters cannot be shown or redriven.

use crate::config::ConfigErrors;
use crate::kafka::BrokerError;
use thiserror::Error;

/// Why dead letters cannot be shown or redriven.
#[derive(Debug, Error)]
pub enum DeadLetterError {
    /// The request is invalid: a retry fails the same way.
    #[error("{0}")]
    Usage(String),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] BrokerError),
    /// The contents of the topics do not allow it.
    #[error("{0}")]
    State(String),
}

impl DeadLetterError {
    /// A topic is missing that `flag` names.
    pub(super) fn unknown_topic(topic: &str, flag: &str) -> Self {
        DeadLetterError::Usage(format!(
            "the topic `{topic}` ({flag}) does not exist; create it, or name another one"
        ))
    }
}

impl From<ConfigErrors> for DeadLetterError {
    fn from(errors: ConfigErrors) -> Self {
        DeadLetterError::Usage(errors.to_string())
    }
}
