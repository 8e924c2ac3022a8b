//! What became of the records of a transactional writer: the first one that was not delivered. A commit that failed says
//! only that something in it did.

use super::error::code;
use super::events;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::debug;

/// The first failure since the last transaction began. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteFailures(Arc<Mutex<Option<KafkaError>>>);

impl WriteFailures {
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn first(&self) -> Option<KafkaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &KafkaError) {
        // An abort purges what waits: that says nothing of the records.
        let is_purged =
            matches!(code(error), Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight));
        if !is_purged {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for WriteFailures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        events::guarded("delivery", || {
            if let Err((error, _)) = result {
                self.note(error);
            }
        });
    }
}

impl ClientContext for WriteFailures {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        events::guarded("error", || debug!(%error, reason, "a transactional writer reports an error"));
    }
}

/// Whether a record was refused for what it is or where it goes, so that neither time nor another try helps, and others of
/// its transaction may be fine.
pub(crate) fn is_refused_record(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code(error),
        Some(
            Code::MessageSizeTooLarge
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::InvalidRecord
                | Code::InvalidTimestamp
                | Code::PolicyViolation
                | Code::MessageBatchTooLarge
                | Code::UnknownPartition
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::InvalidTopic
                | Code::TopicAuthorizationFailed
                | Code::InvalidDifferentRecord
        )
    )
}
