//! What replays remember: a compacted topic with one record a key. Written by transactional producers, one id a key, so
//! that of two writers the older is fenced and its record never seen.

use super::error::ReplayError;
use crate::kafka::ClientProperties;
use crate::kafka::admin::{Brokers, Quiet};
use crate::kafka::topics::block_on;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Longest wait for a transaction's call.
const CALL: Duration = Duration::from_secs(15);
/// How long two writers may get in each other's way.
const CONTEST: Duration = Duration::from_secs(60);

/// The producer of a ledger's transactions.
pub(crate) type Writer = ThreadedProducer<DefaultProducerContext>;

/// The compacted topic.
pub struct Ledger<'a> {
    clients: &'a ClientProperties,
    brokers: &'a Brokers,
    topic: &'a str,
    /// A client that sees what is not committed too, made when it is needed.
    all: OnceCell<BaseConsumer<Quiet>>,
}

/// What an update makes of what it found.
pub enum Update<T> {
    /// What is there stays.
    Keep(T),
    /// This takes its place.
    Write {
        /// The record's value.
        value: Vec<u8>,
        /// Offsets that are committed with it, for the group of the ledger's clients.
        offsets: Option<TopicPartitionList>,
        /// What the update is worth.
        then: T,
    },
}

impl<'a> Ledger<'a> {
    /// Opens the ledger; makes the topic if there is none.
    ///
    /// # Errors
    /// The topic can neither be found nor made.
    pub fn open(
        clients: &'a ClientProperties,
        brokers: &'a Brokers,
        topic: &'a str,
    ) -> Result<Self, ReplayError> {
        let ledger = Ledger { clients, brokers, topic, all: OnceCell::new() };
        match brokers.partitions(topic)? {
            None => ledger.make()?,
            Some(_) => ledger.check_compaction(),
        }
        Ok(ledger)
    }

    /// Warns of a topic that forgets: a plan that is gone is made again, and its records answered again.
    fn check_compaction(&self) {
        let described =
            self.clients.plain().create().ok().and_then(|admin: AdminClient<DefaultClientContext>| {
                let options = AdminOptions::new().request_timeout(Some(CALL));
                block_on(admin.describe_configs(&[ResourceSpecifier::Topic(self.topic)], &options)).ok()
            });
        // Who may not ask is not told.
        let found = described.into_iter().flatten().flatten().next();
        let policy = found.as_ref().and_then(|found| found.get("cleanup.policy")?.value.clone());
        if policy.is_some_and(|policy| policy != "compact") {
            warn!(
                topic = self.topic,
                "the topic in which replays remember their plans may forget them: set cleanup.policy=compact on it"
            );
        }
    }

    /// One partition with the cluster's own replication factor, compacted.
    fn make(&self) -> Result<(), ReplayError> {
        let doing = || {
            format!(
                "making the compacted topic `{}` (replay.topic), in which replays remember their plans,",
                self.topic
            )
        };
        let failed = |reason: String| ReplayError::kafka(doing(), reason);
        let admin: AdminClient<DefaultClientContext> =
            self.clients.plain().create().map_err(|error| failed(error.to_string()))?;
        let new = NewTopic::new(self.topic, 1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
        let made = block_on(admin.create_topics([&new], &AdminOptions::new().request_timeout(Some(CALL))))
            .map_err(|error| failed(error.to_string()))?;
        match made.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                return Err(failed(code.to_string()));
            }
            _ => info!(topic = self.topic, "made the topic in which replays remember their plans"),
        }
        // Made is not yet known to everybody.
        let start = Instant::now();
        while self.brokers.partitions(self.topic)?.is_none() {
            if start.elapsed() > CALL {
                return Err(failed("it does not appear".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The last committed record under `key`.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub fn read(&self, key: &str) -> Result<Option<Vec<u8>>, ReplayError> {
        let partitions = self.brokers.partitions(self.topic)?.unwrap_or_default();
        let mut starts = BTreeMap::new();
        for partition in partitions {
            let (first, end) = self.settled(partition)?;
            if first < end {
                starts.insert(partition, first);
            }
        }
        // A key is always in the same partition, so the last one seen is the last one written.
        let mut value = None;
        self.brokers.read(self.topic, &starts, |record| {
            if let Some(message) = record.filter(|message| message.key() == Some(key.as_bytes())) {
                value = message.payload().map(<[u8]>::to_vec);
            }
            true
        })?;
        Ok(value)
    }

    /// First and last offset of a partition once nothing that is written there is hidden any more: behind somebody else's
    /// open transaction the record that is looked for could lie.
    fn settled(&self, partition: i32) -> Result<(i64, i64), ReplayError> {
        let failed = |error: KafkaError| ReplayError::kafka(format!("reading topic `{}`", self.topic), error);
        let all = match self.all.get() {
            Some(all) => all,
            None => {
                let mut properties = self.clients.plain();
                properties.set("isolation.level", "read_uncommitted");
                let made = properties.create_with_context(Quiet).map_err(failed)?;
                self.all.get_or_init(|| made)
            }
        };
        let (_, written) = all.fetch_watermarks(self.topic, partition, CALL).map_err(failed)?;
        let start = Instant::now();
        let mut said = false;
        loop {
            let (first, end) = self.brokers.ends(self.topic, partition)?;
            if end >= written {
                return Ok((first, end));
            }
            if start.elapsed() > CONTEST {
                let reason = "a transaction of somebody else stays open";
                return Err(ReplayError::kafka(format!("reading topic `{}`", self.topic), reason));
            }
            if !std::mem::replace(&mut said, true) {
                info!(topic = self.topic, "a transaction is open there; waiting for its end");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Reads the record under `key` when nobody else can write it any more, and writes what `decide` makes of it. `id` is
    /// the transactional id. Whoever is fenced looks again.
    ///
    /// # Errors
    /// What `decide` refuses; brokers that do not answer; writers that never let each other pass.
    pub fn update<T>(
        &self,
        key: &str,
        id: &str,
        decide: impl Fn(Option<&[u8]>) -> Result<Update<T>, ReplayError>,
    ) -> Result<T, ReplayError> {
        let start = Instant::now();
        loop {
            // The common case needs no producer: the record is there and stays.
            if let Update::Keep(found) = decide(self.read(key)?.as_deref())? {
                return Ok(found);
            }
            let writer = self.writer(id)?;
            let attempt = match decide(self.read(key)?.as_deref())? {
                Update::Keep(found) => return Ok(found),
                Update::Write { value, offsets, then } => {
                    self.write(&writer, key, &value, offsets.as_ref()).map(|()| then)
                }
            };
            match attempt {
                Ok(then) => return Ok(then),
                Err(error) if start.elapsed() > CONTEST => {
                    return Err(ReplayError::kafka(format!("writing to topic `{}`", self.topic), error));
                }
                Err(error) => debug!(%error, "another process may be writing; looking again"),
            }
            drop(writer);
            std::thread::sleep(Duration::from_millis(100 + u64::from(rand::random::<u8>())));
        }
    }

    /// A transactional producer; older ones of the same id are fenced, and what they left open is ended.
    pub(crate) fn writer(&self, id: &str) -> Result<Writer, ReplayError> {
        let failed =
            |error: KafkaError| ReplayError::kafka(format!("starting transactions as `{id}`"), error);
        let mut properties = self.clients.producer(0);
        properties.set("transactional.id", id).set("transaction.timeout.ms", "10000");
        if properties.get("message.max.bytes").is_none() {
            // What a topic held it takes again: its own limit counts.
            properties.set("message.max.bytes", "1000000000");
        }
        let writer: Writer = properties.create().map_err(failed)?;
        let start = Instant::now();
        loop {
            match writer.init_transactions(CALL) {
                Ok(()) => return Ok(writer),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && start.elapsed() < CONTEST => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn write(
        &self,
        writer: &Writer,
        key: &str,
        value: &[u8],
        offsets: Option<&TopicPartitionList>,
    ) -> Result<(), KafkaError> {
        writer.begin_transaction()?;
        let written = self.put(writer, key, value, offsets).and_then(|()| writer.commit_transaction(CALL));
        if written.is_err() {
            // It may be fenced already; then there is nothing to abort.
            let _ = writer.abort_transaction(CALL);
        }
        written
    }

    /// Adds a record, and perhaps offsets, to the open transaction of `writer`.
    pub(crate) fn put(
        &self,
        writer: &Writer,
        key: &str,
        value: &[u8],
        offsets: Option<&TopicPartitionList>,
    ) -> Result<(), KafkaError> {
        writer.send(BaseRecord::to(self.topic).key(key).payload(value)).map_err(|(error, _)| error)?;
        if let Some(offsets) = offsets {
            let group = self.brokers.group().map_err(|_| KafkaError::Canceled)?;
            writer.send_offsets_to_transaction(offsets, &group, CALL)?;
        }
        Ok(())
    }
}
