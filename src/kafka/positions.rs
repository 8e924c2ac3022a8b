//! The next offset that a consumer expects, by partition, and the partitions that are halted.
//!
//! Always holds: no record is handed out twice without a [`Positions::seek`] in between. librdkafka alone does not hold it:
//! when a record batch cannot be read (`check.crcs`), it reports an error and fetches again from before the batch, so that
//! sound records in front of it are delivered again and again.

use std::collections::{BTreeMap, BTreeSet};

/// The positions of one consumer.
#[derive(Debug, Default)]
pub(super) struct Positions {
    next: BTreeMap<i32, i64>,
    halted: BTreeSet<i32>,
}

impl Positions {
    /// Whether the record at `offset` of `partition` is handed out; if so, it is consumed.
    pub(super) fn consume(&mut self, partition: i32, offset: i64) -> bool {
        let next = self.next.entry(partition).or_insert(offset);
        if offset < *next || self.halted.contains(&partition) {
            return false;
        }
        *next = offset + 1;
        true
    }

    /// Reading of `partition` goes on at `offset`.
    pub(super) fn seek(&mut self, partition: i32, offset: i64) {
        self.next.insert(partition, offset);
    }

    /// Where reading of `partition` goes on, if that is known.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// From now on no record of `partition` is handed out.
    pub(super) fn halt(&mut self, partition: i32) {
        self.halted.insert(partition);
    }

    /// Records of `partition` are handed out again.
    pub(super) fn resume(&mut self, partition: i32) {
        self.halted.remove(&partition);
    }

    /// Whether `partition` is halted.
    pub(super) fn is_halted(&self, partition: i32) -> bool {
        self.halted.contains(&partition)
    }

    /// These partitions were assigned anew: they begin at their committed offsets, and nothing of them is halted.
    pub(super) fn assigned(&mut self, partitions: &BTreeSet<i32>) {
        for partition in partitions {
            self.next.remove(partition);
            self.halted.remove(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_delivered_again_is_not_handed_out_again() {
        let mut positions = Positions::default();
        let offsets = [5, 6, 8, 5, 6, 8, 9];
        let handed_out: Vec<_> = offsets.into_iter().filter(|&offset| positions.consume(0, offset)).collect();
        assert_eq!(handed_out, [5, 6, 8, 9], "gaps are normal: compaction, control records");
        assert!(positions.consume(1, 5), "positions are by partition");
        positions.seek(0, 6);
        assert!(
            !positions.consume(0, 5) && positions.consume(0, 6),
            "a batch that was aborted is read again"
        );
        positions.assigned(&BTreeSet::from([0]));
        assert!(positions.consume(0, 2), "a new assignment begins at the committed offset");
    }

    #[test]
    fn nothing_of_a_halted_partition_is_consumed() {
        let mut positions = Positions::default();
        assert!(positions.consume(0, 5));
        positions.halt(0);
        assert!(!positions.consume(0, 6));
        assert_eq!(positions.next(0), Some(6), "so that it can be read after the halt");
        positions.resume(0);
        assert!(positions.consume(0, 6));
    }
}
