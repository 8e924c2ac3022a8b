//! The throttle: while the live group's lag grows beyond a bound, the replay waits.

use super::progress::LiveLag;
use crate::kafka::admin::Brokers;
use crate::kafka::{BrokerError, ClientProperties, Pacer};
use crate::stop::Stop;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Interval of the lag measurements.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// A lag above the bound that has not grown for so many measurements does not grow.
const MAX_STEADY_SAMPLES: u32 = 5;
/// A live group that has not moved for so long is not slowed down by the replay.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A measurement of the live group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LagSample {
    /// Records that are not committed.
    lag: i64,
    /// The sum of committed offsets.
    committed: i64,
}

/// Decides after every measurement whether to wait.
#[derive(Debug)]
struct LagThrottle {
    bound: i64,
    last: Option<LagSample>,
    closed: bool,
    steady: u32,
    moved: Instant,
}

impl LagThrottle {
    fn new(bound: i64, now: Instant) -> Self {
        LagThrottle { bound, last: None, closed: false, steady: 0, moved: now }
    }

    /// Whether the replay is to wait from now on.
    fn observe(&mut self, sample: LagSample, now: Instant) -> bool {
        let grows = self.last.is_some_and(|last| sample.lag > last.lag);
        if self.last.is_none_or(|last| sample.committed != last.committed) {
            self.moved = now;
        }
        self.steady = if grows { 0 } else { self.steady + 1 };
        self.last = Some(sample);
        self.closed = if sample.lag <= self.bound || now.duration_since(self.moved) >= STALLED_AFTER {
            false
        } else {
            // Once closed, a lag that shrinks has time to come back below the bound.
            grows || (self.closed && self.steady < MAX_STEADY_SAMPLES)
        };
        self.closed
    }
}

/// Closes and opens `pacer` by the lag of the live group of `clients` on `topic`, until `stop`. `lag` gets that lag while
/// the pacer is closed.
pub(super) fn throttle(
    clients: &ClientProperties,
    topic: &str,
    bound: i64,
    pacer: &Pacer,
    lag: &LiveLag,
    stop: &Stop,
) {
    let brokers = match Brokers::connect(clients) {
        Ok(brokers) => brokers,
        Err(error) => {
            return warn!(%error, "the live group's lag cannot be measured: the replay runs without a throttle");
        }
    };
    let mut throttle = LagThrottle::new(bound, Instant::now());
    loop {
        let before = Instant::now();
        match measure(&brokers, topic) {
            Ok(Some(sample)) => {
                let was_closed = pacer.is_closed();
                let closed = throttle.observe(sample, Instant::now());
                pacer.close(closed);
                lag.set(closed.then_some(sample.lag));
                match (was_closed, closed) {
                    (false, true) => {
                        info!(lag = sample.lag, bound, "the live group falls behind: the replay pauses")
                    }
                    (true, false) => {
                        info!(lag = sample.lag, "the live group keeps up again: the replay resumes")
                    }
                    _ => {}
                }
            }
            Ok(None) => pacer.close(false),
            Err(error) => debug!(%error, "the live group's lag could not be measured"),
        }
        let stopped = stop.sleep(LAG_INTERVAL);
        if pacer.is_closed() {
            pacer.add_closed(before.elapsed());
        }
        if stopped {
            return pacer.close(false);
        }
    }
}

/// How far behind the group is; `None` if it has never committed anything.
fn measure(brokers: &Brokers, topic: &str) -> Result<Option<LagSample>, BrokerError> {
    let partitions = brokers.partitions(topic)?.unwrap_or_default();
    let committed = brokers.committed(topic, &partitions, REQUEST_TIMEOUT)?;
    let mut sample = LagSample { lag: 0, committed: 0 };
    let mut known = false;
    for (partition, offset) in committed {
        let Some(offset) = offset else { continue };
        let (first, end) = brokers.ends(topic, partition)?;
        known = true;
        sample.lag += (end - offset.max(first)).max(0);
        sample.committed += offset;
    }
    Ok(known.then_some(sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_grows_beyond_the_bound_closes() {
        let start = Instant::now();
        let mut throttle = LagThrottle::new(100, start);
        let mut at = |second: u64, lag: i64| {
            let committed = i64::try_from(second).unwrap();
            throttle.observe(LagSample { lag, committed }, start + Duration::from_secs(second))
        };
        assert!(!at(0, 500), "large, but not known to grow");
        assert!(!at(1, 400));
        assert!(!at(2, 90));
        assert!(!at(3, 100), "the bound is allowed");
        assert!(at(4, 150));
        assert!(at(5, 140), "it shrinks, and may come back below the bound");
        assert!(!at(6, 100));
        assert!(at(7, 101));
        assert!((8..12).all(|second| at(second, 101)));
        assert!(!at(12, 101), "it does not grow any more");
    }

    #[test]
    fn a_group_that_does_not_move_is_not_waited_for() {
        let start = Instant::now();
        let mut throttle = LagThrottle::new(100, start);
        let mut at = |second: i64| {
            throttle.observe(
                LagSample { lag: 200 + second, committed: 7 },
                start + Duration::from_secs(second.unsigned_abs()),
            )
        };
        assert!(!at(0));
        assert!((1..30).all(&mut at));
        assert!(!at(30));
    }
}
