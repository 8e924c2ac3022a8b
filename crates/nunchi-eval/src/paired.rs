//! Which of two models is right more often on the same comments: the paired test.
//!
//! Only comments on which exactly one model is right carry information. If the models were equally good, each of these
//! would be a fair coin: the exact test of McNemar (Psychometrika 12, 1947) is the binomial one. The interval of the
//! difference is that of Agresti and Min (Statistics in Medicine 24, 2005): Wald's, with one half added to each of the
//! four cells.

use crate::metrics::Outcome;
use serde::Serialize;

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Comments by which of two models is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Paired {
    /// Both are.
    pub both: u64,
    /// Only the first model.
    pub only_first: u64,
    /// Only the second model.
    pub only_second: u64,
    /// Neither.
    pub neither: u64,
}

impl Paired {
    /// Compares outcomes of the same comments, in the same order.
    pub fn of(first: &[Outcome], second: &[Outcome]) -> Self {
        let mut paired = Paired::default();
        for (first, second) in first.iter().zip(second) {
            paired.add(first.is_right(), second.is_right());
        }
        paired
    }

    /// Counts one comment.
    pub fn add(&mut self, first: bool, second: bool) {
        let cell = match (first, second) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.only_first,
            (false, true) => &mut self.only_second,
            (false, false) => &mut self.neither,
        };
        *cell += 1;
    }

    /// All comments.
    pub fn records(&self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// The share of comments on which the first, and on which the second model is right.
    pub fn accuracies(&self) -> [f64; 2] {
        let records = self.records().max(1) as f64;
        [(self.both + self.only_first) as f64 / records, (self.both + self.only_second) as f64 / records]
    }

    /// The second model's accuracy minus the first one's.
    pub fn gain(&self) -> f64 {
        (self.only_second as f64 - self.only_first as f64) / self.records().max(1) as f64
    }

    /// The 95 % interval of [`Paired::gain`].
    pub fn gain_interval(&self) -> [f64; 2] {
        let all = self.records().max(1) as f64 + 2.0;
        let (first, second) = (self.only_first as f64 + 0.5, self.only_second as f64 + 0.5);
        let middle = (second - first) / all;
        let variance = (first + second - (second - first).powi(2) / all) / all.powi(2);
        let width = Z * variance.max(0.0).sqrt();
        [(middle - width).max(-1.0), (middle + width).min(1.0)]
    }

    /// McNemar's exact test, two-sided: how probable a difference of at least this size is between equal models.
    pub fn p_value(&self) -> f64 {
        let fewer = self.only_first.min(self.only_second);
        (2.0 * at_most(fewer, self.discordant())).min(1.0)
    }

    /// The one-sided test: how probable a loss of at least this size is if the second model is as good as the first.
    pub fn p_value_of_loss(&self) -> f64 {
        at_least(self.only_first, self.discordant())
    }

    /// The one-sided test: how probable a gain of at least this size is if the second model is as good as the first.
    pub fn p_value_of_gain(&self) -> f64 {
        at_least(self.only_second, self.discordant())
    }

    /// Comments on which exactly one model is right.
    fn discordant(&self) -> u64 {
        self.only_first + self.only_second
    }
}

/// The probability that of `tosses` of a fair coin at least `heads` are heads.
fn at_least(heads: u64, tosses: u64) -> f64 {
    at_most(tosses - heads, tosses)
}

/// The probability that of `tosses` of a fair coin at most `heads` are heads.
fn at_most(heads: u64, tosses: u64) -> f64 {
    if heads == tosses {
        return 1.0;
    }
    // From here on the sum begins at its largest term: more than half is what the other, smaller tail leaves.
    if heads > tosses / 2 {
        return 1.0 - at_most(tosses - heads - 1, tosses);
    }
    // In logarithms: factorials of thousands fit into no float.
    let largest = ln_factorial(tosses)
        - ln_factorial(heads)
        - ln_factorial(tosses - heads)
        - tosses as f64 * std::f64::consts::LN_2;
    // The largest term of the tail, then its neighbors by their ratio, until they add nothing.
    let (mut sum, mut term) = (1.0, 1.0);
    for below in (1..=heads).rev() {
        term *= below as f64 / (tosses - below + 1) as f64;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    (largest.exp() * sum).min(1.0)
}

/// ln n!: the sum for small n, Stirling's series for others (error below 1e-10).
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|k| (k as f64).ln()).sum();
    }
    let n = n as f64;
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n)
        - 1.0 / (360.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(only_first: u64, only_second: u64) -> Paired {
        Paired { both: 80, only_first, only_second, neither: 5 }
    }

    fn near(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-6 * want.abs().max(1e-3)
    }

    #[test]
    fn the_two_sided_test_is_the_binomial_one() {
        assert_eq!(paired(0, 0).p_value(), 1.0);
        assert_eq!(paired(7, 7).p_value(), 1.0);
        // 2 · (1 + 5) / 2^5 and 2 · (1 + 15 + 105) / 2^15.
        assert!(near(paired(1, 4).p_value(), 12.0 / 32.0));
        assert!(near(paired(2, 13).p_value(), 242.0 / 32_768.0));
        assert!(near(paired(13, 2).p_value(), 242.0 / 32_768.0), "it has two sides");
        // 2 · P(X ≤ 40), X binomial of 100 and one half: 0.05688793364.
        assert!(near(paired(40, 60).p_value(), 0.056_887_933_64), "{}", paired(40, 60).p_value());
        // Large numbers come near the normal distribution: z = 2 gives 0.0455, with correction 0.0457.
        let large = paired(999_000, 1_001_828).p_value();
        assert!((0.0455..0.0460).contains(&large), "{large}");
    }

    #[test]
    fn the_one_sided_tests_are_exact() {
        // Of 10 tosses at least 9 heads: (10 + 1) / 1024.
        assert!(near(paired(9, 1).p_value_of_loss(), 11.0 / 1_024.0));
        assert!(near(paired(1, 9).p_value_of_gain(), 11.0 / 1_024.0));
        assert!(near(paired(1, 9).p_value_of_loss(), 1_023.0 / 1_024.0));
        assert_eq!(paired(0, 10).p_value_of_loss(), 1.0);
        assert_eq!(paired(0, 0).p_value_of_loss(), 1.0);
        assert!(near(paired(1, 1).p_value_of_loss(), 0.75));
        // Large numbers neither overflow nor vanish: 5,000 of 10,000 is about one half.
        assert!((paired(5_000, 5_000).p_value_of_loss() - 0.504).abs() < 1e-3);
        let rare = paired(6_000, 4_000).p_value_of_loss();
        assert!(0.0 < rare && rare < 1e-80, "{rare}");
    }

    #[test]
    fn tails_add_up_to_one() {
        for tosses in [1, 2, 7, 31, 32, 33, 100, 1_001] {
            for heads in 0..tosses {
                let sum = at_most(heads, tosses) + at_least(heads + 1, tosses);
                assert!((sum - 1.0).abs() < 1e-9, "{heads} of {tosses}: {sum}");
            }
        }
    }

    #[test]
    fn the_interval_contains_the_gain() {
        let paired = Paired { both: 800, only_first: 50, only_second: 90, neither: 60 };
        assert_eq!(paired.accuracies(), [0.85, 0.89]);
        assert!(near(paired.gain(), 0.04));
        let [low, high] = paired.gain_interval();
        // By hand: 40 / 1002 ± 1.96 · √(141 − 40² / 1002) / 1002.
        assert!(near(low, 0.016_825_225) && near(high, 0.063_015_094), "{low} {high}");
        let [low, high] = Paired::default().gain_interval();
        assert!(low < 0.0 && high > 0.0, "no comments give no direction");
    }

    #[test]
    fn outcomes_are_paired_comment_by_comment() {
        let outcomes = |scores: [f64; 4]| -> Vec<Outcome> {
            scores.iter().zip([1, 1, 0, 0]).map(|(&score, class)| Outcome::of_two(class, score)).collect()
        };
        let paired = Paired::of(&outcomes([0.9, 0.1, 0.2, 0.8]), &outcomes([0.9, 0.9, 0.8, 0.7]));
        assert_eq!(paired, Paired { both: 1, only_first: 1, only_second: 1, neither: 1 });
        assert!(paired.gain().abs() < 1e-12);
    }
}
