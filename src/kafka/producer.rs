//! One producer, with or without transactions.
//!
//! Always holds: after an error nothing that was written since [`Producer::begin`] becomes visible to `read_committed`
//! readers, unless [`TransactionError::Rebuild`] reports an unknown outcome; then [`Producer::rebuild`] resolves it. No
//! transaction stays open: dropping the producer aborts it. No transaction begins on a client whose earlier requests may
//! still arrive: [`Producer::in_doubt`] says that it has to be rebuilt first ([`super::transaction_limits`] says why).

mod errors;

use super::ClientProperties;
use super::batch::Batch;
use super::client_properties::Role;
use super::commit_pace::CommitPace;
use super::consumer::offsets;
use super::credentials::Credentials;
use super::deliveries::{Context, Deliveries};
use super::error::{ClientError, code};
use super::fencing::{Begun, Fences};
use super::output::Outgoing;
use super::refusals::Refusal;
use super::topics::Topics;
use super::transaction_limits::TransactionLimits;
use crate::config::{Config, Delivery};
use crate::stop::Stop;
use crate::telemetry::{Health, Metrics};
use rdkafka::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer as _, ThreadedProducer};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// One attempt to reach the transaction coordinator; between attempts the worker sends a heartbeat.
const INIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for acknowledgements where no transaction limits it.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait without a heartbeat.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for a delivery report that is being processed.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// librdkafka's default of `batch.size`.
const MAX_REQUEST_BYTES: usize = 1_000_000;

/// Why a producer is replaced: the label of `nunchi_producer_rebuilds_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// A commit may have been sent twice.
    LateCommit,
    /// Offsets may have been sent twice.
    LateOffsets,
    /// A batch was aborted: any of its requests may have been sent twice.
    Aborted,
    /// A call failed, and what became of it is unknown.
    Unknown,
    /// The brokers know a newer producer of this id, or timed its transaction out.
    Fenced,
    /// Another fatal error of librdkafka.
    Failed,
}

impl Doubt {
    fn name(self) -> &'static str {
        match self {
            Doubt::LateCommit => "late_commit",
            Doubt::LateOffsets => "late_offsets",
            Doubt::Aborted => "aborted",
            Doubt::Unknown => "unknown",
            Doubt::Fenced => "fenced",
            Doubt::Failed => "failed",
        }
    }
}

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

/// Where a producer reports: heartbeats and metrics.
#[derive(Clone, Copy)]
pub(crate) struct Reports<'a> {
    pub(crate) health: &'a Health,
    pub(crate) metrics: &'a Metrics,
}

/// One producer.
pub(crate) struct Producer<'a> {
    config: &'a Config,
    clients: &'a ClientProperties,
    topics: &'a Topics,
    reports: Reports<'a>,
    stop: &'a Stop,
    worker: usize,
    transactional: bool,
    limits: TransactionLimits,
    client: ThreadedProducer<Context>,
    deliveries: Arc<Deliveries>,
    credentials: RefCell<Credentials>,
    /// Whether the client may begin transactions.
    ready: bool,
    /// From `begin` to the transaction's end.
    open: Option<Begun>,
    /// Why the client must not begin another transaction.
    doubt: Option<Doubt>,
    pace: CommitPace,
    fences: Fences,
    /// Fatal errors of librdkafka, other than fencing, since the last commit.
    fatal_errors: u32,
}

impl<'a> Producer<'a> {
    /// The producer of worker `worker`, ready to write; waits without limit for brokers that do not answer, and sends
    /// heartbeats. `None` if a stop was requested.
    pub(crate) fn open(
        config: &'a Config,
        clients: &'a ClientProperties,
        topics: &'a Topics,
        reports: Reports<'a>,
        stop: &'a Stop,
        worker: usize,
    ) -> Result<Option<Self>, ClientError> {
        let limits = TransactionLimits::of(&clients.producer(worker))?;
        let deliveries = Arc::new(Deliveries::default());
        let client = make_client(clients, topics, worker, &deliveries)?;
        let mut made = Producer {
            config,
            clients,
            topics,
            reports,
            stop,
            worker,
            transactional: config.kafka.delivery == Delivery::ExactlyOnce,
            limits,
            client,
            deliveries,
            credentials: RefCell::new(Credentials::new(clients, Role::Producer)),
            ready: false,
            open: None,
            doubt: None,
            pace: CommitPace::default(),
            fences: Fences::default(),
            fatal_errors: 0,
        };
        Ok(made.start()?.then_some(made))
    }

    /// Initializes transactions, with another client where this one cannot. False if a stop was requested.
    fn start(&mut self) -> Result<bool, ClientError> {
        loop {
            if !self.transactional || self.init_transactions()? {
                (self.ready, self.doubt) = (true, None);
                return Ok(true);
            }
            if self.stop.sleep(Duration::from_millis(500)) {
                return Ok(false);
            }
            self.replace_client()?;
        }
    }

    fn replace_client(&mut self) -> Result<(), ClientError> {
        self.ready = false;
        // Not aborted: the outcome of this transaction is unknown, and the next client resolves it.
        self.open = None;
        self.beat();
        self.deliveries = Arc::new(Deliveries::default());
        // Dropped before the new one is initialized, so that the old one sends nothing afterwards.
        self.client = make_client(self.clients, self.topics, self.worker, &self.deliveries)?;
        self.beat();
        Ok(())
    }

    fn beat(&self) {
        self.reports.health.beat(self.worker);
    }

    /// Fences older producers of the same id and aborts their open transactions. False if a new producer is needed to try
    /// again, or if a stop was requested.
    fn init_transactions(&mut self) -> Result<bool, ClientError> {
        let mut attempts = 0;
        loop {
            self.beat();
            self.renew_credentials()?;
            let error = match self.client.init_transactions(INIT_TIMEOUT) {
                Ok(()) => {
                    self.credentials.borrow_mut().accepted();
                    self.reports.health.set_brokers_reached(self.worker, true);
                    return Ok(true);
                }
                Err(KafkaError::Transaction(error)) => error,
                Err(error) => return Err(self.failed("initializing transactions", &error)),
            };
            if let Some(refusal) = self.refusal(error.code()) {
                return Err(refusal);
            }
            if error.is_fatal() {
                // Fenced by a newer one, or an error that only a new client recovers from.
                self.client_failed("initializing transactions", &error)?;
                return Ok(false);
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
        credentials.renew(self.client.client()).map_err(|refused| ClientError::Authentication {
            brokers: self.config.kafka.brokers.clone(),
            reason: format!("for {} s while this process was running", refused.as_secs()),
        })
    }

    /// Whether a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the producer has to be rebuilt before it may begin another batch.
    pub(crate) fn in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// Begins a batch's output.
    pub(crate) fn begin(&mut self) -> Result<(), TransactionError> {
        if !self.ready {
            return Err(self.unknown("the producer was not rebuilt".to_owned()));
        }
        self.deliveries.forget_failure();
        self.renew_credentials().map_err(TransactionError::Fatal)?;
        if self.transactional {
            self.client.begin_transaction().map_err(|error| self.transaction_error(error))?;
            self.open = Some(Begun::now());
        }
        Ok(())
    }

    /// Until when the batch's records have to be with the brokers.
    fn delivery_deadline(&self) -> Instant {
        let limit = self.open.map_or(DELIVERY_TIMEOUT, |begun| self.limits.age.saturating_sub(begun.age()));
        Instant::now() + limit
    }

    /// Queues a record; waits while the queue is full. Returns a record that is too large for the producer.
    pub(crate) fn send<'r>(
        &mut self,
        record: Outgoing<'r>,
    ) -> Result<Option<Outgoing<'r>>, TransactionError> {
        self.deliveries.expect_one();
        let (error, returned) = match self.client.send(record) {
            Ok(()) => return Ok(None),
            Err((error, returned)) => (error, returned),
        };
        match code(&error) {
            Some(RDKafkaErrorCode::QueueFull) => self.send_when_there_is_room(returned),
            _ => self.not_sent(error, returned),
        }
    }

    #[cold]
    fn send_when_there_is_room<'r>(
        &mut self,
        record: Outgoing<'r>,
    ) -> Result<Option<Outgoing<'r>>, TransactionError> {
        let (mut record, deadline) = (record, self.delivery_deadline());
        loop {
            // Acknowledgements make room within milliseconds.
            std::thread::sleep(Duration::from_millis(1));
            self.beat();
            match self.client.send(record) {
                Ok(()) => return Ok(None),
                Err((error, returned)) if code(&error) == Some(RDKafkaErrorCode::QueueFull) => {
                    if Instant::now() > deadline {
                        self.deliveries.expect_one_less();
                        return Err(
                            self.unknown("the queue stays full: brokers acknowledge nothing".to_owned())
                        );
                    }
                    record = returned;
                }
                Err((error, returned)) => return self.not_sent(error, returned),
            }
        }
    }

    fn not_sent<'r>(
        &mut self,
        error: KafkaError,
        record: Outgoing<'r>,
    ) -> Result<Option<Outgoing<'r>>, TransactionError> {
        self.deliveries.expect_one_less();
        match code(&error) {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Ok(Some(record)),
            _ => Err(self.transaction_error(error)),
        }
    }

    /// Waits until every record of the batch is with the brokers.
    pub(crate) fn deliver(&mut self) -> Result<(), TransactionError> {
        let deadline = self.delivery_deadline();
        // A failed record ends a transaction: librdkafka keeps the others until it is aborted.
        while let Err(count) = self.deliveries.wait(BEAT_INTERVAL, self.transactional) {
            if Instant::now() >= deadline {
                return Err(self.unknown(format!("{count} records were not acknowledged in time")));
            }
            self.beat();
        }
        if let Some((error, topic)) = self.deliveries.failure() {
            return Err(self.undelivered(&error, &topic));
        }
        if !self.transactional {
            self.fatal_errors = 0;
        }
        // The last delivery report is being processed; committing before that would flush in slices of 100 ms.
        let start = Instant::now();
        while self.client.in_flight_count() > 0 && start.elapsed() < REPORT_TIMEOUT {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Ends the transaction: the offsets of `batch` and everything written since `begin` become visible together. Afterwards
    /// the producer may be in doubt.
    pub(crate) fn commit(
        &mut self,
        topic: &str,
        batch: &Batch<'_>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        let (start, limit) = (Instant::now(), self.call_limit()?);
        self.client
            .send_offsets_to_transaction(&offsets(topic, &batch.spans, batch.topic_id), group, limit)
            .map_err(|error| self.transaction_error(error))?;
        let offsets_took = start.elapsed();
        self.beat();
        let (start, limit) = (Instant::now(), self.call_limit()?);
        self.client.commit_transaction(limit).map_err(|error| self.transaction_error(error))?;
        let commit_took = start.elapsed();
        (self.open, self.fatal_errors) = (None, 0);
        self.credentials.borrow_mut().accepted();
        if commit_took >= self.limits.late_end {
            self.doubt = Some(Doubt::LateCommit);
        } else if offsets_took >= self.limits.late_offsets {
            self.doubt = Some(Doubt::LateOffsets);
        }
        if let Some((late, commits, slowest)) = self.pace.add(commit_took, self.in_doubt(), Instant::now()) {
            self.warn_of_slow_brokers(late, commits, slowest);
        }
        Ok(())
    }

    /// How long a call of the open transaction may take.
    fn call_limit(&mut self) -> Result<Duration, TransactionError> {
        let age = self.open.map_or(Duration::ZERO, |begun| begun.age());
        self.limits
            .call_at(age)
            .ok_or_else(|| self.unknown(format!("the transaction is {} ms old", age.as_millis())))
    }

    /// Warns of brokers that are normally slower than the back-off.
    #[cold]
    fn warn_of_slow_brokers(&self, late: u32, commits: u32, slowest: Duration) {
        warn!(
            worker = self.worker,
            slowest_ms = slowest.as_millis() as u64,
            limit_ms = self.limits.late_end.as_millis() as u64,
            "{late} of the last {commits} commits took longer than limit_ms; each may contain a repeated request, so the \
             producer was replaced after it. If commits always take that long on these brokers, set retry.backoff.ms in \
             [kafka.producer] to twice that time; requests that have to be repeated are then repeated later"
        );
    }

    /// Aborts the batch. [`Producer::rebuild`] has to follow if a transaction was open, whether the abort worked or not.
    pub(crate) fn abort(&mut self) -> Result<(), TransactionError> {
        if self.open.is_none() {
            // Without transactions nothing can be aborted, but outstanding records must not mix with the next batch.
            return match self.deliveries.outstanding() {
                0 => Ok(()),
                count => Err(self.unknown(format!("{count} records are not acknowledged"))),
            };
        }
        self.beat();
        match self.client.abort_transaction(self.limits.call) {
            Ok(()) => {
                self.open = None;
                self.doubt = self.doubt.or(Some(Doubt::Aborted));
                Ok(())
            }
            Err(error) => match self.transaction_error(error) {
                TransactionError::Fatal(error) => Err(TransactionError::Fatal(error)),
                TransactionError::Abort(reason) | TransactionError::Rebuild(reason) => {
                    Err(self.unknown(format!("the abort failed: {reason}")))
                }
                TransactionError::ClockSkew => Err(self.unknown("the abort failed".to_owned())),
            },
        }
    }

    /// The records of the batch that were refused: after [`Producer::abort`], and before [`Producer::rebuild`].
    pub(crate) fn take_refused(&self) -> Vec<Refusal> {
        // Aborting purges what was not sent yet; the last reports may still be on their way.
        if let Err(count) = self.deliveries.wait(INIT_TIMEOUT, false) {
            debug!(worker = self.worker, count, "not all delivery reports have arrived");
        }
        self.deliveries.take_refused_records()
    }

    /// Replaces the client by one of the same transactional id: the brokers end the old one's transaction before the new
    /// one may write, and refuse requests of the old one that arrive later. False if a stop was requested; then the
    /// producer cannot be used.
    pub(crate) fn rebuild(&mut self) -> Result<bool, ClientError> {
        let (start, reason) = (Instant::now(), self.doubt.unwrap_or(Doubt::Unknown));
        self.reports.metrics.producer_rebuilds.with_label_values(&[reason.name()]).inc();
        self.replace_client()?;
        let ready = self.start()?;
        let took_ms = start.elapsed().as_millis() as u64;
        info!(worker = self.worker, reason = reason.name(), took_ms, "the producer was replaced");
        Ok(ready)
    }
}

impl Drop for Producer<'_> {
    fn drop(&mut self) {
        if self.open.take().is_some()
            && let Err(error) = self.client.abort_transaction(INIT_TIMEOUT)
        {
            warn!(worker = self.worker, %error, "an open transaction could not be aborted; it ends by its time-out");
        }
    }
}

fn make_client(
    clients: &ClientProperties,
    topics: &Topics,
    worker: usize,
    deliveries: &Arc<Deliveries>,
) -> Result<ThreadedProducer<Context>, ClientError> {
    properties(clients, topics, worker)
        .create_with_context(Context(Arc::clone(deliveries)))
        .map_err(|error| ClientError::Configuration(format!("the producer cannot be created: {error}")))
}

/// The producer's properties, with sizes that the topics allow.
fn properties(clients: &ClientProperties, topics: &Topics, worker: usize) -> ClientConfig {
    let mut properties = clients.producer(worker);
    let Topics { output, dead_letters, .. } = topics;
    if properties.get("message.max.bytes").is_none() {
        // Not the limits of now, which may be raised again while this client lives.
        let max_bytes = (output.ceiling().max(dead_letters.ceiling()) + 1_000).clamp(1_000, 1_000_000_000);
        properties.set("message.max.bytes", max_bytes.to_string());
    }
    if properties.get("batch.size").is_none() {
        // A topic's limit is the limit of a batch.
        let bytes = output.max_bytes().min(dead_letters.max_bytes());
        properties.set("batch.size", bytes.clamp(1, MAX_REQUEST_BYTES).to_string());
    }
    properties
}
