//! Where a new group begins: committed before its first member joins, for all partitions at once.
//!
//! So `input.start` is decided once. A process that is stopped before it read anything goes on there when it starts again, and a
//! partition that appears later is told from those that were there: it begins at its beginning.

use super::ClientProperties;
use super::admin::QueryContext;
use super::batch::Span;
use super::consumer::offsets;
use super::error::{ClientError, code};
use super::live_topics::LiveTopics;
use super::placement::ranges;
use crate::config::{Config, Start};
use crate::stop::Stop;
use crate::telemetry::Health;
use nunchi_librdkafka::{DescribeOptions, TopicId, describe_topics};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::{debug, info, warn};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Commits where the partitions of the input topic begin if the group has no committed offset of any of them. Waits without
/// limit for brokers that do not answer. False if a stop was requested.
///
/// # Errors
/// The brokers refuse the credentials or deny the group.
pub(crate) fn begin(
    config: &Config,
    clients: &ClientProperties,
    live: &LiveTopics,
    health: &Health,
    stop: &Stop,
    workers: usize,
) -> Result<bool, ClientError> {
    let mut attempts = 0;
    loop {
        (0..workers).for_each(|worker| health.beat(worker));
        // A new client each time: it has the credentials of today.
        let reason = match GroupStart::connect(config, clients, live)?.begin() {
            Ok(()) => return Ok(true),
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Unavailable(reason)) => reason,
        };
        attempts += 1;
        if attempts == 1 || attempts % 12 == 0 {
            warn!(
                group = config.kafka.group,
                reason, "the group's committed offsets are not known yet; retrying"
            );
        }
        if stop.sleep(RETRY_PAUSE) {
            return Ok(false);
        }
    }
}

enum Failure {
    Unavailable(String),
    Fatal(ClientError),
}

struct GroupStart<'a> {
    config: &'a Config,
    consumer: BaseConsumer<QueryContext>,
    live: &'a LiveTopics,
}

impl<'a> GroupStart<'a> {
    fn connect(
        config: &'a Config,
        clients: &ClientProperties,
        live: &'a LiveTopics,
    ) -> Result<Self, ClientError> {
        let mut properties = clients.consumer(0);
        // Not a member: the brokers take its offsets only while there is none.
        properties.remove("group.instance.id");
        // Errors are returned by the requests.
        properties.set_log_level(RDKafkaLogLevel::Critical);
        let consumer = properties.create_with_context(QueryContext::default()).map_err(|error| {
            ClientError::Configuration(format!(
                "the client for the group's offsets cannot be created: {error}"
            ))
        })?;
        Ok(GroupStart { config, consumer, live })
    }

    fn begin(&self) -> Result<(), Failure> {
        let partitions: Vec<i32> = (0..self.live.input_partitions()).collect();
        if self.is_begun(&partitions)? {
            return Ok(());
        }
        let Config { input, kafka, .. } = self.config;
        let logs = ranges(&self.consumer, &input.topic, &partitions).map_err(Failure::Unavailable)?;
        let starts: BTreeMap<i32, i64> = logs
            .iter()
            .map(|(&partition, log)| match self.config.input.start {
                Start::Earliest => (partition, log.first),
                Start::Latest => (partition, log.end),
            })
            .collect();
        let span = |(&partition, &next): (&i32, &i64)| (partition, Span { first: next, next, epoch: None });
        let spans = starts.iter().map(span).collect();
        let topic_id = self.topic_id();
        match self.consumer.commit(&offsets(&input.topic, &spans, topic_id), CommitMode::Sync) {
            Ok(()) => {
                let records: i64 = logs.iter().map(|(partition, log)| log.end - starts[partition]).sum();
                let start = if self.config.input.start == Start::Earliest { "earliest" } else { "latest" };
                info!(
                    topic = input.topic,
                    group = kafka.group,
                    "no committed offsets: begins at {start} (input.start) in {} partitions, {records} records",
                    partitions.len()
                );
                Ok(())
            }
            Err(error) => self.refused(&error, &partitions, topic_id, starts),
        }
    }

    /// Members are there already: mostly of a process that began at the same time and committed, or is about to.
    fn refused(
        &self,
        error: &KafkaError,
        partitions: &[i32],
        topic_id: Option<TopicId>,
        starts: BTreeMap<i32, i64>,
    ) -> Result<(), Failure> {
        use RDKafkaErrorCode as Code;
        let refused = matches!(
            code(error),
            Some(Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress)
        );
        if !refused {
            return Err(self.failure(error));
        }
        if !self.is_begun(partitions)? {
            // Members that have committed nothing, of a version that does not commit where it begins.
            info!(
                group = self.config.kafka.group,
                "the group has members and no offsets: its partitions begin at input.start"
            );
            self.live.set_starts(topic_id, starts);
        }
        Ok(())
    }

    /// Whether the group has a committed offset of any of `partitions`.
    fn is_begun(&self, partitions: &[i32]) -> Result<bool, Failure> {
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(&self.config.input.topic, partition);
        }
        let committed =
            self.consumer.committed_offsets(list, REQUEST_TIMEOUT).map_err(|error| self.failure(&error))?;
        let mut is_begun = false;
        for element in committed.elements() {
            element.error().map_err(|error| self.failure(&error))?;
            is_begun |= matches!(element.offset(), Offset::Offset(_));
        }
        Ok(is_begun)
    }

    fn topic_id(&self) -> Option<TopicId> {
        if !self.live.has_ids() {
            return None;
        }
        let options = DescribeOptions { timeout: REQUEST_TIMEOUT, authorized_operations: false };
        match describe_topics(self.consumer.client(), &[&self.config.input.topic], &options) {
            Ok(topics) => topics.into_iter().next()?.ok()?.id,
            Err(error) => {
                debug!(%error, "the topic's ID is not known; the first batch commits it");
                None
            }
        }
    }

    fn failure(&self, error: &KafkaError) -> Failure {
        let what = "reading and committing the offsets of this group";
        let refusal =
            code(error).and_then(|code| ClientError::refusal(code, &self.config.kafka.brokers, what));
        refusal.map_or_else(|| Failure::Unavailable(error.to_string()), Failure::Fatal)
    }
}
