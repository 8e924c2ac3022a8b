//! Publishes a stream of sample comments at a steady rate: what `nunchi generate` and `nunchi demo` have in common.

use crate::kafka::ClientError;
use crate::samples::Stream;
use crate::stop::Stop;
use jiff::Timestamp;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Header with the moment of publishing, in nanoseconds of Unix time: finer than a record's timestamp.
pub const SENT_HEADER: &str = "sent-ns";

/// Longest wait for the brokers' acknowledgements at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why publishing cannot begin or had to end.
#[derive(Debug, Error)]
pub enum PublishError {
    /// librdkafka refuses the configuration.
    #[error("librdkafka refuses the producer's settings: {0}")]
    Client(KafkaError),
    /// The brokers refuse credentials or rights.
    #[error(transparent)]
    Denied(ClientError),
    /// No broker answers.
    #[error("no broker answers at {brokers} ({reason}); check --brokers and [kafka.properties]")]
    Unreachable {
        /// `kafka.brokers`.
        brokers: String,
        /// The last error of librdkafka.
        reason: String,
    },
    /// The topic is missing.
    #[error("the topic `{topic}` does not exist on {brokers}; create it, or name another one with --topic")]
    MissingTopic {
        /// The topic.
        topic: String,
        /// `kafka.brokers`.
        brokers: String,
    },
    /// A record was refused.
    #[error("after {published} records the brokers stopped accepting more: {reason}")]
    Refused {
        /// Records acknowledged before.
        published: u64,
        /// The error of librdkafka.
        reason: String,
    },
}

/// When publishing ends by itself; whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// Records to publish.
    pub records: Option<u64>,
    /// Time to publish for.
    pub time: Option<Duration>,
}

/// Counts acknowledged records, and keeps the last error.
#[derive(Debug, Default)]
struct Outcome {
    acknowledged: AtomicU64,
    failure: Mutex<Option<String>>,
    client_error: Mutex<Option<String>>,
    /// The code of a refusal that a retry cannot fix.
    refused: Mutex<Option<RDKafkaErrorCode>>,
}

/// The producer's context: the outcome of its records, shared with [`Publisher`].
#[derive(Clone, Debug, Default)]
struct Context(Arc<Outcome>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) =
            error.rdkafka_error_code().filter(|&code| ClientError::refusal(code, "", "").is_some())
        {
            *self.0.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
        let mut last = self.0.client_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(format!("{error}: {reason}"));
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// A producer for one topic.
pub struct Publisher {
    producer: ThreadedProducer<Context>,
    outcome: Arc<Outcome>,
    topic: String,
    brokers: String,
}

impl Publisher {
    /// Connects with `config` (brokers, security), and checks that a broker answers and `topic` exists.
    ///
    /// # Errors
    /// Refused settings, unreachable brokers, refused credentials, a missing topic.
    pub fn connect(config: &ClientConfig, topic: &str) -> Result<Self, PublishError> {
        let mut config = config.clone();
        // Idempotent: a retry neither doubles a record nor changes a product's order.
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("compression.type", "lz4");
        let context = Context::default();
        let outcome = Arc::clone(&context.0);
        let producer: ThreadedProducer<Context> =
            config.create_with_context(context).map_err(PublishError::Client)?;
        let brokers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        let publisher = Publisher { producer, outcome, topic: topic.to_owned(), brokers };
        publisher.check_topic()?;
        Ok(publisher)
    }

    /// Requests the topic's metadata; some brokers create a missing topic on that request, so it is repeated.
    fn check_topic(&self) -> Result<(), PublishError> {
        for attempt in 1..=5 {
            let metadata = self
                .producer
                .client()
                .fetch_metadata(Some(&self.topic), Duration::from_secs(10))
                .map_err(|error| self.unreachable(&error))?;
            let topic = metadata.topics().first();
            if topic.is_some_and(|topic| topic.error().is_none() && !topic.partitions().is_empty()) {
                return Ok(());
            }
            let code = topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
            if let Some(denied) = code.and_then(|code| self.denied(code)) {
                return Err(denied);
            }
            if attempt < 5 {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        Err(PublishError::MissingTopic { topic: self.topic.clone(), brokers: self.brokers.clone() })
    }

    fn denied(&self, code: RDKafkaErrorCode) -> Option<PublishError> {
        ClientError::refusal(code, &self.brokers, &format!("writing to topic `{}`", self.topic))
            .map(PublishError::Denied)
    }

    fn unreachable(&self, error: &KafkaError) -> PublishError {
        let refused = *self.outcome.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(denied) = refused.and_then(|code| self.denied(code)) {
            return denied;
        }
        let client_error = self.outcome.client_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        PublishError::Unreachable {
            brokers: self.brokers.clone(),
            reason: client_error.unwrap_or_else(|| error.to_string()),
        }
    }

    /// Publishes `rate` records a second from `stream` until `limit` or `stop`; waits for the acknowledgements and
    /// returns their number. `room` gives, before every burst, the number of records that may be sent now.
    ///
    /// # Errors
    /// A record that the brokers refuse permanently.
    pub fn publish(
        &self,
        stream: &mut Stream,
        rate: f64,
        limit: Limit,
        stop: &Stop,
        room: impl Fn(u64) -> u64,
    ) -> Result<u64, PublishError> {
        let start = Instant::now();
        let mut published = 0;
        while !stop.requested() {
            let elapsed = start.elapsed();
            if limit.time.is_some_and(|time| elapsed >= time) {
                break;
            }
            let wanted = limit.records.unwrap_or(u64::MAX);
            if published >= wanted {
                break;
            }
            // The first record is due at once, record n at n / rate.
            let due = ((elapsed.as_secs_f64() * rate) as u64 + 1).min(wanted);
            let burst = due.saturating_sub(published).min(room(published));
            for _ in 0..burst {
                self.send(stream, stop)?;
                published += 1;
            }
            self.check_failure()?;
            let next = Duration::from_secs_f64((published as f64 / rate).min(1e9));
            let wait = next.saturating_sub(start.elapsed());
            stop.sleep(wait.clamp(Duration::from_millis(1), Duration::from_millis(100)));
        }
        if let Err(error) = self.producer.flush(FLUSH_TIMEOUT) {
            self.check_failure()?;
            return Err(self.refused(error.to_string()));
        }
        self.check_failure()?;
        Ok(self.outcome.acknowledged.load(Ordering::Relaxed))
    }

    fn send(&self, stream: &mut Stream, stop: &Stop) -> Result<(), PublishError> {
        let now = Timestamp::now();
        let record = stream.next(now);
        let sent = now.as_nanosecond().to_string();
        let headers = OwnedHeaders::new().insert(Header { key: SENT_HEADER, value: Some(&sent) });
        let mut message: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.topic)
            .payload(record.value.as_slice())
            .timestamp(now.as_millisecond())
            .headers(headers);
        message.key = record.key.as_deref();
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                // The queue to the brokers is full: they are slower than the rate.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    self.check_failure()?;
                    if stop.sleep(Duration::from_millis(10)) {
                        return Ok(());
                    }
                }
                Err((error, _)) => return Err(self.refused(error.to_string())),
            }
        }
    }

    fn check_failure(&self) -> Result<(), PublishError> {
        let failure = self.outcome.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map_or(Ok(()), |reason| Err(self.refused(reason)))
    }

    fn refused(&self, reason: String) -> PublishError {
        PublishError::Refused { published: self.outcome.acknowledged.load(Ordering::Relaxed), reason }
    }
}
