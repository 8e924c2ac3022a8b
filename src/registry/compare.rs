//! Two models on the same comments: how often they agree, and how their answers differ as a whole.

use super::tap::Sample;
use crate::telemetry::Metrics;
use nunchi_engine::{Engine, LoadedModel, Prediction};
use std::sync::Arc;
use std::time::Instant;

/// What a second judge made of the same comments.
#[derive(Debug)]
pub(super) struct Comparison {
    engine: Engine,
    /// `previous` or `candidate`: a label of the metrics.
    role: &'static str,
    predictions: Vec<Prediction>,
    pub(super) counts: Counts,
}

/// Counts over all comments so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) comments: u64,
    pub(super) agreed: u64,
    /// Sum of the second judge's score minus the serving one's.
    shift: f64,
    serving: Side,
    second: Side,
}

/// One judge's answers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Side {
    labels: Vec<u64>,
    tokens: u64,
    unknown: u64,
}

impl Side {
    fn add(&mut self, prediction: &Prediction) {
        let label = prediction.label;
        if self.labels.len() <= label {
            self.labels.resize(label + 1, 0);
        }
        self.labels[label] += 1;
        self.tokens += prediction.tokens as u64;
        self.unknown += prediction.unknown as u64;
    }

    fn unknown_share(&self) -> f64 {
        self.unknown as f64 / self.tokens.max(1) as f64
    }
}

impl Comparison {
    pub(super) fn new(warm: Arc<LoadedModel>, role: &'static str) -> Self {
        Comparison { engine: Engine::new(warm), role, predictions: Vec::new(), counts: Counts::default() }
    }

    /// The second judge.
    pub(super) fn warm(&self) -> &Arc<LoadedModel> {
        self.engine.loaded()
    }

    /// Judges a sample a second time.
    pub(super) fn add(&mut self, sample: &Sample, metrics: &Metrics) {
        let start = Instant::now();
        let comments: Vec<&str> = sample.comments.iter().map(String::as_str).collect();
        if let Err(error) = self.engine.classify_into(&comments, &mut self.predictions) {
            tracing::warn!(role = self.role, %error, "a sample is left out of the comparison");
            return;
        }
        let before = self.counts.agreed;
        for (serving, second) in sample.predictions.iter().zip(&self.predictions) {
            self.counts.add(serving, second);
        }
        let labels = [self.role, self.engine.loaded().model().version.as_str()];
        metrics.compared_comments.with_label_values(&labels).inc_by(comments.len() as u64);
        metrics.compared_agreed.with_label_values(&labels).inc_by(self.counts.agreed - before);
        metrics.compared_seconds.with_label_values(&labels).inc_by(start.elapsed().as_secs_f64());
        metrics.compared_shift.with_label_values(&labels).set(self.counts.mean_shift());
    }
}

impl Counts {
    fn add(&mut self, serving: &Prediction, second: &Prediction) {
        self.comments += 1;
        self.agreed += u64::from(serving.label == second.label);
        self.shift += f64::from(second.score) - f64::from(serving.score);
        self.serving.add(serving);
        self.second.add(second);
    }

    /// Share of comments with the same label.
    pub(super) fn agreement(&self) -> f64 {
        self.agreed as f64 / self.comments.max(1) as f64
    }

    /// The second judge's score minus the serving one's, on average.
    pub(super) fn mean_shift(&self) -> f64 {
        self.shift / self.comments.max(1) as f64
    }

    /// The largest difference between the shares of a label.
    pub(super) fn label_shift(&self) -> f64 {
        let share = |side: &Side, label: usize| {
            side.labels.get(label).copied().unwrap_or(0) as f64 / self.comments.max(1) as f64
        };
        let labels = self.serving.labels.len().max(self.second.labels.len());
        (0..labels)
            .map(|label| (share(&self.serving, label) - share(&self.second, label)).abs())
            .fold(0.0, f64::max)
    }

    /// How many more of the serving model's tokens are unknown, as a share.
    pub(super) fn unknown_rise(&self) -> f64 {
        self.serving.unknown_share() - self.second.unknown_share()
    }
}
