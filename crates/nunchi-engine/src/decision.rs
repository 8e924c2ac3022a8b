//! Which verdicts are unsure: nobody should act on them without looking.

use super::{EngineError, Prediction, Unsure, is_plainly_foreign};
use nunchi_model::{Coverage, Model};
use std::fmt;

/// What decides whether a verdict is unsure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DecisionPolicy {
    /// So large a share of the verdicts that are not unsure is right, for each label by itself, as far as the model's coverage
    /// table holds.
    Precision(f64),
    /// Scores from the first to the second bound, both included, are unsure.
    Band([f64; 2]),
}

/// A policy, worked out for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    rule: Rule,
    expected: Option<Expected>,
    /// The model's labels.
    labels: Vec<String>,
}

/// From scores to whether they are unsure.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// The least confidence of each label that is sure; none is where there is none.
    Least(Vec<Option<f64>>),
    /// Scores between the bounds are unsure.
    Band([f64; 2]),
}

/// What the coverage table says of a decision.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    unsure: f64,
    comments: u64,
    data: Vec<String>,
}

impl Decision {
    /// Works `policy` out for `model`.
    ///
    /// # Errors
    /// A precision for a model without a coverage table; a band for a model with more than two labels.
    pub fn new(model: &Model, policy: DecisionPolicy) -> Result<Self, EngineError> {
        let table = model.extension.coverage.as_ref();
        let (rule, unsure) = match policy {
            DecisionPolicy::Precision(precision) => {
                let version = model.version.clone();
                let table = table.ok_or(EngineError::NoCoverage { version })?;
                let thresholds = table.thresholds(precision);
                let least = thresholds.iter().map(|threshold| threshold.confidence).collect();
                (Rule::Least(least), Some(table.unsure(&thresholds)))
            }
            DecisionPolicy::Band(band) => {
                if model.labels.len() != 2 {
                    return Err(EngineError::BandLabels { labels: model.labels.len() });
                }
                (Rule::Band(band), table.map(|table| unsure_in(table, band)))
            }
        };
        let expected = unsure.zip(table).map(|(unsure, table)| Expected {
            unsure,
            comments: table.comments,
            data: table.data.clone(),
        });
        Ok(Decision { rule, expected, labels: model.labels.clone() })
    }

    /// Why the verdict on `text` is unsure, if it is: the first reason of language, opinion, score.
    pub fn decide(&self, text: &str, prediction: &Prediction) -> Option<Unsure> {
        if is_plainly_foreign(text) {
            return Some(Unsure::Language);
        }
        if prediction.is_without_opinion() {
            return Some(Unsure::NoOpinion);
        }
        let in_band = match &self.rule {
            Rule::Least(least) => {
                let least = least.get(prediction.label).copied().flatten();
                least.is_none_or(|least| prediction.confidence().value() < least)
            }
            Rule::Band([low, high]) => (*low..=*high).contains(&prediction.second().value()),
        };
        in_band.then_some(Unsure::Band)
    }

    /// The share of comments like the development data whose verdict is unsure; `None` where nothing was measured.
    pub fn expected_unsure(&self) -> Option<f64> {
        self.expected.as_ref().map(|expected| expected.unsure)
    }
}

/// The share of the development data whose score lies in `band`, or that holds no opinion.
fn unsure_in(table: &Coverage, [low, high]: [f64; 2]) -> f64 {
    let answered = |class: usize, is_sure: &dyn Fn(f64) -> bool| {
        let points = table.classes.get(class).map_or(&[][..], |class| &class.points);
        let sure = points.iter().take_while(|point| is_sure(point.confidence));
        sure.last().map_or(0, |point| point.answered)
    };
    // A verdict states millionths: their complement must not be off by a rounding error.
    let complement = |confidence: f64| ((1.0 - confidence) * 1e6).round() / 1e6;
    let negative = answered(0, &|confidence| complement(confidence) < low);
    let sure = negative + answered(1, &|confidence| confidence > high);
    1.0 - sure as f64 / table.comments.max(1) as f64
}

/// For people: which scores are sure, and what to expect.
impl fmt::Display for Decision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Band([low, high]) => write!(out, "scores from {low} to {high} are unsure")?,
            Rule::Least(least) => {
                for (place, (label, least)) in self.labels.iter().zip(least).enumerate() {
                    let between = if place > 0 { ", " } else { "" };
                    match least {
                        Some(least) => {
                            write!(out, "{between}{label} is sure from a probability of {least:.3}")?
                        }
                        None => write!(out, "{between}{label} is never sure")?,
                    }
                }
            }
        }
        match &self.expected {
            Some(Expected { unsure, comments, data }) => write!(
                out,
                "; about {:.0} % unsure on comments like those it was measured on ({comments}: {})",
                unsure * 100.0,
                data.join(", ")
            ),
            None => out.write_str(
                "; the model has no coverage table, so that nothing is known of how many these are",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, LoadedModel};
    use nunchi_model::rnn::Cell;
    use nunchi_model::{ClassCoverage, Extension, testing};
    use std::sync::Arc;

    fn model() -> Model {
        let class = |label: &str, points: &[(f64, u64, u64)]| ClassCoverage {
            label: label.to_owned(),
            points: points.iter().map(|&point| point.into()).collect(),
        };
        let coverage = Coverage {
            data: vec!["dev.tsv".to_owned()],
            comments: 100,
            no_opinion: 10,
            classes: vec![
                class("negative", &[(0.9, 20, 20), (0.8, 30, 29), (0.5, 40, 30)]),
                class("positive", &[(0.95, 10, 10), (0.5, 50, 40)]),
            ],
        };
        let mut model = testing::model(Cell::Bag, 1);
        model.extension = Extension { coverage: Some(coverage), ..Extension::default() };
        model
    }

    fn reason(decision: &Decision, score: f32) -> Option<Unsure> {
        decision.decide("좋아요", &Prediction::of_two(score))
    }

    #[test]
    fn the_sides_of_the_band_differ_by_what_was_measured() {
        let decision = Decision::new(&model(), DecisionPolicy::Precision(0.96)).expect("it has a table");
        for (score, unsure) in [
            (0.0, false),
            (0.2, false),
            (0.200_000_4, false),
            (0.200_001, true),
            (0.5, true),
            (0.949_999, true),
            (0.949_999_7, false),
            (0.95, false),
            (1.0, false),
        ] {
            assert_eq!(reason(&decision, score).is_some(), unsure, "{score}");
        }
        // Of 100 comments 30 and 10 are sure.
        assert!((decision.expected_unsure().expect("it was measured") - 0.6).abs() < 1e-12);
        let said = decision.to_string();
        assert!(said.contains("negative is sure from a probability of 0.800"), "{said}");
        assert!(
            said.contains("about 60 % unsure on comments like those it was measured on (100: dev.tsv)"),
            "{said}"
        );
        // Where no confidence suffices, no verdict is sure.
        let mut worse = model();
        worse.extension.coverage.as_mut().expect("it has a table").classes[1].points.remove(0);
        let decision = Decision::new(&worse, DecisionPolicy::Precision(0.999)).expect("it has a table");
        assert_eq!([0.1, 0.2, 1.0].map(|score| reason(&decision, score).is_some()), [false, true, true]);
        assert!(decision.to_string().contains("positive is never sure"), "{decision}");
    }

    #[test]
    fn a_band_is_one_of_the_second_labels_probability_whatever_the_head() {
        let decision = Decision::new(&model(), DecisionPolicy::Band([0.2, 0.8])).expect("two labels");
        for (negative, unsure) in [(0.9, false), (0.5, true), (0.3, true), (0.1, false)] {
            let softmax = Prediction::of_many(&[negative, 1.0 - negative]);
            assert_eq!(decision.decide("좋아요", &softmax).is_some(), unsure, "{negative}");
        }
    }

    #[test]
    fn a_band_holds_its_bounds() {
        let decision = Decision::new(&model(), DecisionPolicy::Band([0.2, 0.9])).expect("two labels");
        for (score, unsure) in [(0.199_999, false), (0.2, true), (0.6, true), (0.9, true), (0.900_001, false)]
        {
            assert_eq!(reason(&decision, score), unsure.then_some(Unsure::Band), "{score}");
        }
        // Negative up to 0.1 (confidence 0.9), positive from 0.95 on.
        assert!((decision.expected_unsure().expect("there is a table") - 0.7).abs() < 1e-12);
        let all = Decision::new(&model(), DecisionPolicy::Band([0.0, 1.0])).expect("two labels");
        assert!([0.0, 0.5, 1.0].iter().all(|&score| reason(&all, score).is_some()));
        let unknown = Decision::new(&testing::model(Cell::Bag, 1), DecisionPolicy::Band([0.2, 0.9]));
        assert_eq!(unknown.expect("a band needs no table").expected_unsure(), None);
    }

    #[test]
    fn what_a_model_lacks_is_said() {
        let plain = testing::model(Cell::Bag, 1);
        let said = Decision::new(&plain, DecisionPolicy::Precision(0.97)).expect_err("no table").to_string();
        assert!(said.contains(&plain.version) && said.contains("nunchi models revise"), "{said}");
        let three = Model { labels: ["a", "b", "c"].map(str::to_owned).to_vec(), ..plain };
        let said = Decision::new(&three, DecisionPolicy::Band([0.2, 0.8])).expect_err("3 labels").to_string();
        assert!(said.contains("3 labels"), "{said}");
    }

    #[test]
    fn no_opinion_and_another_language_come_before_the_score() {
        let decision = Decision::new(&model(), DecisionPolicy::Precision(0.96)).expect("it has a table");
        let without = Prediction { opinion: Some(0.1), ..Prediction::of_two(0.99) };
        assert_eq!(decision.decide("언제 와요?", &without), Some(Unsure::NoOpinion));
        assert_eq!(decision.decide("Great product", &without), Some(Unsure::Language));
        let with = Prediction { opinion: Some(0.5), ..Prediction::of_two(0.99) };
        assert_eq!(decision.decide("좋아요", &with), None);
        assert_eq!(Unsure::ALL.map(Unsure::name), ["band", "no_opinion", "language"]);
    }

    #[test]
    fn the_engine_decides_only_where_it_is_asked_to() {
        let texts = ["좋아요", "Great product", "별로지만 추천해요"];
        let load = |policy: Option<DecisionPolicy>| {
            let loaded = LoadedModel::new(model(), None).expect("it loads").with_decision(policy);
            Engine::new(Arc::new(loaded.expect("the model has what it needs")))
        };
        let plain = load(None).classify(&texts).expect("it classifies");
        assert!(plain.iter().all(|prediction| prediction.unsure.is_none()));
        let all = load(Some(DecisionPolicy::Band([0.0, 1.0]))).classify(&texts).expect("it classifies");
        let reasons: Vec<_> = all.iter().map(|prediction| prediction.unsure).collect();
        assert_eq!(reasons, [Some(Unsure::Band), Some(Unsure::Language), Some(Unsure::Band)]);
        for (plain, one) in plain.iter().zip(&all) {
            assert_eq!((plain.label, plain.score), (one.label, one.score));
        }
    }
}
