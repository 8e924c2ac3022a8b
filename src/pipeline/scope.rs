//! What workers are to answer where it is not everything for ever: a replay's range of offsets and times.

use super::pacer::Pacer;
use crate::kafka::events::PartitionStats;
use crate::telemetry::BatchStats;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The bounds of a process's work, and what it counts on the way. Shared by its workers.
#[derive(Debug, Default)]
pub struct Scope {
    /// The replay's ID, which verdicts carry in `nunchi-replay`.
    pub replay: String,
    /// By partition the offset at which it is done. Partitions that are not here are nobody's concern.
    pub ends: BTreeMap<i32, i64>,
    /// Records that are older than this (milliseconds of Unix time) are passed over.
    pub from_ms: Option<i64>,
    /// Records of this time or later are passed over.
    pub to_ms: Option<i64>,
    /// By index of the model's labels whether verdicts with it are written; all are if there is no list.
    pub labels: Option<Vec<bool>>,
    /// How fast.
    pub pacer: Pacer,
    /// What was committed.
    pub counts: Counts,
}

/// What this process committed.
#[derive(Debug, Default)]
pub struct Counts {
    /// Records within the range.
    pub answered: AtomicU64,
    /// Records between the offsets whose time is outside of the range.
    pub outside: AtomicU64,
    /// Verdicts that `--where-label` left out.
    pub left_out: AtomicU64,
    /// Dead letters.
    pub dead_letters: AtomicU64,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is to be answered, now or at this moment.
    Inside(Option<Instant>),
    /// Its time is outside of the range.
    Outside,
    /// It lies behind its partition's end, at this offset: the partition is done.
    Beyond(i64),
}

impl Scope {
    /// What is to be done with `message`.
    pub(crate) fn admit(&self, message: &BorrowedMessage<'_>) -> Admission {
        let end = self.ends.get(&message.partition()).copied().unwrap_or(i64::MIN);
        if message.offset() >= end {
            return Admission::Beyond(end);
        }
        let timestamp = message.timestamp().to_millis();
        if timestamp.is_some_and(|timestamp_ms| !self.covers(timestamp_ms)) {
            return Admission::Outside;
        }
        Admission::Inside(timestamp.and_then(|timestamp_ms| self.pacer.due(timestamp_ms)))
    }

    /// Whether from ≤ `timestamp_ms` < to.
    pub fn covers(&self, timestamp_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| from_ms <= timestamp_ms)
            && self.to_ms.is_none_or(|to_ms| timestamp_ms < to_ms)
    }

    /// What the statistics say of a partition, as if it ended where the scope does.
    pub(crate) fn bound(&self, partition: &PartitionStats) -> PartitionStats {
        let end = self.ends.get(&partition.partition).copied().unwrap_or(0);
        PartitionStats { last_stable: partition.last_stable.min(end), ..*partition }
    }

    /// Whether a verdict with the label of this index is to be written.
    pub(crate) fn writes(&self, label: usize) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.get(label).copied().unwrap_or(false))
    }

    /// A turn was committed.
    pub(crate) fn count(&self, turn: &BatchStats, outside: u64) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.counts.answered, turn.records());
        add(&self.counts.outside, outside);
        add(&self.counts.left_out, turn.left_out);
        add(&self.counts.dead_letters, turn.dead_letters.iter().sum());
    }
}
