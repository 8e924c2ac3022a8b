//! Delivery reports of a producer's records: how many are outstanding, the first failure, and what was refused.

use super::error::{ClientError, code};
use super::events;
use super::refusals::Refusal;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
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
    refused_records: Mutex<Vec<Refusal>>,
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
        self.refused_records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The records that were refused, complete once nothing is outstanding.
    pub(super) fn take_refused_records(&self) -> Vec<Refusal> {
        std::mem::take(&mut self.refused_records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the brokers refused the credentials since the last call.
    pub(super) fn take_refused(&self) -> bool {
        self.refused.swap(false, Ordering::Relaxed)
    }

    pub(super) fn failure(&self) -> Option<(KafkaError, String)> {
        self.lock().clone()
    }

    /// Waits until nothing is outstanding, or with `until_failure` until the first failure; how much still is outstanding
    /// after `limit`.
    pub(super) fn wait(&self, limit: Duration, until_failure: bool) -> Result<(), usize> {
        let waiting = self.lock();
        let (waiting, _) = self
            .none_outstanding
            .wait_timeout_while(waiting, limit, |failure| {
                self.outstanding() > 0 && !(until_failure && is_failed(failure))
            })
            .unwrap_or_else(PoisonError::into_inner);
        let has_failed = until_failure && is_failed(&waiting);
        drop(waiting);
        match self.outstanding() {
            _ if has_failed => Ok(()),
            0 => Ok(()),
            outstanding => Err(outstanding),
        }
    }

    /// Handles the delivery report of one record.
    fn report(&self, failure: Option<(KafkaError, String)>) {
        if failure.is_some() {
            let mut first = self.lock();
            if first.as_ref().is_none_or(|(error, _)| code(error).is_some_and(is_consequence)) {
                *first = failure;
                self.none_outstanding.notify_one();
            }
        }
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            // With the lock, or a thread that is about to wait could miss the notification.
            let _guard = self.lock();
            self.none_outstanding.notify_one();
        }
    }
}

/// Whether the cause of a failure is known: the report of an innocent record may come before that of the guilty one.
fn is_failed(failure: &Option<(KafkaError, String)>) -> bool {
    let innocent = Some(RDKafkaErrorCode::InvalidDifferentRecord);
    failure.as_ref().is_some_and(|(error, _)| code(error) != innocent)
}

/// Whether a record failed only because of another one.
fn is_consequence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidDifferentRecord
            | RDKafkaErrorCode::PurgeQueue
            | RDKafkaErrorCode::PurgeInflight
    )
}

/// The producer's context.
pub(super) struct Context(pub(super) Arc<Deliveries>);

impl ProducerContext<NoCustomPartitioner> for Context {
    /// The record's number within its batch.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, record: usize) {
        events::guarded("delivery", || {
            let failure = result.as_ref().err().map(|(error, message)| {
                // Not with the broker's explanation: librdkafka 2.12 has freed it (`rd_kafka_message_produce_errstr`).
                if let Some(refusal) = code(error).and_then(|code| Refusal::of(record, code)) {
                    self.0.refused_records.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
                }
                (error.clone(), message.topic().to_owned())
            });
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
