//! Records that a broker refused for what they are, not for the moment: trying them again changes nothing.
//!
//! With KIP-467 a broker names the records of a batch that it refuses. librdkafka reports those with the broker's code and
//! the innocent ones as `_INVALID_DIFFERENT_RECORD`. Other refusals concern a whole batch and name no record.

use rdkafka::error::RDKafkaErrorCode;

/// What a refusal says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The broker names this record. Where it names several of a batch, librdkafka replaces its code by `InvalidRecord`,
    /// and the cause may be one that passes, such as a timestamp.
    Record,
    /// The broker refuses the batch that the record was in, and does not say because of which record.
    Batch,
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
            RDKafkaErrorCode::PolicyViolation => RefusalKind::Batch,
            RDKafkaErrorCode::MessageBatchTooLarge | RDKafkaErrorCode::MessageSizeTooLarge => {
                RefusalKind::Size
            }
            _ => return None,
        };
        Some(Refusal { record, kind, code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    #[test]
    fn innocent_records_and_passing_errors_are_no_refusals() {
        for code in
            [Code::InvalidDifferentRecord, Code::PurgeQueue, Code::InvalidTimestamp, Code::NotEnoughReplicas]
        {
            assert_eq!(Refusal::of(3, code), None, "{code}");
        }
        let kind = |code| Refusal::of(3, code).unwrap().kind;
        assert_eq!(kind(Code::InvalidRecord), RefusalKind::Record);
        assert_eq!(kind(Code::PolicyViolation), RefusalKind::Batch);
        assert_eq!(kind(Code::MessageBatchTooLarge), RefusalKind::Size);
    }
}
