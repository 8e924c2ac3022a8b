//! The topics, inspected before the first batch: whether they exist, their partitions, and the limits of their brokers.

use super::error::{ClientError, code};
use super::live_topics::LiveTopics;
use super::rights::lacking;
use super::target::{Role, Target};
use super::topic_settings::{SettingsClient, TopicSettings};
use super::{ClientProperties, events, tls};
use crate::config::Config;
use crate::stop::Stop;
use crate::telemetry::Health;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// How long one request to the brokers may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The topics as they were found.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// What changes while they are used.
    pub(crate) live: Arc<LiveTopics>,
    pub(crate) output: Target,
    pub(crate) dead_letters: Target,
    /// Comments for people to label, if they are written.
    pub(crate) review: Option<Target>,
    /// Whether the brokers told the settings of all topics that are written to.
    pub(super) settings_known: bool,
}

/// Inspects the topics of `config`; waits without limit for brokers that do not answer, and sends heartbeats of all
/// `workers` to `health`. `ask_limits`: whether the limits are requested from the brokers; otherwise Kafka's defaults apply.
/// `None` if a stop was requested.
pub(crate) fn inspect(
    config: &Config,
    clients: &ClientProperties,
    health: &Health,
    stop: &Stop,
    workers: usize,
    ask_limits: bool,
) -> Result<Option<Topics>, ClientError> {
    let brokers = &config.kafka.brokers;
    let invalid =
        |error: KafkaError| ClientError::Configuration(format!("the client cannot be created: {error}"));
    let refusals = Arc::new(Refusals::default());
    let client: BaseConsumer<MetadataContext> =
        clients.plain().create_with_context(MetadataContext(Arc::clone(&refusals))).map_err(invalid)?;
    let mut attempts = 0;
    loop {
        (0..workers).for_each(|worker| health.beat(worker));
        match partitions(config, &client) {
            Ok(counts) => {
                (0..workers).for_each(|worker| health.set_brokers_reached(worker, true));
                if let Some(denied) = ask_limits.then(|| lacking(config, clients, client.client())).flatten()
                {
                    return Err(denied);
                }
                return describe(config, clients, &counts, ask_limits).map(Some);
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Unreachable(reason)) => {
                // Refusals are reported to the context, from within poll.
                client.poll(Duration::from_millis(100));
                let refusal = refusals.refusal();
                // librdkafka does not say which part of TLS fails, and not at all that it is our certificate.
                if (refusal == Some(RDKafkaErrorCode::SSL) || attempts % 12 == 0)
                    && let Some(message) = tls::diagnose(&clients.plain())
                {
                    return Err(ClientError::Tls(message));
                }
                if let Some(error) =
                    refusal.and_then(|code| ClientError::refusal(code, brokers, "reading metadata"))
                {
                    return Err(error);
                }
                attempts += 1;
                if attempts == 1 || attempts % 12 == 0 {
                    warn!(brokers, reason, "the brokers do not answer; retrying, not ready meanwhile");
                }
            }
        }
        if stop.sleep(Duration::from_millis(500)) {
            return Ok(None);
        }
    }
}

impl Topics {
    /// The topics that are written to.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        [&self.output, &self.dead_letters].into_iter().chain(&self.review)
    }
}

enum Failure {
    Unreachable(String),
    Fatal(ClientError),
}

/// The number of partitions of each of the topics of `config`.
fn partitions<C: ConsumerContext>(config: &Config, client: &BaseConsumer<C>) -> Result<Vec<i32>, Failure> {
    let mut counts = Vec::new();
    for (topic, setting) in config.topics() {
        let metadata = client
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let found = metadata.topics().first();
        let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
        let partitions = found.filter(|_| error.is_none()).map_or(0, |found| found.partitions().len());
        match error {
            None if partitions > 0 => counts.push(i32::try_from(partitions).unwrap_or(i32::MAX)),
            Some(code @ (RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::NotCoordinator)) => {
                return Err(Failure::Unreachable(format!("{topic}: {code}")));
            }
            Some(RDKafkaErrorCode::InvalidTopic) => {
                return Err(Failure::Fatal(ClientError::Configuration(format!(
                    "`{topic}` ({setting}) is not a valid topic name"
                ))));
            }
            Some(code) => {
                let brokers = &config.kafka.brokers;
                let refused = ClientError::refusal(code, brokers, &format!("topic `{topic}` ({setting})"));
                return Err(Failure::Fatal(refused.unwrap_or_else(|| missing(config, topic, setting))));
            }
            None => return Err(Failure::Fatal(missing(config, topic, setting))),
        }
    }
    Ok(counts)
}

fn missing(config: &Config, topic: &str, setting: &'static str) -> ClientError {
    ClientError::MissingTopic { topic: topic.to_owned(), setting, brokers: config.kafka.brokers.clone() }
}

/// Requests the settings of the topics that are written to; Kafka's defaults where this client has no right to.
fn describe(
    config: &Config,
    clients: &ClientProperties,
    counts: &[i32],
    ask: bool,
) -> Result<Topics, ClientError> {
    let names: Vec<&str> = config.topics().into_iter().skip(1).map(|(topic, _)| topic).collect();
    let described = if ask { ask_settings(clients, &names) } else { vec![None; names.len()] };
    // The limit of the producer applies as well.
    let ours = clients
        .producer(0)
        .get("message.max.bytes")
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(usize::MAX);
    let target = |index: usize, role| Target::new(names[index], role, ours, described[index].as_ref());
    let review = (names.len() > 2).then(|| target(2, Role::Review));
    Ok(Topics {
        live: Arc::new(LiveTopics::new(counts[0], counts[1], ask)),
        output: target(0, Role::Output),
        dead_letters: target(1, Role::DeadLetters),
        review,
        settings_known: described.iter().all(Option::is_some),
    })
}

fn ask_settings(clients: &ClientProperties, topics: &[&str]) -> Vec<Option<TopicSettings>> {
    let answers = SettingsClient::connect(clients, clients.plain().log_level)
        .and_then(|client| client.ask(topics))
        .map_err(|error| error.to_string());
    let mut settings = vec![None; topics.len()];
    let mut unknown = Vec::new();
    let mut reason = answers.as_ref().err().cloned();
    let mut answers = answers.unwrap_or_default().into_iter();
    for (topic, settings) in topics.iter().zip(&mut settings) {
        match answers.next() {
            Some(Ok(found)) => *settings = Some(found),
            answer => {
                unknown.push(*topic);
                reason = reason.or_else(|| Some(answer?.err()?.to_string()));
            }
        }
    }
    if !unknown.is_empty() {
        warn!(
            topics = ?unknown,
            reason = reason.unwrap_or_default(),
            "the settings of the output topics cannot be read, which takes DescribeConfigs on them: Kafka's defaults for \
             size, timestamps and retention are assumed, and records beyond the real limits are refused when they are written"
        );
    }
    settings
}

/// Keeps the last authentication or authorization error.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refusal: Mutex<Option<RDKafkaErrorCode>>,
}

impl Refusals {
    /// Keeps an error that is a refusal.
    pub(super) fn note(&self, error: &KafkaError) {
        let refusal = code(error).filter(|&code| ClientError::refusal(code, "", "").is_some());
        if let Some(code) = refusal {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
    }

    pub(super) fn refusal(&self) -> Option<RDKafkaErrorCode> {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct MetadataContext(Arc<Refusals>);

impl ClientContext for MetadataContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        self.0.note(&error);
    }
}

impl ConsumerContext for MetadataContext {}
