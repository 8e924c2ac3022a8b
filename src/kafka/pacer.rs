//! The rate of a replay: records per second, a multiple of the records' own speed, and a pause while the lag of the live
//! group grows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The largest batch at a rate, in seconds of that rate.
const BATCH_SECONDS: f64 = 0.25;
/// How much lost time may be caught up: more would be a burst.
const MAX_CREDIT: Duration = Duration::from_millis(500);

/// How fast records may be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// Without limit.
    #[default]
    Free,
    /// Records a second, over all workers of the process.
    Rate(f64),
    /// Times the speed at which the records were written, by their timestamps.
    Speed(f64),
}

/// The rate limit of one process, shared by its workers.
#[derive(Debug, Default)]
pub struct Pacer {
    pace: Pace,
    workers: usize,
    /// When the next records are due (rate).
    next: Mutex<Option<Instant>>,
    /// A moment and the timestamp that was due then (speed).
    anchor: Mutex<Option<(Instant, i64)>>,
    closed: AtomicBool,
    closed_ms: AtomicU64,
}

impl Pacer {
    /// For `workers` workers. `first_ms`: the timestamp that is due now, where it is known.
    pub fn new(pace: Pace, workers: usize, first_ms: Option<i64>) -> Self {
        let anchor = Mutex::new(first_ms.map(|first_ms| (Instant::now(), first_ms)));
        Pacer { pace, workers: workers.max(1), anchor, ..Pacer::default() }
    }

    /// How many records a batch may hold, if `max` is what it may hold otherwise.
    pub(super) fn batch_records(&self, max: usize) -> usize {
        match self.pace {
            Pace::Rate(rate) => ((rate * BATCH_SECONDS) as usize / self.workers).clamp(1, max),
            Pace::Free | Pace::Speed(_) => max,
        }
    }

    /// Takes `records` from the rate's budget: when they are due.
    pub(crate) fn reserve(&self, records: usize) -> Option<Instant> {
        let Pace::Rate(rate) = self.pace else { return None };
        if records == 0 {
            return None;
        }
        let now = Instant::now();
        let mut next = lock(&self.next);
        let due = next.unwrap_or(now).max(now.checked_sub(MAX_CREDIT).unwrap_or(now));
        *next = Some(due + Duration::from_secs_f64(records as f64 / rate));
        Some(due)
    }

    /// When a record of this timestamp is due, if the records' own speed counts.
    pub(super) fn due(&self, timestamp_ms: i64) -> Option<Instant> {
        let Pace::Speed(speed) = self.pace else { return None };
        let (begin, first_ms) = *lock(&self.anchor).get_or_insert_with(|| (Instant::now(), timestamp_ms));
        let since = (timestamp_ms - first_ms).max(0) as f64 / 1_000.0 / speed;
        // `Instant` would overflow; beyond a thousand years the difference does not matter.
        begin.checked_add(Duration::from_secs_f64(since.min(3e10)))
    }

    /// Whether records are held back, so that a partition with lag may stand still.
    pub(crate) fn holds_back(&self) -> bool {
        self.pace != Pace::Free || self.is_closed()
    }

    /// Closes or opens the gate.
    pub fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::Relaxed);
    }

    /// Whether the gate is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Adds time that the gate was closed.
    pub fn add_closed(&self, time: Duration) {
        self.closed_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the gate was closed so far.
    pub fn closed_time(&self) -> Duration {
        Duration::from_millis(self.closed_ms.load(Ordering::Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_whatever_the_batches() {
        let pacer = Pacer::new(Pace::Rate(1_000.0), 2, None);
        assert_eq!(pacer.batch_records(16_384), 125, "a quarter of a second for two workers");
        let begin = pacer.reserve(100).unwrap();
        for records in [50, 300, 1, 549] {
            pacer.reserve(records).unwrap();
        }
        // A thousand records were taken: the next is due a second after the first.
        let due = pacer.reserve(1).unwrap();
        let span = due.duration_since(begin);
        assert!(span >= Duration::from_millis(999) && span <= Duration::from_millis(1_001), "{span:?}");
    }

    #[test]
    fn lost_time_is_not_caught_up_in_a_burst() {
        let pacer = Pacer::new(Pace::Rate(1_000.0), 1, None);
        *lock(&pacer.next) = Instant::now().checked_sub(Duration::from_secs(60));
        let due = pacer.reserve(1).unwrap();
        assert!(due.elapsed() <= MAX_CREDIT + Duration::from_millis(100));
    }

    #[test]
    fn speed_follows_the_timestamps() {
        let pacer = Pacer::new(Pace::Speed(10.0), 1, Some(1_000_000));
        let first = pacer.due(1_000_000).unwrap();
        let later = pacer.due(1_060_000).unwrap();
        assert_eq!(later.duration_since(first), Duration::from_secs(6));
        assert_eq!(pacer.due(5).unwrap(), first, "what is older is due at once");
        assert!(Pacer::default().due(5).is_none());
        assert!(Pacer::default().reserve(5).is_none());
    }
}
