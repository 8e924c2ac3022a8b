//! The consumer lag, by partition.
//!
//! On transactional topics the position never reaches the last stable offset by records alone: transactions end with
//! control records that no consumer receives. A partition read to its end has lag 0 regardless of the offsets.

use super::batch::Span;
use super::statistics::PartitionStats;
use crate::telemetry::WorkerMetrics;
use std::collections::{BTreeMap, BTreeSet};

/// Offsets up to which partitions are committed.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    committed: BTreeMap<i32, i64>,
    reported: BTreeSet<i32>,
}

impl Lag {
    /// A batch was committed.
    pub(crate) fn advance(&mut self, spans: &BTreeMap<i32, Span>) {
        for (&partition, span) in spans {
            self.committed.insert(partition, span.next);
        }
    }

    /// Reading of `partition` began at `offset`, unless something of it was committed since.
    pub(crate) fn begin(&mut self, partition: i32, offset: i64) {
        self.committed.entry(partition).or_insert(offset);
    }

    /// Reports the lag of a partition that is owned, and returns it; `None` while the end of the partition is unknown.
    pub(crate) fn observe(
        &mut self,
        partition: &PartitionStats,
        at_end: bool,
        metrics: &WorkerMetrics,
    ) -> Option<i64> {
        let lag = lag(partition, self.committed.get(&partition.partition).copied(), at_end);
        if let Some(records) = lag {
            metrics.set_lag(partition.partition, records);
            metrics.set_uncommitted_lag(partition.partition, uncommitted(partition));
            self.reported.insert(partition.partition);
        }
        lag
    }

    /// Removes the lag of other partitions: their owners report it.
    pub(crate) fn keep_only(&mut self, owned: &BTreeSet<i32>, metrics: &WorkerMetrics) {
        self.committed.retain(|partition, _| owned.contains(partition));
        self.reported.retain(|partition| {
            let kept = owned.contains(partition);
            if !kept {
                metrics.forget_lag(*partition);
            }
            kept
        });
    }

    /// Nothing is owned any more.
    pub(crate) fn forget(&mut self, metrics: &WorkerMetrics) {
        self.keep_only(&BTreeSet::new(), metrics);
    }
}

/// Records not processed yet; `None` while the end of the partition is unknown.
fn lag(partition: &PartitionStats, processed: Option<i64>, at_end: bool) -> Option<i64> {
    if partition.last_stable < 0 {
        return None;
    }
    let committed = if partition.committed >= 0 { partition.committed } else { partition.first.max(0) };
    let reached = if at_end { partition.next } else { processed.unwrap_or(committed) };
    Some((partition.last_stable - reached).max(0))
}

/// Records that no `read_committed` reader may see yet, since a transaction with records before them is open.
fn uncommitted(partition: &PartitionStats) -> i64 {
    (partition.high - partition.last_stable).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionStats = PartitionStats {
        partition: 0,
        last_stable: 100,
        high: 100,
        next: 100,
        committed: 40,
        first: 10,
        leader_reached: true,
        leader_epoch: None,
        stopped: false,
    };

    #[test]
    fn lag_counts_from_what_was_processed() {
        assert_eq!(lag(&PARTITION, Some(90), false), Some(10));
        assert_eq!(
            lag(&PARTITION, None, false),
            Some(60),
            "nothing processed yet: from the committed offset"
        );
        let fresh = PartitionStats { committed: -1001, ..PARTITION };
        assert_eq!(lag(&fresh, None, false), Some(90), "nothing committed yet: from the first record");
        let unknown = PartitionStats { last_stable: -1001, ..PARTITION };
        assert_eq!(lag(&unknown, Some(90), false), None);
    }

    #[test]
    fn records_behind_an_open_transaction_are_counted_apart() {
        assert_eq!(uncommitted(&PARTITION), 0);
        let open = PartitionStats { high: 130, ..PARTITION };
        assert_eq!((lag(&open, Some(100), true), uncommitted(&open)), (Some(0), 30));
        let unknown = PartitionStats { high: -1001, ..PARTITION };
        assert_eq!(uncommitted(&unknown), 0);
    }

    #[test]
    fn a_partition_read_to_its_end_has_no_lag_although_control_records_follow() {
        assert_eq!(lag(&PARTITION, Some(98), true), Some(0));
        let grown = PartitionStats { last_stable: 103, ..PARTITION };
        assert_eq!(lag(&grown, Some(98), true), Some(3));
    }
}
