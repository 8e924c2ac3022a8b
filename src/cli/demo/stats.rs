//! The statistics of the demo.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Most recent latencies from which quantiles are computed.
const LATENCIES: usize = 1_000;
/// Seconds of history for the rate's curve.
const HISTORY: usize = 240;
/// The rate is that of the last so many ticks.
const RATE_TICKS: usize = 10;

/// A verdict as it was read from its topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The text of the comment.
    pub text: String,
    /// The stars of the comment, 1 to 5.
    pub rating: Option<u8>,
    /// Whether the label is `positive`.
    pub positive: bool,
    /// The probability of positive.
    pub score: f64,
    /// The model's VERSION.
    pub model: String,
    /// From publishing the comment to reading its verdict.
    pub latency: Option<Duration>,
}

/// A record that could not be classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// `nunchi-error-class`.
    pub class: String,
    /// `nunchi-error`.
    pub error: String,
}

/// Something read from an output topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// From the topic of verdicts.
    Verdict(Verdict),
    /// From the topic of dead letters.
    DeadLetter(DeadLetter),
}

/// Counts, rates and quantiles. Time comes from outside, so that tests need not wait.
#[derive(Debug)]
pub struct Stats {
    /// When the first event came.
    started: Option<Instant>,
    /// Verdicts with the label `positive`.
    pub positive: u64,
    /// Verdicts with the label `negative`.
    pub negative: u64,
    /// Verdicts on comments with 1, 2, 4 or 5 stars that agree with the stars.
    agreeing: u64,
    /// Verdicts on such comments.
    rated: u64,
    /// Dead letters by class.
    pub dead_letters: BTreeMap<String, u64>,
    latencies: VecDeque<Duration>,
    /// Records answered in each of the last ticks, the newest last.
    ticks: VecDeque<u64>,
    tick_started: Instant,
    tick_count: u64,
}

/// Length of a tick.
const TICK: Duration = Duration::from_millis(250);

impl Stats {
    /// Nothing seen yet.
    pub fn new(now: Instant) -> Self {
        Stats {
            started: None,
            positive: 0,
            negative: 0,
            agreeing: 0,
            rated: 0,
            dead_letters: BTreeMap::new(),
            latencies: VecDeque::with_capacity(LATENCIES),
            ticks: VecDeque::with_capacity(HISTORY),
            tick_started: now,
            tick_count: 0,
        }
    }

    /// Counts `event`.
    pub fn add(&mut self, event: &Event, now: Instant) {
        self.started.get_or_insert(now);
        self.advance(now);
        self.tick_count += 1;
        match event {
            Event::Verdict(verdict) => self.add_verdict(verdict),
            Event::DeadLetter(dead_letter) => {
                *self.dead_letters.entry(dead_letter.class.clone()).or_default() += 1
            }
        }
    }

    fn add_verdict(&mut self, verdict: &Verdict) {
        if verdict.positive {
            self.positive += 1;
        } else {
            self.negative += 1;
        }
        // Three stars are neither.
        if let Some(rating) = verdict.rating.filter(|rating| *rating != 3) {
            self.rated += 1;
            self.agreeing += u64::from((rating > 3) == verdict.positive);
        }
        if let Some(latency) = verdict.latency {
            if self.latencies.len() == LATENCIES {
                self.latencies.pop_front();
            }
            self.latencies.push_back(latency);
        }
    }

    /// Closes the ticks that ended before `now`.
    pub fn advance(&mut self, now: Instant) {
        while now.saturating_duration_since(self.tick_started) >= TICK {
            if self.ticks.len() == HISTORY {
                self.ticks.pop_front();
            }
            self.ticks.push_back(std::mem::take(&mut self.tick_count));
            self.tick_started += TICK;
        }
    }

    /// Time since the first event.
    pub fn elapsed(&self, now: Instant) -> Duration {
        self.started.map_or(Duration::ZERO, |started| now.saturating_duration_since(started))
    }

    /// All verdicts.
    pub fn verdicts(&self) -> u64 {
        self.positive + self.negative
    }

    /// All dead letters.
    pub fn dead(&self) -> u64 {
        self.dead_letters.values().sum()
    }

    /// Records answered a second, of late.
    pub fn rate(&self) -> f64 {
        let count = self.ticks.len().min(RATE_TICKS);
        if count == 0 {
            return 0.0;
        }
        let records: u64 = self.ticks.iter().rev().take(count).sum();
        records as f64 / (TICK.as_secs_f64() * count as f64)
    }

    /// Records answered in each of the last `count` ticks, the newest last; fewer at the start.
    pub fn curve(&self, count: usize) -> Vec<u64> {
        self.ticks.iter().skip(self.ticks.len().saturating_sub(count)).copied().collect()
    }

    /// The latency that the share `quantile` (0 to 1) of the last verdicts kept below.
    pub fn latency(&self, quantile: f64) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last as f64 * quantile.clamp(0.0, 1.0)).round() as usize).copied()
    }

    /// Share of positive verdicts.
    pub fn positive_share(&self) -> Option<f64> {
        (self.verdicts() > 0).then(|| self.positive as f64 / self.verdicts() as f64)
    }

    /// Share of verdicts that agree with the customer's stars, three stars left out.
    pub fn agreement(&self) -> Option<f64> {
        (self.rated > 0).then(|| self.agreeing as f64 / self.rated as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(positive: bool, rating: u8, latency_ms: u64) -> Event {
        Event::Verdict(Verdict {
            text: "좋아요".into(),
            rating: Some(rating),
            positive,
            score: if positive { 0.9 } else { 0.1 },
            model: "m".into(),
            latency: Some(Duration::from_millis(latency_ms)),
        })
    }

    #[test]
    fn shares_and_agreement_with_the_stars() {
        let now = Instant::now();
        let mut stats = Stats::new(now);
        assert_eq!((stats.positive_share(), stats.agreement(), stats.latency(0.5)), (None, None, None));
        for event in [verdict(true, 5, 1), verdict(true, 1, 1), verdict(false, 2, 1), verdict(false, 3, 1)] {
            stats.add(&event, now);
        }
        assert_eq!(stats.positive_share(), Some(0.5));
        assert_eq!(stats.agreement(), Some(2.0 / 3.0));
    }

    #[test]
    fn quantiles_are_those_of_the_last_verdicts() {
        let now = Instant::now();
        let mut stats = Stats::new(now);
        for ms in 1..=101 {
            stats.add(&verdict(true, 5, ms), now);
        }
        assert_eq!(stats.latency(0.5), Some(Duration::from_millis(51)));
        assert_eq!(stats.latency(0.99), Some(Duration::from_millis(100)));
        for _ in 0..LATENCIES {
            stats.add(&verdict(true, 5, 7), now);
        }
        assert_eq!(stats.latency(0.99), Some(Duration::from_millis(7)));
        assert_eq!(stats.latencies.len(), LATENCIES);
    }

    #[test]
    fn the_rate_follows_the_last_seconds_and_falls_to_zero() {
        let start = Instant::now();
        let mut stats = Stats::new(start);
        for tick in 0..20 {
            for _ in 0..25 {
                stats.add(&verdict(true, 5, 1), start + TICK * tick);
            }
        }
        stats.advance(start + TICK * 20);
        assert_eq!(stats.rate(), 100.0);
        assert_eq!(stats.curve(3), [25, 25, 25]);
        stats.advance(start + TICK * 40);
        assert_eq!(stats.rate(), 0.0);
        stats.advance(start + TICK * 4_000);
        assert_eq!(stats.curve(usize::MAX).len(), HISTORY);
    }
}
