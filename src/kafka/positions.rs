//! The next offset that a consumer expects, by partition, and which partitions are halted or read to their ends.
//!
//! Always holds: no record is handed out twice without a [`Positions::seek`] in between. librdkafka alone does not hold it:
//! when a record batch cannot be read (`check.crcs`), it reports an error and fetches again from before the batch, so that
//! sound records in front of it are delivered again and again.

use super::resume::Position;
use std::collections::{BTreeMap, BTreeSet};

/// The positions of one consumer.
#[derive(Debug, Default)]
pub(super) struct Positions {
    next: BTreeMap<i32, Position>,
    /// Where reading began last: records from there on may be handed out, and need not be committed yet.
    begun: BTreeMap<i32, i64>,
    /// Where partitions go on that were moved, until a batch of them is committed: the committed offset is an old one.
    moved: BTreeMap<i32, i64>,
    halted: BTreeSet<i32>,
    /// Partitions with records that were handed out and are not committed.
    uncommitted: BTreeSet<i32>,
    /// Partitions that were read to their ends, and no record handed out since.
    ends: BTreeSet<i32>,
}

impl Positions {
    /// Whether the record at `offset` of `partition` is handed out; if so, it is consumed.
    pub(super) fn consume(&mut self, partition: i32, offset: i64, epoch: Option<i32>) -> bool {
        let next = self.next.entry(partition).or_insert(Position { offset, epoch });
        if offset < next.offset || self.halted.contains(&partition) {
            return false;
        }
        *next = Position { offset: offset + 1, epoch };
        self.uncommitted.insert(partition);
        self.ends.remove(&partition);
        true
    }

    /// Reading of `partition` goes on at `offset`.
    pub(super) fn seek(&mut self, partition: i32, offset: i64) {
        self.place(partition, Position { offset, epoch: None });
    }

    /// Reading of `partition` goes on at `position`.
    pub(super) fn place(&mut self, partition: i32, position: Position) {
        self.next.insert(partition, position);
        self.begun.insert(partition, position.offset);
        self.uncommitted.remove(&partition);
        self.ends.remove(&partition);
    }

    /// Reading of `partition` goes on at `offset`, whatever is committed.
    pub(super) fn move_to(&mut self, partition: i32, offset: i64) {
        self.seek(partition, offset);
        self.moved.insert(partition, offset);
    }

    /// Where `partition` was moved to, if nothing of it is committed since.
    pub(super) fn moved_to(&self, partition: i32) -> Option<i64> {
        self.moved.get(&partition).copied()
    }

    /// A batch with records of `partition` is committed.
    pub(super) fn committed(&mut self, partition: i32) {
        self.moved.remove(&partition);
        self.uncommitted.remove(&partition);
    }

    /// `partition` was read to its end.
    pub(super) fn reached_end(&mut self, partition: i32) {
        self.ends.insert(partition);
    }

    /// Whether `partition` was read to its end since reading of it began last, and all of it is committed. A batch that is
    /// still to be processed, or was aborted, is not: its records were read, and have to be read again.
    pub(super) fn is_done(&self, partition: i32) -> bool {
        self.ends.contains(&partition) && !self.uncommitted.contains(&partition)
    }

    /// Where reading of `partition` goes on, if that is known.
    pub(super) fn next(&self, partition: i32) -> Option<Position> {
        self.next.get(&partition).copied()
    }

    /// Where reading of `partition` began last, if that is known.
    pub(super) fn begun(&self, partition: i32) -> Option<i64> {
        self.begun.get(&partition).copied()
    }

    /// From now on no record of `partition` is handed out.
    pub(super) fn halt(&mut self, partition: i32) {
        self.halted.insert(partition);
        // It is to be read to its end again before the halt counts as over.
        self.ends.remove(&partition);
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
            self.begun.remove(partition);
            self.moved.remove(partition);
            self.halted.remove(partition);
            self.uncommitted.remove(partition);
            self.ends.remove(partition);
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
        let handed_out: Vec<_> =
            offsets.into_iter().filter(|&offset| positions.consume(0, offset, None)).collect();
        assert_eq!(handed_out, [5, 6, 8, 9], "gaps are normal: compaction, control records");
        assert!(positions.consume(1, 5, None), "positions are by partition");
        positions.seek(0, 6);
        assert!(
            !positions.consume(0, 5, None) && positions.consume(0, 6, None),
            "a batch that was aborted is read again"
        );
        positions.assigned(&BTreeSet::from([0]));
        assert!(positions.consume(0, 2, None), "a new assignment begins at the committed offset");
    }

    #[test]
    fn a_partition_is_done_at_its_end_when_all_of_it_is_committed() {
        let mut positions = Positions::default();
        positions.seek(0, 5);
        assert!(positions.consume(0, 5, None));
        positions.reached_end(0);
        assert!(!positions.is_done(0), "the record is not committed");
        positions.seek(0, 5);
        assert!(!positions.is_done(0), "after an abort it is read again");
        assert_eq!(positions.begun(0), Some(5));
        assert!(positions.consume(0, 5, None));
        positions.reached_end(0);
        positions.committed(0);
        assert!(positions.is_done(0), "an end that was reached before the commit counts after it");
        assert!(positions.consume(0, 6, None) && !positions.is_done(0));
        positions.committed(0);
        assert!(!positions.is_done(0), "whether more follows is not known");
        positions.reached_end(0);
        positions.halt(0);
        assert!(!positions.is_done(0), "it is to be read to its end again");
    }

    #[test]
    fn nothing_of_a_halted_partition_is_consumed() {
        let mut positions = Positions::default();
        assert!(positions.consume(0, 5, Some(3)));
        positions.halt(0);
        assert!(!positions.consume(0, 6, Some(3)));
        assert_eq!(
            positions.next(0),
            Some(Position { offset: 6, epoch: Some(3) }),
            "so that it can be read after the halt"
        );
        positions.resume(0);
        assert!(positions.consume(0, 6, Some(3)));
    }
}
