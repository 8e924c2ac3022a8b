//! Topic IDs, which distinguish a topic from a later one of the same name (KIP-516).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::bindings::{
    rd_kafka_Uuid_least_significant_bits, rd_kafka_Uuid_most_significant_bits, rd_kafka_Uuid_t,
};
use std::fmt;

/// A topic's ID: 128 bits, chosen when the topic is created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(u128);

impl TopicId {
    /// From the halves as Kafka's `Uuid` has them; `None` for zero, which is "no ID".
    pub fn from_halves(most_significant: i64, least_significant: i64) -> Option<Self> {
        // Bits, not numbers.
        let bits = u128::from(most_significant as u64) << 64 | u128::from(least_significant as u64);
        (bits != 0).then_some(TopicId(bits))
    }

    /// Most and least significant half, as Kafka's `Uuid` has them.
    pub fn halves(self) -> (i64, i64) {
        ((self.0 >> 64) as i64, self.0 as i64)
    }

    /// A copy; `None` for null, and for zero: brokers before Kafka 2.8 have no IDs.
    ///
    /// # Safety
    /// `id` is null or a living ID.
    pub(super) unsafe fn copy(id: *const rd_kafka_Uuid_t) -> Option<Self> {
        if id.is_null() {
            return None;
        }
        // SAFETY: not null, and living as the caller promises.
        unsafe {
            Self::from_halves(
                rd_kafka_Uuid_most_significant_bits(id),
                rd_kafka_Uuid_least_significant_bits(id),
            )
        }
    }
}

impl fmt::Display for TopicId {
    /// As Kafka's tools print it: base64 for URLs, without padding. (Not `rd_kafka_Uuid_base64str`, which writes `+` and
    /// `/` where they write `-` and `_`.)
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printed_as_kafkas_tools_do() {
        // Kafka's `Uuid.METADATA_TOPIC_ID`, and one whose letters differ between the two alphabets.
        let metadata = TopicId::from_halves(0, 1).expect("not zero");
        assert_eq!(metadata.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = TopicId::from_halves(-1, i64::MIN).expect("not zero");
        assert_eq!(id.to_string(), "__________-AAAAAAAAAAA");
        assert_eq!(id.halves(), (-1, i64::MIN));
        assert_eq!(TopicId::from_halves(0, 0), None);
    }
}
