//! What the probes ask: do the workers move, and can they work?

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Facts about the workers, written by them and read by the admin server.
#[derive(Debug)]
pub struct Status {
    started: Instant,
    workers: Vec<Worker>,
}

/// One worker's part.
#[derive(Debug, Default)]
struct Worker {
    /// When the worker last began a turn or an attempt: milliseconds after `Status::started`.
    beat_ms: AtomicU64,
    brokers_reached: AtomicBool,
    group_joined: AtomicBool,
}

impl Status {
    /// For `workers` workers, none of which has reached anything yet.
    pub fn new(workers: usize) -> Self {
        Status { started: Instant::now(), workers: (0..workers).map(|_| Worker::default()).collect() }
    }

    /// Worker `worker` lives: it begins a turn, or tries again to reach a broker.
    pub fn beat(&self, worker: usize) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.workers[worker].beat_ms.store(now, Ordering::Relaxed);
    }

    /// Worker `worker` reaches its brokers, or does not any more.
    pub fn set_brokers_reached(&self, worker: usize, reached: bool) {
        self.workers[worker].brokers_reached.store(reached, Ordering::Relaxed);
    }

    /// Worker `worker` is a member of its group (perhaps without a partition), or is not any more.
    pub fn set_group_joined(&self, worker: usize, joined: bool) {
        self.workers[worker].group_joined.store(joined, Ordering::Relaxed);
    }

    /// Why the process is not ready to work, in words; `None` if it is ready.
    pub fn unready(&self) -> Option<String> {
        for (number, worker) in self.workers.iter().enumerate() {
            if !worker.brokers_reached.load(Ordering::Relaxed) {
                return Some(format!("worker {number} does not reach the brokers"));
            }
            if !worker.group_joined.load(Ordering::Relaxed) {
                return Some(format!("worker {number} is not a member of its group yet"));
            }
        }
        None
    }

    /// The first worker whose turn is older than `limit`, with its age; `None` if all move.
    pub fn stalled(&self, limit: Duration) -> Option<(usize, Duration)> {
        let now = self.started.elapsed();
        self.workers.iter().enumerate().find_map(|(number, worker)| {
            let beat = Duration::from_millis(worker.beat_ms.load(Ordering::Relaxed));
            let age = now.saturating_sub(beat);
            (age > limit).then_some((number, age))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_worker_has_reached_its_brokers_and_joined() {
        let status = Status::new(2);
        status.set_brokers_reached(0, true);
        status.set_group_joined(0, true);
        assert_eq!(status.unready().unwrap(), "worker 1 does not reach the brokers");
        status.set_brokers_reached(1, true);
        assert_eq!(status.unready().unwrap(), "worker 1 is not a member of its group yet");
        status.set_group_joined(1, true);
        assert_eq!(status.unready(), None);
        status.set_brokers_reached(0, false);
        assert!(status.unready().is_some());
    }

    #[test]
    fn a_worker_without_a_beat_stalls() {
        let status = Status::new(2);
        assert_eq!(status.stalled(Duration::from_secs(60)), None);
        std::thread::sleep(Duration::from_millis(20));
        status.beat(0);
        let (worker, age) = status.stalled(Duration::from_millis(10)).unwrap();
        assert_eq!(worker, 1);
        assert!(age >= Duration::from_millis(20));
    }
}
