//! The bounds of a replay's consumer: a range of offsets and times, and a rate.

use super::pacer::Pacer;
use super::statistics::PartitionStats;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;
use std::time::Instant;

/// What a process reads. Shared by its workers.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// By partition the offset at which it is done. Partitions that are not here are not read.
    pub(crate) ends: BTreeMap<i32, i64>,
    /// Records that are older than this (milliseconds of Unix time) are skipped.
    pub(crate) from_ms: Option<i64>,
    /// Records of this time or later are skipped.
    pub(crate) to_ms: Option<i64>,
    /// How fast records are read.
    pub(crate) pacer: Pacer,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is processed: at this time, or now.
    Inside(Option<Instant>),
    /// Its time is outside of the range.
    Outside,
    /// It lies behind its partition's end, at this offset: the partition is done.
    Beyond(i64),
}

impl Bounds {
    /// What is to be done with `message`.
    pub(super) fn admit(&self, message: &BorrowedMessage<'_>) -> Admission {
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
    fn covers(&self, timestamp_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| from_ms <= timestamp_ms)
            && self.to_ms.is_none_or(|to_ms| timestamp_ms < to_ms)
    }

    /// The statistics of a partition, limited to the bounds.
    pub(crate) fn limit(&self, partition: &PartitionStats) -> PartitionStats {
        let end = self.ends.get(&partition.partition).copied().unwrap_or(0);
        PartitionStats {
            last_stable: partition.last_stable.min(end),
            high: partition.high.min(end),
            ..*partition
        }
    }

    /// Whether every partition has reached its end; `reached` holds, by partition, the next offset to read.
    pub(crate) fn are_reached(&self, reached: &BTreeMap<i32, i64>) -> bool {
        self.ends.iter().all(|(partition, end)| reached.get(partition).is_some_and(|next| next >= end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_reached_when_every_partition_is() {
        let bounds = Bounds { ends: [(0, 10), (3, 7)].into(), ..Bounds::default() };
        assert!(!bounds.are_reached(&BTreeMap::new()));
        assert!(!bounds.are_reached(&[(0, 10), (3, 6)].into()));
        assert!(bounds.are_reached(&[(0, 12), (3, 7), (5, 0)].into()));
    }

    #[test]
    fn the_range_of_times_holds_its_beginning_and_not_its_end() {
        let bounds = Bounds { from_ms: Some(5), to_ms: Some(8), ..Bounds::default() };
        assert_eq!([4, 5, 7, 8].map(|ms| bounds.covers(ms)), [false, true, true, false]);
        assert!(Bounds::default().covers(i64::MIN));
    }
}
