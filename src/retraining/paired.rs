//! Two models on the same comments: who is right where the other one is wrong.

use nunchi_eval::metrics::Outcome;
use serde::Serialize;

/// Comments of a set by who is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Paired {
    /// Both are right.
    pub both: usize,
    /// Only the current model is.
    pub current_only: usize,
    /// Only the candidate is.
    pub candidate_only: usize,
    /// Neither is.
    pub neither: usize,
}

impl Paired {
    /// Compares outcomes of the same comments.
    pub fn of(current: &[Outcome], candidate: &[Outcome]) -> Self {
        let mut paired = Paired::default();
        for (current, candidate) in current.iter().zip(candidate) {
            match (current.chosen() == current.class, candidate.chosen() == candidate.class) {
                (true, true) => paired.both += 1,
                (true, false) => paired.current_only += 1,
                (false, true) => paired.candidate_only += 1,
                (false, false) => paired.neither += 1,
            }
        }
        paired
    }

    /// How probable a loss like this one, or a greater one, would be if both models were equally good: the exact one-sided
    /// sign test on the comments that only one of them judges right (McNemar 1947).
    pub fn chance_of_loss(&self) -> f64 {
        at_least(self.current_only, self.current_only + self.candidate_only)
    }

    /// How probable a gain like this one, or a greater one, would be.
    pub fn chance_of_gain(&self) -> f64 {
        at_least(self.candidate_only, self.current_only + self.candidate_only)
    }

    /// How many there are.
    pub fn comments(&self) -> usize {
        self.both + self.current_only + self.candidate_only + self.neither
    }

    /// The candidate's accuracy minus the current model's.
    pub fn gain(&self) -> f64 {
        (self.candidate_only as f64 - self.current_only as f64) / self.comments().max(1) as f64
    }
}

/// The probability that of `tosses` of a fair coin at least `heads` are heads.
fn at_least(heads: usize, tosses: usize) -> f64 {
    // In logarithms: a factorial of thousands fits into no float.
    let mut logarithm = -(tosses as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for count in 0..=tosses {
        if count >= heads {
            sum += logarithm.exp();
        }
        logarithm += ((tosses - count) as f64).ln() - ((count + 1) as f64).ln();
    }
    f64::min(sum, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_is_exact() {
        // Of 10 tosses at least 9 heads: (10 + 1) / 1024.
        assert!((at_least(9, 10) - 11.0 / 1024.0).abs() < 1e-12);
        assert!((at_least(0, 10) - 1.0).abs() < 1e-12);
        assert!((at_least(0, 0) - 1.0).abs() < 1e-12);
        // Large numbers neither overflow nor vanish: 5,000 of 10,000 is about one half.
        assert!((at_least(5_000, 10_000) - 0.504).abs() < 1e-3);
        assert!(at_least(6_000, 10_000) < 1e-80);
    }

    #[test]
    fn who_is_right_is_counted_by_comment() {
        let outcomes = |scores: [f64; 4]| -> Vec<Outcome> {
            scores.iter().zip([1, 1, 0, 0]).map(|(&score, class)| Outcome::of_two(class, score)).collect()
        };
        let paired = Paired::of(&outcomes([0.9, 0.1, 0.2, 0.8]), &outcomes([0.9, 0.9, 0.8, 0.7]));
        assert_eq!(paired, Paired { both: 1, current_only: 1, candidate_only: 1, neither: 1 });
        assert!((paired.gain()).abs() < 1e-12 && (paired.chance_of_loss() - 0.75).abs() < 1e-12);
    }
}
