//! Positions behind the last record: aborted transactions and control records, which no consumer receives.
//!
//! A partition that ends with such offsets would show a lag for ever to those who look at committed offsets
//! (`kafka-consumer-groups`, KEDA). Its position is committed once it is quiet.
//!
//! Always holds: an offset is due only if everything below it was handed out and committed. The statistics tell the position
//! that librdkafka fetches from; records below it are queued already. So the queue has to be seen empty after that.

use super::batch::Span;
use super::statistics::PartitionStats;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a partition has to be without records and commits. With statistics once a second, a commit comes within 5 s.
const QUIET_TIME: Duration = Duration::from_secs(3);

/// The partitions of one consumer.
#[derive(Debug, Default)]
pub(super) struct QuietTails {
    by_partition: BTreeMap<i32, Tail>,
}

#[derive(Debug)]
struct Tail {
    committed: i64,
    /// Of the last commit, or of the assignment.
    since: Instant,
    ready: Option<Span>,
}

impl QuietTails {
    /// `partition` was assigned, or committed, at `offset`.
    pub(super) fn committed(&mut self, partition: i32, offset: i64) {
        self.by_partition.insert(partition, Tail { committed: offset, since: Instant::now(), ready: None });
    }

    /// The assignment changed, or records were read: what was ready is not known to be right any more.
    pub(super) fn disturb(&mut self) {
        self.by_partition.values_mut().for_each(|tail| tail.ready = None);
    }

    /// Only these partitions are owned.
    pub(super) fn keep_only(&mut self, is_owned: impl Fn(i32) -> bool) {
        self.by_partition.retain(|&partition, _| is_owned(partition));
    }

    /// Statistics of a partition that is neither halted nor held. `handed_out` is behind the last record that was handed out.
    pub(super) fn observe(&mut self, stats: &PartitionStats, handed_out: Option<i64>, now: Instant) {
        let Some(tail) = self.by_partition.get_mut(&stats.partition) else { return };
        let is_at_end = stats.next == stats.last_stable && handed_out.is_none_or(|next| next <= stats.next);
        let is_quiet = now.duration_since(tail.since) >= QUIET_TIME;
        tail.ready = (is_at_end && is_quiet && stats.next > tail.committed).then_some(Span {
            first: tail.committed,
            next: stats.next,
            epoch: stats.leader_epoch,
        });
    }

    /// The queue was seen empty since the last statistics: what is to be committed.
    pub(super) fn take_due(&mut self) -> BTreeMap<i32, Span> {
        let ready = self.by_partition.iter_mut();
        ready.filter_map(|(&partition, tail)| Some((partition, tail.ready.take()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(next: i64, last_stable: i64) -> PartitionStats {
        PartitionStats { next, last_stable, leader_epoch: Some(4), ..PartitionStats::default() }
    }

    #[test]
    fn a_tail_is_due_once_it_was_quiet_and_read_to_its_end() {
        let mut tails = QuietTails::default();
        tails.committed(0, 10);
        let now = Instant::now();
        let later = now + QUIET_TIME;
        tails.observe(&stats(15, 15), Some(10), now);
        assert!(tails.take_due().is_empty(), "not quiet for long enough");
        tails.observe(&stats(14, 15), Some(10), later);
        assert!(tails.take_due().is_empty(), "something is still to be fetched");
        tails.observe(&stats(15, 15), Some(16), later);
        assert!(tails.take_due().is_empty(), "the statistics are older than the records");
        tails.observe(&stats(15, 15), Some(10), later);
        tails.disturb();
        assert!(tails.take_due().is_empty(), "records came after the statistics");
        tails.observe(&stats(15, 15), Some(10), later);
        assert_eq!(tails.take_due(), [(0, Span { first: 10, next: 15, epoch: Some(4) })].into());
        assert!(tails.take_due().is_empty(), "once");
        tails.committed(0, 15);
        tails.observe(&stats(15, 15), Some(10), later + QUIET_TIME);
        assert!(tails.take_due().is_empty(), "it is committed");
    }

    #[test]
    fn partitions_of_others_are_left_alone() {
        let mut tails = QuietTails::default();
        tails.committed(0, 10);
        tails.keep_only(|partition| partition != 0);
        tails.observe(&stats(15, 15), None, Instant::now() + QUIET_TIME);
        assert!(tails.take_due().is_empty());
    }
}
