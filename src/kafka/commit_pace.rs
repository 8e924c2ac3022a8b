//! Whether brokers are normally too slow for the producer's back-off, so that it is replaced for nothing.

use std::time::{Duration, Instant};

/// Commits that are looked at together.
const WINDOW: u32 = 50;
/// As many late ones among them are too many.
const MAX_LATE: u32 = 10;
/// How often that is said.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

/// Counts commits, and those that were late.
#[derive(Debug, Default)]
pub(super) struct CommitPace {
    commits: u32,
    late: u32,
    slowest: Duration,
    warned: Option<Instant>,
}

impl CommitPace {
    /// A commit took `time`, and was late or not. Where many are late and it was not said lately: how many of how many, and
    /// the longest.
    pub(super) fn add(&mut self, time: Duration, late: bool, now: Instant) -> Option<(u32, u32, Duration)> {
        self.commits += 1;
        self.late += u32::from(late);
        self.slowest = self.slowest.max(time);
        if self.commits < WINDOW {
            return None;
        }
        let (late, slowest) = (self.late, self.slowest);
        let warned = self.warned.is_some_and(|at| now.saturating_duration_since(at) < WARNING_INTERVAL);
        let warn = late >= MAX_LATE && !warned;
        *self = CommitPace { warned: if warn { Some(now) } else { self.warned }, ..CommitPace::default() };
        warn.then_some((late, WINDOW, slowest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_late_commits_are_said_once_in_a_while() {
        let (mut pace, mut now) = (CommitPace::default(), Instant::now());
        let mut add = |count: u32, late: bool, now| {
            (0..count).filter_map(|_| pace.add(Duration::from_millis(90), late, now)).count()
        };
        assert_eq!(add(WINDOW - 5, false, now) + add(5, true, now), 0, "a few are nothing");
        assert_eq!(add(5 * WINDOW, true, now), 1);
        now += WARNING_INTERVAL;
        assert_eq!(add(WINDOW, true, now), 1);
        assert_eq!(add(WINDOW, false, now + WARNING_INTERVAL), 0);
    }
}
