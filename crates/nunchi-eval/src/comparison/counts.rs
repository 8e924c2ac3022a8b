//! The counts of every comparison of two models: the labels of each, and where they differ.

use nunchi_engine::Prediction;
use serde::Serialize;

/// A group of comments, by whether two models give them the same label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flips {
    /// Comments.
    pub records: u64,
    /// Those with another label by the second model.
    pub flips: u64,
    /// Flips to a later label: of two from negative to positive.
    pub up: u64,
    /// Flips to an earlier label: of two from positive to negative.
    pub down: u64,
}

impl Flips {
    pub(super) fn add(&mut self, labels: [usize; 2]) {
        self.records += 1;
        self.flips += u64::from(labels[0] != labels[1]);
        self.up += u64::from(labels[1] > labels[0]);
        self.down += u64::from(labels[1] < labels[0]);
    }

    pub(super) fn merge(&mut self, other: Flips) {
        self.records += other.records;
        self.flips += other.flips;
        self.up += other.up;
        self.down += other.down;
    }

    /// Comments with the same label.
    pub fn agreed(&self) -> u64 {
        self.records - self.flips
    }

    /// Flips a comment.
    pub fn share(&self) -> f64 {
        self.flips as f64 / self.records.max(1) as f64
    }
}

/// What two models are sure of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Unsure verdicts of each model.
    pub unsure: [u64; 2],
    /// The comments with a sure verdict by both.
    pub both_sure: Flips,
}

/// How far two models agree on the same comments, and how their predictions differ as a whole. Holds a few numbers,
/// however many comments there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// All comments.
    pub all: Flips,
    /// Comments by label, for each model.
    #[serde(rename = "said")]
    pub label_counts: [Vec<u64>; 2],
    /// Unsure verdicts of each model, and the comments that neither is unsure of; `None` where nobody decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    #[serde(skip)]
    tokens: [u64; 2],
    #[serde(skip)]
    unknown: [u64; 2],
    #[serde(skip)]
    shift: f64,
}

impl Agreement {
    /// For models of `labels` labels.
    pub fn new(labels: usize) -> Self {
        Agreement { label_counts: [vec![0; labels], vec![0; labels]], ..Agreement::default() }
    }

    /// Counts unsure verdicts too: both models have a decision.
    #[must_use]
    pub fn with_decision(self, on: bool) -> Self {
        Agreement { decided: on.then(Decided::default), ..self }
    }

    /// Counts a comment.
    pub fn add(&mut self, predictions: [&Prediction; 2]) {
        let labels = predictions.map(|prediction| prediction.label);
        self.all.add(labels);
        if let Some(decided) = &mut self.decided {
            let unsure = predictions.map(|prediction| prediction.unsure.is_some());
            for (count, unsure) in decided.unsure.iter_mut().zip(unsure) {
                *count += u64::from(unsure);
            }
            if unsure == [false, false] {
                decided.both_sure.add(labels);
            }
        }
        self.shift += f64::from(predictions[1].score) - f64::from(predictions[0].score);
        for (model, (prediction, label)) in predictions.into_iter().zip(labels).enumerate() {
            let counts = &mut self.label_counts[model];
            // Models with different numbers of labels can be compared, too.
            if counts.len() <= label {
                counts.resize(label + 1, 0);
            }
            counts[label] += 1;
            self.tokens[model] += prediction.tokens as u64;
            self.unknown[model] += prediction.unknown as u64;
        }
    }

    /// The share of comments with the same label.
    pub fn share(&self) -> f64 {
        self.all.agreed() as f64 / self.all.records.max(1) as f64
    }

    /// The second model's score minus the first one's, on average.
    pub fn mean_shift(&self) -> f64 {
        self.shift / self.all.records.max(1) as f64
    }

    /// The largest difference between the shares of a label.
    pub fn label_shift(&self) -> f64 {
        let share = |model: usize, label: usize| {
            let count = self.label_counts[model].get(label).copied().unwrap_or(0);
            count as f64 / self.all.records.max(1) as f64
        };
        let labels = self.label_counts[0].len().max(self.label_counts[1].len());
        (0..labels).map(|label| (share(0, label) - share(1, label)).abs()).fold(0.0, f64::max)
    }

    /// By how much the share of unknown tokens is higher for the first model.
    pub fn unknown_excess(&self) -> f64 {
        let share = |model: usize| self.unknown[model] as f64 / self.tokens[model].max(1) as f64;
        share(0) - share(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(score: f32, tokens: usize, unknown: usize) -> Prediction {
        Prediction { tokens, unknown, ..Prediction::of_two(score) }
    }

    #[test]
    fn agreement_counts_labels_scores_and_unknown_tokens() {
        let mut agreement = Agreement::default();
        assert_eq!((agreement.share(), agreement.label_shift(), agreement.unknown_excess()), (0.0, 0.0, 0.0));
        agreement.add([&prediction(0.25, 10, 2), &prediction(0.75, 10, 1)]);
        agreement.add([&prediction(0.75, 10, 2), &prediction(1.0, 10, 1)]);
        agreement.add([&prediction(0.5, 10, 2), &prediction(0.0, 10, 1)]);
        agreement.add([&prediction(0.25, 10, 2), &prediction(0.75, 10, 1)]);
        assert_eq!(agreement.all, Flips { records: 4, flips: 3, up: 2, down: 1 });
        assert_eq!(agreement.label_counts, [vec![2, 2], vec![1, 3]]);
        assert_eq!((agreement.share(), agreement.label_shift()), (0.25, 0.25));
        assert!((agreement.mean_shift() - 0.1875).abs() < 1e-12);
        assert!((agreement.unknown_excess() - 0.1).abs() < 1e-12);
    }
}
