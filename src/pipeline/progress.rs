//! Whether a worker makes progress: which partitions with lag do not move, and since when.
//!
//! A loop that turns without moving is as dead as one that hangs. What is known to hold it up does not count, since a restart
//! would change nothing: halted partitions, brokers that do not answer, a replay's rate, an output that is rebuilt. The
//! records of an open transaction are not part of the lag.

use crate::kafka::batch::Span;
use crate::kafka::statistics::PartitionStats;
use crate::telemetry::WorkerMetrics;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The progress of one worker.
#[derive(Debug)]
pub(super) struct Progress {
    stall: Duration,
    partitions: BTreeMap<i32, Clock>,
    /// Batches since the last observation, whatever became of them.
    attempted: bool,
    /// Why the last batch was aborted.
    aborted: Option<String>,
}

#[derive(Debug)]
struct Clock {
    /// When it moved last, or had no lag.
    moved: Instant,
    /// The same, or when there was a reason not to move.
    explained: Instant,
    /// The highest offset to fetch next that was observed.
    next: i64,
    lags: bool,
}

impl Progress {
    /// Of a worker that counts as stalled after `stall`.
    pub(super) fn new(stall: Duration) -> Self {
        Progress { stall, partitions: BTreeMap::new(), attempted: false, aborted: None }
    }

    /// A batch is processed.
    pub(super) fn attempt(&mut self) {
        self.attempted = true;
    }

    /// A batch was committed.
    pub(super) fn moved(&mut self, spans: &BTreeMap<i32, Span>) {
        let now = Instant::now();
        for partition in spans.keys() {
            if let Some(clock) = self.partitions.get_mut(partition) {
                (clock.moved, clock.explained) = (now, now);
            }
        }
        self.aborted = None;
    }

    /// A batch was aborted.
    pub(super) fn aborted(&mut self, reason: &str) {
        self.aborted = Some(reason.to_owned());
    }

    /// The worker waited so long for something that a restart would wait for too.
    pub(super) fn waited(&mut self, time: Duration) {
        let now = Instant::now();
        self.partitions.values_mut().for_each(|clock| clock.explained = (clock.explained + time).min(now));
    }

    /// A partition has `lag` records; `explained` if there is a reason why it does not move.
    pub(super) fn observe(
        &mut self,
        partition: &PartitionStats,
        at_end: bool,
        lag: Option<i64>,
        explained: bool,
        metrics: &WorkerMetrics,
    ) {
        let now = Instant::now();
        let next = partition.next;
        let clock = self.partitions.entry(partition.partition).or_insert(Clock {
            moved: now,
            explained: now,
            next,
            lags: false,
        });
        clock.lags = lag.is_some_and(|lag| lag > 0);
        // Aborted transactions and control records are read although no record is handed out.
        let reads_on = (at_end || !self.attempted) && next > clock.next;
        if !clock.lags || reads_on {
            clock.moved = now;
        }
        if !clock.lags || reads_on || explained {
            clock.explained = now;
        }
        // What is read again after an abort is no progress.
        clock.next = clock.next.max(next);
        let age = now.duration_since(clock.moved).as_secs();
        metrics.set_position_age(partition.partition, i64::try_from(age).unwrap_or(i64::MAX));
    }

    /// All partitions were observed. Why the worker counts as stalled, if it does.
    pub(super) fn stalled(&mut self) -> Option<String> {
        self.attempted = false;
        let lagging = || self.partitions.iter().filter(|(_, clock)| clock.lags);
        let still = lagging().map(|(_, clock)| clock.explained.elapsed()).min()?;
        if still <= self.stall {
            return None;
        }
        let partitions: Vec<i32> = lagging().map(|(&partition, _)| partition).collect();
        let aborted = self
            .aborted
            .as_ref()
            .map_or_else(String::new, |reason| format!("; last aborted batch: {reason}"));
        Some(format!(
            "has not moved for {} s although there are records in its partitions {partitions:?}{aborted}",
            still.as_secs()
        ))
    }

    /// Forgets the partitions that are not `assigned` any more.
    pub(super) fn keep_only(&mut self, assigned: &BTreeSet<i32>, metrics: &WorkerMetrics) {
        self.partitions.retain(|partition, _| {
            let kept = assigned.contains(partition);
            if !kept {
                metrics.forget_position_age(*partition);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn parts(stall_ms: u64) -> (Progress, WorkerMetrics) {
        let metrics = WorkerMetrics::new(&Metrics::new(), "comments", &["negative".to_owned()], "abc");
        (Progress::new(Duration::from_millis(stall_ms)), metrics)
    }

    fn at(partition: i32, next: i64) -> PartitionStats {
        PartitionStats {
            partition,
            last_stable: 100,
            high: 100,
            next,
            committed: 0,
            first: 0,
            leader_reached: true,
            leader_epoch: None,
            stopped: false,
        }
    }

    #[test]
    fn a_worker_is_stalled_when_none_of_its_partitions_with_lag_moves() {
        let (mut progress, metrics) = parts(20);
        let observe = |progress: &mut Progress| {
            progress.attempt();
            progress.observe(&at(0, 50), false, Some(50), false, &metrics);
            progress.observe(&at(1, 50), false, Some(50), false, &metrics);
            progress.observe(&at(2, 100), true, Some(0), false, &metrics);
            progress.stalled()
        };
        assert_eq!(observe(&mut progress), None);
        std::thread::sleep(Duration::from_millis(30));
        progress.moved(&[(1, Span { first: 0, next: 9, epoch: None })].into());
        assert_eq!(observe(&mut progress), None, "one of them moved");
        std::thread::sleep(Duration::from_millis(30));
        progress.aborted("a record was not delivered");
        let reason = observe(&mut progress).expect("none moved");
        assert!(reason.contains("[0, 1]") && reason.contains("a record was not delivered"), "{reason}");
        progress.keep_only(&BTreeSet::from([2]), &metrics);
        assert_eq!(progress.stalled(), None, "what is not owned is not waited for");
    }

    #[test]
    fn a_known_reason_and_reading_without_records_are_no_stall() {
        let (mut progress, metrics) = parts(20);
        progress.observe(&at(0, 50), false, Some(50), false, &metrics);
        std::thread::sleep(Duration::from_millis(30));
        progress.observe(&at(0, 50), false, Some(50), true, &metrics);
        assert_eq!(progress.stalled(), None, "a halt, a broker");
        std::thread::sleep(Duration::from_millis(30));
        progress.waited(Duration::from_secs(9));
        assert_eq!(progress.stalled(), None, "a wait for the coordinator");
        std::thread::sleep(Duration::from_millis(30));
        progress.observe(&at(0, 60), false, Some(50), false, &metrics);
        assert_eq!(progress.stalled(), None, "aborted transactions are skipped");
        std::thread::sleep(Duration::from_millis(30));
        progress.attempt();
        progress.observe(&at(0, 70), false, Some(50), false, &metrics);
        assert!(progress.stalled().is_some(), "fetched, and aborted again and again");
        progress.observe(&at(0, 40), false, Some(50), false, &metrics);
        progress.observe(&at(0, 70), false, Some(50), false, &metrics);
        assert!(progress.stalled().is_some(), "read again between two attempts");
    }
}
