//! Headers of records, borrowed from librdkafka.

use nunchi_librdkafka::RawHeaders;
use rdkafka::message::{BorrowedMessage, Message};

/// Bytes of names and values of a message's headers. Copies nothing: librdkafka parses a record's headers at the first
/// access, and the output needs them anyway. A record without headers costs one call that returns at once.
pub(super) fn header_bytes(message: &BorrowedMessage<'_>) -> usize {
    if message.headers().is_none() {
        return 0;
    }
    // Headers that cannot be read are lost, and do not count for the size of the output.
    RawHeaders::of_message(message).map_or(0, |headers| headers.bytes())
}
