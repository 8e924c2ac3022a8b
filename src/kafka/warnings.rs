//! Errors that a consumer reports and retries by itself: warnings, each kind at most once a minute.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How long a warning of one kind is not repeated.
const INTERVAL: Duration = Duration::from_secs(60);
/// More kinds than this are not told apart: their texts contain something that varies.
const MAX_KINDS: usize = 200;

/// The warnings that were logged.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    last: BTreeMap<String, (Instant, u64)>,
}

impl Warnings {
    /// Logs an error of a consumer of `topic`. librdkafka's reason names the offset or the broker where it knows them.
    pub(super) fn warn(&mut self, topic: &str, error: &KafkaError, reason: &str) {
        match self.due(kind(error, reason), Instant::now()) {
            Some(suppressed) => warn!(
                topic,
                %error,
                reason,
                suppressed,
                "the consumer reports an error, and tries again"
            ),
            None => debug!(topic, %error, reason, "the consumer reports an error again"),
        }
    }

    /// How many of this kind were suppressed, if one is to be logged now.
    fn due(&mut self, kind: String, now: Instant) -> Option<u64> {
        let kind =
            if self.last.len() < MAX_KINDS || self.last.contains_key(&kind) { kind } else { String::new() };
        match self.last.get_mut(&kind) {
            Some((last, suppressed)) if now.duration_since(*last) < INTERVAL => {
                *suppressed += 1;
                None
            }
            known => {
                let suppressed = known.map_or(0, |(_, suppressed)| *suppressed);
                self.last.insert(kind, (now, 0));
                Some(suppressed)
            }
        }
    }
}

/// The kind of an error: its code, and its text without numbers, except for the partition's: "topic [3]: …".
fn kind(error: &KafkaError, reason: &str) -> String {
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
    let mut kind = format!("{code:?} ");
    let mut in_brackets = false;
    for letter in reason.chars() {
        in_brackets = letter == '[' || in_brackets && letter != ']';
        if in_brackets || !letter.is_ascii_digit() {
            kind.push(letter);
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once_a_minute() {
        let error = KafkaError::Global(RDKafkaErrorCode::UnknownTopicOrPartition);
        let (one, same) = ("comments [1]: failed at offset 5", "comments [1]: failed at offset 77");
        assert_eq!(kind(&error, one), kind(&error, same));
        assert_ne!(kind(&error, one), kind(&error, "comments [2]: failed at offset 5"));
        let mut warnings = Warnings::default();
        let start = Instant::now();
        let mut due =
            |reason, seconds| warnings.due(kind(&error, reason), start + Duration::from_secs(seconds));
        assert_eq!(due(one, 0), Some(0));
        assert_eq!(due(same, 1), None);
        assert_eq!(due("another", 1), Some(0));
        assert_eq!(due(one, 2), None);
        assert_eq!(due(same, 61), Some(2));
    }
}
