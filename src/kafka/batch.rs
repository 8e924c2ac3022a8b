//! The records of one turn, and what a bounded reader keeps beside them.

use crate::pipeline::scope::{Admission, Scope};
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
}

/// The records of one turn.
#[derive(Default)]
pub(crate) struct Batch<'c> {
    /// In the order in which they came.
    pub(crate) messages: Vec<BorrowedMessage<'c>>,
    /// By partition.
    pub(crate) spans: BTreeMap<i32, Span>,
    /// Bytes of keys and values.
    pub(crate) bytes: usize,
    /// Who we were in the group before the first record came.
    pub(crate) group: Option<ConsumerGroupMetadata>,
    /// Records that were passed over because of their time.
    pub(crate) outside: u64,
    /// Partitions that are done with this batch.
    pub(crate) finished: Vec<i32>,
    /// Partitions that are nobody's concern.
    pub(crate) foreign: Vec<i32>,
    /// Records that are not due yet, in the order in which they came; kept from turn to turn.
    pub(crate) held: Vec<(Instant, BorrowedMessage<'c>)>,
    /// Partitions whose last record is among them.
    pub(crate) held_to_end: BTreeSet<i32>,
}

impl<'c> Batch<'c> {
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.spans.clear();
        self.bytes = 0;
        self.group = None;
        self.outside = 0;
        self.finished.clear();
    }

    pub(crate) fn push(&mut self, message: BorrowedMessage<'c>) {
        self.bytes += message.payload_len() + message.key_len();
        self.extend(message.partition(), message.offset(), message.offset() + 1);
        self.messages.push(message);
    }

    /// The offsets from `first` to `next` are covered by this batch.
    pub(crate) fn extend(&mut self, partition: i32, first: i64, next: i64) {
        self.spans
            .entry(partition)
            .and_modify(|span| span.next = next)
            .or_insert(Span { first: first.min(next), next });
    }

    /// `partition` is done: its end is what is committed, whatever lies before it.
    pub(crate) fn finish(&mut self, partition: i32, end: i64) {
        if end < 0 {
            // No offset is known of a partition that is nobody's concern, and none is committed.
            self.foreign.push(partition);
        } else if !self.finished.contains(&partition) {
            self.extend(partition, end, end);
            self.finished.push(partition);
        }
    }

    /// Records that were looked at.
    pub(crate) fn seen(&self) -> usize {
        self.messages.len() + usize::try_from(self.outside).unwrap_or(usize::MAX)
    }

    /// Takes a record that is due, as it was admitted.
    pub(crate) fn take(&mut self, message: BorrowedMessage<'c>, admission: Admission) {
        match admission {
            Admission::Beyond(end) => self.finish(message.partition(), end),
            Admission::Outside => {
                self.extend(message.partition(), message.offset(), message.offset() + 1);
                self.outside += 1;
            }
            Admission::Inside(_) => self.push(message),
        }
    }

    /// Whether records of `partition` are not due yet.
    pub(crate) fn holds(&self, partition: i32) -> bool {
        self.held.iter().any(|(_, message)| message.partition() == partition)
    }

    /// `partition` was read to where it ends now, which is its end in `scope` at the earliest.
    pub(crate) fn reached_end(&mut self, partition: i32, scope: &Scope) {
        if self.holds(partition) {
            self.held_to_end.insert(partition);
        } else if let Some(&end) = scope.ends.get(&partition) {
            self.finish(partition, end);
        }
    }

    /// Nothing is to be answered, committed or waited for.
    pub(crate) fn is_untouched(&self) -> bool {
        self.spans.is_empty() && self.held.is_empty()
    }

    /// Gives up the records that are not due yet; [`Source::rewind`] brings them again.
    pub(crate) fn release(&mut self) {
        for (_, message) in std::mem::take(&mut self.held) {
            self.spans
                .entry(message.partition())
                .or_insert(Span { first: message.offset(), next: message.offset() });
        }
        self.held_to_end.clear();
        self.messages.clear();
    }
}
