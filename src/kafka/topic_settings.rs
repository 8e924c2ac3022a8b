//! The settings of the topics that are written to, as the brokers describe them. It takes `DescribeConfigs` on these topics.

use super::{ClientProperties, events};
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;
use tracing::debug;

/// How long one request to the brokers may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What the brokers say of a topic; `None` where they do not know a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicSettings {
    pub(super) cleanup_policy: Option<String>,
    /// Whether the broker replaces timestamps (`message.timestamp.type`).
    pub(super) append_time: bool,
    /// `max.message.bytes`.
    pub(super) max_bytes: Option<usize>,
    /// `message.timestamp.before.max.ms`.
    pub(super) before_ms: Option<i64>,
    /// `message.timestamp.after.max.ms`.
    pub(super) after_ms: Option<i64>,
    /// `retention.ms`.
    pub(super) retention_ms: Option<i64>,
}

impl TopicSettings {
    fn of(resource: &ConfigResource) -> Self {
        let entry = |name: &str| resource.get(name)?.value.as_deref();
        let number = |name: &str| entry(name)?.parse::<i64>().ok();
        TopicSettings {
            cleanup_policy: entry("cleanup.policy").map(str::to_owned),
            append_time: entry("message.timestamp.type") == Some("LogAppendTime"),
            max_bytes: number("max.message.bytes").and_then(|bytes| bytes.try_into().ok()),
            before_ms: number("message.timestamp.before.max.ms"),
            after_ms: number("message.timestamp.after.max.ms"),
            retention_ms: number("retention.ms"),
        }
    }
}

/// A client that asks for settings.
pub(super) struct SettingsClient(AdminClient<LogContext>);

impl SettingsClient {
    /// # Errors
    /// Properties that librdkafka refuses.
    pub(super) fn connect(
        clients: &ClientProperties,
        log_level: RDKafkaLogLevel,
    ) -> Result<Self, KafkaError> {
        Ok(SettingsClient(clients.plain().set_log_level(log_level).create_with_context(LogContext)?))
    }

    /// The settings of each of `topics`, or why they are not known.
    ///
    /// # Errors
    /// The brokers do not answer in time.
    pub(super) fn ask(
        &self,
        topics: &[&str],
    ) -> Result<Vec<Result<TopicSettings, RDKafkaErrorCode>>, KafkaError> {
        let specifiers: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = block_on(self.0.describe_configs(&specifiers, &options))?;
        // rdkafka returns what was denied as a resource without entries; a topic always has some.
        let known = |result: Result<ConfigResource, RDKafkaErrorCode>| match result {
            Ok(resource) if resource.entries.is_empty() => Err(RDKafkaErrorCode::TopicAuthorizationFailed),
            Ok(resource) => Ok(TopicSettings::of(&resource)),
            Err(code) => Err(code),
        };
        Ok(results.into_iter().map(known).collect())
    }
}

/// Waits for a future on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Errors are returned by the requests.
struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        events::guarded("error", || debug!(%error, reason, "a client for topic settings reports an error"));
    }
}
