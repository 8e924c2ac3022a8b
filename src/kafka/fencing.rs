//! Who fenced a producer: another process that uses its transactional id, or the broker because a transaction was too old.
//!
//! The broker's answer is the same for both. A process that was frozen, or cut off from its brokers, finds its producer
//! fenced by the transaction's time-out; a new producer goes on where it stood. Two living processes with one id fence
//! each other in turn, which would never end; the one that is fenced too often first ends, and the other continues.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// Fences that no time-out explains, within [`RIVAL_WINDOW`], before a rival is behind them. One may be anything's: a
/// frozen process that wakes once, a late request. A rival fences again at its next batch.
pub(super) const RIVAL_FENCES: usize = 3;
/// How long a fence is remembered.
pub(super) const RIVAL_WINDOW: Duration = Duration::from_secs(300);

/// When a transaction began, by two clocks: one does not run while a machine sleeps, the other can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Instant,
    wall: SystemTime,
}

impl Begun {
    pub(super) fn now() -> Self {
        Begun { at: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago that was, by the clock that says more.
    pub(super) fn age(&self) -> Duration {
        self.at.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// The fences that nothing but another process explains.
#[derive(Debug, Default)]
pub(super) struct Fences(VecDeque<Instant>);

impl Fences {
    /// The producer was fenced at `now`; `explained` if its transaction may have timed out. Whether that was a rival.
    pub(super) fn add(&mut self, now: Instant, explained: bool) -> bool {
        self.0.retain(|&fence| now.saturating_duration_since(fence) < RIVAL_WINDOW);
        if !explained {
            self.0.push_back(now);
        }
        !explained && self.0.len() >= RIVAL_FENCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_fences_again_and_again() {
        let (mut fences, start) = (Fences::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(!fences.add(start, false));
        assert!(!fences.add(start + second, false));
        assert!(!fences.add(start + 2 * second, true), "this one was a time-out");
        assert!(fences.add(start + 3 * second, false));
    }

    #[test]
    fn fences_are_forgotten() {
        let (mut fences, start) = (Fences::default(), Instant::now());
        for fence in 0..10 {
            assert!(!fences.add(start + fence * RIVAL_WINDOW / 2, false), "fence {fence}");
        }
    }
}
