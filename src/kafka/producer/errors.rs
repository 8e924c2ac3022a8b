//! The recovery from a producer's errors: abort, rebuild, or the end of the worker.

use super::{Doubt, Producer, TransactionError};
use crate::kafka::error::{ClientError, code, is_fenced};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use std::fmt::Display;
use std::time::Instant;
use tracing::{debug, warn};

/// Fatal errors of librdkafka, other than fencing, without a commit between them, before the worker ends.
const MAX_FATAL_ERRORS: u32 = 5;

impl Producer<'_> {
    /// Whether the batch was committed is unknown.
    pub(super) fn unknown(&mut self, reason: String) -> TransactionError {
        self.doubt = self.doubt.or(Some(Doubt::Unknown));
        TransactionError::Rebuild(reason)
    }

    /// The recovery after a failed call.
    pub(super) fn transaction_error(&mut self, error: KafkaError) -> TransactionError {
        let reason = error.to_string();
        let error = match error {
            KafkaError::Transaction(error) => error,
            // Whether the commit succeeded is unknown.
            KafkaError::Flush(_) => return self.unknown(reason),
            _ => {
                return match self.fatal_error() {
                    Some(fatal) => self.replace("producing", &fatal),
                    None => TransactionError::Abort(reason),
                };
            }
        };
        if let Some(refusal) = self.refusal(error.code()) {
            return TransactionError::Fatal(refusal);
        }
        debug!(worker = self.worker, code = %error.code(), reason, "a transaction's call failed");
        if error.is_fatal() || self.fatal_error().is_some() {
            self.replace("the transaction", &error)
        } else if error.txn_requires_abort() {
            TransactionError::Abort(reason)
        } else {
            self.unknown(reason)
        }
    }

    /// The recovery after a record that could not be delivered.
    pub(super) fn undelivered(&mut self, error: &KafkaError, topic: &str) -> TransactionError {
        let code = code(error);
        if let Some(refusal) = code.and_then(|code| self.refusal(code)) {
            return TransactionError::Fatal(refusal);
        }
        if let Some(fatal) = self.fatal_error() {
            return self.replace("producing", &fatal);
        }
        if let Some(unsupported) = code.and_then(|code| ClientError::unsupported(code, topic)) {
            return TransactionError::Fatal(unsupported);
        }
        match code {
            Some(RDKafkaErrorCode::InvalidTimestamp) => TransactionError::ClockSkew,
            // Where the topic monitor looks, it says how long the topic is waited for.
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
                if !self.topics.live.is_watched() =>
            {
                let config = self.config;
                let output = topic == config.output.topic;
                TransactionError::Fatal(ClientError::MissingTopic {
                    topic: topic.to_owned(),
                    setting: if output { "output.topic" } else { "dead_letters.topic" },
                    brokers: config.kafka.brokers.clone(),
                })
            }
            _ => TransactionError::Abort(format!("a record for `{topic}` was not delivered: {error}")),
        }
    }

    pub(super) fn refusal(&self, code: RDKafkaErrorCode) -> Option<ClientError> {
        ClientError::refusal(code, &self.config.kafka.brokers, "writing verdicts and dead letters")
    }

    fn fatal_error(&self) -> Option<String> {
        let (code, reason) = self.client.client().fatal_error()?;
        Some(format!("{reason} ({code})"))
    }

    /// The recovery after a fatal error of librdkafka: another client, unless that did not help before.
    fn replace(&mut self, doing: &'static str, reason: &dyn Display) -> TransactionError {
        match self.client_failed(doing, reason) {
            Ok(()) => TransactionError::Rebuild(reason.to_string()),
            Err(error) => TransactionError::Fatal(error),
        }
    }

    /// Counts a fatal error of the client. An error if the worker has to end.
    pub(super) fn client_failed(
        &mut self,
        doing: &'static str,
        reason: &dyn Display,
    ) -> Result<(), ClientError> {
        let worker = self.worker;
        if is_fenced(self.client.client().fatal_error().as_ref()) {
            self.doubt = Some(Doubt::Fenced);
            let too_old = self.open.is_some_and(|begun| begun.age() >= self.limits.age);
            if self.fences.add(Instant::now(), too_old) {
                let transactional_id = self.clients.transactional_id(worker);
                return Err(ClientError::Fenced { transactional_id, reason: reason.to_string() });
            }
            warn!(
                worker,
                %reason,
                too_old,
                "the producer was fenced: its transaction timed out, or another process uses its transactional id; \
                 replacing it"
            );
            return Ok(());
        }
        self.doubt = Some(Doubt::Failed);
        self.fatal_errors += 1;
        if self.fatal_errors >= MAX_FATAL_ERRORS {
            return Err(self.failed(doing, reason));
        }
        warn!(worker, %reason, "the producer failed with a fatal error; replacing it");
        Ok(())
    }

    pub(super) fn failed(&self, doing: &'static str, reason: &dyn Display) -> ClientError {
        ClientError::Failed { worker: self.worker, doing, reason: reason.to_string() }
    }
}
