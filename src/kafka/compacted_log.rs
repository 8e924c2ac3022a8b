//! State that processes share: a compacted topic with one record a key. Written by transactional producers, one id a key,
//! so that of two writers the older is fenced and its record never seen. Replays keep their plans there, redrives what
//! they have sent.

use super::ClientProperties;
use super::admin::{Brokers, QueryContext};
use super::error::{BrokerError, is_fenced};
use super::topics::block_on;
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
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long two writers may get in each other's way.
const CONTENTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A transactional producer that writes to the log, and to other topics in the same transaction.
pub(crate) struct Writer(ThreadedProducer<DefaultProducerContext>);

impl Writer {
    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Result<(), KafkaError> {
        self.0.begin_transaction()
    }

    /// Adds a record of any topic to the transaction.
    pub(crate) fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        self.0.send(record).map_err(|(error, _)| error)
    }

    /// Commits the transaction.
    pub(crate) fn commit(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.0.commit_transaction(timeout)
    }

    /// Aborts what is open, if anything is: a writer that is fenced already has nothing to abort, and fails here.
    pub(crate) fn abort(&self, timeout: Duration) {
        if let Err(error) = self.0.abort_transaction(timeout) {
            debug!(%error, "nothing was aborted");
        }
    }

    /// Whether a newer writer of the same id took over.
    pub(crate) fn is_fenced(&self) -> bool {
        is_fenced(self.0.client().fatal_error().as_ref())
    }
}

/// The compacted topic.
pub(crate) struct CompactedLog<'a> {
    clients: &'a ClientProperties,
    brokers: &'a Brokers,
    topic: &'a str,
    /// A client that sees what is not committed too, made when it is needed.
    all: OnceCell<BaseConsumer<QueryContext>>,
}

/// What an update makes of what it found.
pub(crate) enum Update<T> {
    /// What is there stays.
    Keep(T),
    /// This takes its place.
    Write {
        /// The record's value.
        value: Vec<u8>,
        /// Offsets that are committed with it, for the group of the log's clients.
        offsets: Option<TopicPartitionList>,
        /// What the update is worth.
        then: T,
    },
}

impl<'a> CompactedLog<'a> {
    /// Opens the log; makes the topic if there is none.
    ///
    /// # Errors
    /// The topic can neither be found nor made.
    pub(crate) fn open(
        clients: &'a ClientProperties,
        brokers: &'a Brokers,
        topic: &'a str,
    ) -> Result<Self, BrokerError> {
        let log = CompactedLog { clients, brokers, topic, all: OnceCell::new() };
        match brokers.partitions(topic)? {
            None => log.make()?,
            Some(_) => log.check_compaction(),
        }
        Ok(log)
    }

    /// Warns of a topic that forgets: a plan that is gone is made again, and its records answered again.
    fn check_compaction(&self) {
        let described =
            self.clients.plain().create().ok().and_then(|admin: AdminClient<DefaultClientContext>| {
                let options = AdminOptions::new().request_timeout(Some(CALL_TIMEOUT));
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
    fn make(&self) -> Result<(), BrokerError> {
        let doing = || {
            format!(
                "making the compacted topic `{}` (replay.topic), in which replays remember their plans,",
                self.topic
            )
        };
        let failed = |reason: String| BrokerError::request(doing(), reason);
        let admin: AdminClient<DefaultClientContext> =
            self.clients.plain().create().map_err(|error| failed(error.to_string()))?;
        let new = NewTopic::new(self.topic, 1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
        let made =
            block_on(admin.create_topics([&new], &AdminOptions::new().request_timeout(Some(CALL_TIMEOUT))))
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
            if start.elapsed() > CALL_TIMEOUT {
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
    pub(crate) fn read(&self, key: &str) -> Result<Option<Vec<u8>>, BrokerError> {
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
    fn settled(&self, partition: i32) -> Result<(i64, i64), BrokerError> {
        let failed =
            |error: KafkaError| BrokerError::request(format!("reading topic `{}`", self.topic), error);
        let all = match self.all.get() {
            Some(all) => all,
            None => {
                let mut properties = self.clients.plain();
                properties.set("isolation.level", "read_uncommitted");
                let made = properties.create_with_context(QueryContext).map_err(failed)?;
                self.all.get_or_init(|| made)
            }
        };
        let (_, written) = all.fetch_watermarks(self.topic, partition, CALL_TIMEOUT).map_err(failed)?;
        let start = Instant::now();
        let mut said = false;
        loop {
            let (first, end) = self.brokers.ends(self.topic, partition)?;
            if end >= written {
                return Ok((first, end));
            }
            if start.elapsed() > CONTENTION_TIMEOUT {
                let reason = "a transaction of somebody else stays open";
                return Err(BrokerError::request(format!("reading topic `{}`", self.topic), reason));
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
    pub(crate) fn update<T, E: From<BrokerError>>(
        &self,
        key: &str,
        id: &str,
        decide: impl Fn(Option<&[u8]>) -> Result<Update<T>, E>,
    ) -> Result<T, E> {
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
                Err(error) if start.elapsed() > CONTENTION_TIMEOUT => {
                    return Err(
                        BrokerError::request(format!("writing to topic `{}`", self.topic), error).into()
                    );
                }
                Err(error) => debug!(%error, "another process may be writing; looking again"),
            }
            drop(writer);
            std::thread::sleep(Duration::from_millis(100 + u64::from(rand::random::<u8>())));
        }
    }

    /// A transactional producer; older ones of the same id are fenced, and what they left open is ended.
    pub(crate) fn writer(&self, id: &str) -> Result<Writer, BrokerError> {
        let failed =
            |error: KafkaError| BrokerError::request(format!("starting transactions as `{id}`"), error);
        let mut properties = self.clients.producer(0);
        properties.set("transactional.id", id).set("transaction.timeout.ms", "10000");
        if properties.get("message.max.bytes").is_none() {
            // What a topic held it takes again: its own limit counts.
            properties.set("message.max.bytes", "1000000000");
        }
        let writer = Writer(properties.create().map_err(failed)?);
        let start = Instant::now();
        loop {
            match writer.0.init_transactions(CALL_TIMEOUT) {
                Ok(()) => return Ok(writer),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && start.elapsed() < CONTENTION_TIMEOUT => {}
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
        writer.begin()?;
        let written = self.put(writer, key, value, offsets).and_then(|()| writer.commit(CALL_TIMEOUT));
        if written.is_err() {
            writer.abort(CALL_TIMEOUT);
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
        writer.send(BaseRecord::to(self.topic).key(key.as_bytes()).payload(value))?;
        if let Some(offsets) = offsets {
            let group = self.brokers.group().map_err(|_| KafkaError::Canceled)?;
            writer.0.send_offsets_to_transaction(offsets, &group, CALL_TIMEOUT)?;
        }
        Ok(())
    }
}
