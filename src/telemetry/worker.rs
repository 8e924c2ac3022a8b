//! One worker's view of the metrics: counts of a batch, added at once when the batch is committed.
//!
//! Children are looked up once, not per record. The counts of a batch reach the metrics only if it was committed: the
//! records of an aborted batch are read again.

use super::metrics::{ERROR_CLASSES, Metrics};
use nunchi_engine::Unsure;
use prometheus::local::LocalHistogram;
use prometheus::{Histogram, IntCounter};
use std::collections::BTreeMap;

/// The stages of a batch, each with a child of `nunchi_stage_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for records.
    Poll,
    /// From bytes to comments.
    Decode,
    /// From text to tokens.
    Tokenize,
    /// From tokens to predictions.
    Infer,
    /// Writing, until everything is delivered.
    Produce,
    /// Committing.
    Commit,
}

impl Stage {
    /// All stages, in the order of a batch.
    pub const ALL: [Stage; 6] =
        [Stage::Poll, Stage::Decode, Stage::Tokenize, Stage::Infer, Stage::Produce, Stage::Commit];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Poll => "poll",
            Stage::Decode => "decode",
            Stage::Tokenize => "tokenise",
            Stage::Infer => "infer",
            Stage::Produce => "produce",
            Stage::Commit => "commit",
        }
    }
}

/// Why a comment is written to the review topic: its verdict is unsure, or it is in the sample of all others.
pub const REVIEW_REASONS: [&str; 2] = ["unsure", "sample"];

/// Why a comment that should be reviewed is not in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewLeftOut {
    /// With the verdict it exceeds the limits of the topic.
    Oversize,
    /// The brokers refuse it.
    Refused,
}

impl ReviewLeftOut {
    /// All of them.
    pub const ALL: [ReviewLeftOut; 2] = [ReviewLeftOut::Oversize, ReviewLeftOut::Refused];

    /// The label of the metric.
    pub fn name(self) -> &'static str {
        match self {
            ReviewLeftOut::Oversize => "oversize",
            ReviewLeftOut::Refused => "refused",
        }
    }
}

/// The counts of one batch. Reused from batch to batch.
#[derive(Debug, Default)]
pub struct BatchStats {
    /// Records read, by partition of the input topic.
    pub records_in: BTreeMap<i32, u64>,
    /// Bytes of values read.
    pub bytes_in: u64,
    /// Bytes of values written.
    pub bytes_out: u64,
    /// Verdicts, by index of the model's labels.
    pub verdicts: Vec<u64>,
    /// Unsure verdicts by reason, in the order of [`Unsure::ALL`].
    pub unsure: [u64; Unsure::ALL.len()],
    /// Comments written to the review topic, in the order of [`REVIEW_REASONS`].
    pub review: [u64; 2],
    /// Comments that should be there and are not, by [`ReviewLeftOut`].
    pub review_left_out: [u64; ReviewLeftOut::ALL.len()],
    /// Dead letters, in the order of [`ERROR_CLASSES`].
    pub dead_letters: [u64; ERROR_CLASSES.len()],
    /// Tombstones written.
    pub tombstones: u64,
    /// Comments that were truncated.
    pub truncated: u64,
    /// Verdicts that the label filter of a replay left out.
    pub left_out: u64,
    /// Tokens classified.
    pub tokens: u64,
    /// Unknown tokens among them.
    pub unknown_tokens: u64,
    /// Time of each stage, in the order of [`Stage::ALL`].
    pub stage_seconds: [f64; Stage::ALL.len()],
    /// Time of the whole batch.
    pub seconds: f64,
}

impl BatchStats {
    /// Resets all counts, keeps the allocations.
    pub fn clear(&mut self) {
        let mut records_in = std::mem::take(&mut self.records_in);
        records_in.clear();
        let mut verdicts = std::mem::take(&mut self.verdicts);
        verdicts.clear();
        *self = BatchStats { records_in, verdicts, ..BatchStats::default() };
    }

    /// `stage` took so many seconds.
    pub fn set_stage(&mut self, stage: Stage, seconds: f64) {
        self.stage_seconds[stage as usize] = seconds;
    }

    /// Records read, over all partitions.
    pub fn records(&self) -> u64 {
        self.records_in.values().sum()
    }
}

/// The children of one worker.
#[derive(Debug)]
pub struct WorkerMetrics {
    metrics: Metrics,
    topic: String,
    records_out: Vec<IntCounter>,
    unsure: [IntCounter; Unsure::ALL.len()],
    review: [IntCounter; 2],
    review_left_out: [IntCounter; ReviewLeftOut::ALL.len()],
    dead_letters: [IntCounter; ERROR_CLASSES.len()],
    stages: [Histogram; Stage::ALL.len()],
    committed: IntCounter,
    aborted: IntCounter,
    scores: LocalHistogram,
    end_to_end: LocalHistogram,
    assigned: i64,
}

impl WorkerMetrics {
    /// For a worker that reads `topic` and writes verdicts with `labels` by model `version`.
    pub fn new(metrics: &Metrics, topic: &str, labels: &[String], version: &str) -> Self {
        let mut worker = WorkerMetrics {
            topic: topic.to_owned(),
            records_out: Vec::new(),
            unsure: Unsure::ALL.map(|reason| metrics.unsure.with_label_values(&[reason.name()])),
            review: REVIEW_REASONS.map(|reason| metrics.review.with_label_values(&[reason])),
            review_left_out: ReviewLeftOut::ALL
                .map(|reason| metrics.review_left_out.with_label_values(&[reason.name()])),
            dead_letters: ERROR_CLASSES.map(|class| metrics.dead_letters.with_label_values(&[class])),
            stages: Stage::ALL.map(|stage| metrics.stage_seconds.with_label_values(&[stage.name()])),
            committed: metrics.transactions.with_label_values(&["committed"]),
            aborted: metrics.transactions.with_label_values(&["aborted"]),
            scores: metrics.score.local(),
            end_to_end: metrics.end_to_end_seconds.local(),
            assigned: 0,
            metrics: metrics.clone(),
        };
        worker.adopt(labels, version);
        worker
    }

    /// From the next batch on verdicts carry `labels` and come from model `version`.
    pub fn adopt(&mut self, labels: &[String], version: &str) {
        let child = |label: &String| self.metrics.records_out.with_label_values(&[label.as_str(), version]);
        self.records_out = labels.iter().map(child).collect();
    }

    /// A verdict's score; counts if the batch is committed.
    pub fn observe_score(&self, score: f64) {
        self.scores.observe(score);
    }

    /// Seconds from a record's timestamp to now; counts if the batch is committed. Clocks that differ give 0.
    pub fn observe_end_to_end(&self, seconds: f64) {
        self.end_to_end.observe(seconds.max(0.0));
    }

    /// The batch is committed: adds its counts.
    pub fn commit(&self, batch: &BatchStats, transactional: bool) {
        for (partition, records) in &batch.records_in {
            // Few per batch; not cached, since the assignment changes.
            self.metrics
                .records_in
                .with_label_values(&[&self.topic, &partition.to_string()])
                .inc_by(*records);
        }
        for (child, count) in self.records_out.iter().zip(&batch.verdicts) {
            child.inc_by(*count);
        }
        for (child, count) in self.unsure.iter().zip(batch.unsure) {
            child.inc_by(count);
        }
        for (child, count) in self.review.iter().zip(batch.review) {
            child.inc_by(count);
        }
        for (child, count) in self.review_left_out.iter().zip(batch.review_left_out) {
            child.inc_by(count);
        }
        for (child, count) in self.dead_letters.iter().zip(batch.dead_letters) {
            child.inc_by(count);
        }
        self.metrics.tombstones.inc_by(batch.tombstones);
        self.metrics.truncated.inc_by(batch.truncated);
        self.metrics.bytes_in.inc_by(batch.bytes_in);
        self.metrics.bytes_out.inc_by(batch.bytes_out);
        self.metrics.tokens.inc_by(batch.tokens);
        self.metrics.unknown_tokens.inc_by(batch.unknown_tokens);
        self.metrics.batch_records.observe(batch.records() as f64);
        self.metrics.batch_seconds.observe(batch.seconds);
        for (child, seconds) in self.stages.iter().zip(batch.stage_seconds) {
            child.observe(seconds);
        }
        self.scores.flush();
        self.end_to_end.flush();
        if transactional {
            self.committed.inc();
        }
    }

    /// The batch was aborted: its scores and times do not count.
    pub fn abort(&self, transactional: bool) {
        self.scores.clear();
        self.end_to_end.clear();
        if transactional {
            self.aborted.inc();
        }
    }

    /// A rebalance left this worker with `assigned` partitions.
    pub fn rebalanced(&mut self, assigned: usize) {
        self.metrics.rebalances.inc();
        let assigned = i64::try_from(assigned).unwrap_or(i64::MAX);
        self.metrics.assigned_partitions.add(assigned - self.assigned);
        self.assigned = assigned;
    }

    /// Records of `partition` that are not read yet.
    pub fn set_lag(&self, partition: i32, records: i64) {
        self.metrics
            .lag_records
            .with_label_values(&[&self.topic, &partition.to_string()])
            .set(records.max(0));
    }

    /// `partition` was revoked: its new owner reports its lag.
    pub fn forget_lag(&self, partition: i32) {
        // The series is missing if the lag was never set.
        let labels = [self.topic.as_str(), &partition.to_string()];
        let _ = self.metrics.lag_records.remove_label_values(&labels);
        let _ = self.metrics.lag_uncommitted_records.remove_label_values(&labels);
    }

    /// Records of `partition` between the last stable offset and the high watermark.
    pub fn set_uncommitted_lag(&self, partition: i32, records: i64) {
        self.metrics
            .lag_uncommitted_records
            .with_label_values(&[&self.topic, &partition.to_string()])
            .set(records);
    }

    /// How long `partition` has not moved although it has lag, in seconds.
    pub fn set_position_age(&self, partition: i32, seconds: i64) {
        self.metrics.position_age.with_label_values(&[&self.topic, &partition.to_string()]).set(seconds);
    }

    /// `partition` was revoked: its new owner reports its age.
    pub fn forget_position_age(&self, partition: i32) {
        // The series is missing if the age was never set.
        let _ = self.metrics.position_age.remove_label_values(&[&self.topic, &partition.to_string()]);
    }

    /// `partition` is halted for `reason`, or not any more.
    pub fn set_halted(&self, partition: i32, reason: &str, halted: bool) {
        let partition = partition.to_string();
        let labels = [self.topic.as_str(), &partition, reason];
        if halted {
            self.metrics.partition_halted.with_label_values(&labels).set(1);
        } else {
            // The series is missing if the partition was never halted.
            let _ = self.metrics.partition_halted.remove_label_values(&labels);
        }
    }

    /// Series of `partition` that begin at 0, so that their first increase is seen as one.
    pub fn begin_lost<const N: usize>(&self, partition: i32, reasons: [&str; N]) {
        for reason in reasons {
            self.lost(partition, reason, 0);
        }
    }

    /// `records` of `partition` are not read.
    pub fn lost(&self, partition: i32, reason: &str, records: u64) {
        let labels = [self.topic.as_str(), &partition.to_string(), reason];
        self.metrics.records_lost.with_label_values(&labels).inc_by(records);
    }

    /// A dead letter of a batch that was aborted because its partition is halted.
    pub fn withheld(&self, class: &str) {
        self.metrics.dead_letters_withheld.with_label_values(&[class]).inc();
    }

    /// A Kafka client reported an error.
    pub fn client_error(&self) {
        self.metrics.client_errors.inc();
    }
}

/// 2000-01-01 in milliseconds of Unix time: before Kafka, and behind every time in seconds that stands where milliseconds
/// should.
const FIRST_PLAUSIBLE_MS: i64 = 946_684_800_000;
/// How far ahead of ours another clock may be, as for brokers (`message.timestamp.after.max.ms`).
const MAX_AHEAD_MS: i64 = 3_600_000;

/// Seconds from a record's timestamp to `now_ms`. `None` for timestamps that cannot be, such as seconds, microseconds or 0
/// in place of milliseconds: one of them would be decades in a sum of latencies.
pub fn latency_seconds(timestamp_ms: i64, now_ms: i64) -> Option<f64> {
    let is_plausible = (FIRST_PLAUSIBLE_MS..=now_ms.saturating_add(MAX_AHEAD_MS)).contains(&timestamp_ms);
    is_plausible.then(|| (now_ms - timestamp_ms) as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_that_cannot_be_are_no_latency() {
        let now_ms = 1_767_225_600_000;
        for timestamp_ms in [i64::MIN, -1, 0, now_ms / 1_000, now_ms * 1_000, now_ms + 3_600_001, i64::MAX] {
            assert_eq!(latency_seconds(timestamp_ms, now_ms), None, "{timestamp_ms}");
        }
        assert_eq!(latency_seconds(now_ms - 1_500, now_ms), Some(1.5));
        assert_eq!(latency_seconds(now_ms + 1_000, now_ms), Some(-1.0), "which the histogram counts as 0");
        assert!(latency_seconds(FIRST_PLAUSIBLE_MS, now_ms).is_some());
    }

    fn worker(metrics: &Metrics) -> WorkerMetrics {
        WorkerMetrics::new(metrics, "comments", &["negative".to_owned(), "positive".to_owned()], "abc")
    }

    fn stats() -> BatchStats {
        let mut stats = BatchStats { verdicts: vec![1, 2], tokens: 9, ..BatchStats::default() };
        stats.records_in.insert(3, 4);
        stats.dead_letters[1] = 1;
        stats.unsure[Unsure::NoOpinion as usize] = 2;
        stats
    }

    #[test]
    fn a_committed_batch_counts_and_an_aborted_one_does_not() {
        let metrics = Metrics::new();
        let worker = worker(&metrics);
        worker.observe_score(0.9);
        worker.observe_end_to_end(-1.0);
        worker.abort(true);
        assert_eq!(metrics.score.get_sample_count(), 0);
        worker.observe_score(0.9);
        worker.observe_end_to_end(-1.0);
        worker.commit(&stats(), true);
        assert_eq!(metrics.records_in.with_label_values(&["comments", "3"]).get(), 4);
        assert_eq!(metrics.records_out.with_label_values(&["positive", "abc"]).get(), 2);
        assert_eq!(metrics.dead_letters.with_label_values(&["invalid_json"]).get(), 1);
        assert_eq!(metrics.unsure.with_label_values(&["no_opinion"]).get(), 2);
        assert_eq!(metrics.unsure.with_label_values(&["band"]).get(), 0);
        assert_eq!(metrics.tokens.get(), 9);
        assert_eq!(metrics.score.get_sample_count(), 1);
        assert_eq!(metrics.end_to_end_seconds.get_sample_sum(), 0.0);
        assert_eq!(metrics.transactions.with_label_values(&["committed"]).get(), 1);
        assert_eq!(metrics.transactions.with_label_values(&["aborted"]).get(), 1);
    }

    #[test]
    fn the_lag_of_a_revoked_partition_disappears() {
        let metrics = Metrics::new();
        let mut worker = worker(&metrics);
        worker.rebalanced(2);
        worker.set_lag(0, 7);
        worker.set_uncommitted_lag(0, 7);
        worker.set_lag(1, -1);
        worker.forget_lag(0);
        worker.forget_lag(5);
        worker.rebalanced(1);
        let text = metrics.encode().unwrap();
        assert!(!text.contains("_records{partition=\"0\""), "{text}");
        assert!(text.contains("nunchi_lag_records{partition=\"1\",topic=\"comments\"} 0"), "{text}");
        assert!(text.contains("nunchi_assigned_partitions 1"), "{text}");
    }

    #[test]
    fn cleared_stats_are_empty() {
        let mut stats = stats();
        assert_eq!(stats.records(), 4);
        stats.clear();
        assert_eq!(stats.records(), 0);
        assert_eq!((stats.tokens, stats.dead_letters), (0, [0; ERROR_CLASSES.len()]));
    }
}
