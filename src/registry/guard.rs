//! The watch after a promotion: the model before judges a share of the same comments, and if the new one strays too far, it is
//! taken back.
//!
//! Both models judge the same comments, so a change of the traffic alone moves nothing but the share of dead letters. The
//! model before stays loaded while the watch lasts: going back is a change of a pointer.

use super::compare::Comparison;
use super::tap::Sample;
use crate::config::Registry;
use crate::telemetry::Metrics;
use nunchi_engine::LoadedModel;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// CanaryThresholds that a new model must stay in, and how long it is watched: `[registry]`'s settings.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryThresholds {
    /// How long; zero: no watch.
    pub time: Duration,
    /// Share of the comments that are judged twice.
    pub share: f64,
    /// Comments that must have been compared before anything is decided.
    pub comments: u64,
    /// Least share of comments with the label that the model before gives.
    pub agreement: f64,
    /// Largest difference between the shares of a label.
    pub labels: f64,
    /// Largest rise of the share of unknown tokens.
    pub unknown: f64,
    /// Largest rise of the share of dead letters.
    pub errors: f64,
}

impl From<&Registry> for CanaryThresholds {
    fn from(settings: &Registry) -> Self {
        CanaryThresholds {
            time: Duration::from_secs_f64(settings.watch_seconds),
            share: settings.watch_share,
            comments: settings.watch_comments,
            agreement: settings.least_agreement,
            labels: settings.label_band,
            unknown: settings.unknown_band,
            errors: settings.error_band,
        }
    }
}

/// A watch that lasts.
#[derive(Debug)]
pub(super) struct Guard {
    bands: CanaryThresholds,
    /// The version that is watched.
    pub(super) model: String,
    until: Instant,
    comparison: Comparison,
    /// Records and dead letters before the swap, and at the swap.
    before: Records,
    /// Whether anything was compared since the last verdict.
    news: bool,
}

/// Records that were answered, and dead letters among them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Records {
    all: u64,
    dead: u64,
}

impl Records {
    /// So far in this process.
    pub(super) fn so_far(metrics: &Metrics) -> Self {
        Records { all: metrics.records_answered(), dead: metrics.dead_so_far() }
    }

    fn dead_share(self, since: Records) -> f64 {
        (self.dead - since.dead) as f64 / (self.all - since.all).max(1) as f64
    }
}

impl Guard {
    /// Watches `model`, which has just taken over from `previous`.
    pub(super) fn new(
        bands: &CanaryThresholds,
        model: &str,
        previous: Arc<LoadedModel>,
        metrics: &Metrics,
    ) -> Self {
        Guard {
            bands: bands.clone(),
            model: model.to_owned(),
            until: Instant::now() + bands.time,
            comparison: Comparison::new(previous, "previous"),
            before: Records::so_far(metrics),
            news: false,
        }
    }

    /// The model before.
    pub(super) fn previous(&self) -> &Arc<LoadedModel> {
        self.comparison.warm()
    }

    /// Compares what the watched model judged.
    pub(super) fn add(&mut self, sample: &Sample, metrics: &Metrics) {
        if sample.judge.model().version == self.model {
            self.comparison.add(sample, metrics);
            self.news = true;
        }
    }

    /// Why the watched model must go back, if it must.
    pub(super) fn verdict(&mut self, metrics: &Metrics) -> Option<String> {
        let counts = &self.comparison.counts;
        if !std::mem::take(&mut self.news) || counts.all.records < self.bands.comments {
            return None;
        }
        let (compared, bands) = (counts.all.records, &self.bands);
        if counts.share() < bands.agreement {
            return Some(format!(
                "it agrees with the model before on {:.1} % of {compared} comments, less than {:.1} %",
                counts.share() * 100.0,
                bands.agreement * 100.0
            ));
        }
        if counts.label_shift() > bands.labels {
            return Some(format!(
                "the share of a label moved by {:.1} points on the same {compared} comments, more than {:.1}",
                counts.label_shift() * 100.0,
                bands.labels * 100.0
            ));
        }
        if counts.unknown_excess() > bands.unknown {
            return Some(format!(
                "the share of unknown tokens rose by {:.1} points on the same {compared} comments, more than {:.1}",
                counts.unknown_excess() * 100.0,
                bands.unknown * 100.0
            ));
        }
        let now = Records::so_far(metrics);
        let rise = now.dead_share(self.before) - self.before.dead_share(Records::default());
        (self.before.all > 0 && now.all - self.before.all >= bands.comments && rise > bands.errors).then(
            || {
                format!(
                    "the share of dead letters rose by {:.1} points, more than {:.1}",
                    rise * 100.0,
                    bands.errors * 100.0
                )
            },
        )
    }

    /// Whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// What was seen, in words.
    pub(super) fn summary(&self) -> String {
        let counts = &self.comparison.counts;
        format!(
            "agreement {:.2} % of {} comments, label share moved by {:.2} points",
            counts.share() * 100.0,
            counts.all.records,
            counts.label_shift() * 100.0
        )
    }
}
