//! A second model on the comments that the serving model classified, for the canary and for a shadow candidate.

use super::mirror::MirroredBatch;
use crate::telemetry::Metrics;
use nunchi_engine::{Engine, LoadedModel, Prediction};
use nunchi_eval::comparison::Agreement;
use std::sync::Arc;
use std::time::Instant;

/// The serving model, which comes first, and a second one.
#[derive(Debug)]
pub(super) struct Comparison {
    engine: Engine,
    /// `previous` or `candidate`: a label of the metrics.
    role: &'static str,
    predictions: Vec<Prediction>,
    pub(super) counts: Agreement,
}

impl Comparison {
    pub(super) fn new(second: Arc<LoadedModel>, role: &'static str) -> Self {
        let counts = Agreement::new(second.model().labels.len());
        Comparison { engine: Engine::new(second), role, predictions: Vec::new(), counts }
    }

    /// The second model.
    pub(super) fn loaded(&self) -> &Arc<LoadedModel> {
        self.engine.loaded()
    }

    /// Classifies a mirrored batch with the second model.
    pub(super) fn add(&mut self, sample: &MirroredBatch, metrics: &Metrics) {
        let start = Instant::now();
        let comments: Vec<&str> = sample.comments.iter().map(String::as_str).collect();
        if let Err(error) = self.engine.classify_into(&comments, &mut self.predictions) {
            tracing::warn!(role = self.role, %error, "a sample is left out of the comparison");
            return;
        }
        let before = self.counts.all.agreed();
        for (serving, second) in sample.predictions.iter().zip(&self.predictions) {
            self.counts.add([serving, second]);
        }
        let labels = [self.role, self.engine.loaded().model().version.as_str()];
        metrics.compared_comments.with_label_values(&labels).inc_by(comments.len() as u64);
        metrics.compared_agreed.with_label_values(&labels).inc_by(self.counts.all.agreed() - before);
        metrics.compared_seconds.with_label_values(&labels).inc_by(start.elapsed().as_secs_f64());
        metrics.compared_shift.with_label_values(&labels).set(self.counts.mean_shift());
    }
}
