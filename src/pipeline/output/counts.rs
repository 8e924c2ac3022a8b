//! The counts of a batch that outputs report.

use crate::record::DeadLetterClass;
use crate::telemetry::{BatchStats, ReviewLeftOut, WorkerMetrics};
use nunchi_engine::Prediction;
use nunchi_engine::score::WrittenScore;

/// The counters of a batch. They are added to the metrics only if the batch is committed.
pub(crate) struct BatchCounts<'w> {
    stats: &'w mut BatchStats,
    metrics: &'w WorkerMetrics,
}

impl<'w> BatchCounts<'w> {
    pub(in crate::pipeline) fn new(stats: &'w mut BatchStats, metrics: &'w WorkerMetrics) -> Self {
        BatchCounts { stats, metrics }
    }

    /// A verdict of `bytes` bytes was written.
    pub(crate) fn verdict(&mut self, prediction: &Prediction, bytes: u64) {
        self.comment(prediction);
        self.stats.bytes_out += bytes;
        if let Some(count) = self.stats.verdicts.get_mut(prediction.label) {
            *count += 1;
        }
        if let Some(reason) = prediction.unsure {
            self.stats.unsure[reason as usize] += 1;
        }
        self.metrics.observe_score(WrittenScore::new(prediction.score).value());
    }

    /// A comment was classified, whatever is written for it.
    pub(crate) fn comment(&mut self, prediction: &Prediction) {
        self.stats.tokens += prediction.tokens as u64;
        self.stats.unknown_tokens += prediction.unknown as u64;
        self.stats.truncated += u64::from(prediction.truncated);
    }

    /// The copy of a comment for review was written, because its verdict is unsure or because it is in the sample.
    pub(crate) fn review(&mut self, unsure: bool, bytes: u64) {
        self.stats.review[usize::from(!unsure)] += 1;
        self.stats.bytes_out += bytes;
    }

    /// A comment that should be reviewed is not in the topic.
    pub(crate) fn review_left_out(&mut self, reason: ReviewLeftOut) {
        self.stats.review_left_out[reason as usize] += 1;
    }

    /// A tombstone was written.
    pub(crate) fn tombstone(&mut self, bytes: u64) {
        self.stats.tombstones += 1;
        self.stats.bytes_out += bytes;
    }

    /// A dead letter of `bytes` bytes was written.
    pub(crate) fn dead_letter(&mut self, class: DeadLetterClass, bytes: u64) {
        self.stats.dead_letters[class as usize] += 1;
        self.stats.bytes_out += bytes;
    }

    /// A verdict or tombstone was left out by the label filter.
    pub(crate) fn left_out(&mut self) {
        self.stats.left_out += 1;
    }
}
