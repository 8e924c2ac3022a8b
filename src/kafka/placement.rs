//! Partitions that were assigned are placed: committed offsets and the ends of the log are requested, and
//! [`resume`](super::resume) decides where reading begins.

use super::live_topics::LiveTopics;
use super::resume::{Known, LogRange, LossReason, Position, Resume, decide, names};
use crate::config::BeyondEnd;
use nunchi_librdkafka::{
    DescribeOptions, TopicId, commit_metadata, describe_topics, leader_epoch, set_leader_epoch,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A position that is beyond the end is looked at twice: a leader that was just elected may not know its end yet.
const SECOND_LOOK: Duration = Duration::from_millis(300);

/// Places the partitions of the input topic.
#[derive(Debug)]
pub(super) struct Placer {
    pub(super) topic: String,
    pub(super) beyond_end: BeyondEnd,
    pub(super) live: Arc<LiveTopics>,
}

/// The partitions as they were placed.
#[derive(Debug, Default)]
pub(super) struct Placement {
    pub(super) topic_id: Option<TopicId>,
    /// Where reading begins, or would begin for a partition that cannot be read.
    pub(super) positions: BTreeMap<i32, Position>,
    /// Partitions whose position is not the committed one.
    pub(super) moved: BTreeSet<i32>,
    pub(super) notices: Vec<Notice>,
}

/// Something that the worker has to report about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) partition: i32,
    pub(crate) kind: NoticeKind,
    /// What happened, where, and what to do.
    pub(crate) message: String,
}

/// What a [`Notice`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    /// It had no committed offset.
    Begins,
    /// So many records are not read.
    Lost(LossReason, u64),
    /// It cannot be read.
    BeyondEnd,
}

impl Placer {
    /// Places the partitions of `list`, which were assigned just now: sets their offsets in it. Partitions that cannot be
    /// read are set to their end; they have to be paused.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub(super) fn place<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        list: &mut TopicPartitionList,
    ) -> Result<Placement, String> {
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        let mut placement = Placement { topic_id: self.topic_id(consumer)?, ..Placement::default() };
        let known = self.committed(consumer, &partitions, placement.topic_id)?;
        for (partition, resume, log) in self.decide_all(consumer, &known)? {
            let (offset, epoch) = match resume {
                Resume::At(position) => (position.offset, position.epoch),
                Resume::Begin { offset } | Resume::Moved { offset, .. } => (offset, None),
                Resume::BeyondEnd { .. } => (log.end, None),
            };
            let offset = Offset::Offset(offset);
            list.set_partition_offset(&self.topic, partition, offset).map_err(|error| error.to_string())?;
            set_leader_epoch(list, &self.topic, partition, epoch).map_err(|error| error.to_string())?;
            self.keep(partition, &resume, log, &known[&partition], &mut placement);
        }
        Ok(placement)
    }

    /// Decides again about a partition that was halted at `position`.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub(super) fn place_again<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: i32,
        position: Position,
    ) -> Result<Placement, String> {
        let reset = self.live.reset_at(partition, position);
        let known =
            BTreeMap::from([(partition, Known { position: Some(position), reset, ..Known::default() })]);
        let mut placement = Placement::default();
        for (partition, resume, log) in self.decide_all(consumer, &known)? {
            self.keep(partition, &resume, log, &known[&partition], &mut placement);
        }
        Ok(placement)
    }

    fn decide_all<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        known: &BTreeMap<i32, Known>,
    ) -> Result<Vec<(i32, Resume, LogRange)>, String> {
        let partitions: Vec<i32> = known.keys().copied().collect();
        let mut logs = ranges(consumer, &self.topic, &partitions)?;
        let is_beyond = |partition: &i32, log: &LogRange| {
            known[partition].position.is_some_and(|position| position.offset > log.end)
        };
        if logs.iter().any(|(partition, log)| is_beyond(partition, log)) {
            std::thread::sleep(SECOND_LOOK);
            logs = ranges(consumer, &self.topic, &partitions)?;
        }
        let decided = |(&partition, known): (&i32, &Known)| {
            let log = logs[&partition];
            (partition, decide(known, log, self.beyond_end), log)
        };
        Ok(known.iter().map(decided).collect())
    }

    /// Adds a partition to `placement`.
    fn keep(&self, partition: i32, resume: &Resume, log: LogRange, known: &Known, placement: &mut Placement) {
        let mut at = |offset, epoch| placement.positions.insert(partition, Position { offset, epoch });
        let topic = &self.topic;
        let LogRange { first, end } = log;
        let committed = known.position.map_or(0, |position| position.offset);
        let (kind, message) = match *resume {
            Resume::At(position) => {
                at(position.offset, position.epoch);
                return;
            }
            Resume::Begin { offset } => {
                at(offset, None);
                placement.moved.insert(partition);
                let records = end - offset;
                (NoticeKind::Begins, format!("no committed offset: begins at {offset}, {records} records"))
            }
            Resume::Moved { offset, reason, records } => {
                at(offset, None);
                placement.moved.insert(partition);
                let message = match reason {
                    LossReason::Deleted => format!(
                        "{records} records were deleted unread: the position was {committed}, the log begins at \
                         {first}; lengthen the topic's retention, or add workers"
                    ),
                    LossReason::Truncated => format!(
                        "the position {committed} is not in the log any more, which ends at {end}; reading goes on at \
                         {offset} (input.beyond_end = \"end\")"
                    ),
                    LossReason::Recreated => format!(
                        "the topic was deleted and created again: the new one is read from its beginning, {offset}; \
                         {records} records of the old one were not read, as far as is known"
                    ),
                };
                (NoticeKind::Lost(reason, records), message)
            }
            Resume::BeyondEnd { position } => {
                at(position.offset, position.epoch);
                let what = if position.offset > end {
                    format!("the committed offset {committed} is beyond the end of the log, {end}")
                } else {
                    format!(
                        "the log was truncated below the committed offset {committed}; it ends at {end} now"
                    )
                };
                let message = format!(
                    "{what} (partition {partition} of `{topic}`): the topic was restored, mirrored or lost records. Set the \
                     group's offset to where reading has to go on (kafka-consumer-groups --reset-offsets), or \
                     input.beyond_end = \"end\" to go on at the end"
                );
                (NoticeKind::BeyondEnd, message)
            }
        };
        placement.notices.push(Notice { partition, kind, message });
    }

    /// The topic's ID now; `None` from brokers before Kafka 2.8.
    fn topic_id<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> Result<Option<TopicId>, String> {
        if !self.live.has_ids() {
            return Ok(None);
        }
        let options = DescribeOptions { timeout: REQUEST_TIMEOUT, authorized_operations: false };
        let described = describe_topics(consumer.client(), &[&self.topic], &options)
            .map_err(|error| format!("describing the topic: {error}"))?;
        match described.into_iter().next() {
            Some(Ok(topic)) => Ok(topic.id),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(None),
        }
    }

    /// What is known of `partitions`.
    fn committed<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
        topic_id: Option<TopicId>,
    ) -> Result<BTreeMap<i32, Known>, String> {
        let topic = self.topic.as_str();
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(topic, partition);
        }
        let doing = |error: &dyn std::fmt::Display| format!("requesting committed offsets: {error}");
        let committed = consumer.committed_offsets(list, REQUEST_TIMEOUT).map_err(|error| doing(&error))?;
        let mut known = BTreeMap::new();
        for element in committed.elements() {
            element.error().map_err(|error| doing(&error))?;
            let partition = element.partition();
            let position = match element.offset() {
                Offset::Offset(offset) => {
                    let epoch = leader_epoch(&committed, topic, partition).unwrap_or_default();
                    Some(Position { offset, epoch })
                }
                _ => None,
            };
            let metadata = commit_metadata(&committed, topic, partition).unwrap_or_default();
            let of_earlier_topic = position.is_some()
                && topic_id.zip(metadata).is_some_and(|(id, text)| names(&text, id) == Some(false));
            known.insert(
                partition,
                Known {
                    position,
                    of_earlier_topic,
                    topic_id,
                    reset: position.and_then(|position| self.live.reset_at(partition, position)),
                    seen: self.live.seen(partition),
                    start: self.live.start(topic_id, partition),
                },
            );
        }
        Ok(known)
    }
}

/// By partition what the log holds.
///
/// # Errors
/// The brokers do not answer.
pub(super) fn ranges<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
) -> Result<BTreeMap<i32, LogRange>, String> {
    let first = ends(consumer, topic, partitions, Offset::Beginning)?;
    let last = ends(consumer, topic, partitions, Offset::End)?;
    let range = |(&partition, &first): (&i32, &i64)| {
        let end = last.get(&partition).copied().unwrap_or(first);
        (partition, LogRange { first, end: end.max(first) })
    };
    Ok(first.iter().map(range).collect())
}

/// One end of each partition. `which` stands where a timestamp would: the protocol takes -2 for the first offset and -1 for the
/// end, and these are librdkafka's own numbers for them. One request a broker, not two a partition.
fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    which: Offset,
) -> Result<BTreeMap<i32, i64>, String> {
    let doing = |error: &dyn std::fmt::Display| format!("requesting the ends of the partitions: {error}");
    let mut list = TopicPartitionList::new();
    for &partition in partitions {
        list.add_partition_offset(topic, partition, which).map_err(|error| doing(&error))?;
    }
    let found = consumer.offsets_for_times(list, REQUEST_TIMEOUT).map_err(|error| doing(&error))?;
    let mut offsets = BTreeMap::new();
    for element in found.elements() {
        element.error().map_err(|error| doing(&error))?;
        match element.offset() {
            Offset::Offset(offset) => offsets.insert(element.partition(), offset),
            other => return Err(doing(&format!("{other:?} for partition {}", element.partition()))),
        };
    }
    if offsets.len() != partitions.len() {
        return Err(doing(&"the answer lacks partitions"));
    }
    Ok(offsets)
}
