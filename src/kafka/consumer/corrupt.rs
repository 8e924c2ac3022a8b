//! What a consumer knows of batches that it cannot read: which of its partitions they are in, and how to go on behind them.

use super::{Consumer, REWIND_TIMEOUT, Unusable};
use crate::kafka::batch::{Batch, Span};
use crate::kafka::bounds::Bounds;
use crate::kafka::corruption::Corruption;
use crate::kafka::probe::{Found, Probe};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};

/// A batch that cannot be read, in a partition of this consumer.
#[derive(Clone, Debug)]
pub(crate) struct CorruptBatch {
    pub(crate) partition: i32,
    /// The first offset that is missing.
    pub(crate) first: i64,
    /// Why, in librdkafka's words.
    pub(crate) reason: String,
}

impl Consumer {
    /// The batches that could not be read since the last call. Nothing is drained before they were taken.
    pub(crate) fn take_corrupt(&self) -> Vec<Corruption> {
        self.consumer.context().take_corrupt()
    }

    /// These are still to be dealt with.
    pub(crate) fn put_back_corrupt(&self, corrupt: &[Corruption]) {
        self.consumer.context().put_back_corrupt(corrupt);
    }

    /// Finds the partition of a batch that cannot be read, other than those `found` before. From now on the consumer's
    /// position there is in front of it.
    ///
    /// # Errors
    /// It is not found, or the brokers do not answer: this consumer may have passed over it, and must not go on.
    pub(crate) fn locate(
        &self,
        probe: &Probe,
        corruption: &Corruption,
        found: &[i32],
        beat: &dyn Fn(),
    ) -> Result<CorruptBatch, Unusable> {
        let position = |partition| Some(self.positions.borrow().next(partition)?.offset);
        let mut candidates: Vec<i32> =
            self.assigned().into_iter().filter(|partition| !found.contains(partition)).collect();
        // Those that are in front of it first.
        candidates.sort_by_key(|&partition| position(partition).is_some_and(|next| next > corruption.offset));
        for partition in candidates {
            let start = position(partition).unwrap_or(corruption.offset).max(corruption.offset);
            let looked = probe.look(partition, start, beat).map_err(Unusable)?;
            let Found::Corrupt(seen) = looked else { continue };
            if seen.is_first && seen.offset != corruption.offset {
                continue;
            }
            let first = self.pin(partition, start)?;
            return Ok(CorruptBatch { partition, first, reason: seen.reason });
        }
        Err(Unusable(format!("a batch could not be read, but it can be read now: {}", corruption.reason)))
    }

    /// The position in `partition`, which becomes `start` or the committed offset if it is not known yet.
    fn pin(&self, partition: i32, start: i64) -> Result<i64, Unusable> {
        let known = self.positions.borrow().next(partition).map(|position| position.offset);
        let next = match known {
            Some(next) => next,
            None if !self.grouped => start,
            None => {
                let mut list = TopicPartitionList::new();
                list.add_partition(&self.topic, partition);
                let committed = self
                    .consumer
                    .committed_offsets(list, REWIND_TIMEOUT)
                    .map_err(|error| Unusable(format!("reading committed offsets: {error}")))?;
                match committed
                    .elements()
                    .first()
                    .map(rdkafka::topic_partition_list::TopicPartitionListElem::offset)
                {
                    Some(Offset::Offset(committed)) => committed.max(start),
                    _ => start,
                }
            }
        };
        self.positions.borrow_mut().seek(partition, next);
        Ok(next.max(start))
    }

    /// A batch without records that moves `partition` from `first` to behind `last`, or to its end in `bounds`.
    pub(crate) fn passing_over(
        &self,
        partition: i32,
        first: i64,
        last: i64,
        bounds: Option<&Bounds>,
    ) -> Batch<'_> {
        let mut batch = Batch {
            group: self.consumer.group_metadata(),
            topic_id: self.consumer.context().topic_id(),
            ..Batch::default()
        };
        match bounds.and_then(|bounds| bounds.ends.get(&partition)).copied() {
            Some(end) if last + 1 >= end => {
                batch.spans.insert(partition, Span { first: first.min(end), next: end, epoch: None });
                batch.finished.push(partition);
            }
            _ => {
                batch.spans.insert(partition, Span { first, next: last + 1, epoch: None });
            }
        }
        batch
    }

    /// Goes on at `offset` of `partition`.
    pub(crate) fn go_on_at(&self, partition: i32, offset: i64) -> Result<(), Unusable> {
        self.positions.borrow_mut().seek(partition, offset);
        self.consumer
            .seek(&self.topic, partition, Offset::Offset(offset), REWIND_TIMEOUT)
            .map_err(|error| Unusable(format!("seeking behind a batch that cannot be read: {error}")))
    }
}
