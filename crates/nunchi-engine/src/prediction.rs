//! From the head's outputs to a prediction.

use crate::score::WrittenScore;
use crate::{Sentences, Unsure};
use nunchi_model::rnn::HeadKind;

/// The prediction of one comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Index into the model's labels: by the written score where there are two, else the most probable one.
    pub label: usize,
    /// The probability of positive; with n classes that of the most probable one. Never NaN.
    pub score: f32,
    /// With n classes every class's probability; empty for two.
    pub scores: Vec<f32>,
    /// The probability that the comment holds an opinion; `None` for a model without that output. Never NaN.
    pub opinion: Option<f32>,
    /// Why nobody should act on it without looking; `None` where it is sure, and where no [`crate::Decision`] is made.
    pub unsure: Option<Unsure>,
    /// Tokens that were read.
    pub tokens: usize,
    /// How many of them were the unknown token.
    pub unknown: usize,
    /// Whether the comment was cut.
    pub truncated: bool,
    /// Its parts; `None` unless the engine was asked for them ([`crate::Engine::with_sentences`]).
    pub sentences: Option<Box<Sentences>>,
}

impl Prediction {
    /// A prediction of two classes. `score` is the probability of the second one, and decides the label as it is written
    /// ([`WrittenScore`]).
    pub fn of_two(score: f32) -> Self {
        Prediction { label: WrittenScore::new(score).label(), score, ..Prediction::default() }
    }

    /// A prediction of as many classes as there are probabilities: the most probable one, the first of equals.
    ///
    /// # Panics
    /// If there are no probabilities.
    pub fn of_many(probabilities: &[f32]) -> Self {
        let best = (1..probabilities.len())
            .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best });
        Prediction {
            label: best,
            score: probabilities[best],
            scores: probabilities.to_vec(),
            ..Prediction::default()
        }
    }

    /// The score as a verdict states it.
    pub fn written_score(&self) -> WrittenScore {
        WrittenScore::new(self.score)
    }

    /// The probability of its label, as a verdict states it.
    pub fn confidence(&self) -> WrittenScore {
        let score = self.written_score();
        // With n classes the score is the label's already; of two it is that of the second one.
        if self.scores.is_empty() && self.label == 0 { score.complement() } else { score }
    }

    /// The probability of the second of two labels, as a verdict states it.
    pub(crate) fn second(&self) -> WrittenScore {
        self.scores.get(1).map_or_else(|| self.written_score(), |&score| WrittenScore::new(score))
    }

    /// Whether the model says that the comment holds no opinion. False for a model that cannot say it.
    pub fn is_without_opinion(&self) -> bool {
        self.opinion.is_some_and(|opinion| opinion < 0.5)
    }

    /// The prediction of one comment's probabilities, as [`probabilities`] gives them; `None` if one is NaN.
    pub(crate) fn of(head: HeadKind, probabilities: &[f32]) -> Option<Self> {
        if probabilities.iter().any(|probability| probability.is_nan()) {
            return None;
        }
        Some(match head {
            HeadKind::Sigmoid => Prediction::of_two(probabilities[0]),
            HeadKind::Softmax => Prediction::of_many(probabilities),
        })
    }
}

/// A logit's probability.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// Converts the head's outputs to probabilities, in place.
pub(crate) fn probabilities(head: HeadKind, temperature: f32, logits: &mut [f32]) {
    let temperature = f64::from(temperature);
    match head {
        HeadKind::Sigmoid => {
            for logit in logits {
                *logit = (1.0 / (1.0 + (-f64::from(*logit) / temperature).exp())) as f32;
            }
        }
        HeadKind::Softmax => {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let power = |logit: f32| (f64::from(logit - most) / temperature).exp();
            let sum: f64 = logits.iter().map(|&logit| power(logit)).sum();
            for logit in logits {
                *logit = (power(*logit) / sum) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_sums_to_one_and_picks_the_most_probable_class() {
        let mut logits = [1.0f32, 3.0, 2.0, -400.0];
        probabilities(HeadKind::Softmax, 0.5, &mut logits);
        assert!((logits.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let prediction = Prediction::of(HeadKind::Softmax, &logits).expect("all are numbers");
        assert_eq!((prediction.label, prediction.score, prediction.scores.len()), (1, logits[1], 4));
        let ratio = f64::from(logits[1] / logits[2]);
        assert!((ratio - (1.0f64 / 0.5).exp()).abs() < 1e-4, "the temperature divides the logits: {ratio}");
    }

    #[test]
    fn a_sigmoid_says_positive_from_one_half_on() {
        for (logit, label) in [(0.0f32, 1), (-1e-3, 0), (1e-3, 1), (90.0, 1), (-90.0, 0)] {
            let mut value = [logit];
            probabilities(HeadKind::Sigmoid, 1.0, &mut value);
            let prediction = Prediction::of(HeadKind::Sigmoid, &value).expect("it is a number");
            assert_eq!(prediction.label, label, "{logit}");
            assert!(prediction.scores.is_empty());
        }
    }

    #[test]
    fn the_written_score_decides_the_label() {
        // Below one half, but written as 0.500000.
        assert_eq!(Prediction::of_two(0.499_999_7).label, 1);
        assert_eq!(Prediction::of_two(0.499_999_4).label, 0);
    }

    #[test]
    fn confidence_is_the_labels_probability_as_it_is_written() {
        assert_eq!(Prediction::of_two(0.25).confidence().value(), 0.75);
        assert_eq!(Prediction::of_two(0.75).confidence().value(), 0.75);
        // Below one half, but written as 0.500000: positive.
        assert_eq!(Prediction::of_two(0.499_999_7).confidence().value(), 0.5);
        assert_eq!(Prediction::of_many(&[0.2, 0.7, 0.1]).confidence().value(), 0.7);
        assert_eq!(Prediction::of_many(&[0.7, 0.2, 0.1]).confidence().value(), 0.7);
        let opinion = |opinion| Prediction { opinion, ..Prediction::default() }.is_without_opinion();
        assert_eq!([None, Some(0.5), Some(0.499)].map(opinion), [false, false, true]);
    }

    #[test]
    fn what_is_not_a_number_is_no_prediction() {
        assert_eq!(Prediction::of(HeadKind::Sigmoid, &[f32::NAN]), None);
        let mut logits = [1.0, f32::NAN, 2.0];
        probabilities(HeadKind::Softmax, 1.0, &mut logits);
        assert_eq!(Prediction::of(HeadKind::Softmax, &logits), None);
        // What overflows to infinity still has a side.
        let mut logit = [f32::INFINITY];
        probabilities(HeadKind::Sigmoid, 1.0, &mut logit);
        assert_eq!(Prediction::of(HeadKind::Sigmoid, &logit).map(|prediction| prediction.label), Some(1));
    }
}
