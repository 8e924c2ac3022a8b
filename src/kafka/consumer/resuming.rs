//! The consumer's side of [`resume`](crate::kafka::resume): takes over where partitions were placed, has the leader epochs validated,
//! goes on with halted partitions, and commits the positions of quiet ones.

use super::{Consumer, REWIND_TIMEOUT, Unusable};
use crate::kafka::batch::Span;
use crate::kafka::events::Placed;
use crate::kafka::placement::Notice;
use crate::kafka::resume::{Position, Reset, Seen};
use crate::kafka::statistics::PartitionStats;
use nunchi_librdkafka::set_leader_epoch;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::debug;

/// Pause before positions are validated again that librdkafka has not begun with.
const VALIDATION_PAUSE: Duration = Duration::from_millis(20);
/// How often that is tried before the consumer is replaced.
const MAX_VALIDATION_ATTEMPTS: u32 = 250;

impl Consumer {
    /// Goes on with `partition` where it was halted; it stays halted, with a notice, if that is beyond the end.
    ///
    /// # Errors
    /// The brokers do not answer, or librdkafka refuses.
    pub(crate) fn resume(&self, partition: i32) -> Result<(), String> {
        let next = self.positions.borrow().next(partition);
        let mut position = next;
        if let Some((placer, next)) = self.consumer.context().placer().zip(next) {
            let placement = placer.place_again(&self.consumer, partition, next)?;
            position = placement.positions.get(&partition).copied();
            let mut placed = Placed::default();
            placed.extend(placement);
            let is_unreadable = placed.unreadable().next().is_some();
            self.settle(placed);
            if is_unreadable {
                return Ok(());
            }
        }
        self.positions.borrow_mut().resume(partition);
        if let Some(position) = position {
            self.begin_again(partition, position).map_err(|error| error.to_string())?;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.consumer.resume(&list).map_err(|error| error.to_string())
    }

    /// Goes to `position`; a partition that librdkafka has stopped cannot be sought, and is assigned once more.
    fn begin_again(&self, partition: i32, position: Position) -> Result<(), KafkaError> {
        let Err(error) = self.seek(&[(partition, position)].into()) else { return Ok(()) };
        debug!(%error, partition, "the partition is assigned again, it cannot be sought");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(position.offset))?;
        set_leader_epoch(&mut list, &self.topic, partition, position.epoch)
            .expect("the partition was added just now");
        self.consumer.incremental_unassign(&list)?;
        self.consumer.incremental_assign(&list)
    }

    /// Goes to these positions; librdkafka validates those with a leader epoch.
    fn seek(&self, positions: &BTreeMap<i32, Position>) -> Result<(), KafkaError> {
        let mut targets = TopicPartitionList::new();
        for (&partition, position) in positions {
            targets.add_partition_offset(&self.topic, partition, Offset::Offset(position.offset))?;
            set_leader_epoch(&mut targets, &self.topic, partition, position.epoch)
                .expect("the partition was added just now");
        }
        let sought = self.consumer.seek_partitions(targets, REWIND_TIMEOUT)?;
        sought.elements().iter().try_for_each(|element| element.error())
    }

    /// Takes over the positions of partitions that were placed.
    fn settle(&self, placed: Placed) {
        let context = self.consumer.context();
        for (&partition, &position) in &placed.positions {
            let mut positions = self.positions.borrow_mut();
            if placed.moved.contains(&partition) {
                positions.move_to(partition, position.offset);
            } else {
                positions.place(partition, position);
            }
            self.tails.borrow_mut().committed(partition, position.offset);
        }
        for partition in placed.unreadable() {
            self.halt(partition);
        }
        // At once, or a restart would find the old offset, and decide and count again.
        let span = |partition: &i32| {
            let next = placed.positions[partition].offset;
            (*partition, Span { first: next, next, epoch: None })
        };
        let spans: BTreeMap<i32, Span> = placed.moved.iter().map(span).collect();
        if !spans.is_empty()
            && let Err(error) = self.commit(&spans, context.topic_id())
        {
            debug!(%error, "the positions of partitions that were moved are committed with their first batch");
            placed.moved.iter().for_each(|&partition| self.tails.borrow_mut().committed(partition, -1));
        }
        self.notices.borrow_mut().extend(placed.notices);
    }

    /// Has librdkafka validate the leader epochs of positions that were placed. False if it is not ready to.
    pub(super) fn validate(&self) -> bool {
        let mut unvalidated = self.unvalidated.borrow_mut();
        let assigned = self.assigned();
        unvalidated.retain(|partition, _| assigned.contains(partition));
        if unvalidated.is_empty() {
            return true;
        }
        match self.seek(&unvalidated) {
            Ok(()) => {
                unvalidated.clear();
                self.validation_attempts.set(0);
                true
            }
            Err(error) => {
                let attempts = self.validation_attempts.get() + 1;
                self.validation_attempts.set(attempts);
                if attempts >= MAX_VALIDATION_ATTEMPTS {
                    // One of them stopped already: its log moved on since it was placed.
                    self.consumer.context().fail(format!("the positions cannot be validated: {error}"));
                }
                debug!(%error, "the positions cannot be validated yet");
                std::thread::sleep(VALIDATION_PAUSE);
                false
            }
        }
    }

    /// What there is to report about partitions since the last call.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Where reading of `partition` began last, if that is known.
    pub(crate) fn begun(&self, partition: i32) -> Option<i64> {
        self.positions.borrow().begun(partition)
    }

    /// Takes over partitions that were assigned.
    pub(super) fn take_assigned(&self) {
        let context = self.consumer.context();
        let assigned = context.take_newly_assigned();
        if assigned.is_empty() {
            return;
        }
        self.resume_assigned(&assigned);
        self.positions.borrow_mut().assigned(&assigned);
        let mut placed = context.take_placed();
        placed.keep_only(&context.assigned());
        let unreadable: BTreeSet<i32> = placed.unreadable().collect();
        self.unvalidated.borrow_mut().extend(
            placed
                .positions
                .iter()
                .filter(|(partition, position)| position.epoch.is_some() && !unreadable.contains(partition))
                .map(|(&partition, &position)| (partition, position)),
        );
        self.stopped.borrow_mut().clear();
        self.settle(placed);
    }

    /// Fetches partitions that were halted before they were lost and `assigned` again: librdkafka keeps their pause over that.
    /// Without this nobody would read them, and no halt would say so.
    fn resume_assigned(&self, assigned: &BTreeSet<i32>) {
        let positions = self.positions.borrow();
        let mut list = TopicPartitionList::new();
        for &partition in assigned.iter().filter(|&&partition| positions.is_halted(partition)) {
            list.add_partition(&self.topic, partition);
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.resume(&list) {
            debug!(%error, "partitions that were assigned again cannot be resumed");
        }
    }

    /// The topic was made again: this consumer ends, and its successor begins at the beginning of the new one. What this one
    /// handed out is from the old one.
    pub(super) fn leave_old_topic(&self) {
        self.see(&BTreeMap::new());
        self.consumer.context().fail("the input topic was deleted and created again".to_owned());
    }

    /// Keeps what is known of the partitions for whoever places them next; `ends` are their last stable offsets, if known anew.
    fn see(&self, ends: &BTreeMap<i32, i64>) {
        let context = self.consumer.context();
        let Some(placer) = context.placer() else { return };
        let topic_id = context.topic_id();
        for partition in context.assigned() {
            let known = placer.live.seen(partition).filter(|seen| seen.topic_id == topic_id);
            let end = ends.get(&partition).copied().or(known.map(|seen| seen.end));
            let next = self.positions.borrow().next(partition);
            if let Some((end, next)) = end.zip(next) {
                placer.live.see(partition, Seen { next: next.offset, end, topic_id });
            }
        }
    }

    /// A batch with these offsets is committed.
    pub(crate) fn committed(&self, spans: &BTreeMap<i32, Span>) {
        for (&partition, span) in spans {
            self.positions.borrow_mut().committed(partition);
            self.tails.borrow_mut().committed(partition, span.next);
        }
    }

    /// Commits the positions of partitions that are quiet, where they are beyond the last record.
    pub(crate) fn commit_quiet_tails(&self) -> Result<(), Unusable> {
        if !self.idle.get() {
            return Ok(());
        }
        let due = self.tails.borrow_mut().take_due();
        if due.is_empty() {
            return Ok(());
        }
        match self.commit(&due, self.consumer.context().topic_id()) {
            Ok(()) => {
                for (&partition, span) in &due {
                    self.tails.borrow_mut().committed(partition, span.next);
                }
                Ok(())
            }
            // It might still be carried out, behind a later one: only another generation of the group rules that out.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                Err(Unusable(format!("committing the position of quiet partitions: {error}")))
            }
            Err(error) => {
                debug!(%error, "the position of quiet partitions is not committed");
                Ok(())
            }
        }
    }

    /// The statistics of the partitions came. Returns the reason if librdkafka refuses to go on with one: it can only be placed
    /// again by another assignment.
    pub(crate) fn observe(&self, statistics: &[PartitionStats]) -> Option<String> {
        let context = self.consumer.context();
        let placer = context.placer()?;
        let assigned = context.assigned();
        let now = Instant::now();
        let mut tails = self.tails.borrow_mut();
        tails.keep_only(|partition| assigned.contains(&partition));
        let (mut ends, mut stopped) = (BTreeMap::new(), BTreeSet::new());
        for partition in statistics.iter().filter(|partition| assigned.contains(&partition.partition)) {
            let (number, positions) = (partition.partition, self.positions.borrow());
            if partition.last_stable >= 0 {
                ends.insert(number, partition.last_stable);
            }
            if positions.is_halted(number) {
                // It is begun again when it is tried again ([`Consumer::resume`]), whatever librdkafka makes of it meanwhile:
                // behind a batch that it cannot read it may ask for an offset that there is not.
                continue;
            }
            if partition.stopped {
                stopped.insert(number);
            } else if positions.is_done(number) {
                // Only there: after an abort the statistics may be those of before, with records below their position that
                // are to be read again.
                tails.observe(partition, positions.next(number).map(|next| next.offset), now);
            }
        }
        drop(tails);
        if context.is_recreated() {
            return None;
        }
        self.see(&ends);
        // Until librdkafka has begun with a partition it does not fetch it either: twice in a row, or with an error.
        let resets = context.take_resets();
        let before = self.stopped.replace(stopped.clone());
        let refused: Vec<i32> = stopped
            .into_iter()
            .filter(|partition| !resets.is_empty() || before.contains(partition))
            .collect();
        if refused.is_empty() {
            return None;
        }
        for &partition in &refused {
            if let Some(position) = self.positions.borrow().next(partition) {
                placer
                    .live
                    .note_reset(partition, Reset { position, common_end: common_end(&resets, position) });
            }
        }
        Some(format!("partitions {refused:?} cannot be read from their positions: {}", resets.join("; ")))
    }
}

/// Where the log stopped to be the one that was read up to `position`, as librdkafka says it: "Partition log truncation detected
/// at offset 80 (leader epoch 3): broker end offset is 70 (offset leader epoch 2). Reset to INVALID."
fn common_end(resets: &[String], position: Position) -> Option<i64> {
    let at =
        format!("at offset {} (leader epoch {}): broker end offset is ", position.offset, position.epoch?);
    resets.iter().find_map(|reset| {
        let end = reset.split_once(&at)?.1.split(' ').next()?;
        end.parse().ok().filter(|&end: &i64| end >= 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_log_was_truncated_is_read_from_librdkafkas_message() {
        let resets = [
            "fetch failed due to requested offset not available on the broker: Broker: Offset out of range (broker 1)",
            "Partition log truncation detected at offset 80 (leader epoch 3): broker end offset is 70 (offset leader \
             epoch 2). Reset to INVALID.: Local: Log truncation (broker 1)",
        ]
        .map(str::to_owned);
        let at = |offset, epoch| common_end(&resets, Position { offset, epoch });
        assert_eq!((at(80, Some(3)), at(81, Some(3)), at(80, None)), (Some(70), None, None));
    }
}
