//! Errors of Kafka's clients, and which of them no retry can mend.

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

/// Why a worker's consumer or producer cannot start or go on, although everything was tried that could mend it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A setting that librdkafka refuses.
    #[error("{0}")]
    Configuration(String),
    /// A topic is missing.
    #[error("the topic `{topic}` ({setting}) does not exist on {brokers}; create it, or name another one")]
    MissingTopic {
        /// The topic's name.
        topic: String,
        /// The setting that names it.
        setting: &'static str,
        /// `kafka.brokers`.
        brokers: String,
    },
    /// The brokers refuse who we are.
    #[error(
        "the brokers at {brokers} refuse our credentials ({reason}); check security.protocol and sasl.* under \
         [kafka.properties]"
    )]
    Authentication {
        /// `kafka.brokers`.
        brokers: String,
        /// What the broker or librdkafka said.
        reason: String,
    },
    /// The brokers know who we are and forbid what we need.
    #[error("the brokers forbid what is needed ({what}): {reason}; grant it to this client's principal")]
    Authorization {
        /// What was asked for.
        what: String,
        /// What the broker said.
        reason: String,
    },
    /// Another process took this producer's place.
    #[error(
        "another process with the transactional id `{transactional_id}` took over, or a transaction outlived its \
         time-out ({reason}); every process needs a `kafka.instance` of its own"
    )]
    Fenced {
        /// The id.
        transactional_id: String,
        /// What librdkafka said.
        reason: String,
    },
    /// Kafka failed in a way that trying again does not mend.
    #[error("worker {worker}: {doing} failed: {reason}")]
    Failed {
        /// The number of the worker whose client it is.
        worker: usize,
        /// What was done.
        doing: &'static str,
        /// What librdkafka said.
        reason: String,
    },
    /// The consumer cannot go on, whatever is tried.
    #[error("the consumer failed for good: {0}; start the process again")]
    Consumer(String),
}

impl ClientError {
    /// The error that ends the process, if `code` says that the brokers refuse us. `what` was being done.
    pub(crate) fn refusal(code: RDKafkaErrorCode, brokers: &str, what: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        match code {
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SSL => {
                Some(ClientError::Authentication { brokers: brokers.to_owned(), reason: code.to_string() })
            }
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed => {
                Some(ClientError::Authorization { what: what.to_owned(), reason: code.to_string() })
            }
            _ => None,
        }
    }
}

/// The code in `error`, if it has one.
pub(super) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    }
}

/// Whether a client with this fatal error (`Client::fatal_error`) was fenced by another one of its transactional id.
pub(crate) fn is_fenced(fatal: Option<&(RDKafkaErrorCode, String)>) -> bool {
    matches!(
        fatal,
        Some((
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch,
            _
        ))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_producer_of_the_same_id_fences_and_other_fatal_errors_do_not() {
        for code in [
            RDKafkaErrorCode::Fenced,
            RDKafkaErrorCode::ProducerFenced,
            RDKafkaErrorCode::InvalidProducerEpoch,
        ] {
            assert!(is_fenced(Some(&(code, String::new()))), "{code}");
        }
        assert!(!is_fenced(Some(&(RDKafkaErrorCode::OutOfOrderSequenceNumber, String::new()))));
        assert!(!is_fenced(None));
    }
}
