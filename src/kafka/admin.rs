//! Requests to the brokers: partitions of topics, end offsets, offsets by time, committed offsets.

use crate::kafka::error::BrokerError;
use crate::kafka::{ClientProperties, events};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::debug;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The context of a client for requests: errors are returned by the requests; the end of a partition is not an error.
pub(super) struct QueryContext;

impl ClientContext for QueryContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        events::guarded("error", || debug!(%error, reason, "an admin client reports an error"));
    }
}

impl ConsumerContext for QueryContext {}

/// A consumer that is not a member of a group, for requests.
pub(crate) struct Brokers {
    consumer: BaseConsumer<QueryContext>,
    addresses: String,
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
            .create_with_context(QueryContext)
            .map_err(|error| BrokerError::request("creating a client", error))?;
        Ok(Brokers { consumer, addresses })
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
            .map_err(|error| BrokerError::request(doing(), error))?;
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
            Some(code) => Err(BrokerError::request(doing(), code)),
        }
    }

    /// The first offset that is left in a partition, and the one behind the last committed record.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub(crate) fn ends(&self, topic: &str, partition: i32) -> Result<(i64, i64), BrokerError> {
        self.consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT).map_err(|error| {
            BrokerError::request(format!("requesting the end of partition {partition} of `{topic}`"), error)
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
                .map_err(|error| BrokerError::request(doing(), error))?;
        }
        let found = self
            .consumer
            .offsets_for_times(list, REQUEST_TIMEOUT)
            .map_err(|error| BrokerError::request(doing(), error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| BrokerError::request(doing(), error))?;
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
        let found = self
            .consumer
            .committed_offsets(list, limit)
            .map_err(|error| BrokerError::request(doing(), error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| BrokerError::request(doing(), error))?;
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
        let failed = |error: KafkaError| BrokerError::request(format!("reading topic `{topic}`"), error);
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in offsets {
            list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(failed)?;
        }
        let mut open: BTreeSet<i32> = offsets.keys().copied().collect();
        self.consumer.assign(&list).map_err(failed)?;
        let mut last_record = Instant::now();
        let result = loop {
            if open.is_empty() {
                break Ok(());
            }
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
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
}
