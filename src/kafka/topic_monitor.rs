//! The topic monitor: one thread for each process, which looks at the topics every two seconds.
//!
//! It sees what no consumer or producer reports: that a topic was deleted, or deleted and created again (its ID changed, KIP-516),
//! that the numbers of partitions differ from each other or change, and that the settings of a topic change.

use super::ClientProperties;
use super::admin::QueryContext;
use super::error::ClientError;
use super::live_topics::LiveTopics;
use super::settings_watch::SettingsWatch;
use super::topics::Topics;
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
/// How soon it looks at the settings of the topics when a worker asks for that.
const REQUEST_INTERVAL: Duration = Duration::from_millis(200);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a topic may be missing before the process ends.
const MAX_MISSING: Duration = Duration::from_secs(60);

/// What the topics are watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The input topic is read without end, whatever becomes of it.
    Stream,
    /// A part of the input topic is read, which ends with that topic.
    Range,
}

/// Starts the monitor; it ends when a stop is requested.
///
/// # Errors
/// A thread that cannot be created.
pub(crate) fn start(
    config: &Config,
    clients: &ClientProperties,
    topics: &Topics,
    watch: Watch,
    health: &Arc<Health>,
    stop: &Stop,
) -> Result<(), ClientError> {
    let Topics { live, settings_known, .. } = topics;
    let targets = topics.targets().cloned().collect();
    let mut monitor = Monitor {
        topics: config.topics().into_iter().map(|(topic, setting)| Watched::new(topic, setting)).collect(),
        watch,
        brokers: config.kafka.brokers.clone(),
        clients: clients.clone(),
        client: None,
        live: Arc::clone(live),
        health: Arc::clone(health),
        settings: SettingsWatch::new(clients, targets, live, !settings_known),
        id: None,
        partitions: None,
    };
    live.set_watched();
    let stop = stop.clone();
    let thread = std::thread::Builder::new().name("topic-monitor".to_owned());
    let work = move || {
        while !stop.requested() {
            monitor.look();
            monitor.settings.look();
            let next = Instant::now() + INTERVAL;
            while Instant::now() < next && !stop.sleep(REQUEST_INTERVAL) {
                if monitor.live.is_settings_requested() {
                    monitor.settings.look();
                }
            }
        }
    };
    thread
        .spawn(work)
        .map(drop)
        .map_err(|error| ClientError::Configuration(format!("the topic monitor cannot be started: {error}")))
}

/// A topic, and since when it does not exist.
struct Watched {
    name: String,
    setting: &'static str,
    missing_since: Option<Instant>,
    /// Whether that was said.
    missing: bool,
}

impl Watched {
    fn new(name: &str, setting: &'static str) -> Self {
        Watched { name: name.to_owned(), setting, missing_since: None, missing: false }
    }

    fn exists(&mut self) {
        self.missing_since = None;
        if std::mem::take(&mut self.missing) {
            info!(topic = self.name, setting = self.setting, "the topic exists again");
        }
    }

    /// A broker does not know the topic. Whether that has lasted for too long.
    fn is_missing_for_good(&mut self) -> bool {
        let Some(since) = self.missing_since else {
            // Not at the first look: a broker may learn of a topic later than others.
            self.missing_since = Some(Instant::now());
            return false;
        };
        if !std::mem::replace(&mut self.missing, true) {
            warn!(
                topic = self.name,
                setting = self.setting,
                "the topic does not exist any more; the process ends if it is not created again within {} s",
                MAX_MISSING.as_secs()
            );
        }
        since.elapsed() >= MAX_MISSING
    }
}

struct Monitor {
    /// Input, output, dead letters, and what is to be reviewed.
    topics: Vec<Watched>,
    watch: Watch,
    brokers: String,
    clients: ClientProperties,
    /// Made again after a failure: it has the credentials of today.
    client: Option<BaseConsumer<QueryContext>>,
    live: Arc<LiveTopics>,
    health: Arc<Health>,
    settings: SettingsWatch,
    /// The last known ID of the input topic.
    id: Option<TopicId>,
    /// The last known numbers of partitions of input and output.
    partitions: Option<(i32, i32)>,
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
        self.see_missing(&described);
        let [Ok(input), output, ..] = &described[..] else { return };
        self.see_id(input.id);
        if let Ok(output) = output {
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
        let names: Vec<&str> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        describe_topics(client, &names, &options).map_err(|error| error.to_string())
    }

    /// Which of the topics exist. One that is missing may be created again; the process ends when it was waited for long enough.
    fn see_missing(&mut self, described: &[Result<TopicDescription, TopicError>]) {
        for (topic, described) in self.topics.iter_mut().zip(described) {
            match described {
                Ok(_) => topic.exists(),
                Err(error) if is_unknown(error) => {
                    if topic.is_missing_for_good() {
                        self.live.fail(ClientError::MissingTopic {
                            topic: topic.name.clone(),
                            setting: topic.setting,
                            brokers: self.brokers.clone(),
                        });
                    }
                }
                Err(error) => debug!(topic = topic.name, %error, "the topic cannot be described"),
            }
        }
        let missing: Vec<&str> =
            self.topics.iter().filter(|topic| topic.missing).map(|topic| topic.name.as_str()).collect();
        self.live.set_any_missing(!missing.is_empty());
        self.health.set_missing_topics(&missing);
    }

    /// Whether the input topic is the one that it was.
    fn see_id(&mut self, id: Option<TopicId>) {
        let changed = self.id.is_some() && id.is_some() && id != self.id;
        let topic = self.topics[0].name.as_str();
        match self.watch {
            _ if !changed => {}
            Watch::Stream => {
                warn!(
                    topic,
                    "the input topic was deleted and created again: the new one is read from its beginning"
                );
            }
            Watch::Range => self.live.fail(ClientError::Recreated { topic: topic.to_owned() }),
        }
        self.live.set_input_id(id);
        self.id = id.or(self.id);
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
                self.topics[0].name,
                self.topics[1].name,
                consequence(input, output)
            );
        } else if input != output {
            warn!(
                "`{}` has {input} partitions and `{}` has {output}: {}",
                self.topics[0].name,
                self.topics[1].name,
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
