//! Errors of Kafka's clients, and which of them are fatal.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

/// Why a request to the brokers failed.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The brokers do not answer, or refuse.
    #[error("{doing} failed: {reason}")]
    Request {
        /// What was done.
        doing: String,
        /// librdkafka's error.
        reason: String,
    },
    /// A batch of a partition cannot be read.
    #[error(
        "partition {partition} of `{topic}` cannot be read at offset {offset}: {reason}; restore the partition from \
         another replica or a backup (input.on_corrupt is about `run` and `replay`; see OPERATIONS.md, Halted partitions)"
    )]
    Corrupt {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that cannot be read.
        offset: i64,
        /// librdkafka's error.
        reason: String,
    },
    /// There is no such topic.
    #[error("the topic `{0}` does not exist; create it, or set another one")]
    NoTopic(String),
    /// The brokers refuse credentials or rights, or TLS fails.
    #[error("{doing} failed: {error}")]
    Refused {
        /// What was done.
        doing: String,
        /// What was refused.
        error: Box<ClientError>,
    },
}

impl BrokerError {
    pub(crate) fn request(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        BrokerError::Request { doing: doing.into(), reason: reason.to_string() }
    }

    /// As [`BrokerError::request`], for an error of a client: one that says that the brokers refuse is told apart.
    pub(crate) fn client(doing: impl Into<String>, error: &KafkaError, brokers: &str) -> Self {
        let doing = doing.into();
        match code(error).and_then(|code| ClientError::refusal(code, brokers, &doing)) {
            Some(error) => BrokerError::Refused { doing, error: Box::new(error) },
            None => BrokerError::request(doing, error),
        }
    }
}

/// Why a worker's consumer or producer cannot start or continue, after all retries.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A setting that librdkafka refuses.
    #[error("{0}")]
    Configuration(String),
    /// A topic is missing.
    #[error("the topic `{topic}` ({setting}) does not exist on {brokers}; create it, or set another one")]
    MissingTopic {
        /// The topic's name.
        topic: String,
        /// The setting that names it.
        setting: &'static str,
        /// `kafka.brokers`.
        brokers: String,
    },
    /// The topic that a range is read of is not the one that it was.
    #[error(
        "the topic `{topic}` was deleted and created again while it was read: the records of the range are not in it any \
         more; plan the range anew"
    )]
    Recreated {
        /// The topic's name.
        topic: String,
    },
    /// The brokers refuse the credentials.
    #[error(
        "the brokers at {brokers} refuse the credentials ({reason}); check security.protocol and sasl.* under \
         [kafka.properties]"
    )]
    Authentication {
        /// `kafka.brokers`.
        brokers: String,
        /// The broker's or librdkafka's error.
        reason: String,
    },
    /// TLS fails.
    #[error("{0}")]
    Tls(String),
    /// The brokers accept the credentials and deny an operation.
    #[error("the brokers deny an operation ({what}): {reason}; grant it to this client's principal")]
    Authorization {
        /// The operation.
        what: String,
        /// The broker's error.
        reason: String,
    },
    /// Another producer with the same transactional id fenced this one.
    #[error(
        "fenced: another process with the transactional id `{transactional_id}` is running, and fenced this one \
         repeatedly ({reason}); set a different `kafka.instance` for every process"
    )]
    Fenced {
        /// The id.
        transactional_id: String,
        /// librdkafka's error.
        reason: String,
    },
    /// A client call failed and cannot be retried.
    #[error("worker {worker}: {doing} failed: {reason}")]
    Failed {
        /// The number of the worker whose client it is.
        worker: usize,
        /// What was done.
        doing: &'static str,
        /// librdkafka's error.
        reason: String,
    },
    /// The consumer has a fatal error.
    #[error("the consumer has a fatal error: {0}; restart the process")]
    Consumer(String),
}

impl ClientError {
    /// The error that ends the process, if `code` is an authentication or authorization error. `what` is the operation.
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

    /// The error that ends the process, if `code` says that the brokers cannot take what this process writes to `topic`,
    /// whatever the records are.
    pub(crate) fn unsupported(code: RDKafkaErrorCode, topic: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        let remedy = match code {
            Code::UnsupportedCompressionType => "set another compression.codec under [kafka.producer]",
            Code::UnsupportedForMessageFormat => {
                "raise message.format.version of the topic: transactions and headers need 0.11 or newer"
            }
            Code::UnsupportedVersion | Code::InvalidRequiredAcks => "use brokers of Kafka 2.5 or newer",
            _ => return None,
        };
        Some(ClientError::Configuration(format!(
            "the brokers cannot take what is written to topic `{topic}` ({code}): {remedy}"
        )))
    }
}

/// The code in `error`, if it has one.
pub(crate) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
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
    fn what_brokers_do_not_support_ends_the_process_with_a_remedy() {
        let error = ClientError::unsupported(RDKafkaErrorCode::UnsupportedCompressionType, "verdicts");
        let message = error.unwrap().to_string();
        assert!(message.contains("`verdicts`") && message.contains("compression.codec"), "{message}");
        assert!(ClientError::unsupported(RDKafkaErrorCode::PolicyViolation, "verdicts").is_none());
    }

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
