//! Scores as they are written, and the label that follows from them.

/// A probability as it is written: millionths, so that the label can follow from what a reader sees. The one rule from a
/// score to a label is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrittenScore(u32);

impl WrittenScore {
    const ONE: u32 = 1_000_000;

    /// `probability` rounded to six decimals, within 0 and 1. It must be a number: classifying fails where it is none
    /// ([`crate::EngineError::NotANumber`]).
    pub fn new(probability: f32) -> Self {
        debug_assert!(!probability.is_nan(), "a score that is not a number is an error before it is written");
        // A float's cast saturates.
        let millionths = (f64::from(probability) * f64::from(Self::ONE)).round() as u32;
        WrittenScore(millionths.min(Self::ONE))
    }

    /// Whether the label is `positive`: the score is at least one half.
    pub fn is_positive(self) -> bool {
        self.0 >= Self::ONE / 2
    }

    /// Index of the label among two: `negative`, `positive`.
    pub fn label(self) -> usize {
        usize::from(self.is_positive())
    }

    /// The probability of the other one of two classes.
    #[must_use]
    pub fn complement(self) -> Self {
        WrittenScore(Self::ONE - self.0)
    }

    /// The number that stands in the verdict.
    pub fn value(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }

    /// Appends the score as JSON: always six decimals.
    pub fn write(self, out: &mut Vec<u8>) {
        let mut digits = *b"0.000000";
        let mut rest = self.0;
        for digit in digits[2..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        digits[0] = b'0' + rest as u8;
        out.extend_from_slice(&digits);
    }
}
