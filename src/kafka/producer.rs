//! One producer, with or without transactions.
//!
//! Always holds: after an error nothing that was written since [`Producer::begin`] becomes visible to `read_committed`
//! readers, unless [`TransactionError::Rebuild`] reports an unknown outcome; then [`Producer::rebuild`] resolves it. No
//! transaction stays open: dropping the producer aborts it.

use super::ClientProperties;
use super::batch::Span;
use super::client_properties::Role;
use super::consumer::offsets;
use super::credentials::Credentials;
use super::deliveries::{Context, Deliveries};
use super::error::{ClientError, code, is_fenced};
use super::output::Outgoing;
use super::topics::Topics;
use crate::config::{Config, Delivery};
use crate::stop::Stop;
use crate::telemetry::Health;
use rdkafka::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer as _, ThreadedProducer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// One attempt to reach the transaction coordinator; between attempts the worker sends a heartbeat.
const INIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a transaction's call before its outcome counts as unknown: longer than the broker's own time-out by
/// default, and short enough that a batch with several such waits does not count as a stalled worker.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// librdkafka's default of `batch.size`.
const MAX_REQUEST_BYTES: usize = 1_000_000;

/// Why a batch was not committed, and how to recover.
#[derive(Debug)]
pub(crate) enum TransactionError {
    /// The batch is aborted; its records are read again.
    Abort(String),
    /// Whether the batch was committed is unknown: the producer has to be rebuilt.
    Rebuild(String),
    /// A broker refused a timestamp that should have been fine: clock skew. Otherwise as [`TransactionError::Abort`].
    ClockSkew,
    /// The worker has to end.
    Fatal(ClientError),
}

/// One producer.
pub(crate) struct Producer<'a> {
    config: &'a Config,
    clients: &'a ClientProperties,
    topics: &'a Topics,
    health: &'a Health,
    stop: &'a Stop,
    worker: usize,
    transactional: bool,
    producer: ThreadedProducer<Context>,
    deliveries: Arc<Deliveries>,
    credentials: RefCell<Credentials>,
    /// Between `begin` and the transaction's end.
    open: bool,
}

impl<'a> Producer<'a> {
    /// The producer of worker `worker`, ready to write; waits without limit for brokers that do not answer, and sends
    /// heartbeats to `health`. `None` if a stop was requested.
    pub(crate) fn open(
        config: &'a Config,
        clients: &'a ClientProperties,
        topics: &'a Topics,
        health: &'a Health,
        stop: &'a Stop,
        worker: usize,
    ) -> Result<Option<Self>, ClientError> {
        let transactional = config.kafka.delivery == Delivery::ExactlyOnce;
        loop {
            let deliveries = Arc::new(Deliveries::default());
            let producer: ThreadedProducer<Context> = properties(clients, topics, worker)
                .create_with_context(Context(Arc::clone(&deliveries)))
                .map_err(|error| {
                    ClientError::Configuration(format!("the producer cannot be created: {error}"))
                })?;
            let made = Producer {
                config,
                clients,
                topics,
                health,
                stop,
                worker,
                transactional,
                producer,
                deliveries,
                credentials: RefCell::new(Credentials::new(clients, Role::Producer)),
                open: false,
            };
            if !transactional || made.init_transactions()? {
                return Ok(Some(made));
            }
            if stop.sleep(Duration::from_millis(500)) {
                return Ok(None);
            }
        }
    }

    /// Fences older producers of the same id and aborts their open transactions. False if a new producer is needed to try
    /// again, or if a stop was requested.
    fn init_transactions(&self) -> Result<bool, ClientError> {
        let mut attempts = 0;
        loop {
            self.health.beat(self.worker);
            self.renew_credentials()?;
            let error = match self.producer.init_transactions(INIT_TIMEOUT) {
                Ok(()) => {
                    self.credentials.borrow_mut().accepted();
                    self.health.set_brokers_reached(self.worker, true);
                    return Ok(true);
                }
                Err(KafkaError::Transaction(error)) => error,
                Err(error) => return Err(self.failed("initializing transactions", &error)),
            };
            if let Some(refusal) = self.refusal(error.code()) {
                return Err(refusal);
            }
            if error.is_fatal() {
                return Err(self.failed("initializing transactions", &error));
            }
            attempts += 1;
            if attempts == 1 || attempts % 12 == 0 {
                warn!(worker = self.worker, reason = %error, "transactions cannot be initialized; retrying");
            }
            if self.stop.requested() || !error.is_retriable() {
                return Ok(false);
            }
        }
    }

    /// While the brokers refuse: takes new credentials from their files.
    fn renew_credentials(&self) -> Result<(), ClientError> {
        let mut credentials = self.credentials.borrow_mut();
        if self.deliveries.take_refused() {
            credentials.refused();
        }
        credentials.renew(self.producer.client()).map_err(|refused| ClientError::Authentication {
            brokers: self.config.kafka.brokers.clone(),
            reason: format!("for {} s while this process was running", refused.as_secs()),
        })
    }

    /// Whether a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Begins a batch's output.
    pub(crate) fn begin(&mut self) -> Result<(), TransactionError> {
        self.deliveries.forget_failure();
        self.renew_credentials().map_err(TransactionError::Fatal)?;
        if self.transactional {
            self.producer.begin_transaction().map_err(|error| self.transaction_error(error))?;
            self.open = true;
        }
        Ok(())
    }

    /// Queues a record; waits while the queue is full. Returns a record that is too large for the producer.
    pub(crate) fn send<'r>(&self, record: Outgoing<'r>) -> Result<Option<Outgoing<'r>>, TransactionError> {
        let mut record = record;
        self.deliveries.expect_one();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(None),
                Err((error, returned)) => {
                    record = returned;
                    match code(&error) {
                        // Acknowledgements make room within milliseconds.
                        Some(RDKafkaErrorCode::QueueFull) => std::thread::sleep(Duration::from_millis(1)),
                        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                            self.deliveries.expect_one_less();
                            return Ok(Some(record));
                        }
                        _ => {
                            self.deliveries.expect_one_less();
                            return Err(self.transaction_error(error));
                        }
                    }
                }
            }
        }
    }

    /// Waits until every record of the batch is with the brokers.
    pub(crate) fn deliver(&self) -> Result<(), TransactionError> {
        if let Err(count) = self.deliveries.wait(TRANSACTION_TIMEOUT) {
            return Err(TransactionError::Rebuild(format!("{count} records were not acknowledged in time")));
        }
        if let Some((error, topic)) = self.deliveries.failure() {
            return Err(self.undelivered(&error, &topic));
        }
        // The last delivery report is being processed; committing before that would flush in slices of 100 ms.
        while self.producer.in_flight_count() > 0 {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Ends the transaction: `spans` and everything written since `begin` become visible together.
    pub(crate) fn commit(
        &mut self,
        topic: &str,
        spans: &BTreeMap<i32, Span>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        self.producer
            .send_offsets_to_transaction(&offsets(topic, spans), group, TRANSACTION_TIMEOUT)
            .map_err(|error| self.transaction_error(error))?;
        self.producer
            .commit_transaction(TRANSACTION_TIMEOUT)
            .map_err(|error| self.transaction_error(error))?;
        self.open = false;
        self.credentials.borrow_mut().accepted();
        Ok(())
    }

    /// Aborts the batch.
    pub(crate) fn abort(&mut self) -> Result<(), TransactionError> {
        if !std::mem::take(&mut self.open) {
            // Without transactions nothing can be aborted, but outstanding records must not mix with the next batch.
            return match self.deliveries.outstanding() {
                0 => Ok(()),
                count => Err(TransactionError::Rebuild(format!("{count} records are not acknowledged"))),
            };
        }
        let done = self.producer.abort_transaction(TRANSACTION_TIMEOUT);
        // Aborting purges all records; delivery reports that are still pending belong to this batch.
        let waited = self.deliveries.wait(INIT_TIMEOUT);
        match (done, waited) {
            (Ok(()), Ok(())) => Ok(()),
            (Ok(()), Err(count)) => {
                Err(TransactionError::Rebuild(format!("{count} records are not acknowledged after an abort")))
            }
            (Err(error), _) => match self.transaction_error(error) {
                TransactionError::Fatal(error) => Err(TransactionError::Fatal(error)),
                TransactionError::Abort(reason) | TransactionError::Rebuild(reason) => {
                    Err(TransactionError::Rebuild(reason))
                }
                TransactionError::ClockSkew => Err(TransactionError::Rebuild("the abort failed".to_owned())),
            },
        }
    }

    /// Replaces the producer by one of the same transactional id: the brokers end its transaction before the new one
    /// may write. `None` if a stop was requested.
    pub(crate) fn rebuild(self) -> Result<Option<Self>, ClientError> {
        info!(worker = self.worker, "rebuilding the producer");
        let mut old = self;
        // Not aborted: the outcome of this transaction is unknown, and the next producer resolves it.
        old.open = false;
        let Producer { config, clients, topics, health, stop, worker, .. } = old;
        drop(old);
        Producer::open(config, clients, topics, health, stop, worker)
    }

    /// The recovery after a failed call.
    fn transaction_error(&self, error: KafkaError) -> TransactionError {
        let reason = error.to_string();
        let error = match error {
            KafkaError::Transaction(error) => error,
            // Whether the commit succeeded is unknown.
            KafkaError::Flush(_) => return TransactionError::Rebuild(reason),
            _ => {
                return match self.fatal_error() {
                    Some(fatal) => TransactionError::Fatal(self.failed("producing", &fatal)),
                    None => TransactionError::Abort(reason),
                };
            }
        };
        if let Some(refusal) = self.refusal(error.code()) {
            return TransactionError::Fatal(refusal);
        }
        if error.is_fatal() {
            return TransactionError::Fatal(self.failed("the transaction", &error));
        }
        debug!(worker = self.worker, code = %error.code(), reason, "a transaction's call failed");
        if error.txn_requires_abort() {
            TransactionError::Abort(reason)
        } else {
            TransactionError::Rebuild(reason)
        }
    }

    /// The recovery after a record that could not be delivered.
    fn undelivered(&self, error: &KafkaError, topic: &str) -> TransactionError {
        let code = code(error);
        if let Some(refusal) = code.and_then(|code| self.refusal(code)) {
            return TransactionError::Fatal(refusal);
        }
        if let Some(fatal) = self.fatal_error() {
            return TransactionError::Fatal(self.failed("producing", &fatal));
        }
        match code {
            Some(RDKafkaErrorCode::InvalidTimestamp) => TransactionError::ClockSkew,
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                let config = self.config;
                let output = topic == config.output.topic;
                TransactionError::Fatal(ClientError::MissingTopic {
                    topic: topic.to_owned(),
                    setting: if output { "output.topic" } else { "dead_letters.topic" },
                    brokers: config.kafka.brokers.clone(),
                })
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => TransactionError::Fatal(ClientError::Failed {
                worker: self.worker,
                doing: "writing",
                reason: format!(
                    "topic `{topic}` accepts smaller records than when this process started; restart it"
                ),
            }),
            _ => TransactionError::Abort(format!("a record for `{topic}` was not delivered: {error}")),
        }
    }

    fn refusal(&self, code: RDKafkaErrorCode) -> Option<ClientError> {
        ClientError::refusal(code, &self.config.kafka.brokers, "writing verdicts and dead letters")
    }

    fn fatal_error(&self) -> Option<String> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(format!("{reason} ({code})"))
    }

    fn failed(&self, doing: &'static str, error: &dyn std::fmt::Display) -> ClientError {
        let reason = error.to_string();
        let worker = self.worker;
        if is_fenced(self.producer.client().fatal_error().as_ref()) {
            ClientError::Fenced { transactional_id: self.clients.transactional_id(worker), reason }
        } else {
            ClientError::Failed { worker, doing, reason }
        }
    }
}

impl Drop for Producer<'_> {
    fn drop(&mut self) {
        if std::mem::take(&mut self.open)
            && let Err(error) = self.producer.abort_transaction(INIT_TIMEOUT)
        {
            warn!(worker = self.worker, %error, "an open transaction could not be aborted; it ends by its time-out");
        }
    }
}

/// The producer's properties, with sizes that the topics allow.
fn properties(clients: &ClientProperties, topics: &Topics, worker: usize) -> ClientConfig {
    let mut properties = clients.producer(worker);
    let (output, dead_letters) = (topics.output.max_bytes, topics.dead_letters.max_bytes);
    if properties.get("message.max.bytes").is_none() {
        let max_bytes = (output.max(dead_letters) + 1_000).clamp(1_000, 1_000_000_000);
        properties.set("message.max.bytes", max_bytes.to_string());
    }
    if properties.get("batch.size").is_none() {
        // A topic's limit is the limit of a batch.
        properties.set("batch.size", output.min(dead_letters).clamp(1, MAX_REQUEST_BYTES).to_string());
    }
    properties
}
