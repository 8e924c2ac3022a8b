//! The circuit breaker: a partition whose records are mostly poison has a fault upstream, and is better halted than moved
//! to the dead letters.

use crate::config::DeadLetters;
use std::collections::{BTreeMap, BTreeSet};

/// A breaker for each partition. By partition, because a broken producer mostly writes by key, and its neighbors are sound.
#[derive(Debug)]
pub(super) struct Breakers {
    closed: Breaker,
    by_partition: BTreeMap<i32, Breaker>,
    /// The breakers of this batch's partitions as they were before it.
    before: BTreeMap<i32, Breaker>,
}

impl Breakers {
    pub(super) fn new(settings: &DeadLetters) -> Self {
        Breakers { closed: Breaker::new(settings), by_partition: BTreeMap::new(), before: BTreeMap::new() }
    }

    /// The breaker of `partition`, for records of this batch.
    pub(super) fn of(&mut self, partition: i32) -> &mut Breaker {
        let breaker = self.by_partition.entry(partition).or_insert_with(|| self.closed.clone());
        self.before.entry(partition).or_insert_with(|| breaker.clone());
        breaker
    }

    /// The batch is committed: its records count.
    pub(super) fn commit(&mut self) {
        self.before.clear();
    }

    /// The batch is aborted: its records are read again, and must not count twice.
    pub(super) fn abort(&mut self) {
        self.by_partition.append(&mut self.before);
    }

    /// Forgets the partitions that are not `assigned` any more.
    pub(super) fn keep_only(&mut self, assigned: &BTreeSet<i32>) {
        self.by_partition.retain(|partition, _| assigned.contains(partition));
        self.before.retain(|partition, _| assigned.contains(partition));
    }
}

/// Remembers which of the last records of a partition were poisoned.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    window: Vec<bool>,
    next: usize,
    seen: usize,
    poisoned: usize,
    max_poisoned: usize,
}

impl Breaker {
    pub(super) fn new(settings: &DeadLetters) -> Self {
        let window = settings.breaker_window.max(1);
        Breaker {
            window: vec![false; window],
            next: 0,
            seen: 0,
            poisoned: 0,
            max_poisoned: (settings.breaker_share * window as f64).floor() as usize,
        }
    }

    /// Records one outcome; whether too many are poisoned now.
    pub(super) fn record(&mut self, poisoned: bool) -> bool {
        let oldest = std::mem::replace(&mut self.window[self.next], poisoned);
        self.next = (self.next + 1) % self.window.len();
        self.seen = self.seen.saturating_add(1);
        self.poisoned = self.poisoned + usize::from(poisoned) - usize::from(oldest);
        self.seen >= self.window.len() && self.poisoned > self.max_poisoned
    }

    /// Poisoned records in the window.
    pub(super) fn poisoned(&self) -> usize {
        self.poisoned
    }

    /// The window in records.
    pub(super) fn window(&self) -> usize {
        self.window.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(share: f64, window: usize) -> Breaker {
        Breaker::new(&DeadLetters { breaker_share: share, breaker_window: window, ..DeadLetters::default() })
    }

    #[test]
    fn opens_above_the_share_and_not_at_it() {
        let mut breaker = breaker(0.5, 1000);
        for place in 0..1000 {
            assert!(!breaker.record(place % 2 == 0), "half is not more than half");
        }
        assert!(!breaker.record(true), "the oldest, poisoned too, leaves the window");
        assert!(breaker.record(true));
        assert_eq!(breaker.poisoned(), 501);
    }

    #[test]
    fn never_opens_before_the_window_is_full() {
        let mut breaker = breaker(0.5, 1000);
        assert!((0..999).all(|_| !breaker.record(true)));
        assert!(breaker.record(true));
    }

    #[test]
    fn old_records_leave_the_window() {
        let mut breaker = breaker(0.5, 10);
        for _ in 0..5 {
            breaker.record(true);
        }
        assert!((0..100).all(|_| !breaker.record(false)));
        assert_eq!(breaker.poisoned(), 0);
    }

    #[test]
    fn each_partition_has_its_own_window_and_an_aborted_batch_does_not_count() {
        let settings = DeadLetters { breaker_window: 10, ..DeadLetters::default() };
        let mut breakers = Breakers::new(&settings);
        (0..9).for_each(|_| assert!(!breakers.of(0).record(true)));
        assert!(!breakers.of(1).record(true), "the window of partition 0 is not that of partition 1");
        breakers.abort();
        assert!(!breakers.of(0).record(true), "the nine records of the aborted batch do not count");
        breakers.commit();
        (0..8).for_each(|_| assert!(!breakers.of(0).record(true)));
        assert!(breakers.of(0).record(true));
        breakers.abort();
        breakers.keep_only(&BTreeSet::from([1]));
        assert_eq!(breakers.of(0).poisoned(), 0, "a partition that was revoked begins anew");
    }

    #[test]
    fn a_share_of_one_never_opens() {
        let mut breaker = breaker(1.0, 10);
        assert!((0..100).all(|_| !breaker.record(true)));
    }
}
