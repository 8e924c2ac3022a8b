//! Headers of records as librdkafka lends them.

use nunchi_librdkafka::RawHeaders;
use rdkafka::message::{BorrowedMessage, Message};

/// Bytes of names and values of a message's headers. Copies nothing: librdkafka cuts a record's headers apart at the first
/// question, and the output needs them anyway. A record without headers costs one call that returns at once.
pub(super) fn header_bytes(message: &BorrowedMessage<'_>) -> usize {
    if message.headers().is_none() {
        return 0;
    }
    // Headers that cannot be read are lost, and take no room in what is written.
    RawHeaders::of_message(message).map_or(0, |headers| headers.bytes())
}
