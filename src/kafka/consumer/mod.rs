//! Where records come from: one consumer, drained batch by batch.
//!
//! Always holds: a batch's group metadata is older than its first record, and a batch during which the assignment
//! changed is never committed. Both together fence a worker whose partitions have another owner already.

mod corrupt;
mod due;
mod errors;
mod offsets;
mod resuming;

pub(crate) use corrupt::CorruptBatch;
pub(super) use offsets::offsets;

use super::ClientProperties;
use super::batch::Batch;
use super::bounds::Bounds;
use super::client_properties::Role;
use super::credentials::Credentials;
use super::error::ClientError;
use super::events::EventContext;
use super::live_topics::LiveTopics;
use super::placement::{Notice, Placer};
use super::positions::Positions;
use super::quiet_tails::QuietTails;
use super::resume::Position;
use super::statistics::PartitionStats;
use crate::config::Config;
use nunchi_librdkafka::message_leader_epoch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How long the brokers may take to return committed offsets, and librdkafka to seek.
const REWIND_TIMEOUT: Duration = Duration::from_secs(10);

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
    consumer: BaseConsumer<EventContext>,
    worker: usize,
    topic: String,
    brokers: String,
    poll: Duration,
    linger: Duration,
    credentials: RefCell<Credentials>,
    max_records: usize,
    max_bytes: usize,
    /// Whether fetching was stopped until records are due.
    paused: AtomicBool,
    /// Where reading goes on. Only the worker's own thread uses it.
    positions: RefCell<Positions>,
    /// Whether a group assigns the partitions.
    grouped: bool,
    /// Of its own, or of the partitions that were placed.
    notices: RefCell<Vec<Notice>>,
    tails: RefCell<QuietTails>,
    /// Whether the last drain saw the queue empty.
    idle: Cell<bool>,
    /// Partitions that librdkafka did not fetch at the time of the last statistics.
    stopped: RefCell<BTreeSet<i32>>,
    /// Positions whose leader epochs are still to be validated.
    unvalidated: RefCell<BTreeMap<i32, Position>>,
    validation_attempts: Cell<u32>,
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
