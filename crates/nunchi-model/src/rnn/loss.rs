//! Losses, as functions of the logits.

use super::{HeadKind, Real};
use ndarray::Array2;

/// One example's class and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target<F: Real> {
    /// The class: 0 or 1 for a sigmoid, below the number of outputs for a softmax.
    pub class: usize,
    /// The factor of its loss.
    pub weight: F,
    /// With a sigmoid: the probability of class 1 that is wanted instead of the class itself (a teacher's prediction).
    pub soft: Option<F>,
}

impl HeadKind {
    /// The weighted **sum** of the examples' cross entropies (in nats) and its gradient, `[batch, outputs]`: binary
    /// cross entropy for a sigmoid, categorical for a softmax. `smoothing` is the share of a target's probability that
    /// is spread evenly over all classes (Szegedy et al. 2016).
    ///
    /// # Panics
    /// If there is not one target a row, or a class is out of range.
    pub fn loss<F: Real>(self, logits: &Array2<F>, targets: &[Target<F>], smoothing: f64) -> (F, Array2<F>) {
        assert_eq!(logits.nrows(), targets.len(), "one target a row");
        let mut gradient = Array2::zeros(logits.raw_dim());
        let mut total = F::zero();
        for ((target, row), mut slope) in targets.iter().zip(logits.rows()).zip(gradient.rows_mut()) {
            let probabilities = self.probabilities(row, F::one());
            match self {
                HeadKind::Sigmoid => {
                    assert!(target.class < 2, "a sigmoid has two classes");
                    let (logit, probability) = (row[0], probabilities[0]);
                    let hard = F::from_f64(target.class as f64);
                    let (keep, spread) = (F::from_f64(1.0 - smoothing), F::from_f64(smoothing / 2.0));
                    let want = target.soft.unwrap_or(hard) * keep + spread;
                    // max(x, 0) - x y + ln(1 + e^-|x|): no overflow on either side.
                    let loss = logit.max(F::zero()) - logit * want + (-logit.abs()).exp().ln_1p();
                    total += target.weight * loss;
                    slope[0] = target.weight * (probability - want);
                }
                HeadKind::Softmax => {
                    assert!(target.class < row.len(), "the class is one of the outputs");
                    let largest = row.fold(F::neg_infinity(), |max, &logit| max.max(logit));
                    let log_sum =
                        row.fold(F::zero(), |sum, &logit| sum + (logit - largest).exp()).ln() + largest;
                    let spread = smoothing / row.len() as f64;
                    for (class, &logit) in row.iter().enumerate() {
                        let own = if class == target.class { 1.0 - smoothing } else { 0.0 };
                        let want = F::from_f64(own + spread);
                        total += target.weight * want * (log_sum - logit);
                        slope[class] = target.weight * (probabilities[class] - want);
                    }
                }
            }
        }
        (total, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn text_book_values() {
        let one = |class| [Target { class, weight: 2.0_f64, soft: None }];
        let (loss, gradient) = HeadKind::Sigmoid.loss(&array![[0.0]], &one(1), 0.0);
        assert!((loss - 2.0 * 2.0_f64.ln()).abs() < 1e-12);
        assert!((gradient[[0, 0]] + 1.0).abs() < 1e-12);
        let (loss, gradient) = HeadKind::Softmax.loss(&array![[1.0, 1.0, 1.0]], &one(2), 0.0);
        assert!((loss - 2.0 * 3.0_f64.ln()).abs() < 1e-12);
        assert!((gradient[[0, 2]] + 4.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn huge_logits_stay_finite() {
        let target = |class| Target { class, weight: 1.0_f32, soft: None };
        let targets = [target(0), target(1)];
        let (loss, gradient) = HeadKind::Sigmoid.loss(&array![[1e4], [-1e4]], &targets, 0.0);
        assert!((loss - 2e4).abs() < 1.0 && gradient.iter().all(|value| value.is_finite()));
        let (loss, _) = HeadKind::Softmax.loss(&array![[1e4, 0.0], [0.0, 1e4]], &targets, 0.1);
        assert!(loss.is_finite());
    }
}
