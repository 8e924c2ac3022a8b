//! Records that a broker refused for what they are, not for the moment: trying them again changes nothing.
//!
//! With KIP-467 a broker names the records of a batch that it refuses. librdkafka reports those with the broker's code and
//! the innocent ones as `_INVALID_DIFFERENT_RECORD`. Other refusals concern a whole batch and name no record.

//!
//! Every code that a broker can answer to a write is in one of four groups: it passes (librdkafka tries again itself, or the batch
//! is tried again), it ends the process (credentials, rights, versions that do not fit), it says something about the records
//! (below), or it is none of these, and then it is treated as if it did. So none is tried again without end.

use super::error::ClientError;
use rdkafka::error::RDKafkaErrorCode;

/// What a refusal says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The broker names this record. Where it names several of a batch, librdkafka replaces its code by `InvalidRecord`,
    /// and the cause may be one that passes, such as a timestamp.
    Record,
    /// The broker names this record because of its timestamp.
    Timestamp,
    /// The broker refuses the batch that the record was in, and does not say because of which record.
    Batch,
    /// As [`RefusalKind::Batch`], and nothing is known of the cause: it may pass.
    Unclear,
    /// That batch is too large for the topic.
    Size,
}

/// A record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its number, as it was sent.
    pub(crate) record: usize,
    pub(crate) kind: RefusalKind,
    pub(crate) code: RDKafkaErrorCode,
}

impl Refusal {
    /// The refusal in a delivery report. `None` if the record is innocent, or may be delivered another time.
    pub(super) fn of(record: usize, code: RDKafkaErrorCode) -> Option<Self> {
        let kind = match code {
            RDKafkaErrorCode::InvalidRecord => RefusalKind::Record,
            RDKafkaErrorCode::InvalidTimestamp => RefusalKind::Timestamp,
            RDKafkaErrorCode::PolicyViolation => RefusalKind::Batch,
            RDKafkaErrorCode::MessageBatchTooLarge | RDKafkaErrorCode::MessageSizeTooLarge => {
                RefusalKind::Size
            }
            code if is_from_broker(code) && !passes(code) && !ends_process(code) => RefusalKind::Unclear,
            _ => return None,
        };
        Some(Refusal { record, kind, code })
    }
}

/// Whether a broker answered this. librdkafka's own codes are below: what they say is no answer to a record.
fn is_from_broker(code: RDKafkaErrorCode) -> bool {
    code as i32 >= RDKafkaErrorCode::Unknown as i32
}

/// Whether this is a matter of the moment: of leaders, coordinators, replicas and disks, or of the producer, which is replaced then.
fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        // A batch that was damaged on its way: librdkafka sends it again.
        Code::InvalidMessage
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::StaleControllerEpoch
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::OutOfOrderSequenceNumber
            | Code::DuplicateSequenceNumber
            | Code::InvalidProducerEpoch
            | Code::InvalidTransactionalState
            | Code::InvalidProducerIdMapping
            | Code::ConcurrentTransactions
            | Code::TransactionCoordinatorFenced
            | Code::KafkaStorageError
            | Code::UnknownProducerId
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::ThrottlingQuotaExceeded
            | Code::ProducerFenced
    )
}

/// Whether nothing can be written until somebody changes rights, settings or versions.
fn ends_process(code: RDKafkaErrorCode) -> bool {
    ClientError::refusal(code, "", "").is_some() || ClientError::unsupported(code, "").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    #[test]
    fn innocent_records_and_passing_errors_are_no_refusals() {
        for code in [
            Code::InvalidDifferentRecord,
            Code::PurgeQueue,
            Code::MessageTimedOut,
            Code::UnknownTopic,
            Code::NotEnoughReplicas,
            Code::InvalidMessage,
            Code::TopicAuthorizationFailed,
            Code::UnsupportedCompressionType,
        ] {
            assert_eq!(Refusal::of(3, code), None, "{code}");
        }
        let kind = |code| Refusal::of(3, code).unwrap().kind;
        assert_eq!(kind(Code::InvalidRecord), RefusalKind::Record);
        assert_eq!(kind(Code::InvalidTimestamp), RefusalKind::Timestamp);
        assert_eq!(kind(Code::PolicyViolation), RefusalKind::Batch);
        assert_eq!(kind(Code::MessageBatchTooLarge), RefusalKind::Size);
        assert_eq!(kind(Code::MessageSizeTooLarge), RefusalKind::Size);
    }

    #[test]
    fn an_answer_that_nobody_expects_is_a_refusal_too() {
        for code in [Code::Unknown, Code::InvalidRequest, Code::InvalidConfig, Code::SecurityDisabled] {
            assert_eq!(Refusal::of(3, code).unwrap().kind, RefusalKind::Unclear, "{code}");
        }
    }
}
