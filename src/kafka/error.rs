//! Errors of requests to the brokers, and which of them no retry can mend.

use crate::pipeline::PipelineError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

/// Why a question to the brokers has no answer.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The brokers do not answer, or refuse.
    #[error("{doing} failed: {reason}")]
    Request {
        /// What was done.
        doing: String,
        /// What librdkafka said.
        reason: String,
    },
    /// There is no such topic.
    #[error("the topic `{0}` does not exist; create it, or name another one")]
    NoTopic(String),
}

impl BrokerError {
    pub(crate) fn request(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        BrokerError::Request { doing: doing.into(), reason: reason.to_string() }
    }
}

/// The error that ends the process, if `code` says that the brokers refuse us. `what` was being done.
pub(crate) fn refusal(code: RDKafkaErrorCode, brokers: &str, what: &str) -> Option<PipelineError> {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SSL => {
            Some(PipelineError::Authentication { brokers: brokers.to_owned(), reason: code.to_string() })
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => {
            Some(PipelineError::Authorization { what: what.to_owned(), reason: code.to_string() })
        }
        _ => None,
    }
}

/// The code in `error`, if it has one.
pub(crate) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    }
}
