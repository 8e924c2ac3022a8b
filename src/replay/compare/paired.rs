//! Which of two models is right more often on the same comments: a paired comparison.
//!
//! Only comments on which exactly one is right say anything. If the models were equally good, each of these would be a
//! fair coin: the exact test of McNemar (Psychometrika 12, 1947) is the binomial one. The interval of the difference is
//! that of Agresti and Min (Statistics in Medicine 24, 2005): Wald's, with one half added to each of the four cells.

use serde::Serialize;

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Comments by who is right.
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
    /// Takes note of a comment.
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

    /// Second less first, and the 95 % interval of that difference.
    pub fn difference(&self) -> (f64, [f64; 2]) {
        let records = self.records().max(1) as f64;
        let difference = (self.only_second as f64 - self.only_first as f64) / records;
        let (first, second, all) =
            (self.only_first as f64 + 0.5, self.only_second as f64 + 0.5, records + 2.0);
        let middle = (second - first) / all;
        let variance = (first + second - (second - first).powi(2) / all) / all.powi(2);
        let width = Z * variance.max(0.0).sqrt();
        (difference, [(middle - width).max(-1.0), (middle + width).min(1.0)])
    }

    /// McNemar's exact test, two-sided: how probable a difference of at least this size is if there is none.
    pub fn p_value(&self) -> f64 {
        let (all, fewer) = (self.only_first + self.only_second, self.only_first.min(self.only_second));
        if all == 0 {
            return 1.0;
        }
        // The largest term of the tail, then its neighbours by their ratio, until they do not count any more.
        let largest = ln_factorial(all)
            - ln_factorial(fewer)
            - ln_factorial(all - fewer)
            - all as f64 * std::f64::consts::LN_2;
        let (mut sum, mut term) = (1.0, 1.0);
        for below in (1..=fewer).rev() {
            term *= below as f64 / (all - below + 1) as f64;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        (2.0 * largest.exp() * sum).min(1.0)
    }
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
    fn the_exact_test_is_the_binomial_one() {
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
    fn the_interval_holds_the_difference() {
        let paired = Paired { both: 800, only_first: 50, only_second: 90, neither: 60 };
        assert_eq!(paired.accuracies(), [0.85, 0.89]);
        let (difference, [low, high]) = paired.difference();
        assert!(near(difference, 0.04));
        // By hand: 40 / 1002 ± 1.96 · √(141 − 40² / 1002) / 1002.
        assert!(near(low, 0.016_825_225) && near(high, 0.063_015_094), "{low} {high}");
        let (_, [low, high]) = Paired::default().difference();
        assert!(low < 0.0 && high > 0.0, "nothing says nothing");
    }
}
