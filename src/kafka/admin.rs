//! Requests to the brokers: partitions of topics, end offsets, offsets by time, committed offsets.

use crate::kafka::corruption::Corruption;
use crate::kafka::error::{BrokerError, code};
use crate::kafka::probe::{Found, Probe};
use crate::kafka::topics::Refusals;
use crate::kafka::{ClientError, ClientProperties, events, tls};
use nunchi_librdkafka::{DescribeOptions, TopicId, describe_topics};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::debug;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The context of a client for requests: errors are returned by the requests; the end of a partition is not an error.
#[derive(Default)]
pub(super) struct QueryContext {
    refusals: Refusals,
    /// The last batch that could not be read.
    corrupt: Mutex<Option<Corruption>>,
}

impl QueryContext {
    fn take_corrupt(&self) -> Option<Corruption> {
        self.corrupt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for QueryContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        events::guarded("error", || {
            debug!(%error, reason, "an admin client reports an error");
            self.refusals.note(&error);
            if let Some(corruption) = Corruption::of(&error, reason) {
                *self.corrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(corruption);
            }
        });
    }
}

impl ConsumerContext for QueryContext {}

/// A consumer that is not a member of a group, for requests.
pub(crate) struct Brokers {
    consumer: BaseConsumer<QueryContext>,
    addresses: String,
    properties: ClientConfig,
}

/// The first record at or behind an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    /// Its offset.
    pub(crate) offset: i64,
    /// Its timestamp, in milliseconds of Unix time.
    pub(crate) timestamp_ms: Option<i64>,
}

impl Brokers {
    /// A client with the group and the properties of `clients`. Reads what is committed only.
    ///
    /// # Errors
    /// Properties that librdkafka refuses.
    pub(crate) fn connect(clients: &ClientProperties) -> Result<Self, BrokerError> {
        let mut properties = clients.consumer(0);
        properties.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        properties.remove("group.instance.id");
        // Errors are returned by the requests.
        properties.set_log_level(rdkafka::config::RDKafkaLogLevel::Critical);
        let addresses = properties.get("bootstrap.servers").unwrap_or_default().to_owned();
        let consumer = properties
            .create_with_context(QueryContext::default())
            .map_err(|error| BrokerError::request("creating a client", error))?;
        Ok(Brokers { consumer, addresses, properties })
    }

    /// Why a request failed: that the brokers refuse is told apart.
    fn failed(&self, doing: impl Into<String>, error: &KafkaError) -> BrokerError {
        let doing = doing.into();
        // Refusals are reported to the context, from within poll.
        drop(self.consumer.poll(Duration::from_millis(100)));
        let refusal = self.consumer.context().refusals.refusal().or_else(|| code(error));
        let is_lost = matches!(
            refusal,
            Some(
                RDKafkaErrorCode::SSL
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
            )
        );
        let refused = match is_lost.then(|| tls::diagnose(&self.properties)).flatten() {
            Some(message) => Some(ClientError::Tls(message)),
            None => refusal.and_then(|code| ClientError::refusal(code, &self.addresses, &doing)),
        };
        match refused {
            Some(error) => BrokerError::Refused { doing, error: Box::new(error) },
            None => BrokerError::request(doing, error),
        }
    }

    /// `kafka.brokers`.
    pub(crate) fn addresses(&self) -> &str {
        &self.addresses
    }

    /// The metadata of the group, for a transaction.
    ///
    /// # Errors
    /// The client has no group.
    pub(crate) fn group(&self) -> Result<ConsumerGroupMetadata, BrokerError> {
        self.consumer
            .group_metadata()
            .ok_or_else(|| BrokerError::request("reading the group's metadata", "the client has no group"))
    }

    /// The partitions of `topic`; `None` if there is no such topic.
    ///
    /// # Errors
    /// The brokers do not answer or refuse.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, BrokerError> {
        let doing = || format!("requesting the metadata of topic `{topic}` from {}", self.addresses);
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| self.failed(doing(), &error))?;
        let Some(found) = metadata.topics().first() else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None if found.partitions().is_empty() => Ok(None),
            None => {
                let mut partitions: Vec<i32> =
                    found.partitions().iter().map(|partition| partition.id()).collect();
                partitions.sort_unstable();
                Ok(Some(partitions))
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::InvalidTopic,
            ) => Ok(None),
            Some(code) => Err(self.failed(doing(), &KafkaError::MetadataFetch(code))),
        }
    }

    /// The id of `topic`, which a later topic of the same name does not have; `None` where the brokers know no ids (before
    /// Kafka 2.8) or do not say.
    pub(crate) fn topic_id(&self, topic: &str) -> Option<TopicId> {
        let options = DescribeOptions { timeout: REQUEST_TIMEOUT, authorized_operations: false };
        let described = describe_topics(self.consumer.client(), &[topic], &options).ok()?.pop()?;
        described.ok()?.id
    }

    /// The first offset that is left in a partition, and the one behind the last committed record.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub(crate) fn ends(&self, topic: &str, partition: i32) -> Result<(i64, i64), BrokerError> {
        self.consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT).map_err(|error| {
            self.failed(format!("requesting the end of partition {partition} of `{topic}`"), &error)
        })
    }

    /// By partition the offset of the first record that is not older than a time; `None` where there is none.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub(crate) fn at_time(
        &self,
        topic: &str,
        partitions: &[i32],
        time_ms: i64,
    ) -> Result<BTreeMap<i32, Option<i64>>, BrokerError> {
        let doing = || format!("requesting offsets of `{topic}` by time");
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            // Negative times have a special meaning in the protocol.
            list.add_partition_offset(topic, partition, Offset::Offset(time_ms.max(0)))
                .map_err(|error| self.failed(doing(), &error))?;
        }
        let found = self
            .consumer
            .offsets_for_times(list, REQUEST_TIMEOUT)
            .map_err(|error| self.failed(doing(), &error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| self.failed(doing(), &error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            offsets.insert(element.partition(), offset);
        }
        Ok(offsets)
    }

    /// By partition the group's committed offset; `None` where there is none.
    ///
    /// # Errors
    /// The coordinator does not answer, or a transaction with offsets stays open.
    pub(crate) fn committed(
        &self,
        topic: &str,
        partitions: &[i32],
        limit: Duration,
    ) -> Result<BTreeMap<i32, Option<i64>>, BrokerError> {
        let doing = || "requesting committed offsets".to_owned();
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(topic, partition);
        }
        let found =
            self.consumer.committed_offsets(list, limit).map_err(|error| self.failed(doing(), &error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| self.failed(doing(), &error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            offsets.insert(element.partition(), offset);
        }
        Ok(offsets)
    }

    /// By partition the first record at or behind an offset; partitions without one are missing.
    ///
    /// # Errors
    /// The brokers do not answer in time.
    pub(crate) fn first_records(
        &self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, First>, BrokerError> {
        let mut found = BTreeMap::new();
        self.read(topic, offsets, |record| {
            if let Some(message) = record {
                let first = First { offset: message.offset(), timestamp_ms: message.timestamp().to_millis() };
                found.entry(message.partition()).or_insert(first);
            }
            false
        })?;
        Ok(found)
    }

    /// Reads from `offsets` on. `see` gets every record, and returns whether to go on with its partition; reading stops
    /// at the partition's end at the latest.
    ///
    /// # Errors
    /// No broker answers for ten seconds.
    pub(crate) fn read(
        &self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        mut see: impl FnMut(Option<&rdkafka::message::BorrowedMessage<'_>>) -> bool,
    ) -> Result<(), BrokerError> {
        let failed = |error: KafkaError| self.failed(format!("reading topic `{topic}`"), &error);
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in offsets {
            list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(failed)?;
        }
        let mut open: BTreeSet<i32> = offsets.keys().copied().collect();
        let mut next = offsets.clone();
        self.consumer.context().take_corrupt();
        self.consumer.assign(&list).map_err(failed)?;
        let mut last_record = Instant::now();
        let result = loop {
            if open.is_empty() {
                break Ok(());
            }
            let polled = self.consumer.poll(Duration::from_millis(100));
            if let Some(corruption) = self.consumer.context().take_corrupt() {
                next.retain(|partition, _| open.contains(partition));
                if let Some(error) = self.corrupt(topic, &next, &corruption) {
                    break Err(error);
                }
            }
            match polled {
                Some(Ok(message)) => {
                    next.insert(message.partition(), message.offset() + 1);
                    last_record = Instant::now();
                    if open.contains(&message.partition()) && !see(Some(&message)) {
                        open.remove(&message.partition());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    last_record = Instant::now();
                    open.remove(&partition);
                }
                Some(Err(error)) if last_record.elapsed() > REQUEST_TIMEOUT => break Err(failed(error)),
                None if last_record.elapsed() > REQUEST_TIMEOUT => {
                    break Err(BrokerError::request(format!("reading topic `{topic}`"), "no broker answers"));
                }
                Some(Err(_)) | None => {}
            }
        };
        self.consumer.unassign().map_err(failed)?;
        result
    }

    /// The error about a batch that cannot be read, if it is one of a partition that is still being read, from `next` on.
    fn corrupt(
        &self,
        topic: &str,
        next: &BTreeMap<i32, i64>,
        corruption: &Corruption,
    ) -> Option<BrokerError> {
        let probe = match Probe::with(self.properties.clone(), topic) {
            Ok(probe) => probe,
            Err(error) => return Some(BrokerError::request(format!("reading topic `{topic}`"), error)),
        };
        for (&partition, &next) in next {
            match probe.look(partition, next.max(corruption.offset), &|| {}) {
                Ok(Found::Corrupt(seen)) => {
                    return Some(BrokerError::Corrupt {
                        topic: topic.to_owned(),
                        partition,
                        offset: next.max(seen.offset),
                        reason: seen.reason,
                    });
                }
                Ok(Found::Readable(_) | Found::Absent) => {}
                Err(error) => return Some(BrokerError::request(format!("reading topic `{topic}`"), error)),
            }
        }
        None
    }
}
