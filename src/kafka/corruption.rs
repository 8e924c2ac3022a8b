//! What librdkafka reports of record batches that cannot be read: a wrong checksum, a codec that fails or is unknown, a broker
//! that finds its own log corrupt.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A batch that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Corruption {
    /// Its first offset, or where reading it was tried.
    pub(crate) offset: i64,
    /// Whether it is the first offset: brokers that find their own log corrupt do not say.
    pub(crate) is_first: bool,
    /// librdkafka's reason.
    pub(crate) reason: String,
}

impl Corruption {
    /// What an error of a consumer says, if it is about a batch that cannot be read.
    pub(super) fn of(error: &KafkaError, reason: &str) -> Option<Self> {
        let code = error.rdkafka_error_code()?;
        if !is_corruption(code) {
            return None;
        }
        let is_first = code != RDKafkaErrorCode::InvalidMessage;
        Some(Corruption { offset: offset_in(reason)?, is_first, reason: reason.to_owned() })
    }
}

/// Whether librdkafka reports a batch that cannot be read with this code.
pub(super) fn is_corruption(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::InvalidMessage
    )
}

/// The offset in "MessageSet at offset 7 (…)", "Decompression (codec 0x4) of message at 7 of 99 bytes failed: …", "Fetch
/// from broker 1 failed at offset 7 (leader epoch 0): …".
fn offset_in(reason: &str) -> Option<i64> {
    let behind = |mark: &str| reason.split_once(mark).map(|(_, rest)| rest);
    let rest = behind(" at offset ").or_else(|| behind(" message at "))?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_found_in_each_form_of_the_report() {
        let found =
            |code, reason| Corruption::of(&KafkaError::Global(code), reason).map(|found| found.offset);
        let crc = "MessageSet at offset 1234 (99 bytes) failed CRC32C check (original 0x1 != calculated 0x2)";
        assert_eq!(found(RDKafkaErrorCode::BadMessage, crc), Some(1234));
        let codec =
            "Decompression (codec 0x4) of message at 17 of 99 bytes failed: Local: Invalid compressed data";
        assert_eq!(found(RDKafkaErrorCode::BadCompression, codec), Some(17));
        let broker = "Fetch from broker 1 failed at offset 7 (leader epoch 0): Broker: Invalid message";
        assert_eq!(found(RDKafkaErrorCode::InvalidMessage, broker), Some(7));
        let magic = "Unsupported Message(Set) MagicByte 9 at offset 5";
        assert_eq!(found(RDKafkaErrorCode::NotImplemented, magic), Some(5));
        assert_eq!(found(RDKafkaErrorCode::NotImplemented, "a feature"), None);
        assert_eq!(found(RDKafkaErrorCode::BrokerTransportFailure, broker), None);
    }
}
