//! The circuit breaker: a stream of mostly poisoned records is an error upstream; the worker stops instead of moving all
//! of it to the dead letters.

use crate::config::DeadLetters;

/// Remembers which of the last records were poisoned. A clone is a snapshot: an aborted batch's records are read
/// again and must not count twice.
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
    fn a_share_of_one_never_opens() {
        let mut breaker = breaker(1.0, 10);
        assert!((0..100).all(|_| !breaker.record(true)));
    }
}
