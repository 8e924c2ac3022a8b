//! The records of one batch, and what a bounded consumer keeps beside them.

use super::bounds::{Admission, Bounds};
use super::headers::header_bytes;
use nunchi_librdkafka::{TopicId, message_leader_epoch};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The offsets of one partition within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Of the first record.
    pub(crate) first: i64,
    /// After the last record: what is committed.
    pub(crate) next: i64,
    /// The leader epoch of the last record (KIP-320), which is committed with the offset.
    pub(crate) epoch: Option<i32>,
}

/// The records of one batch.
#[derive(Default)]
pub(crate) struct Batch<'c> {
    /// In the order of arrival.
    pub(crate) messages: Vec<BorrowedMessage<'c>>,
    /// By partition.
    pub(crate) spans: BTreeMap<i32, Span>,
    /// Bytes of keys, values and headers.
    pub(crate) bytes: usize,
    /// The metadata of the group before the first record was polled.
    pub(crate) group: Option<ConsumerGroupMetadata>,
    /// The ID of the topic that they are from, which is committed too.
    pub(crate) topic_id: Option<TopicId>,
    /// Records that were skipped because of their time.
    pub(crate) outside: u64,
    /// Partitions that are done with this batch.
    pub(crate) finished: Vec<i32>,
    /// Partitions outside of the bounds.
    pub(super) unplanned: Vec<i32>,
    /// Records that are not due yet, in the order of arrival; kept from batch to batch.
    pub(super) held: Vec<(Instant, BorrowedMessage<'c>)>,
    /// Partitions whose last record is among them.
    pub(super) held_to_end: BTreeSet<i32>,
}

impl<'c> Batch<'c> {
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.spans.clear();
        self.bytes = 0;
        self.group = None;
        self.topic_id = None;
        self.outside = 0;
        self.finished.clear();
    }

    pub(super) fn push(&mut self, message: BorrowedMessage<'c>) {
        self.bytes += message.payload_len() + message.key_len() + header_bytes(&message);
        self.cover(&message);
        self.messages.push(message);
    }

    /// The offset of `message` is covered by this batch.
    fn cover(&mut self, message: &BorrowedMessage<'_>) {
        let epoch = message_leader_epoch(message);
        self.extend(message.partition(), Span { first: message.offset(), next: message.offset() + 1, epoch });
    }

    /// These offsets are covered by this batch.
    fn extend(&mut self, partition: i32, covered: Span) {
        let span = self.spans.entry(partition).or_insert(covered);
        (span.next, span.epoch) = (covered.next, covered.epoch);
    }

    /// `partition` is done: its end is committed, whatever the last record's offset.
    fn finish(&mut self, partition: i32, end: i64) {
        if end < 0 {
            // No offset is known of a partition outside of the bounds, and none is committed.
            self.unplanned.push(partition);
        } else if !self.finished.contains(&partition) {
            // Not the epoch of the last record: what follows it up to the end may be of a later one.
            self.extend(partition, Span { first: end, next: end, epoch: None });
            self.finished.push(partition);
        }
    }

    /// Records that were polled.
    pub(super) fn seen(&self) -> usize {
        self.messages.len() + usize::try_from(self.outside).unwrap_or(usize::MAX)
    }

    /// Takes a record that is due, as it was admitted.
    pub(super) fn take(&mut self, message: BorrowedMessage<'c>, admission: Admission) {
        match admission {
            Admission::Beyond(end) => self.finish(message.partition(), end),
            Admission::Outside => {
                self.cover(&message);
                self.outside += 1;
            }
            Admission::Inside(_) => self.push(message),
        }
    }

    /// Whether records of `partition` are not due yet.
    pub(super) fn holds(&self, partition: i32) -> bool {
        self.held.iter().any(|(_, message)| message.partition() == partition)
    }

    /// `partition` was read to where it ends now, which is its end in `bounds` at the earliest.
    pub(super) fn reached_end(&mut self, partition: i32, bounds: &Bounds) {
        if self.holds(partition) {
            self.held_to_end.insert(partition);
        } else if let Some(&end) = bounds.ends.get(&partition) {
            self.finish(partition, end);
        }
    }

    /// Nothing is to be written, committed or waited for.
    pub(super) fn is_untouched(&self) -> bool {
        self.spans.is_empty() && self.held.is_empty()
    }

    /// Releases the records that are not due yet; after [`super::consumer::Consumer::rewind`] they are read again.
    pub(crate) fn release(&mut self) {
        for (_, message) in std::mem::take(&mut self.held) {
            let offset = message.offset();
            self.spans.entry(message.partition()).or_insert(Span {
                first: offset,
                next: offset,
                epoch: None,
            });
        }
        self.held_to_end.clear();
        self.messages.clear();
    }
}
