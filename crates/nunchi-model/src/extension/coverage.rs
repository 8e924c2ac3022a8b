//! How many verdicts are right at which confidence, by class.

use super::{check_comments, check_names};
use serde::{Deserialize, Serialize};

/// Most points of a class.
const MAX_POINTS: usize = 1_000;

/// Risk against coverage, measured on development data: from it follow the thresholds for a precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The names of the files that it was measured on.
    pub data: Vec<String>,
    /// All comments of them.
    pub comments: u64,
    /// Those that hold no opinion by the model's opinion output: they are in no class below.
    pub no_opinion: u64,
    /// By class, in the order of the labels.
    pub classes: Vec<ClassCoverage>,
}

/// The verdicts of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCoverage {
    /// The class.
    pub label: String,
    /// From the highest confidence down.
    pub points: Vec<CoveragePoint>,
}

/// The verdicts of a class with at least some confidence. In JSON `[confidence, answered, right]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, u64, u64)", into = "(f64, u64, u64)")]
pub struct CoveragePoint {
    /// The probability of the class, as a verdict states it (six decimals).
    pub confidence: f64,
    /// Verdicts of the class with at least this confidence.
    pub answered: u64,
    /// How many of them are right.
    pub right: u64,
}

impl From<(f64, u64, u64)> for CoveragePoint {
    fn from((confidence, answered, right): (f64, u64, u64)) -> Self {
        CoveragePoint { confidence, answered, right }
    }
}

impl From<CoveragePoint> for (f64, u64, u64) {
    fn from(point: CoveragePoint) -> Self {
        (point.confidence, point.answered, point.right)
    }
}

/// From which confidence on the verdicts of a class have a precision, and how many these are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The least confidence of a verdict that counts; `None` if no confidence suffices: none counts.
    pub confidence: Option<f64>,
    /// How many verdicts of the development data count.
    pub answered: u64,
    /// How many of them are right.
    pub right: u64,
}

impl Coverage {
    /// For each class the least confidence from which on at least the share `precision` of the development data's verdicts is
    /// right: the classes differ, because a network errs to one side.
    pub fn thresholds(&self, precision: f64) -> Vec<Threshold> {
        let of = |class: &ClassCoverage| {
            let reached = |point: &&CoveragePoint| point.right as f64 >= precision * point.answered as f64;
            match class.points.iter().rev().find(reached) {
                Some(&CoveragePoint { confidence, answered, right }) => {
                    Threshold { confidence: Some(confidence), answered, right }
                }
                None => Threshold { confidence: None, answered: 0, right: 0 },
            }
        };
        self.classes.iter().map(of).collect()
    }

    /// The share of the development data's comments whose verdict does not count with `thresholds`.
    pub fn unsure(&self, thresholds: &[Threshold]) -> f64 {
        let answered: u64 = thresholds.iter().map(|threshold| threshold.answered).sum();
        1.0 - answered as f64 / self.comments.max(1) as f64
    }

    /// What must hold of a table for a model with these labels.
    pub(super) fn check(&self, labels: &[String]) -> Result<(), String> {
        check_names(&self.data)?;
        check_comments(self.comments)?;
        let same = self.classes.iter().map(|class| &class.label).eq(labels);
        if !same {
            return Err("its classes are not the model's labels in their order".to_owned());
        }
        let mut verdicts = self.no_opinion;
        for class in &self.classes {
            let answered = class
                .check()
                .map_err(|what| format!("{}: {what}", nunchi_text::excerpt(&class.label, 40)))?;
            verdicts = verdicts.saturating_add(answered);
        }
        if self.comments == 0 || verdicts > self.comments {
            let comments = self.comments;
            return Err(format!("it counts {verdicts} verdicts of {comments} comments"));
        }
        Ok(())
    }
}

impl ClassCoverage {
    /// Checks the points; returns how many verdicts the class has.
    fn check(&self) -> Result<u64, String> {
        if self.points.len() > MAX_POINTS {
            return Err(format!("{} points; at most {MAX_POINTS} may be", self.points.len()));
        }
        let mut before = CoveragePoint { confidence: f64::INFINITY, answered: 0, right: 0 };
        for (number, point) in (1..).zip(&self.points) {
            // Written so that a confidence that is not a number fails.
            let falls = (0.0..=1.0).contains(&point.confidence) && point.confidence < before.confidence;
            if !falls {
                return Err(format!("point {number}: confidences must fall, from at most 1 to at least 0"));
            }
            let more = point.answered.checked_sub(before.answered).filter(|&more| more > 0);
            let right = point.right.checked_sub(before.right);
            if !matches!((more, right), (Some(more), Some(right)) if right <= more) {
                return Err(format!("point {number}: counts must grow, those of right verdicts by no more"));
            }
            before = *point;
        }
        Ok(before.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["negative", "positive"].map(str::to_owned).to_vec()
    }

    fn coverage(negative: &[(f64, u64, u64)], positive: &[(f64, u64, u64)]) -> Coverage {
        let class = |label: &str, points: &[(f64, u64, u64)]| ClassCoverage {
            label: label.to_owned(),
            points: points.iter().map(|&point| point.into()).collect(),
        };
        Coverage {
            data: vec!["dev.tsv".to_owned()],
            comments: 400,
            no_opinion: 10,
            classes: vec![class("negative", negative), class("positive", positive)],
        }
    }

    #[test]
    fn each_class_has_the_threshold_of_its_own_errors() {
        let table = coverage(
            &[(0.99, 50, 50), (0.9, 100, 97), (0.8, 150, 146), (0.5, 190, 170)],
            &[(0.99, 50, 49), (0.9, 100, 96), (0.5, 200, 150)],
        );
        assert_eq!(table.check(&labels()), Ok(()));
        let found = table.thresholds(0.97);
        // 97 of 100 are enough, and of 150 again: the lowest confidence counts.
        assert_eq!(found[0], Threshold { confidence: Some(0.8), answered: 150, right: 146 });
        assert_eq!(found[1], Threshold { confidence: Some(0.99), answered: 50, right: 49 });
        assert!((table.unsure(&found) - 0.5).abs() < 1e-12);
        let none = table.thresholds(0.999);
        assert_eq!((none[0].confidence, none[1].confidence), (Some(0.99), None));
        assert!((table.unsure(&none) - 0.875).abs() < 1e-12);
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let good = [(0.9, 10, 9), (0.6, 20, 15)];
        for (points, want) in [
            (&[(0.6, 10, 9), (0.9, 20, 15)][..], "confidences must fall"),
            (&[(0.9, 10, 9), (0.9, 20, 15)], "confidences must fall"),
            (&[(f64::NAN, 10, 9)], "confidences must fall"),
            (&[(1.5, 10, 9)], "confidences must fall"),
            (&[(-0.1, 10, 9)], "confidences must fall"),
            (&[(0.9, 10, 11)], "counts must grow"),
            (&[(0.9, 10, 9), (0.6, 9, 9)], "counts must grow"),
            (&[(0.9, 10, 9), (0.6, 12, 12)], "counts must grow"),
            (&[(0.9, 10, 9), (0.6, 20, 8)], "counts must grow"),
            (&[(0.9, 0, 0)], "counts must grow"),
            (&[(0.9, 500, 9)], "verdicts of 400 comments"),
            (&[(0.9, u64::MAX, 9)], "verdicts of 400 comments"),
        ] {
            let said = coverage(points, &good).check(&labels()).expect_err("it is refused");
            assert!(said.contains(want), "{points:?}: {said}");
        }
        let many: Vec<_> =
            (0..1_001).map(|n: u32| (0.9 - f64::from(n) * 1e-5, u64::from(n) + 1, 1)).collect();
        assert!(coverage(&many, &good).check(&labels()).is_err_and(|said| said.contains("1001 points")));
        let turned = Coverage {
            classes: coverage(&good, &good).classes.into_iter().rev().collect(),
            ..coverage(&good, &good)
        };
        assert!(turned.check(&labels()).is_err_and(|said| said.contains("the model's labels")));
        assert_eq!(coverage(&good, &[]).check(&labels()), Ok(()), "a class may never have been given");
    }
}
