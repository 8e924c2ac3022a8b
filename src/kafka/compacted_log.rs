//! State that processes share: a compacted topic with one record per key. Written by transactional producers, one id per
//! key, so that of two writers the older is fenced and its record never read. Replays keep their plans there, redrives
//! the records that they have sent.

use super::ClientProperties;
use super::admin::{Brokers, QueryContext};
use super::error::{BrokerError, is_fenced};
use super::topic_settings::block_on;
use super::transaction_limits::TransactionLimits;
use super::write_failures::WriteFailures;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Longest wait for a transaction's call.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long two concurrent writers may fence each other.
const CONTENTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A transactional producer that writes to the log, and to other topics in the same transaction.
pub(crate) struct Writer {
    id: String,
    producer: ThreadedProducer<WriteFailures>,
    failures: WriteFailures,
    limits: TransactionLimits,
    in_doubt: Cell<bool>,
}

impl Writer {
    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Result<(), KafkaError> {
        self.failures.forget();
        self.producer.begin_transaction()
    }

    /// Adds a record of any topic to the transaction.
    pub(crate) fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        self.producer.send(record).map_err(|(error, _)| error)
    }

    /// Commits the transaction.
    pub(crate) fn commit(&self, timeout: Duration) -> Result<(), KafkaError> {
        let start = Instant::now();
        self.producer.commit_transaction(timeout)?;
        self.in_doubt.set(start.elapsed() >= self.limits.late_end);
        Ok(())
    }

    /// Whether another writer has to take the place of this one before another transaction: a request of the last one may
    /// still arrive ([`super::transaction_limits`]).
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.get()
    }

    /// The transactional id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Aborts the open transaction, if there is one: a fenced writer has nothing to abort, and fails here.
    pub(crate) fn abort(&self, timeout: Duration) {
        if let Err(error) = self.producer.abort_transaction(timeout) {
            debug!(%error, "nothing was aborted");
        }
    }

    /// Whether a newer writer of the same id took over.
    pub(crate) fn is_fenced(&self) -> bool {
        is_fenced(self.producer.client().fatal_error().as_ref())
    }

    /// Why the first record of the transaction that was not delivered was not.
    pub(crate) fn first_failure(&self) -> Option<KafkaError> {
        self.failures.first()
    }
}

/// The compacted topic.
pub(crate) struct CompactedLog<'a> {
    clients: &'a ClientProperties,
    brokers: &'a Brokers,
    topic: &'a str,
    /// A `read_uncommitted` client, created when it is needed.
    all: OnceCell<BaseConsumer<QueryContext>>,
}

/// The result of an update's decision.
pub(crate) enum Update<T> {
    /// The existing record stays.
    Keep(T),
    /// This record replaces it.
    Write {
        /// The record's value.
        value: Vec<u8>,
        /// Offsets that are committed with it, for the group of the log's clients.
        offsets: Option<TopicPartitionList>,
        /// What the update returns.
        then: T,
    },
}

impl<'a> CompactedLog<'a> {
    /// Opens the log; creates the topic if there is none.
    ///
    /// # Errors
    /// The topic can neither be found nor created.
    pub(crate) fn open(
        clients: &'a ClientProperties,
        brokers: &'a Brokers,
        topic: &'a str,
    ) -> Result<Self, BrokerError> {
        let log = CompactedLog { clients, brokers, topic, all: OnceCell::new() };
        match brokers.partitions(topic)? {
            None => log.create()?,
            Some(_) => log.check_compaction(),
        }
        Ok(log)
    }

    /// Warns of a topic with retention: a plan that was deleted is made again, and its records processed again.
    fn check_compaction(&self) {
        let described =
            self.clients.plain().create().ok().and_then(|admin: AdminClient<DefaultClientContext>| {
                let options = AdminOptions::new().request_timeout(Some(CALL_TIMEOUT));
                block_on(admin.describe_configs(&[ResourceSpecifier::Topic(self.topic)], &options)).ok()
            });
        // Without the right to describe configs there is no warning.
        let found = described.into_iter().flatten().flatten().next();
        let policy = found.as_ref().and_then(|found| found.get("cleanup.policy")?.value.clone());
        if policy.is_some_and(|policy| policy != "compact") {
            warn!(
                topic = self.topic,
                "the topic that holds the plans of replays is not compacted, so plans may be deleted: set cleanup.policy=compact on it"
            );
        }
    }

    /// One partition with the cluster's own replication factor, compacted.
    fn create(&self) -> Result<(), BrokerError> {
        let doing = || {
            format!(
                "creating the compacted topic `{}` (replay.topic), which holds the plans of replays,",
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
            _ => info!(topic = self.topic, "created the topic that holds the plans of replays"),
        }
        // The new topic takes a moment to appear in the metadata.
        let start = Instant::now();
        while self.brokers.partitions(self.topic)?.is_none() {
            if start.elapsed() > CALL_TIMEOUT {
                return Err(failed("it does not appear in the metadata".to_owned()));
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

    /// First and last offset of a partition once everything written so far is readable: behind another producer's open
    /// transaction there could be a record with the key.
    fn settled(&self, partition: i32) -> Result<(i64, i64), BrokerError> {
        let failed =
            |error: KafkaError| BrokerError::request(format!("reading topic `{}`", self.topic), error);
        let all = match self.all.get() {
            Some(all) => all,
            None => {
                let mut properties = self.clients.plain();
                properties.set("isolation.level", "read_uncommitted");
                let made = properties.create_with_context(QueryContext::default()).map_err(failed)?;
                self.all.get_or_init(|| made)
            }
        };
        let (_, written) = all.fetch_watermarks(self.topic, partition, CALL_TIMEOUT).map_err(failed)?;
        let start = Instant::now();
        let mut logged = false;
        loop {
            let (first, end) = self.brokers.ends(self.topic, partition)?;
            if end >= written {
                return Ok((first, end));
            }
            if start.elapsed() > CONTENTION_TIMEOUT {
                let reason = "another producer's transaction stays open";
                return Err(BrokerError::request(format!("reading topic `{}`", self.topic), reason));
            }
            if !std::mem::replace(&mut logged, true) {
                info!(topic = self.topic, "a transaction is open there; waiting for its end");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Reads the record under `key` when other writers of it are fenced, and writes the result of `decide`. `id` is the
    /// transactional id. A fenced writer tries again.
    ///
    /// # Errors
    /// Errors of `decide`; brokers that do not answer; concurrent writers that keep fencing each other.
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
                    return Err(BrokerError::client(
                        format!("writing to topic `{}`", self.topic),
                        &error,
                        self.brokers.addresses(),
                    )
                    .into());
                }
                Err(error) => debug!(%error, "another process may be writing; trying again"),
            }
            drop(writer);
            std::thread::sleep(Duration::from_millis(100 + u64::from(rand::random::<u8>())));
        }
    }

    /// A transactional producer; older ones of the same id are fenced, and their open transactions are aborted.
    pub(crate) fn writer(&self, id: &str) -> Result<Writer, BrokerError> {
        let failed = |error: KafkaError| {
            BrokerError::client(format!("starting transactions as `{id}`"), &error, self.brokers.addresses())
        };
        let mut properties = self.clients.producer(0);
        properties.set("transactional.id", id);
        properties.set("transaction.timeout.ms", "10000").set("socket.timeout.ms", "5000");
        if properties.get("message.max.bytes").is_none() {
            // The topic's own limit applies: a record that was in the topic fits into it again.
            properties.set("message.max.bytes", "1000000000");
        }
        let failures = WriteFailures::default();
        let writer = Writer {
            id: id.to_owned(),
            producer: properties.create_with_context(failures.clone()).map_err(failed)?,
            failures,
            limits: TransactionLimits::of(&properties)
                .map_err(|error| BrokerError::request(format!("starting transactions as `{id}`"), error))?,
            in_doubt: Cell::new(false),
        };
        let start = Instant::now();
        loop {
            match writer.producer.init_transactions(CALL_TIMEOUT) {
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
            writer.producer.send_offsets_to_transaction(offsets, &group, CALL_TIMEOUT)?;
        }
        Ok(())
    }
}
