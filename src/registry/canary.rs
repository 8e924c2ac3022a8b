//! The canary phase after a promotion: the previous model classifies a share of the same comments, and if the new one is out
//! of bounds, it is rolled back.
//!
//! Both models classify the same comments, so a change of the traffic alone affects only the share of dead letters. The
//! previous model stays loaded while the canary phase lasts: a rollback is a change of a pointer.

use super::compare::Comparison;
use super::mirror::MirroredBatch;
use crate::config::Registry;
use crate::telemetry::Metrics;
use nunchi_engine::LoadedModel;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Thresholds of the canary phase, and how long it lasts: the settings of `[registry]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryThresholds {
    /// How long the canary phase lasts; zero: there is none.
    pub duration: Duration,
    /// Share of the comments that both models classify.
    pub share: f64,
    /// Comments that must have been compared before the canary may be rolled back.
    pub min_comments: u64,
    /// Least share of comments with the same label.
    pub min_agreement: f64,
    /// Largest difference between the shares of a label.
    pub max_label_shift: f64,
    /// Largest rise of the share of unknown tokens.
    pub max_unknown_rise: f64,
    /// Largest rise of the share of dead letters.
    pub max_dead_letter_rise: f64,
}

impl From<&Registry> for CanaryThresholds {
    fn from(settings: &Registry) -> Self {
        CanaryThresholds {
            duration: Duration::from_secs_f64(settings.watch_seconds),
            share: settings.watch_share,
            min_comments: settings.watch_comments,
            min_agreement: settings.least_agreement,
            max_label_shift: settings.label_band,
            max_unknown_rise: settings.unknown_band,
            max_dead_letter_rise: settings.error_band,
        }
    }
}

/// A version in its canary phase.
#[derive(Debug)]
pub(super) struct Canary {
    thresholds: CanaryThresholds,
    /// The promoted version.
    pub(super) version: String,
    until: Instant,
    comparison: Comparison,
    /// The counts at the swap.
    before: RecordCounts,
    /// Whether anything was compared since the last check.
    updated: bool,
}

/// Records that this process has processed, and dead letters among them.
#[derive(Clone, Copy, Debug, Default)]
struct RecordCounts {
    processed: u64,
    dead_letters: u64,
}

impl RecordCounts {
    fn now(metrics: &Metrics) -> Self {
        RecordCounts { processed: metrics.records_processed(), dead_letters: metrics.dead_letters_total() }
    }

    fn dead_letter_share(self, since: RecordCounts) -> f64 {
        (self.dead_letters - since.dead_letters) as f64 / (self.processed - since.processed).max(1) as f64
    }
}

impl Canary {
    /// Begins the canary phase of `version`, which has just taken over from `previous`.
    pub(super) fn new(
        thresholds: &CanaryThresholds,
        version: &str,
        previous: Arc<LoadedModel>,
        metrics: &Metrics,
    ) -> Self {
        Canary {
            thresholds: thresholds.clone(),
            version: version.to_owned(),
            until: Instant::now() + thresholds.duration,
            comparison: Comparison::new(previous, "previous"),
            before: RecordCounts::now(metrics),
            updated: false,
        }
    }

    /// The previous model.
    pub(super) fn previous(&self) -> &Arc<LoadedModel> {
        self.comparison.loaded()
    }

    /// Compares the promoted version with the previous one on `batch`.
    pub(super) fn add(&mut self, batch: &MirroredBatch, metrics: &Metrics) {
        if batch.model.model().version == self.version {
            self.comparison.add(batch, metrics);
            self.updated = true;
        }
    }

    /// The threshold that the promoted version exceeds, as a message; `None` if it is within all.
    pub(super) fn out_of_bounds(&mut self, metrics: &Metrics) -> Option<String> {
        let counts = &self.comparison.counts;
        if !std::mem::take(&mut self.updated) || counts.all.records < self.thresholds.min_comments {
            return None;
        }
        let (compared, bounds) = (counts.all.records, &self.thresholds);
        if counts.share() < bounds.min_agreement {
            return Some(format!(
                "it agrees with the previous model on {:.1} % of {compared} comments, less than {:.1} %",
                counts.share() * 100.0,
                bounds.min_agreement * 100.0
            ));
        }
        if counts.label_shift() > bounds.max_label_shift {
            return Some(format!(
                "the share of a label changed by {:.1} points on the same {compared} comments, more than {:.1}",
                counts.label_shift() * 100.0,
                bounds.max_label_shift * 100.0
            ));
        }
        if counts.unknown_excess() > bounds.max_unknown_rise {
            return Some(format!(
                "the share of unknown tokens rose by {:.1} points on the same {compared} comments, more than {:.1}",
                counts.unknown_excess() * 100.0,
                bounds.max_unknown_rise * 100.0
            ));
        }
        self.dead_letters_out_of_bounds(RecordCounts::now(metrics))
    }

    /// The share of dead letters is compared over time, not on the same comments.
    fn dead_letters_out_of_bounds(&self, now: RecordCounts) -> Option<String> {
        let (before, bounds) = (self.before, &self.thresholds);
        if before.processed == 0 || now.processed - before.processed < bounds.min_comments {
            return None;
        }
        let rise = now.dead_letter_share(before) - before.dead_letter_share(RecordCounts::default());
        (rise > bounds.max_dead_letter_rise).then(|| {
            format!(
                "the share of dead letters rose by {:.1} points, more than {:.1}",
                rise * 100.0,
                bounds.max_dead_letter_rise * 100.0
            )
        })
    }

    /// Whether the canary phase is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// The result of the comparison, for the log.
    pub(super) fn summary(&self) -> String {
        let counts = &self.comparison.counts;
        format!(
            "agreement {:.2} % of {} comments, label share changed by {:.2} points",
            counts.share() * 100.0,
            counts.all.records,
            counts.label_shift() * 100.0
        )
    }
}
