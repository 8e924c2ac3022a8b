//! Where comments come from: one consumer of the group, drained turn by turn.
//!
//! Always holds: a batch's group metadata is older than its first record, and a batch during which the assignment
//! changed is never answered. Both together fence a worker whose partitions somebody else owns already.

use super::watch::{PartitionStats, Watch};
use super::{PipelineError, kafka};
use crate::config::{ClientProperties, Config};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{debug, warn};

/// How long the brokers may take to tell committed offsets, and librdkafka to seek.
const REWIND_TIMEOUT: Duration = Duration::from_secs(10);

/// The offsets of one partition within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Of the first record.
    pub(super) first: i64,
    /// After the last record: what is committed.
    pub(super) next: i64,
}

/// The records of one turn.
#[derive(Default)]
pub(super) struct Batch<'c> {
    /// In the order in which they came.
    pub(super) messages: Vec<BorrowedMessage<'c>>,
    /// By partition.
    pub(super) spans: BTreeMap<i32, Span>,
    /// Bytes of keys and values.
    pub(super) bytes: usize,
    /// Who we were in the group before the first record came.
    pub(super) group: Option<ConsumerGroupMetadata>,
}

impl<'c> Batch<'c> {
    fn clear(&mut self) {
        self.messages.clear();
        self.spans.clear();
        self.bytes = 0;
        self.group = None;
    }

    fn push(&mut self, message: BorrowedMessage<'c>) {
        self.bytes += message.payload_len() + message.key_len();
        let (offset, next) = (message.offset(), message.offset() + 1);
        self.spans
            .entry(message.partition())
            .and_modify(|span| span.next = next)
            .or_insert(Span { first: offset, next });
        self.messages.push(message);
    }
}

/// What a drain brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// No record came in time.
    Nothing,
    /// At least one record.
    Records,
    /// The assignment changed while records were being drained: they are not ours to answer, and what is still owned
    /// must be rewound.
    Rebalanced,
}

/// Why a consumer is of no use any more; a new one starts at the committed offsets.
#[derive(Debug)]
pub(super) struct Unusable(pub(super) String);

/// One consumer of the group.
pub(super) struct Source {
    consumer: BaseConsumer<Watch>,
    topic: String,
    brokers: String,
    poll: Duration,
    most_records: usize,
    most_bytes: usize,
}

impl Source {
    /// Joins the group.
    pub(super) fn open(
        config: &Config,
        clients: &ClientProperties,
        worker: usize,
    ) -> Result<Self, PipelineError> {
        let mut properties = clients.consumer(worker);
        // Once a second: whether brokers answer, and how far behind we are. Ends of partitions tell a true zero.
        properties.set("statistics.interval.ms", "1000").set("enable.partition.eof", "true");
        let consumer: BaseConsumer<Watch> =
            properties.create_with_context(Watch::new(&config.input.topic)).map_err(|error| {
                PipelineError::Configuration(format!("the consumer cannot be made: {error}"))
            })?;
        consumer
            .subscribe(&[&config.input.topic])
            .map_err(|error| PipelineError::Configuration(format!("cannot subscribe: {error}")))?;
        Ok(Source {
            consumer,
            topic: config.input.topic.clone(),
            brokers: config.kafka.brokers.clone(),
            poll: Duration::from_millis(config.worker.poll_ms),
            most_records: config.worker.turn_records.max(1),
            most_bytes: config.worker.turn_bytes.max(1),
        })
    }

    /// Takes what is there now, waiting only for the first record.
    pub(super) fn drain<'c>(&'c self, batch: &mut Batch<'c>) -> Result<Drained, PipelineError> {
        let watch = self.consumer.context();
        batch.clear();
        let epoch = watch.epoch();
        // Before the first record, or metadata of a later generation would bless records of an earlier one.
        batch.group = self.consumer.group_metadata();
        let mut wait = self.poll;
        while batch.messages.len() < self.most_records && batch.bytes < self.most_bytes {
            let events = watch.events();
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    batch.push(message);
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => self.absorb(error)?,
                // `None` also means that an event was handled; behind it more records may wait.
                None if batch.messages.is_empty() || watch.events() == events => break,
                None => {}
            }
            if watch.epoch() != epoch {
                return Ok(if batch.messages.is_empty() { Drained::Nothing } else { Drained::Rebalanced });
            }
        }
        Ok(if batch.messages.is_empty() { Drained::Nothing } else { Drained::Records })
    }

    /// Sorts the consumer's errors: what heals by itself is left to librdkafka, the rest ends the worker.
    fn absorb(&self, error: KafkaError) -> Result<(), PipelineError> {
        match error {
            KafkaError::PartitionEOF(partition) => self.consumer.context().reached_end(partition),
            KafkaError::MessageConsumptionFatal(code) => {
                return Err(PipelineError::Consumer(code.to_string()));
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                return Err(PipelineError::MissingTopic {
                    topic: self.topic.clone(),
                    setting: "input.topic",
                    brokers: self.brokers.clone(),
                });
            }
            KafkaError::MessageConsumption(code) => {
                let refused = kafka::refusal(code, &self.brokers, "reading the input topic in this group");
                match refused {
                    // Who was let in once may be let in again: a broker that restarts says no for a while.
                    Some(PipelineError::Authentication { .. }) if self.consumer.context().joined() => {}
                    Some(error) => return Err(error),
                    None => {}
                }
                debug!(%code, "the consumer reports an error that it tries to mend");
            }
            error => debug!(%error, "the consumer reports an error that it tries to mend"),
        }
        Ok(())
    }

    /// Goes back, in the partitions of `batch` that are still owned, to the committed offsets; to the first record of
    /// `batch` where nothing was ever committed.
    pub(super) fn rewind(&self, batch: &Batch<'_>) -> Result<(), Unusable> {
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
        let committed = self
            .consumer
            .committed_offsets(wanted, REWIND_TIMEOUT)
            .map_err(|error| unusable("reading committed offsets", error))?;
        let mut targets = TopicPartitionList::new();
        for element in committed.elements() {
            element.error().map_err(|error| unusable("reading committed offsets", error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => batch.spans[&element.partition()].first,
            };
            targets
                .add_partition_offset(&self.topic, element.partition(), Offset::Offset(offset))
                .map_err(|error| unusable("naming an offset", error))?;
        }
        let sought = self
            .consumer
            .seek_partitions(targets, REWIND_TIMEOUT)
            .map_err(|error| unusable("seeking", error))?;
        for element in sought.elements() {
            element.error().map_err(|error| unusable("seeking", error))?;
        }
        Ok(())
    }

    /// Commits a turn's offsets, where no transaction carries them.
    pub(super) fn commit(&self, spans: &BTreeMap<i32, Span>) -> Result<(), KafkaError> {
        let offsets = offsets(&self.topic, spans);
        self.consumer.commit(&offsets, rdkafka::consumer::CommitMode::Sync)
    }

    /// What the callbacks left behind since the last call.
    pub(super) fn news(&self) -> Option<News> {
        let watch = self.consumer.context();
        watch.take_news().then(|| News {
            failure: watch.failure(),
            rebalanced: watch.take_rebalanced(),
            assigned: watch.assigned(),
            joined: watch.joined(),
            statistics: watch.take_statistics(),
            errors: watch.take_errors(),
        })
    }

    /// Whether `partition` was read to its end, and nothing since.
    pub(super) fn at_end(&self, partition: i32) -> bool {
        self.consumer.context().at_end(partition)
    }

    /// Says that records of these partitions were read: they are not at their ends.
    pub(super) fn moved(&self, spans: &BTreeMap<i32, Span>) {
        self.consumer.context().moved(spans.keys());
    }

    /// Leaves the group, within `deadline`: dropping a consumer knows none.
    pub(super) fn close(self, deadline: Duration) {
        let (closed, waiting) = std::sync::mpsc::channel();
        let consumer = self.consumer;
        std::thread::spawn(move || {
            drop(consumer);
            // Nobody waits any more if this took too long.
            let _ = closed.send(());
        });
        if waiting.recv_timeout(deadline).is_err() {
            warn!("the consumer did not leave its group within {} s", deadline.as_secs());
        }
    }
}

/// What happened to the consumer, for the worker to tell others.
#[derive(Debug)]
pub(super) struct News {
    /// Why the consumer cannot go on.
    pub(super) failure: Option<String>,
    /// How many rebalances there were.
    pub(super) rebalanced: usize,
    /// Partitions owned now.
    pub(super) assigned: BTreeSet<i32>,
    /// Whether we are a member of the group.
    pub(super) joined: bool,
    /// The last statistics.
    pub(super) statistics: Option<(bool, Vec<PartitionStats>)>,
    /// How many errors the client reported.
    pub(super) errors: u64,
}

/// The offsets to commit for `spans`.
pub(super) fn offsets(topic: &str, spans: &BTreeMap<i32, Span>) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::with_capacity(spans.len());
    for (&partition, span) in spans {
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(span.next))
            .expect("a record's offset is not negative");
    }
    offsets
}
