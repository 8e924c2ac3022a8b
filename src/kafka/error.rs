//! Which of Kafka's errors nobody can mend by trying again.

use crate::pipeline::PipelineError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

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
