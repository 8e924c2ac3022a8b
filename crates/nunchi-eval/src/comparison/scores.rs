//! How far scores change from one model to the other.

use nunchi_engine::Prediction;
use nunchi_engine::score::WrittenScore;
use serde::Serialize;

/// Bins of changes, and rows and columns of the map of both scores.
pub const SCORE_BINS: usize = 20;

/// Changes of the score: with two labels of the probability of the second; with more the share of probability that moved.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreChange {
    /// The mean.
    pub mean: f64,
    /// The mean of absolute values.
    pub mean_absolute: f64,
    /// Comments by change, in [`SCORE_BINS`] equal bins from -1 to 1.
    pub histogram: Vec<u64>,
    /// Comments by both scores, row by row: the first model's score in steps of a row, the second's within a row.
    pub map: Vec<u64>,
    #[serde(skip)]
    sum: f64,
    #[serde(skip)]
    sum_absolute: f64,
}

impl Default for ScoreChange {
    fn default() -> Self {
        ScoreChange {
            mean: 0.0,
            mean_absolute: 0.0,
            histogram: vec![0; SCORE_BINS],
            map: vec![0; SCORE_BINS * SCORE_BINS],
            sum: 0.0,
            sum_absolute: 0.0,
        }
    }
}

impl ScoreChange {
    /// Counts a comment; its change.
    pub(super) fn add(&mut self, predictions: [&Prediction; 2]) -> f64 {
        let (scores, change) = (written(predictions), change(predictions));
        let bin = |value: f64| ((value * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1);
        self.sum += change;
        self.sum_absolute += change.abs();
        self.histogram[bin(f64::midpoint(change, 1.0))] += 1;
        self.map[bin(scores[0]) * SCORE_BINS + bin(scores[1])] += 1;
        change
    }

    /// Computes the means over `records` comments.
    pub(super) fn finish(&mut self, records: u64) {
        let records = records.max(1) as f64;
        self.mean = self.sum / records;
        self.mean_absolute = self.sum_absolute / records;
    }
}

/// Both scores as verdicts state them.
pub(super) fn written(predictions: [&Prediction; 2]) -> [f64; 2] {
    predictions.map(|prediction| WrittenScore::new(prediction.score).value())
}

/// The change from the first to the second prediction.
fn change(predictions: [&Prediction; 2]) -> f64 {
    let [first, second] = predictions;
    if first.scores.is_empty() {
        let [first, second] = written(predictions);
        return second - first;
    }
    let pairs = first.scores.iter().zip(&second.scores);
    let moved: f64 = pairs.map(|(one, other)| f64::from((one - other).abs()) / 2.0).sum();
    if second.label < first.label { -moved } else { moved }
}
