//! Scores of models on pairs.

use super::{Pair, PairsError, Side};
use crate::evaluation::ModelUnderTest;
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Engine, EngineError};
use serde::Serialize;

/// A model's scores of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairScores {
    /// Score of `a`, as a verdict would state it.
    pub a: f64,
    /// Score of `b`.
    pub b: f64,
    /// Whether `a` < `b` and each hard label holds.
    pub right: bool,
}

/// How many pairs, and how many of them are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub pairs: usize,
    /// Right ones.
    pub right: usize,
}

impl Tally {
    fn add(&mut self, scores: &PairScores) {
        self.pairs += 1;
        self.right += usize::from(scores.right);
    }

    /// The share of right ones, 0 to 1.
    pub fn accuracy(self) -> f64 {
        self.right as f64 / self.pairs.max(1) as f64
    }
}

/// Scores each pair, in their order; the first comment must be the worse one.
///
/// # Errors
/// A model that does not have two classes, or that cannot classify a comment.
pub fn score(tested: &mut ModelUnderTest, pairs: &[Pair]) -> Result<Vec<PairScores>, PairsError> {
    let model = tested.model();
    if model.labels.len() != 2 {
        return Err(PairsError::Classes { name: model.name.clone(), classes: model.labels.len() });
    }
    let texts = texts(pairs);
    let mut outcomes = Vec::with_capacity(texts.len());
    tested.classify(&texts, &vec![0; texts.len()], &mut outcomes)?;
    let scores: Vec<WrittenScore> =
        outcomes.iter().map(|outcome| WrittenScore::new(outcome.probabilities[1] as f32)).collect();
    Ok(pairs.iter().zip(scores.chunks_exact(2)).map(|(pair, scores)| rate(pair, scores)).collect())
}

fn texts(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().flat_map(|pair| [pair.a.text.as_str(), &pair.b.text]).collect()
}

fn rate(pair: &Pair, scores: &[WrittenScore]) -> PairScores {
    let (a, b) = (scores[0], scores[1]);
    let holds = |side: &Side, score: WrittenScore| side.class.is_none_or(|class| class == score.label());
    PairScores { a: a.value(), b: b.value(), right: a < b && holds(&pair.a, a) && holds(&pair.b, b) }
}

/// The tally of each category in the order in which they first occur.
pub fn by_category<'a>(pairs: &'a [Pair], scores: &[PairScores]) -> Vec<(&'a str, Tally)> {
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    for (pair, scores) in pairs.iter().zip(scores) {
        let known = tallies.iter().position(|(category, _)| *category == pair.category);
        let index = known.unwrap_or_else(|| {
            tallies.push((&pair.category, Tally::default()));
            tallies.len() - 1
        });
        tallies[index].1.add(scores);
    }
    tallies
}

/// The tally of all pairs.
pub fn total(scores: &[PairScores]) -> Tally {
    let mut tally = Tally::default();
    scores.iter().for_each(|scores| tally.add(scores));
    tally
}

/// Two models on the pairs of one category.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComparedTally {
    /// The category.
    pub category: String,
    /// Pairs with a label on both sides.
    pub labelled: usize,
    /// Those of them whose both labels each model gets right.
    pub right: [usize; 2],
    /// Pairs without labels on both sides.
    pub unlabelled: usize,
    /// Those of them to whose two comments each model gives different labels.
    pub told_apart: [usize; 2],
}

/// Classifies `pairs` with both models; one tally a category, in the order in which they first occur.
///
/// # Errors
/// A model that cannot classify a comment.
pub fn compare(engines: [&mut Engine; 2], pairs: &[Pair]) -> Result<Vec<ComparedTally>, EngineError> {
    let texts = texts(pairs);
    let [first, second] = engines.map(|engine| -> Result<Vec<usize>, EngineError> {
        Ok(engine.classify(&texts)?.iter().map(|prediction| prediction.label).collect())
    });
    let labels = [first?, second?];
    let mut tallies: Vec<ComparedTally> = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let known = tallies.iter().position(|tally| tally.category == pair.category);
        let known = known.unwrap_or_else(|| {
            tallies.push(ComparedTally { category: pair.category.clone(), ..ComparedTally::default() });
            tallies.len() - 1
        });
        tallies[known]
            .add(pair, [0, 1].map(|model: usize| [0, 1].map(|side| labels[model][2 * index + side])));
    }
    Ok(tallies)
}

impl ComparedTally {
    /// Counts a pair; `labels` are each model's labels of both comments.
    fn add(&mut self, pair: &Pair, labels: [[usize; 2]; 2]) {
        if let (Some(a), Some(b)) = (pair.a.class, pair.b.class) {
            self.labelled += 1;
            for (right, labels) in self.right.iter_mut().zip(labels) {
                *right += usize::from(labels == [a, b]);
            }
        } else {
            self.unlabelled += 1;
            for (apart, labels) in self.told_apart.iter_mut().zip(labels) {
                *apart += usize::from(labels[0] != labels[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(category: &str, classes: [Option<usize>; 2]) -> Pair {
        let side = |class| Side { text: "text".to_owned(), class };
        Pair { category: category.to_owned(), a: side(classes[0]), b: side(classes[1]) }
    }

    #[test]
    fn a_pair_is_right_when_the_order_and_each_hard_label_hold() {
        let right = |classes: [Option<usize>; 2], scores: [f32; 2]| {
            rate(&pair("", classes), &scores.map(WrittenScore::new)).right
        };
        let hard = [Some(0), Some(1)];
        assert!(right(hard, [0.499_999, 0.5]));
        assert!(!right(hard, [0.5, 0.9]), "a is not negative");
        assert!(!right(hard, [0.1, 0.4]), "b is not positive");
        assert!(right([None, None], [0.1, 0.4]));
        assert!(!right([None, None], [0.4, 0.4]), "equal scores order nothing");
        assert!(!right([None, Some(1)], [0.8, 0.7]));
    }

    #[test]
    fn categories_are_counted_in_the_order_in_which_they_occur() {
        let pairs = ["z", "a", "z"].map(|category| pair(category, [None, None]));
        let scores = [true, false, false].map(|right| PairScores { a: 0.0, b: 0.0, right });
        let tally = |pairs, right| Tally { pairs, right };
        assert_eq!(by_category(&pairs, &scores), [("z", tally(2, 1)), ("a", tally(1, 0))]);
        assert_eq!(total(&scores), tally(3, 1));
        assert!((total(&scores).accuracy() - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn two_models_are_compared_by_labels_or_by_telling_apart() {
        let mut tally = ComparedTally::default();
        tally.add(&pair("", [Some(1), Some(0)]), [[1, 0], [1, 1]]);
        tally.add(&pair("", [Some(1), None]), [[1, 1], [0, 1]]);
        assert_eq!((tally.labelled, tally.right), (1, [1, 0]));
        assert_eq!((tally.unlabelled, tally.told_apart), (1, [0, 1]));
    }
}
