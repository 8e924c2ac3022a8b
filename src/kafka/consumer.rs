//! Where records come from: one consumer, drained batch by batch.
//!
//! Always holds: a batch's group metadata is older than its first record, and a batch during which the assignment
//! changed is never committed. Both together fence a worker whose partitions have another owner already.

use super::ClientProperties;
use super::batch::{Batch, Span};
use super::bounds::{Admission, Bounds};
use super::client_properties::Role;
use super::credentials::Credentials;
use super::error::ClientError;
use super::events::{EventContext, PartitionStats};
use super::live_topics::LiveTopics;
use super::placement::{Notice, Placer};
use super::positions::Positions;
use super::quiet_tails::QuietTails;
use super::resume::{Position, metadata};
use crate::config::Config;
use nunchi_librdkafka::{TopicId, message_leader_epoch, set_leader_epoch};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How long the brokers may take to return committed offsets, and librdkafka to seek.
pub(super) const REWIND_TIMEOUT: Duration = Duration::from_secs(10);
/// A record that is due within this time is waited for; for a later one the partitions are paused, and polled meanwhile.
const MAX_WAIT_FOR_DUE: Duration = Duration::from_millis(200);
/// Longest wait in one poll.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// No record came in time.
    Nothing,
    /// Records, or at least offsets to commit.
    Records,
    /// The assignment changed while records were being drained: they must not be processed, and partitions that are
    /// still owned must be rewound.
    Rebalanced,
}

/// Why a consumer must be replaced; a new one starts at the committed offsets.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) String);

/// One consumer: a member of the group, or a reader of assigned partitions.
pub(crate) struct Consumer {
    pub(super) consumer: BaseConsumer<EventContext>,
    worker: usize,
    pub(super) topic: String,
    brokers: String,
    poll: Duration,
    linger: Duration,
    credentials: RefCell<Credentials>,
    max_records: usize,
    max_bytes: usize,
    /// Whether fetching was stopped until records are due.
    paused: AtomicBool,
    /// Where reading goes on. Only the worker's own thread uses it.
    pub(super) positions: RefCell<Positions>,
    /// Whether a group assigns the partitions.
    pub(super) grouped: bool,
    /// Of its own, or of the partitions that were placed.
    pub(super) notices: RefCell<Vec<Notice>>,
    pub(super) tails: RefCell<QuietTails>,
    /// Whether the last drain saw the queue empty.
    pub(super) idle: Cell<bool>,
    /// Partitions that librdkafka did not fetch at the time of the last statistics.
    pub(super) stopped: RefCell<BTreeSet<i32>>,
    /// Positions whose leader epochs are still to be validated.
    pub(super) unvalidated: RefCell<BTreeMap<i32, Position>>,
    pub(super) validation_attempts: Cell<u32>,
}

impl Consumer {
    /// Joins the group as worker `worker`. With `live`, what happens to a partition whose committed offset is missing or out of
    /// range is decided by the settings; without, it is an error: a bounded group has committed offsets before the first
    /// member joins.
    pub(crate) fn join(
        config: &Config,
        clients: &ClientProperties,
        worker: usize,
        live: Option<Arc<LiveTopics>>,
    ) -> Result<Self, ClientError> {
        let placer = live.map(|live| Placer {
            topic: config.input.topic.clone(),
            beyond_end: config.input.beyond_end,
            live,
        });
        let made = Self::create(config, clients, clients.consumer(worker), worker, true, placer)?;
        made.consumer.subscribe(&[&config.input.topic]).map_err(|error| {
            ClientError::Configuration(format!("cannot subscribe to `{}`: {error}", config.input.topic))
        })?;
        Ok(made)
    }

    /// Reads these partitions from these offsets, as a member of no group.
    pub(crate) fn assign(
        config: &Config,
        clients: &ClientProperties,
        starts: &BTreeMap<i32, i64>,
    ) -> Result<Self, ClientError> {
        let made = Self::create(config, clients, clients.consumer(0), 0, false, None)?;
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in starts {
            list.add_partition_offset(&config.input.topic, partition, Offset::Offset(offset)).map_err(
                |error| {
                    ClientError::Configuration(format!(
                        "cannot start at offset {offset} of partition {partition}: {error}"
                    ))
                },
            )?;
        }
        made.consumer.context().assign(starts.keys().copied().collect());
        made.consumer.assign(&list).map_err(|error| {
            ClientError::Configuration(format!(
                "cannot assign partitions of `{}`: {error}",
                config.input.topic
            ))
        })?;
        Ok(made)
    }

    fn create(
        config: &Config,
        clients: &ClientProperties,
        mut properties: ClientConfig,
        worker: usize,
        grouped: bool,
        placer: Option<Placer>,
    ) -> Result<Self, ClientError> {
        let mut log_level = None;
        if placer.is_some() {
            // The only place where librdkafka tells that a topic has another ID; nothing else of it is forwarded.
            let debug = match properties.get("debug") {
                Some(debug) if !debug.is_empty() => format!("{debug},metadata"),
                _ => {
                    log_level = Some(properties.log_level);
                    "metadata".to_owned()
                }
            };
            properties.set("debug", debug).set_log_level(rdkafka::config::RDKafkaLogLevel::Debug);
        }
        let context = EventContext::new(&config.input.topic, placer, log_level);
        // Once a second: whether brokers answer, and the lag. The end of a partition means a lag of zero.
        properties.set("statistics.interval.ms", "1000").set("enable.partition.eof", "true");
        let consumer: BaseConsumer<EventContext> =
            properties.create_with_context(context).map_err(|error| {
                ClientError::Configuration(format!("the consumer cannot be created: {error}"))
            })?;
        Ok(Consumer {
            consumer,
            worker,
            topic: config.input.topic.clone(),
            brokers: config.kafka.brokers.clone(),
            poll: Duration::from_millis(config.worker.poll_ms),
            linger: Duration::from_millis(config.worker.linger_ms),
            credentials: RefCell::new(Credentials::new(clients, Role::Consumer)),
            max_records: config.worker.batch_records.max(1),
            max_bytes: config.worker.batch_bytes.max(1),
            paused: AtomicBool::new(false),
            positions: RefCell::default(),
            grouped,
            notices: RefCell::default(),
            tails: RefCell::default(),
            idle: Cell::new(false),
            stopped: RefCell::default(),
            unvalidated: RefCell::default(),
            validation_attempts: Cell::new(0),
        })
    }

    /// Stops handing out and fetching records of `partition`, until [`Consumer::resume`].
    pub(crate) fn halt(&self, partition: i32) {
        self.positions.borrow_mut().halt(partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = self.consumer.pause(&list) {
            debug!(%error, partition, "the halted partition cannot be paused; its records are dropped");
        }
    }

    /// The partitions that this consumer owns.
    pub(crate) fn assigned(&self) -> BTreeSet<i32> {
        self.consumer.context().assigned()
    }

    /// Takes the records that are available now, waiting for the first one, and after it for `worker.linger_ms`; with
    /// `bounds` only those that are within them and due.
    pub(crate) fn drain<'c>(
        &'c self,
        batch: &mut Batch<'c>,
        bounds: Option<&Bounds>,
    ) -> Result<Drained, ClientError> {
        self.renew_credentials()?;
        let context = self.consumer.context();
        batch.clear();
        let epoch = context.epoch();
        self.idle.set(false);
        self.take_assigned();
        if context.has_corrupt() {
            // What follows it must not be handed out: the worker halts its partition or passes over it first.
            return Ok(Drained::Nothing);
        }
        if !self.validate() {
            return Ok(Drained::Nothing);
        }
        batch.topic_id = context.topic_id();
        // Before the first record, or metadata of a later generation would commit records of an earlier one.
        batch.group = self.consumer.group_metadata();
        let drained = |batch: &mut Batch<'_>| {
            self.retire(&std::mem::take(&mut batch.unplanned));
            if batch.spans.is_empty() { Drained::Nothing } else { Drained::Records }
        };
        let max_records =
            bounds.map_or(self.max_records, |bounds| bounds.pacer.batch_records(self.max_records));
        let mut wait = self.poll;
        // A replay's rate and due times say when its batches end.
        let linger = if bounds.is_none() { self.linger } else { Duration::ZERO };
        let mut deadline: Option<Instant> = None;
        if let Some(bounds) = bounds
            && self.wait_for_due(batch, bounds)?
        {
            if context.epoch() != epoch {
                return Ok(if batch.is_untouched() { Drained::Nothing } else { Drained::Rebalanced });
            }
            return Ok(drained(batch));
        }
        while batch.seen() < max_records && batch.bytes < self.max_bytes {
            let events = context.events();
            if let Some(deadline) = deadline {
                wait = deadline.saturating_duration_since(Instant::now());
            }
            match self.consumer.poll(wait) {
                Some(Ok(message)) if !self.consume(&message) => {}
                Some(Ok(message)) => {
                    self.admit(batch, message, bounds);
                    wait = Duration::ZERO;
                    if !linger.is_zero() {
                        deadline.get_or_insert_with(|| Instant::now() + linger);
                    }
                    if !batch.held.is_empty() {
                        break;
                    }
                }
                Some(Err(error)) => self.absorb(error, batch, bounds)?,
                // `None` also means that an event was handled; behind it more records may wait.
                None if batch.spans.is_empty() || context.events() == events => {
                    self.idle.set(context.events() == events);
                    break;
                }
                None => {}
            }
            if context.has_corrupt() {
                break;
            }
            if context.epoch() != epoch {
                return Ok(if batch.is_untouched() { Drained::Nothing } else { Drained::Rebalanced });
            }
        }
        if context.is_recreated() {
            self.leave_old_topic();
            return Ok(Drained::Nothing);
        }
        if !batch.spans.is_empty() {
            self.tails.borrow_mut().disturb();
        }
        Ok(drained(batch))
    }

    /// Whether `message` is handed out: not if it was before, nor if its partition is halted.
    fn consume(&self, message: &BorrowedMessage<'_>) -> bool {
        let epoch = message_leader_epoch(message);
        self.positions.borrow_mut().consume(message.partition(), message.offset(), epoch)
    }

    /// Adds a record to the batch, or to those that are not due.
    fn admit<'c>(&self, batch: &mut Batch<'c>, message: BorrowedMessage<'c>, bounds: Option<&Bounds>) {
        let Some(bounds) = bounds else { return batch.push(message) };
        let now = Instant::now();
        match bounds.admit(&message) {
            Admission::Inside(Some(due)) if due > now => batch.held.push((due, message)),
            // Behind a held record all records of its partition are held: order is kept.
            _ if batch.holds(message.partition()) => batch.held.push((now, message)),
            admission => batch.take(message, admission),
        }
    }

    /// Waits a moment if there are records that are not due yet, or if the pacer is closed. Returns whether it waited and
    /// the drain is over. Records that have become due are in the batch.
    fn wait_for_due<'c>(&'c self, batch: &mut Batch<'c>, bounds: &Bounds) -> Result<bool, ClientError> {
        let closed = bounds.pacer.is_closed();
        if batch.held.is_empty() && !closed {
            self.pause_all(false);
            return Ok(false);
        }
        let next = batch.held.iter().map(|(due, _)| *due).min();
        let left = next.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
        if closed || left > MAX_WAIT_FOR_DUE {
            // During a long wait the consumer must poll to stay a member of the group; paused, it gets no records.
            self.pause_all(true);
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(message)) if !self.consume(&message) => {}
                Some(Ok(message)) => {
                    let due = match bounds.admit(&message) {
                        Admission::Inside(Some(due)) => due,
                        _ => Instant::now(),
                    };
                    batch.held.push((due, message));
                }
                Some(Err(error)) => self.absorb(error, batch, Some(bounds))?,
                None => {}
            }
            return Ok(true);
        }
        self.pause_all(false);
        std::thread::sleep(left.min(POLL_INTERVAL));
        // In order within a partition: records behind one that is not due are held with it.
        let now = Instant::now();
        for (due, message) in std::mem::take(&mut batch.held) {
            if due > now || batch.holds(message.partition()) {
                batch.held.push((due, message));
            } else {
                let admission = bounds.admit(&message);
                batch.take(message, admission);
            }
        }
        for partition in std::mem::take(&mut batch.held_to_end) {
            batch.reached_end(partition, bounds);
        }
        Ok(!batch.held.is_empty())
    }

    /// Pauses or resumes all partitions. Records of partitions that cannot be paused are held: nothing is lost.
    fn pause_all(&self, pause: bool) {
        if self.paused.swap(pause, Ordering::Relaxed) == pause && !pause {
            return;
        }
        let done = if pause {
            self.consumer.assignment().and_then(|assignment| self.consumer.pause(&assignment))
        } else {
            // Those that are halted stay paused.
            let mut list = TopicPartitionList::new();
            let positions = self.positions.borrow();
            for partition in self.assigned().into_iter().filter(|&partition| !positions.is_halted(partition))
            {
                list.add_partition(&self.topic, partition);
            }
            self.consumer.resume(&list)
        };
        if let Err(error) = done {
            debug!(%error, pause, "the partitions cannot be paused or resumed");
        }
    }

    /// A batch was committed: partitions that are done are not fetched any further.
    pub(crate) fn retire(&self, finished: &[i32]) {
        if finished.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for &partition in finished {
            list.add_partition(&self.topic, partition);
        }
        if let Err(error) = self.consumer.pause(&list) {
            debug!(%error, "partitions that are done cannot be paused; their records are dropped");
        }
    }

    /// Classifies the consumer's errors: those that librdkafka retries are logged, the rest ends the worker.
    fn absorb(
        &self,
        error: KafkaError,
        batch: &mut Batch<'_>,
        bounds: Option<&Bounds>,
    ) -> Result<(), ClientError> {
        match error {
            KafkaError::PartitionEOF(partition) => {
                self.positions.borrow_mut().reached_end(partition);
                if let Some(bounds) = bounds {
                    batch.reached_end(partition, bounds);
                }
            }
            KafkaError::MessageConsumptionFatal(code) => {
                return Err(ClientError::Consumer(code.to_string()));
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) if bounds.is_some() => {
                if let Some(message) = bounds.and_then(|bounds| self.missing_record(bounds)) {
                    return Err(ClientError::Failed {
                        worker: self.worker,
                        doing: "reading the plan's records",
                        reason: message,
                    });
                }
                debug!("a partition that is not planned has no offset");
            }
            // The topic may come back; the topic monitor says how long that is waited for.
            KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)
                if self.consumer.context().placer().is_some() =>
            {
                debug!("the input topic is missing");
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                return Err(ClientError::MissingTopic {
                    topic: self.topic.clone(),
                    setting: "input.topic",
                    brokers: self.brokers.clone(),
                });
            }
            KafkaError::MessageConsumption(code) => {
                let refused =
                    ClientError::refusal(code, &self.brokers, "reading the input topic in this group");
                match refused {
                    // Credentials that were accepted before: a restarting broker may refuse them for a while.
                    Some(ClientError::Authentication { .. }) if self.consumer.context().joined() => {
                        self.credentials.borrow_mut().refused();
                    }
                    Some(error) => return Err(error),
                    None => {}
                }
                debug!(%code, "the consumer reports an error that librdkafka retries");
            }
            error => debug!(%error, "the consumer reports an error that librdkafka retries"),
        }
        Ok(())
    }

    /// While the brokers refuse: takes new credentials from their files.
    fn renew_credentials(&self) -> Result<(), ClientError> {
        let mut credentials = self.credentials.borrow_mut();
        credentials.renew(self.consumer.client()).map_err(|refused| ClientError::Authentication {
            brokers: self.brokers.clone(),
            reason: format!("for {} s while this process was running", refused.as_secs()),
        })
    }

    /// Whether the brokers refuse the credentials of a process that they had accepted.
    pub(crate) fn is_refused(&self) -> bool {
        self.credentials.borrow().are_refused()
    }

    /// A message about the first planned partition whose next record was deleted; `None` if there is none.
    fn missing_record(&self, bounds: &Bounds) -> Option<String> {
        let assignment = self.consumer.assignment().ok()?;
        let mut planned = TopicPartitionList::new();
        for element in assignment.elements() {
            if bounds.ends.contains_key(&element.partition()) {
                planned.add_partition(&self.topic, element.partition());
            }
        }
        let committed = if self.grouped {
            self.consumer.committed_offsets(planned, REWIND_TIMEOUT).ok()?
        } else {
            assignment
        };
        committed.elements().iter().find_map(|element| {
            let (topic, partition) = (&self.topic, element.partition());
            let (first, end) = self.consumer.fetch_watermarks(topic, partition, REWIND_TIMEOUT).ok()?;
            let Offset::Offset(offset) = element.offset() else { return None };
            (offset < first || offset > end).then(|| {
                format!(
                    "the record at offset {offset} of partition {partition} of `{topic}` was deleted after the replay \
                     was planned: the topic holds {first} to {end}; plan a new replay under another --id"
                )
            })
        })
    }

    /// Goes back, in the partitions of `batch` that are still owned, to the committed offsets; to the first record of
    /// `batch` where nothing was ever committed, or where no group is used.
    pub(crate) fn rewind(&self, batch: &Batch<'_>) -> Result<(), Unusable> {
        let unusable = |doing: &str, error: KafkaError| Unusable(format!("{doing}: {error}"));
        let assignment =
            self.consumer.assignment().map_err(|error| unusable("reading the assignment", error))?;
        let mut wanted = TopicPartitionList::new();
        for &partition in batch.spans.keys() {
            if assignment.find_partition(&self.topic, partition).is_some() {
                wanted.add_partition(&self.topic, partition);
            }
        }
        if wanted.count() == 0 {
            return Ok(());
        }
        let committed = if self.grouped {
            self.consumer
                .committed_offsets(wanted, REWIND_TIMEOUT)
                .map_err(|error| unusable("reading committed offsets", error))?
        } else {
            wanted
        };
        let mut targets = TopicPartitionList::new();
        for element in committed.elements() {
            element.error().map_err(|error| unusable("reading committed offsets", error))?;
            let moved = self.positions.borrow().moved_to(element.partition());
            let offset = match element.offset() {
                _ if let Some(moved) = moved => moved,
                Offset::Offset(offset) => offset,
                _ => batch.spans[&element.partition()].first,
            };
            self.positions.borrow_mut().seek(element.partition(), offset);
            targets
                .add_partition_offset(&self.topic, element.partition(), Offset::Offset(offset))
                .map_err(|error| unusable("setting an offset", error))?;
        }
        let sought = self
            .consumer
            .seek_partitions(targets, REWIND_TIMEOUT)
            .map_err(|error| unusable("seeking", error))?;
        for element in sought.elements() {
            element.error().map_err(|error| unusable("seeking", error))?;
        }
        self.tails.borrow_mut().disturb();
        Ok(())
    }

    /// Commits a batch's offsets, where no transaction carries them.
    pub(crate) fn commit(
        &self,
        spans: &BTreeMap<i32, Span>,
        topic_id: Option<TopicId>,
    ) -> Result<(), KafkaError> {
        let offsets = offsets(&self.topic, spans, topic_id);
        self.consumer.commit(&offsets, rdkafka::consumer::CommitMode::Sync)
    }

    /// The events of the callbacks since the last call.
    pub(crate) fn take_events(&self) -> Option<ConsumerEvents> {
        let context = self.consumer.context();
        if !context.take_pending() {
            return None;
        }
        let statistics = context.take_statistics();
        if matches!(statistics, Some((true, _))) {
            self.credentials.borrow_mut().accepted();
        }
        Some(ConsumerEvents {
            failure: context.failure(),
            rebalanced: context.take_rebalanced(),
            assigned: context.assigned(),
            joined: !self.grouped || context.joined(),
            statistics,
            errors: context.take_errors(),
        })
    }

    /// Whether `partition` was read to its end and all of it is committed.
    pub(crate) fn is_done(&self, partition: i32) -> bool {
        self.positions.borrow().is_done(partition)
    }

    /// Leaves the group, within `deadline`: dropping a consumer has no time-out.
    pub(crate) fn close(self, deadline: Duration) {
        let (closed, waiting) = std::sync::mpsc::channel();
        let consumer = self.consumer;
        std::thread::spawn(move || {
            drop(consumer);
            // The receiver is dropped if this took too long.
            let _ = closed.send(());
        });
        if waiting.recv_timeout(deadline).is_err() {
            warn!("the consumer did not leave its group within {} s", deadline.as_secs());
        }
    }
}

/// What happened to the consumer, for the worker to report.
#[derive(Debug)]
pub(crate) struct ConsumerEvents {
    /// Why the consumer cannot go on.
    pub(crate) failure: Option<String>,
    /// How many rebalances there were.
    pub(crate) rebalanced: usize,
    /// Partitions owned now.
    pub(crate) assigned: BTreeSet<i32>,
    /// Whether it is a member of the group, or needs none.
    pub(crate) joined: bool,
    /// The last statistics.
    pub(crate) statistics: Option<(bool, Vec<PartitionStats>)>,
    /// How many errors the client reported.
    pub(crate) errors: u64,
}

/// The offsets to commit for `spans`, which are from the topic with this ID.
pub(super) fn offsets(
    topic: &str,
    spans: &BTreeMap<i32, Span>,
    topic_id: Option<TopicId>,
) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::with_capacity(spans.len());
    let text = topic_id.map(metadata);
    for (&partition, span) in spans {
        let mut element = offsets.add_partition(topic, partition);
        element.set_offset(Offset::Offset(span.next)).expect("a record's offset is not negative");
        if let Some(text) = &text {
            element.set_metadata(text);
        }
        set_leader_epoch(&mut offsets, topic, partition, span.epoch).expect("it was added just now");
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_committed_with_its_epoch_and_topic() {
        let spans =
            [(1, Span { first: 3, next: 9, epoch: Some(4) }), (2, Span { first: 0, next: 1, epoch: None })];
        let id = TopicId::from_halves(1, 2).unwrap();
        let offsets = offsets("comments", &spans.into(), Some(id));
        let epoch = |partition| nunchi_librdkafka::leader_epoch(&offsets, "comments", partition).unwrap();
        assert_eq!((epoch(1), epoch(2)), (Some(4), None));
        let first = offsets.find_partition("comments", 1).unwrap();
        assert_eq!((first.offset(), first.metadata()), (Offset::Offset(9), metadata(id).as_str()));
    }
}
