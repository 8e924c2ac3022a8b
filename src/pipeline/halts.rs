//! Halted partitions: one mechanism for every fault that concerns a single partition.
//!
//! A halted partition is paused, its offsets do not move, and the other partitions go on. It is tried again after a growing
//! interval, because what is at fault is mostly repaired elsewhere: a producer, a topic's settings, a mirror. The halt is
//! over when a batch with records of the partition is committed, or when the partition is read to its end.

use crate::telemetry::{Health, WorkerMetrics};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Time until a halted partition is tried again for the first time; doubles with each further halt.
const MIN_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time until a halted partition is tried again.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// Why a partition is halted. The names are those of the metric's label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HaltReason {
    /// Most of its records cannot be classified: the circuit breaker opened.
    Poison,
    /// The committed offset is beyond the end of the log.
    BeyondEnd,
    /// A record batch cannot be read.
    Corrupt,
    /// The brokers refuse what has to be written for one of its records.
    Refused,
}

impl HaltReason {
    /// The name in metrics, logs and probes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            HaltReason::Poison => "poison",
            HaltReason::BeyondEnd => "beyond_end",
            HaltReason::Corrupt => "corrupt",
            HaltReason::Refused => "refused",
        }
    }
}

/// The halted partitions of one worker.
#[derive(Debug, Default)]
pub(super) struct Halts {
    by_partition: BTreeMap<i32, Halt>,
}

#[derive(Debug)]
struct Halt {
    reason: HaltReason,
    /// How often it was halted without progress in between.
    count: u32,
    /// When it is tried again; `None` while it is being tried.
    due: Option<Instant>,
}

impl Halts {
    /// `partition` of `topic` is halted for `reason`; `message` says what is wrong, where, and what to do.
    pub(super) fn halt(
        &mut self,
        (topic, partition): (&str, i32),
        reason: HaltReason,
        message: &str,
        health: &Health,
        metrics: &WorkerMetrics,
    ) {
        let halt = self.by_partition.entry(partition).or_insert(Halt { reason, count: 0, due: None });
        if halt.reason != reason {
            metrics.set_halted(partition, halt.reason.name(), false);
        }
        let interval = retry_interval(halt.count);
        *halt = Halt { reason, count: halt.count.saturating_add(1), due: Some(Instant::now() + interval) };
        metrics.set_halted(partition, reason.name(), true);
        health.set_halted(topic, partition, Some(format!("{}: {message}", reason.name())));
        error!(
            topic,
            partition,
            reason = reason.name(),
            retry_seconds = interval.as_secs(),
            "the partition is halted, the others go on: {message}"
        );
    }

    /// Whether `partition` is halted now, and not being tried again.
    pub(super) fn is_halted(&self, partition: i32) -> bool {
        self.by_partition.get(&partition).is_some_and(|halt| halt.due.is_some())
    }

    /// Whether `partition` is halted, or being tried again.
    pub(super) fn concerns(&self, partition: i32) -> bool {
        self.by_partition.contains_key(&partition)
    }

    /// Whether nothing is halted, nor being tried again.
    pub(super) fn is_empty(&self) -> bool {
        self.by_partition.is_empty()
    }

    /// The partitions that are to be tried again now, with the reason of their halt. They count as being tried from here on.
    pub(super) fn take_due(&mut self) -> Vec<(i32, HaltReason)> {
        let now = Instant::now();
        let due = self.by_partition.iter_mut().filter(|(_, halt)| halt.due.is_some_and(|due| due <= now));
        due.map(|(&partition, halt)| {
            halt.due = None;
            (partition, halt.reason)
        })
        .collect()
    }

    /// A batch with records of `partition` was committed, or the partition was read to its end: the fault is gone.
    pub(super) fn progressed(
        &mut self,
        (topic, partition): (&str, i32),
        health: &Health,
        metrics: &WorkerMetrics,
    ) {
        // While it waits for its next trial, records that were read before it was paused may still be committed.
        if self.is_halted(partition) {
            return;
        }
        if let Some(halt) = self.by_partition.remove(&partition) {
            metrics.set_halted(partition, halt.reason.name(), false);
            health.set_halted(topic, partition, None);
            info!(topic, partition, reason = halt.reason.name(), "the halted partition goes on");
        }
    }

    /// Forgets the partitions that are not `assigned` any more: their next owner finds out by itself.
    pub(super) fn keep_only(
        &mut self,
        topic: &str,
        assigned: &BTreeSet<i32>,
        health: &Health,
        metrics: &WorkerMetrics,
    ) {
        self.by_partition.retain(|partition, halt| {
            let kept = assigned.contains(partition);
            if !kept {
                metrics.set_halted(*partition, halt.reason.name(), false);
                health.set_halted(topic, *partition, None);
            }
            kept
        });
    }
}

/// How long a partition waits after its halt number `count`, counted from 0.
fn retry_interval(count: u32) -> Duration {
    MIN_RETRY_INTERVAL.saturating_mul(2u32.saturating_pow(count)).min(MAX_RETRY_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    const PLACE: (&str, i32) = ("comments", 3);

    fn parts() -> (Metrics, WorkerMetrics, Health) {
        let metrics = Metrics::new();
        let worker = WorkerMetrics::new(&metrics, PLACE.0, &["negative".to_owned()], "abc");
        (metrics, worker, Health::new(1, Duration::from_secs(60)))
    }

    fn gauge(metrics: &Metrics, reason: &str) -> bool {
        let text = metrics.encode().unwrap();
        text.contains(&format!(
            "nunchi_partition_halted{{partition=\"3\",reason=\"{reason}\",topic=\"comments\"}} 1"
        ))
    }

    #[test]
    fn intervals_grow_from_a_second_to_five_minutes() {
        assert_eq!(
            [0, 1, 2, 8, 9, 31, 32, u32::MAX].map(|count| retry_interval(count).as_secs()),
            [1, 2, 4, 256, 300, 300, 300, 300]
        );
    }

    #[test]
    fn a_halt_is_visible_until_the_partition_makes_progress() {
        let (metrics, worker, health) = parts();
        let mut halts = Halts::default();
        halts.halt(PLACE, HaltReason::Poison, "600 of the last 1000 records", &health, &worker);
        assert!(halts.is_halted(3) && gauge(&metrics, "poison"));
        assert_eq!(health.halted(), ["comments/3: poison: 600 of the last 1000 records"]);
        assert!(halts.take_due().is_empty(), "not before its interval is over");
        halts.progressed(PLACE, &health, &worker);
        assert!(halts.is_halted(3), "what was read before the halt is no progress");

        halts.by_partition.get_mut(&3).unwrap().due = Some(Instant::now());
        assert_eq!(halts.take_due(), [(3, HaltReason::Poison)]);
        assert!(!halts.is_halted(3) && gauge(&metrics, "poison"), "tried again, not yet well");
        halts.halt(PLACE, HaltReason::Refused, "no key", &health, &worker);
        assert!(gauge(&metrics, "refused") && !gauge(&metrics, "poison"));
        assert_eq!(halts.by_partition[&3].count, 2);

        halts.by_partition.get_mut(&3).unwrap().due = None;
        halts.progressed(PLACE, &health, &worker);
        assert!(halts.is_empty() && health.halted().is_empty() && !gauge(&metrics, "refused"));
    }

    #[test]
    fn a_partition_that_moves_to_another_process_is_not_halted_here() {
        let (metrics, worker, health) = parts();
        let mut halts = Halts::default();
        halts.halt(PLACE, HaltReason::Corrupt, "offset 7", &health, &worker);
        halts.keep_only(PLACE.0, &BTreeSet::from([1, 2]), &health, &worker);
        assert!(halts.is_empty() && health.halted().is_empty() && !gauge(&metrics, "corrupt"));
    }
}
