//! Delivery reports of a producer's records: how many are outstanding, and the first failure.

use super::error::{ClientError, code};
use super::events;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::debug;

/// Counts deliveries, and keeps the batch's first failure.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    outstanding: AtomicUsize,
    failure: Mutex<Option<(KafkaError, String)>>,
    none_outstanding: Condvar,
    /// Whether the brokers refused the producer's credentials since somebody asked.
    refused: AtomicBool,
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, Option<(KafkaError, String)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    pub(super) fn expect_one(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn expect_one_less(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn forget_failure(&self) {
        *self.lock() = None;
    }

    /// Whether the brokers refused the credentials since the last call.
    pub(super) fn take_refused(&self) -> bool {
        self.refused.swap(false, Ordering::Relaxed)
    }

    pub(super) fn failure(&self) -> Option<(KafkaError, String)> {
        self.lock().clone()
    }

    /// Waits until nothing is outstanding; how much still is after `limit`.
    pub(super) fn wait(&self, limit: Duration) -> Result<(), usize> {
        let waiting = self.lock();
        let (waiting, _) = self
            .none_outstanding
            .wait_timeout_while(waiting, limit, |_| self.outstanding() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        match self.outstanding() {
            0 => Ok(()),
            outstanding => Err(outstanding),
        }
    }

    /// Handles the delivery report of one record.
    fn report(&self, failure: Option<(KafkaError, String)>) {
        if failure.is_some() {
            let mut first = self.lock();
            if first.is_none() {
                *first = failure;
            }
        }
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            // With the lock, or a thread that is about to wait could miss the notification.
            let _guard = self.lock();
            self.none_outstanding.notify_one();
        }
    }
}

/// The producer's context.
pub(super) struct Context(pub(super) Arc<Deliveries>);

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        events::guarded("delivery", || {
            let failure =
                result.as_ref().err().map(|(error, message)| (error.clone(), message.topic().to_owned()));
            self.0.report(failure);
        });
    }
}

impl ClientContext for Context {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        events::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        events::guarded("error", || {
            debug!(%error, reason, "the producer reports an error");
            let refusal = code(&error).and_then(|code| ClientError::refusal(code, "", ""));
            if matches!(refusal, Some(ClientError::Authentication { .. })) {
                self.0.refused.store(true, Ordering::Relaxed);
            }
        });
    }
}
