//! How long the calls of a transaction may take, and from when on one may have sent a request twice.
//!
//! librdkafka repeats `EndTxn` and `TxnOffsetCommit` inside a call when the answer is late or the connection breaks, and
//! the call reports success. The first copy may still be on its way; it carries nothing that tells it from a request of
//! the next transaction (KAFKA-17754), and would end that one, or take its offsets back. librdkafka does not speak the
//! protocol that closes the hole (KIP-890) and does not tell that it repeated something. But every repeat is preceded by
//! a back-off, so a call that returned earlier cannot contain one. After any other the producer is replaced: a new one
//! has a higher epoch, and brokers refuse what an older epoch still sends.

use super::error::ClientError;
use rdkafka::ClientConfig;
use std::time::Duration;

/// librdkafka waits this long before it repeats `TxnOffsetCommit`, whatever is set (`rdkafka_txnmgr.c`).
const OFFSETS_BACKOFF: Duration = Duration::from_millis(500);
/// The part of a back-off that passes at least: librdkafka adds 20 % of jitter in both directions.
const JITTER: f64 = 0.8;
/// The part of a time-out after which we act ourselves, before librdkafka repeats or the broker aborts.
const EARLY: f64 = 0.8;
/// Longest wait for one call, whatever is set: `worker.stall_seconds` must not pass within it.
const MAX_CALL: Duration = Duration::from_secs(15);
/// A call that gets less time than this cannot succeed.
const MIN_CALL: Duration = Duration::from_millis(100);

/// What follows for transactions from the effective properties of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransactionLimits {
    /// Longest wait for one call: shorter than a request's time-out, so that no call lasts over a repeat that a
    /// time-out causes.
    pub(super) call: Duration,
    /// The age at which a transaction is given up: the broker would abort it soon, and fence its producer.
    pub(super) age: Duration,
    /// A commit or an abort that took this long may contain a repeat.
    pub(super) late_end: Duration,
    /// Sending offsets that took this long may contain a repeat.
    pub(super) late_offsets: Duration,
}

impl TransactionLimits {
    /// Of a producer with these properties.
    pub(super) fn of(properties: &ClientConfig) -> Result<Self, ClientError> {
        // What is not set has librdkafka's default.
        let native = properties.create_native_config().map_err(|error| {
            ClientError::Configuration(format!("the producer's properties are refused: {error}"))
        })?;
        let property = |name| {
            let value = native.get(name).ok().and_then(|value| value.parse().ok());
            let unknown =
                || ClientError::Configuration(format!("the producer's property `{name}` cannot be read"));
            value.map(Duration::from_millis).ok_or_else(unknown)
        };
        let transaction = property("transaction.timeout.ms")?;
        let backoff = property("retry.backoff.ms")?.min(property("retry.backoff.max.ms")?);
        let request = property("socket.timeout.ms")?.min(transaction);
        Ok(TransactionLimits {
            call: request.mul_f64(EARLY).clamp(MIN_CALL, MAX_CALL),
            age: transaction.mul_f64(EARLY).max(MIN_CALL),
            late_end: backoff.mul_f64(JITTER),
            late_offsets: OFFSETS_BACKOFF.mul_f64(JITTER),
        })
    }

    /// How long a call may take in a transaction that is `age` old; `None` if it is too old.
    pub(super) fn call_at(&self, age: Duration) -> Option<Duration> {
        let left = self.age.checked_sub(age)?;
        (left >= MIN_CALL).then(|| left.min(self.call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(properties: &[(&str, &str)]) -> TransactionLimits {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TransactionLimits::of(&properties.collect()).unwrap()
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_limits_follow_what_is_set() {
        let ours = limits(&[("transaction.timeout.ms", "10000"), ("socket.timeout.ms", "5000")]);
        let expected =
            TransactionLimits { call: MS(4_000), age: MS(8_000), late_end: MS(80), late_offsets: MS(400) };
        assert_eq!(ours, expected);
        let raised = limits(&[("transaction.timeout.ms", "30000"), ("retry.backoff.ms", "500")]);
        assert_eq!((raised.age, raised.late_end), (MS(24_000), MS(400)));
        // A back-off is never longer than its limit.
        let capped = limits(&[("retry.backoff.ms", "5000"), ("retry.backoff.max.ms", "300")]);
        assert_eq!(capped.late_end, MS(240));
    }

    #[test]
    fn a_call_ends_before_the_request_times_out_and_before_the_transaction_is_too_old() {
        let limits = limits(&[("transaction.timeout.ms", "10000"), ("socket.timeout.ms", "5000")]);
        assert_eq!(limits.call_at(MS(0)), Some(MS(4_000)));
        assert_eq!(limits.call_at(MS(7_000)), Some(MS(1_000)));
        assert_eq!(limits.call_at(MS(7_950)), None);
        assert_eq!(limits.call_at(MS(20_000)), None);
    }
}
