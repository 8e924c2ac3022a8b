//! Whether a topic that is written to is compacted: brokers refuse records without a key there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{info, warn};

/// What is written to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Verdicts and tombstones.
    Output,
    /// Dead letters.
    DeadLetters,
}

/// Whether a topic is compacted. Shared by all workers, since the policy may change while the process runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compaction(Arc<AtomicBool>);

impl Compaction {
    /// Whether the topic is compacted; no if its policy is not known.
    pub(crate) fn is_compacted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `cleanup.policy` of `topic` is `policy` now: says what follows if that is news.
    pub(crate) fn note(&self, topic: &str, role: Role, policy: &str) {
        let compacted = policy.split(',').any(|policy| policy.trim() == "compact");
        if self.0.swap(compacted, Ordering::Relaxed) == compacted {
            return;
        }
        match role {
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
        }
    }
}

impl PartialEq for Compaction {
    fn eq(&self, other: &Self) -> bool {
        self.is_compacted() == other.is_compacted()
    }
}

impl Eq for Compaction {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_list_and_may_change() {
        let compaction = Compaction::default();
        let shared = compaction.clone();
        for (policy, compacted) in
            [("delete", false), ("compact", true), ("", false), ("delete, compact", true), ("delete", false)]
        {
            compaction.note("verdicts", Role::Output, policy);
            assert_eq!(shared.is_compacted(), compacted, "{policy}");
        }
    }
}
