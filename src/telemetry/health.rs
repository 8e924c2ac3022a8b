//! The state behind the probes: each worker's last heartbeat, and whether it has reached its brokers and its group.
//!
//! Written by workers with a relaxed store per batch, read by the admin server. A lock is taken only when a partition
//! is halted or goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The health of all workers of the process.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    stall: Duration,
    model_loaded: AtomicBool,
    stopping: AtomicBool,
    missing_topics: Mutex<Vec<String>>,
    workers: Vec<Slot>,
    /// Why workers do not make progress, by worker.
    stalled: Mutex<BTreeMap<usize, String>>,
    /// Whether there is anything in `stalled`.
    any_stalled: AtomicBool,
    /// Why partitions are halted, by topic and partition.
    halted: Mutex<BTreeMap<(String, i32), String>>,
}

#[derive(Debug, Default)]
struct Slot {
    beat_ms: AtomicU64,
    state: AtomicU8,
    brokers: AtomicBool,
    group: AtomicBool,
    refused: AtomicBool,
}

const RUNNING: u8 = 0;
const STOPPED: u8 = 1;
const DEAD: u8 = 2;

impl Health {
    /// For `workers` workers; a worker without a [`Health::beat`] for longer than `stall` counts as hung.
    pub fn new(workers: usize, stall: Duration) -> Self {
        Health {
            started: Instant::now(),
            stall,
            model_loaded: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            missing_topics: Mutex::default(),
            workers: (0..workers).map(|_| Slot::default()).collect(),
            stalled: Mutex::default(),
            any_stalled: AtomicBool::new(false),
            halted: Mutex::default(),
        }
    }

    /// Worker `worker` begins an iteration (with or without records). Every wait of a worker must be shorter than the stall
    /// time, or interrupted by heartbeats.
    pub fn beat(&self, worker: usize) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.workers[worker].beat_ms.store(now, Ordering::Relaxed);
    }

    /// Whether worker `worker` reaches its brokers.
    pub fn set_brokers_reached(&self, worker: usize, reached: bool) {
        self.workers[worker].brokers.store(reached, Ordering::Relaxed);
    }

    /// Whether the brokers refuse the credentials of worker `worker`, which they had accepted.
    pub fn set_refused(&self, worker: usize, refused: bool) {
        self.workers[worker].refused.store(refused, Ordering::Relaxed);
    }

    /// Whether worker `worker` is a member of its group (with or without partitions).
    pub fn set_group_joined(&self, worker: usize, joined: bool) {
        self.workers[worker].group.store(joined, Ordering::Relaxed);
    }

    /// Why worker `worker` makes no progress although its loop turns; `None` if it does.
    pub fn set_stalled(&self, worker: usize, reason: Option<String>) {
        // Called for every batch: mostly there is nothing to remove.
        if reason.is_none() && !self.any_stalled.load(Ordering::Relaxed) {
            return;
        }
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => stalled.insert(worker, reason),
            None => stalled.remove(&worker),
        };
        self.any_stalled.store(!stalled.is_empty(), Ordering::Relaxed);
    }

    /// `partition` of `topic` is halted for this reason, or goes on. Says nothing about [`Health::not_live`] and
    /// [`Health::not_ready`]: a restart does not mend it, and the other partitions go on.
    pub fn set_halted(&self, topic: &str, partition: i32, reason: Option<String>) {
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => halted.insert((topic.to_owned(), partition), reason),
            None => halted.remove(&(topic.to_owned(), partition)),
        };
    }

    /// The halted partitions of this process: `topic/partition: reason: what to do`.
    pub fn halted(&self) -> Vec<String> {
        let halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        halted.iter().map(|((topic, partition), reason)| format!("{topic}/{partition}: {reason}")).collect()
    }

    /// Worker `worker` ended after a requested stop.
    pub fn set_stopped(&self, worker: usize) {
        self.workers[worker].state.store(STOPPED, Ordering::Relaxed);
    }

    /// Worker `worker` ended with an error or a panic.
    pub fn set_dead(&self, worker: usize) {
        self.workers[worker].state.store(DEAD, Ordering::Relaxed);
    }

    /// The model is loaded, packed and checked.
    pub fn set_model_loaded(&self) {
        self.model_loaded.store(true, Ordering::Relaxed);
    }

    /// A stop was requested: the process is not ready any more.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// These topics do not exist any more; empty once all exist again.
    pub fn set_missing_topics(&self, topics: &[&str]) {
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        *self.missing_topics.lock().unwrap_or_else(PoisonError::into_inner) = topics;
    }

    /// Why the process should be restarted; empty if it is alive.
    pub fn not_live(&self) -> Vec<String> {
        let elapsed = self.started.elapsed();
        let stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = |(index, worker): (usize, &Slot)| {
            let age = elapsed.saturating_sub(Duration::from_millis(worker.beat_ms.load(Ordering::Relaxed)));
            match worker.state.load(Ordering::Relaxed) {
                DEAD => Some(format!("worker {index} is dead")),
                RUNNING if age > self.stall => {
                    Some(format!("worker {index} has been in the same batch for {} s", age.as_secs()))
                }
                RUNNING => stalled.get(&index).map(|reason| format!("worker {index} {reason}")),
                _ => None,
            }
        };
        self.workers.iter().enumerate().filter_map(problem).collect()
    }

    /// Why the process does not classify comments now; empty if it is ready.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.stopping.load(Ordering::Relaxed) {
            reasons.push("stopping".to_owned());
        }
        if !self.model_loaded.load(Ordering::Relaxed) {
            reasons.push("the model is not loaded yet".to_owned());
        }
        let missing = self.missing_topics.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.extend(missing.iter().map(|topic| format!("the topic `{topic}` does not exist")));
        drop(missing);
        // One member suffices: it owns the partitions that the others take over once the rebalance is complete.
        let member =
            |worker: &Slot| worker.brokers.load(Ordering::Relaxed) && worker.group.load(Ordering::Relaxed);
        if !self.workers.iter().any(member) {
            for (index, worker) in self.workers.iter().enumerate() {
                let reached = worker.brokers.load(Ordering::Relaxed);
                let missing = if worker.refused.load(Ordering::Relaxed) {
                    "is refused by the brokers: its credentials are not valid any more"
                } else if reached {
                    "has not joined the group"
                } else {
                    "does not reach the brokers"
                };
                reasons.push(format!("worker {index} {missing}"));
            }
        }
        reasons.extend(self.not_live());
        reasons
    }

    /// Workers that run.
    pub fn running(&self) -> usize {
        self.workers.iter().filter(|worker| worker.state.load(Ordering::Relaxed) == RUNNING).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_once_a_worker_reached_brokers_and_group() {
        let health = Health::new(2, Duration::from_secs(60));
        assert_eq!(health.not_ready().len(), 3);
        health.set_model_loaded();
        health.set_brokers_reached(1, true);
        let missing = ["worker 0 does not reach the brokers", "worker 1 has not joined the group"];
        assert_eq!(health.not_ready(), missing);
        health.set_group_joined(1, true);
        assert_eq!(health.not_ready(), Vec::<String>::new());
        health.set_brokers_reached(1, false);
        assert_eq!(health.not_ready().len(), 2);
        health.set_brokers_reached(1, true);
        health.set_stopping();
        assert_eq!(health.not_ready(), ["stopping"]);
        assert!(health.not_live().is_empty(), "a process that stops is alive");
    }

    #[test]
    fn a_worker_without_progress_is_not_alive_until_it_moves() {
        let health = Health::new(2, Duration::from_secs(60));
        health.set_stalled(1, Some("has not moved for 61 s".to_owned()));
        assert_eq!(health.not_live(), ["worker 1 has not moved for 61 s"]);
        health.set_stalled(0, None);
        assert_eq!(health.not_live().len(), 1);
        health.set_stalled(1, None);
        assert!(health.not_live().is_empty());
        health.set_stalled(1, Some("has not moved for 61 s".to_owned()));
        health.set_stopped(1);
        assert!(health.not_live().is_empty(), "it ended");
    }

    #[test]
    fn a_stalled_or_dead_worker_is_not_alive_and_a_stopped_one_is() {
        let health = Health::new(3, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
        health.set_stopped(0);
        health.set_dead(1);
        let problems = health.not_live();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0], "worker 1 is dead");
        assert!(problems[1].starts_with("worker 2 has been in the same batch"), "{problems:?}");
        assert_eq!(health.running(), 1);
    }
}
