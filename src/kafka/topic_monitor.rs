//! The topic monitor: one thread for each process, which looks at the topics every two seconds.
//!
//! It sees what no consumer or producer reports: that a topic was deleted and created again (its ID changed, KIP-516), and that
//! the numbers of partitions differ from each other or change.

use super::ClientProperties;
use super::admin::QueryContext;
use super::error::ClientError;
use super::live_topics::LiveTopics;
use crate::config::Config;
use crate::stop::Stop;
use crate::telemetry::Health;
use nunchi_librdkafka::{DescribeOptions, TopicDescription, TopicError, TopicId, describe_topics};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the input topic may be missing before the process ends.
const MAX_MISSING: Duration = Duration::from_secs(60);

/// Starts the monitor; it ends when a stop is requested.
///
/// # Errors
/// A thread that cannot be created.
pub(crate) fn start(
    config: &Config,
    clients: &ClientProperties,
    live: &Arc<LiveTopics>,
    health: &Arc<Health>,
    stop: &Stop,
) -> Result<(), ClientError> {
    let mut monitor = Monitor {
        input: config.input.topic.clone(),
        output: config.output.topic.clone(),
        brokers: config.kafka.brokers.clone(),
        clients: clients.clone(),
        client: None,
        live: Arc::clone(live),
        health: Arc::clone(health),
        id: None,
        partitions: None,
        missing_since: None,
    };
    let stop = stop.clone();
    let thread = std::thread::Builder::new().name("topic-monitor".to_owned());
    let work = move || {
        while !stop.requested() {
            monitor.look();
            stop.sleep(INTERVAL);
        }
    };
    thread
        .spawn(work)
        .map(drop)
        .map_err(|error| ClientError::Configuration(format!("the topic monitor cannot be started: {error}")))
}

struct Monitor {
    input: String,
    output: String,
    brokers: String,
    clients: ClientProperties,
    /// Made again after a failure: it has the credentials of today.
    client: Option<BaseConsumer<QueryContext>>,
    live: Arc<LiveTopics>,
    health: Arc<Health>,
    /// The last known ID of the input topic.
    id: Option<TopicId>,
    /// The last known numbers of partitions of input and output.
    partitions: Option<(i32, i32)>,
    missing_since: Option<Instant>,
}

impl Monitor {
    fn look(&mut self) {
        let described = match self.describe() {
            Ok(described) => described,
            Err(error) => {
                self.client = None;
                return debug!(error, "the topics cannot be described");
            }
        };
        let [input, output] = &described[..] else { return };
        self.see_input(input);
        if let (Ok(input), Ok(output)) = (input, output) {
            self.see_partitions(count(input), count(output));
        }
    }

    fn describe(&mut self) -> Result<Vec<Result<TopicDescription, TopicError>>, String> {
        let options = DescribeOptions { timeout: REQUEST_TIMEOUT, authorized_operations: false };
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let mut properties = self.clients.plain();
                // Errors are returned by the requests.
                properties.set_log_level(RDKafkaLogLevel::Critical);
                properties.create_with_context(QueryContext::default()).map_err(|error| error.to_string())?
            }
        };
        let client = self.client.insert(client).client();
        describe_topics(client, &[&self.input, &self.output], &options).map_err(|error| error.to_string())
    }

    /// Whether the input topic exists, and is the one that it was.
    fn see_input(&mut self, input: &Result<TopicDescription, TopicError>) {
        match input {
            Ok(topic) => {
                if self.missing_since.take().is_some() {
                    info!(topic = self.input, "the input topic exists again");
                    self.set_missing(false);
                }
                let changed = self.id.is_some() && topic.id.is_some() && topic.id != self.id;
                if changed {
                    warn!(
                        topic = self.input,
                        "the input topic was deleted and created again: the new one is read from its beginning"
                    );
                }
                self.live.set_input_id(topic.id);
                self.id = topic.id.or(self.id);
            }
            Err(error) if is_unknown(error) => self.see_no_input(),
            Err(error) => debug!(%error, "the input topic cannot be described"),
        }
    }

    fn see_no_input(&mut self) {
        let since = *self.missing_since.get_or_insert_with(|| {
            warn!(
                topic = self.input,
                "the input topic does not exist any more; the process ends if it is not created again within {} s",
                MAX_MISSING.as_secs()
            );
            Instant::now()
        });
        self.set_missing(true);
        if since.elapsed() >= MAX_MISSING {
            self.live.fail(ClientError::MissingTopic {
                topic: self.input.clone(),
                setting: "input.topic",
                brokers: self.brokers.clone(),
            });
        }
    }

    fn set_missing(&self, missing: bool) {
        self.live.set_input_missing(missing);
        self.health.set_input_missing(missing);
    }

    /// Reports numbers of partitions that differ, and those that changed.
    fn see_partitions(&mut self, input: i32, output: i32) {
        let before = self.partitions.replace((input, output));
        self.live.set_partitions(input, output);
        if before == Some((input, output)) {
            return;
        }
        if let Some((input_before, output_before)) = before {
            warn!(
                "the numbers of partitions changed: `{}` has {input} (before: {input_before}), `{}` has {output} (before: \
                 {output_before}); from now on {}",
                self.input,
                self.output,
                consequence(input, output)
            );
        } else if input != output {
            warn!(
                "`{}` has {input} partitions and `{}` has {output}: {}",
                self.input,
                self.output,
                consequence(input, output)
            );
        }
    }
}

/// What the numbers of partitions mean for the order of verdicts.
fn consequence(input: i32, output: i32) -> &'static str {
    if input == output {
        "a verdict goes into the partition of its comment; what was written before may stand in another one"
    } else {
        "the partition of a verdict follows from its key, and order is kept for each key only"
    }
}

fn is_unknown(error: &TopicError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.response.code(), Code::UnknownTopicOrPartition | Code::UnknownTopic)
}

fn count(topic: &TopicDescription) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}
