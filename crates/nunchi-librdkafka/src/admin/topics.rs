//! Topics: their IDs, their partitions' leaders, and the authorized operations.

use super::request::{DescribeOptions, Event, Request};
use super::{Node, Operations, TopicId};
use crate::{Error, ResponseError, ffi};
use rdkafka::bindings::{
    rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
    rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicCollection_t,
    rd_kafka_TopicDescription_authorized_operations, rd_kafka_TopicDescription_error,
    rd_kafka_TopicDescription_is_internal, rd_kafka_TopicDescription_name,
    rd_kafka_TopicDescription_partitions, rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id,
    rd_kafka_TopicPartitionInfo_isr, rd_kafka_TopicPartitionInfo_leader,
    rd_kafka_TopicPartitionInfo_partition, rd_kafka_TopicPartitionInfo_replicas,
    rd_kafka_TopicPartitionInfo_t, rd_kafka_admin_op_t, rd_kafka_event_DescribeTopics_result,
    rd_kafka_resp_err_t,
};
use rdkafka::client::{Client, ClientContext};
use std::ffi::CString;
use std::ptr::NonNull;

const DESCRIBE_TOPICS: Request =
    Request { call: "DescribeTopics", operation: rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS };

/// The description of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its ID (KIP-516): a topic that is deleted and made again has another. `None` from brokers before Kafka 2.8.
    pub id: Option<TopicId>,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
    /// Its partitions.
    pub partitions: Vec<PartitionDescription>,
    /// The operations that the client's principal may perform on it (KIP-430), if requested and reported.
    pub authorized_operations: Option<Operations>,
}

/// The description of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// Its leader; `None` while it has none.
    pub leader: Option<Node>,
    /// The brokers that have it.
    pub replicas: Vec<Node>,
    /// Those of them that are up to date.
    pub in_sync_replicas: Vec<Node>,
}

/// Why a topic cannot be described: unknown, or we may not see it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic `{topic}`: {response}")]
pub struct TopicError {
    /// The requested topic.
    pub topic: String,
    /// The broker's error.
    pub response: ResponseError,
}

/// Describes topics (each named once), in the order of `topics`. Creates no topic.
///
/// Wraps `rd_kafka_DescribeTopics` (KIP-516 for the IDs, KIP-430 for the authorized operations).
///
/// # Errors
/// A name with a NUL, an empty name, the same name twice, or no response in time; per topic: it is unknown, or we may not
/// describe it.
pub fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[impl AsRef<str>],
    options: &DescribeOptions,
) -> Result<Vec<Result<TopicDescription, TopicError>>, Error> {
    let collection = TopicCollection::new(topics)?;
    let event = DESCRIBE_TOPICS.send(client, options, |client, options, queue| {
        // SAFETY: all four live until the answer is here; librdkafka copies the names and the options.
        unsafe { rd_kafka_DescribeTopics(client, collection.0.as_ptr(), options, queue) };
    })?;
    let described = descriptions(&event)?;
    Ok(topics.iter().map(|topic| of_topic(topic.as_ref(), &described)).collect())
}

/// The description of `topic` among all.
fn of_topic(
    topic: &str,
    described: &[(String, Result<TopicDescription, ResponseError>)],
) -> Result<TopicDescription, TopicError> {
    let error = |response| TopicError { topic: topic.to_owned(), response };
    match described.iter().find(|(name, _)| name == topic) {
        Some((_, description)) => description.clone().map_err(error),
        None => Err(error(ResponseError::new(
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__BAD_MSG,
            "the broker's response does not contain it",
        ))),
    }
}

type Described = Vec<(String, Result<TopicDescription, ResponseError>)>;

fn descriptions(event: &Event) -> Result<Described, Error> {
    // SAFETY: everything is the event's, which lives longer than this function; null where it is of another kind.
    unsafe {
        let result = rd_kafka_event_DescribeTopics_result(event.as_ptr());
        if result.is_null() {
            return Err(DESCRIBE_TOPICS.incomplete());
        }
        let mut count = 0;
        let topics = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        Ok(ffi::pointers(topics, count).into_iter().map(|topic| description(topic)).collect())
    }
}

/// A copy of a topic's description.
///
/// # Safety
/// `topic` is a living description.
unsafe fn description(
    topic: *const rd_kafka_TopicDescription_t,
) -> (String, Result<TopicDescription, ResponseError>) {
    // SAFETY: living as the caller promises, and so is what it lends out.
    unsafe {
        let name = ffi::string(rd_kafka_TopicDescription_name(topic)).unwrap_or_default();
        if let Some(error) = ResponseError::copy(rd_kafka_TopicDescription_error(topic)) {
            return (name, Err(error));
        }
        let mut count = 0;
        let operations = rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        let authorized_operations = Operations::copy(operations, count);
        let partitions = rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        let partitions = ffi::pointers(partitions, count).into_iter().map(|info| partition(info)).collect();
        let description = TopicDescription {
            name: name.clone(),
            id: TopicId::copy(rd_kafka_TopicDescription_topic_id(topic)),
            internal: rd_kafka_TopicDescription_is_internal(topic) != 0,
            partitions,
            authorized_operations,
        };
        (name, Ok(description))
    }
}

/// A copy of a partition's description.
///
/// # Safety
/// `info` is a living description.
unsafe fn partition(info: *const rd_kafka_TopicPartitionInfo_t) -> PartitionDescription {
    // SAFETY: living as the caller promises, and so is what it lends out.
    unsafe {
        let mut count = 0;
        let replicas = rd_kafka_TopicPartitionInfo_replicas(info, &raw mut count);
        let replicas = Node::copies(replicas, count);
        let in_sync = rd_kafka_TopicPartitionInfo_isr(info, &raw mut count);
        PartitionDescription {
            partition: rd_kafka_TopicPartitionInfo_partition(info),
            leader: Node::copy(rd_kafka_TopicPartitionInfo_leader(info)),
            replicas,
            in_sync_replicas: Node::copies(in_sync, count),
        }
    }
}

/// Names for librdkafka.
struct TopicCollection(NonNull<rd_kafka_TopicCollection_t>);

impl TopicCollection {
    fn new(topics: &[impl AsRef<str>]) -> Result<Self, Error> {
        let names: Vec<CString> = topics
            .iter()
            .map(|topic| ffi::c_string(topic.as_ref(), "topic name"))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: as many C strings as said; librdkafka copies them.
        let collection =
            unsafe { rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
        let collection = NonNull::new(collection);
        Ok(TopicCollection(
            collection.expect("librdkafka ends the process where there is no memory for names"),
        ))
    }
}

impl Drop for TopicCollection {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_TopicCollection_of_topic_names`, and nobody else has it.
        unsafe { rd_kafka_TopicCollection_destroy(self.0.as_ptr()) };
    }
}
