//! A topic that is written to, with its settings as they are now: whoever learns of others notes them, all workers read them.

use super::topic_settings::TopicSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tracing::{info, warn};

/// Kafka's default of `max.message.bytes`.
const DEFAULT_MAX_BYTES: usize = 1_048_588;
/// Kafka's default of `message.timestamp.after.max.ms`.
const DEFAULT_AFTER_MS: i64 = 3_600_000;
/// `retention.ms` of a topic whose records are not deleted by age.
const KEPT: i64 = -1;

/// What is written to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Verdicts and tombstones.
    Output,
    /// Dead letters.
    DeadLetters,
    /// Comments for people to label.
    Review,
}

/// A topic that is written to. Clones share the settings.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: String,
    role: Role,
    /// Most bytes of a record whatever the topic takes: what the producer's buffers were made for.
    ceiling: usize,
    now: Arc<Now>,
}

/// The settings as they are now.
#[derive(Debug)]
struct Now {
    compacted: AtomicBool,
    append_time: AtomicBool,
    max_bytes: AtomicUsize,
    before_ms: AtomicI64,
    after_ms: AtomicI64,
    retention_ms: AtomicI64,
}

impl Target {
    /// With these settings; Kafka's defaults where they are not known. `max_bytes` is the limit of the producer.
    pub(super) fn new(topic: &str, role: Role, max_bytes: usize, settings: Option<&TopicSettings>) -> Self {
        let known = settings.cloned().unwrap_or_default();
        let target = Target {
            topic: topic.to_owned(),
            role,
            ceiling: known.max_bytes.unwrap_or(DEFAULT_MAX_BYTES).min(max_bytes),
            now: Arc::new(Now {
                compacted: AtomicBool::new(false),
                append_time: AtomicBool::new(false),
                max_bytes: AtomicUsize::new(0),
                before_ms: AtomicI64::new(0),
                after_ms: AtomicI64::new(0),
                retention_ms: AtomicI64::new(0),
            }),
        };
        target.store(&known);
        target
    }

    /// Whether `cleanup.policy` contains `compact`: brokers refuse records without a key then. No if it is not known.
    pub(crate) fn is_compacted(&self) -> bool {
        self.now.compacted.load(Ordering::Relaxed)
    }

    /// `max.message.bytes`, or the limit of the producer.
    pub(crate) fn max_bytes(&self) -> usize {
        self.now.max_bytes.load(Ordering::Relaxed)
    }

    /// The largest value of [`Target::max_bytes`].
    pub(super) fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// `message.timestamp.before.max.ms`.
    pub(super) fn before_ms(&self) -> i64 {
        self.now.before_ms.load(Ordering::Relaxed)
    }

    /// `message.timestamp.after.max.ms`.
    pub(super) fn after_ms(&self) -> i64 {
        self.now.after_ms.load(Ordering::Relaxed)
    }

    /// `retention.ms`, if records are deleted by age at all.
    pub(crate) fn retention_ms(&self) -> Option<i64> {
        Some(self.now.retention_ms.load(Ordering::Relaxed)).filter(|&retention| retention != KEPT)
    }

    /// The topic has these settings now. Whether its limits changed; says so.
    pub(super) fn note(&self, settings: &TopicSettings) -> bool {
        let limits = || (self.max_bytes(), self.before_ms(), self.after_ms(), self.retention_ms());
        let before = limits();
        self.store(settings);
        let changed = limits() != before;
        if changed {
            info!(
                topic = self.topic,
                max_message_bytes = self.max_bytes(),
                before_max_ms = self.before_ms(),
                after_max_ms = self.after_ms(),
                retention_ms = self.retention_ms(),
                "the limits of the topic have changed; records are written within them from now on"
            );
        }
        changed
    }

    fn store(&self, settings: &TopicSettings) {
        let policy = settings.cleanup_policy.as_deref().unwrap_or_default();
        let expires = policy.is_empty() || policy.contains("delete");
        let retention_ms =
            settings.retention_ms.filter(|&retention| expires && retention >= 0).unwrap_or(KEPT);
        let Now { max_bytes, before_ms, after_ms, retention_ms: retention, .. } = &*self.now;
        max_bytes.store(settings.max_bytes.unwrap_or(DEFAULT_MAX_BYTES).min(self.ceiling), Ordering::Relaxed);
        before_ms.store(settings.before_ms.unwrap_or(i64::MAX), Ordering::Relaxed);
        after_ms.store(settings.after_ms.unwrap_or(DEFAULT_AFTER_MS), Ordering::Relaxed);
        retention.store(retention_ms, Ordering::Relaxed);
        self.note_policy(policy);
        self.note_append_time(settings.append_time);
    }

    /// `cleanup.policy` is `policy` now: says what follows if that is news.
    fn note_policy(&self, policy: &str) {
        let topic = self.topic.as_str();
        let compacted = policy.split(',').any(|policy| policy.trim() == "compact");
        if self.now.compacted.swap(compacted, Ordering::Relaxed) == compacted {
            return;
        }
        match self.role {
            _ if !compacted => info!(topic, policy, "the topic is not compacted any more"),
            Role::Output => warn!(
                topic,
                policy,
                "the topic of verdicts is compacted: brokers refuse records without a key there, so comments without a \
                 key become dead letters of class `refused`; of verdicts with the same key only the last one stays"
            ),
            Role::DeadLetters => warn!(
                topic,
                policy,
                "the topic of dead letters is compacted: brokers refuse records without a key there, so a record without \
                 a key that must become a dead letter halts its partition; of dead letters with the same key only the \
                 last one stays; set cleanup.policy=delete on the topic"
            ),
            Role::Review => warn!(
                topic,
                policy,
                "the topic of comments to review is compacted: comments without a key are left out of it, and of comments \
                 with the same key only the last one stays"
            ),
        }
    }

    fn note_append_time(&self, append_time: bool) {
        if self.now.append_time.swap(append_time, Ordering::Relaxed) != append_time && append_time {
            warn!(
                topic = self.topic,
                "the topic sets timestamps itself (message.timestamp.type=LogAppendTime): the timestamps of comments are \
                 lost"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(policy: &str) -> TopicSettings {
        TopicSettings { cleanup_policy: Some(policy.to_owned()), ..TopicSettings::default() }
    }

    #[test]
    fn a_policy_is_a_list_and_may_change() {
        let target = Target::new("verdicts", Role::Output, usize::MAX, None);
        let shared = target.clone();
        for (list, compacted) in
            [("delete", false), ("compact", true), ("", false), ("delete, compact", true), ("delete", false)]
        {
            assert!(!target.note(&policy(list)), "no limit changed");
            assert_eq!(shared.is_compacted(), compacted, "{list}");
        }
    }

    #[test]
    fn limits_may_change_but_not_beyond_what_the_producer_was_made_for() {
        let limit = |max_bytes| TopicSettings { max_bytes: Some(max_bytes), ..policy("delete") };
        let target = Target::new("verdicts", Role::Output, 5_000, Some(&limit(4_000)));
        assert_eq!((target.max_bytes(), target.ceiling()), (4_000, 4_000));
        assert!(target.note(&limit(3_000)) && !target.note(&limit(3_000)));
        assert_eq!(target.max_bytes(), 3_000);
        assert!(target.note(&limit(9_000)));
        assert_eq!(target.max_bytes(), 4_000);
        assert_eq!(Target::new("verdicts", Role::Output, 5_000, Some(&limit(9_000))).max_bytes(), 5_000);
    }

    #[test]
    fn only_records_that_are_deleted_by_age_have_a_retention() {
        let settings =
            |list: &str, retention| TopicSettings { retention_ms: Some(retention), ..policy(list) };
        let target = Target::new("verdicts", Role::Output, usize::MAX, Some(&settings("delete", 7)));
        assert_eq!(target.retention_ms(), Some(7));
        for (list, retention) in [("compact", 7), ("delete", -1)] {
            assert!(target.note(&settings(list, retention)));
            assert_eq!(target.retention_ms(), None);
            assert!(target.note(&settings("compact,delete", 7)));
        }
    }
}
