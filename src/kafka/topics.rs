//! The three topics, inspected before the first batch: whether they exist, their partitions, and the limits of their
//! brokers.

use super::compaction::{Compaction, Role};
use super::error::{ClientError, code};
use super::live_topics::LiveTopics;
use super::rights::lacking;
use super::{ClientProperties, events, tls};
use crate::config::Config;
use crate::stop::Stop;
use crate::telemetry::Health;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// Kafka's default of `max.message.bytes`.
const DEFAULT_MAX_BYTES: usize = 1_048_588;
/// Kafka's default of `message.timestamp.after.max.ms`.
const DEFAULT_AFTER_MS: i64 = 3_600_000;
/// How long one request to the brokers may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A topic that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// `max.message.bytes`.
    pub(crate) max_bytes: usize,
    /// `message.timestamp.before.max.ms`.
    pub(crate) before_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub(crate) after_ms: i64,
    /// `retention.ms`, if records are deleted by age at all.
    pub(crate) retention_ms: Option<i64>,
    /// Whether `cleanup.policy` contains `compact`. Whoever learns of another policy notes it here.
    pub(crate) compaction: Compaction,
}

/// The topics as they were found.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// What changes while they are used.
    pub(crate) live: Arc<LiveTopics>,
    pub(crate) output: Target,
    pub(crate) dead_letters: Target,
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

/// Partitions of the input, output and dead-letter topics.
type Counts = [i32; 3];

enum Failure {
    Unreachable(String),
    Fatal(ClientError),
}

fn partitions<C: ConsumerContext>(config: &Config, client: &BaseConsumer<C>) -> Result<Counts, Failure> {
    let topics = [
        (&config.input.topic, "input.topic"),
        (&config.output.topic, "output.topic"),
        (&config.dead_letters.topic, "dead_letters.topic"),
    ];
    let mut counts = Counts::default();
    for (count, (topic, setting)) in counts.iter_mut().zip(topics) {
        let metadata = client
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let found = metadata.topics().first();
        let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
        let partitions = found.filter(|_| error.is_none()).map_or(0, |found| found.partitions().len());
        match error {
            None if partitions > 0 => *count = i32::try_from(partitions).unwrap_or(i32::MAX),
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

/// Requests the limits of the topics that are written to; Kafka's defaults where this client has no right to.
fn describe(
    config: &Config,
    clients: &ClientProperties,
    counts: &Counts,
    ask: bool,
) -> Result<Topics, ClientError> {
    let names = [&config.output.topic, &config.dead_letters.topic];
    let unknown = |reason| {
        warn!(
            reason,
            "the settings of the output topics cannot be read, which takes DescribeConfigs on them: Kafka's defaults for \
             size, timestamps and retention are assumed, and records beyond the real limits are refused when they are written"
        );
        vec![None, None]
    };
    let described = if ask { ask_limits(clients, &names).unwrap_or_else(unknown) } else { vec![None, None] };
    // The limit of the producer applies as well.
    let ours = clients
        .producer(0)
        .get("message.max.bytes")
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(usize::MAX);
    let roles = [Role::Output, Role::DeadLetters];
    let mut targets = names.iter().zip(roles).zip(&counts[1..]).zip(described).map(|(((topic, role), &partitions), found)| {
        let entry = |name: &str| Some(found.as_ref()?.get(name)?.value.as_deref()?.to_owned());
        let number = |name: &str| entry(name)?.parse::<i64>().ok();
        if entry("message.timestamp.type").as_deref() == Some("LogAppendTime") {
            warn!(topic, "the topic sets timestamps itself (message.timestamp.type=LogAppendTime): the timestamps of comments are lost");
        }
        let compaction = Compaction::default();
        if let Some(policy) = entry("cleanup.policy") {
            compaction.note(topic, role, &policy);
        }
        let expires = entry("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
        Target {
            topic: (*topic).clone(),
            partitions,
            max_bytes: number("max.message.bytes")
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or(DEFAULT_MAX_BYTES)
                .min(ours),
            before_ms: number("message.timestamp.before.max.ms").unwrap_or(i64::MAX),
            after_ms: number("message.timestamp.after.max.ms").unwrap_or(DEFAULT_AFTER_MS),
            retention_ms: number("retention.ms").filter(|&retention| expires && retention >= 0),
            compaction,
        }
    });
    let (Some(output), Some(dead_letters)) = (targets.next(), targets.next()) else {
        unreachable!("two names make two targets")
    };
    let live = Arc::new(LiveTopics::new(counts[0], counts[1], ask));
    Ok(Topics { live, output, dead_letters })
}

fn ask_limits(clients: &ClientProperties, topics: &[&String]) -> Result<Vec<Option<ConfigResource>>, String> {
    let admin: AdminClient<MetadataContext> = clients
        .plain()
        .create_with_context(MetadataContext(Arc::default()))
        .map_err(|error| error.to_string())?;
    let specifiers: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let results =
        block_on(admin.describe_configs(&specifiers, &options)).map_err(|error| error.to_string())?;
    // rdkafka returns what was denied as a resource without entries; a topic always has some.
    let known = |result: Result<ConfigResource, RDKafkaErrorCode>| match result {
        Ok(resource) if resource.entries.is_empty() => {
            Err(RDKafkaErrorCode::TopicAuthorizationFailed.to_string())
        }
        result => result.map_err(|code| code.to_string()),
    };
    let results: Vec<_> = results.into_iter().map(known).collect();
    if let Some(Err(code)) = results.iter().find(|result| result.is_err()) {
        return Err(code.clone());
    }
    Ok(results.into_iter().map(Result::ok).collect())
}

/// Waits for a future on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
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
