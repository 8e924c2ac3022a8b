//! What a report counts beside the figures of [`crate::metrics`]: reliability, scores.

use crate::metrics::{self, Outcome};
use serde::Serialize;

/// Equal bins of scores.
pub(super) const SCORE_BINS: usize = 40;

/// Comments whose chosen classes are about equally probable; the bins of the calibration error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// How many.
    pub records: usize,
    /// The mean probability of the chosen class.
    pub confidence: f64,
    /// The share of right verdicts.
    pub accuracy: f64,
    /// Where that lies with 95 % certainty.
    pub accuracy_95: [f64; 2],
}

/// How scores are distributed between 0 and 1, in 40 equal bins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// `positive`: the score is the probability of it. `chosen`: with more classes, that of the chosen one.
    pub of: &'static str,
    /// Two groups of comments: by class, or with more than two classes the right and the wrong verdicts.
    pub groups: [ScoreGroup; 2],
}

/// The scores of some comments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreGroup {
    /// Which comments.
    pub name: String,
    /// How many in each bin.
    pub counts: Vec<usize>,
}

/// The bins of the calibration error that are not empty.
pub(super) fn reliability(outcomes: &[Outcome]) -> Vec<Reliability> {
    metrics::confidence_bins(outcomes)
        .iter()
        .filter(|bin| bin.records > 0)
        .map(|bin| Reliability {
            records: bin.records,
            confidence: bin.confidence / bin.records as f64,
            accuracy: bin.right as f64 / bin.records as f64,
            accuracy_95: metrics::interval_95(bin.right, bin.records),
        })
        .collect()
}

/// The distribution of the scores.
pub(super) fn scores(outcomes: &[Outcome], labels: &[String]) -> Scores {
    let mut counts = [vec![0; SCORE_BINS], vec![0; SCORE_BINS]];
    let two = labels.len() == 2;
    for outcome in outcomes {
        let chosen = outcome.chosen();
        let (group, score) = match two {
            true => (outcome.class, outcome.probabilities[1]),
            false => (usize::from(outcome.is_right()), outcome.probabilities[chosen]),
        };
        counts[group][((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)] += 1;
    }
    let names = match labels {
        [negative, positive] => [negative.clone(), positive.clone()],
        _ => ["wrong".to_owned(), "right".to_owned()],
    };
    let [first, second] = counts;
    let [low, high] = names;
    Scores {
        of: if two { "positive" } else { "chosen" },
        groups: [ScoreGroup { name: low, counts: first }, ScoreGroup { name: high, counts: second }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_grouped_by_class_or_by_being_right() {
        let two = ["no", "yes"].map(str::to_owned);
        let counted = scores(&[Outcome::of_two(0, 0.0), Outcome::of_two(1, 1.0)], &two);
        assert_eq!((counted.groups[0].counts[0], counted.groups[1].counts[SCORE_BINS - 1]), (1, 1));
        let three = ["a", "b", "c"].map(str::to_owned);
        let outcomes = [Outcome { class: 0, probabilities: vec![0.2, 0.7, 0.1], unsure: None }];
        let counted = scores(&outcomes, &three);
        assert_eq!((counted.of, counted.groups[0].name.as_str()), ("chosen", "wrong"));
        assert_eq!(counted.groups[0].counts[28], 1);
    }

    #[test]
    fn bins_of_confidence_are_means() {
        let bins = reliability(&[Outcome::of_two(1, 0.95), Outcome::of_two(0, 0.97)]);
        assert_eq!((bins.len(), bins[0].records, bins[0].accuracy), (1, 2, 0.5));
        assert!((bins[0].confidence - 0.96).abs() < 1e-12);
    }
}
