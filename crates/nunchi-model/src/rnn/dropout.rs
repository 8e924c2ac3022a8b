//! Dropout (Srivastava et al. 2014): in training some values are set to zero and the others scaled up.

use super::Real;
use ndarray::Array2;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Dropout rates, and the random generator of the masks.
#[derive(Clone, Debug)]
pub struct Dropout {
    inputs: f64,
    features: f64,
    random: ChaCha8Rng,
}

impl Dropout {
    /// Drops a share `inputs` of the embeddings' values and a share `features` of the values between layers and before
    /// the head; both in `0..1`. Equal seeds and streams drop the same.
    pub fn new(inputs: f64, features: f64, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Dropout { inputs, features, random }
    }

    pub(super) fn drop_inputs<F: Real>(&mut self, values: &mut Array2<F>) -> Option<Array2<F>> {
        self.drop(self.inputs, values)
    }

    pub(super) fn drop_features<F: Real>(&mut self, values: &mut Array2<F>) -> Option<Array2<F>> {
        self.drop(self.features, values)
    }

    /// Drops values and returns the factors; nothing if the rate is zero.
    fn drop<F: Real>(&mut self, rate: f64, values: &mut Array2<F>) -> Option<Array2<F>> {
        if rate <= 0.0 {
            return None;
        }
        // Sixteen random bits a value choose finely enough.
        let threshold = (rate * 65_536.0).round() as u16;
        let kept = F::from_f64(1.0 / (1.0 - f64::from(threshold) / 65_536.0));
        let mut bytes = vec![0_u8; values.len() * 2];
        self.random.fill_bytes(&mut bytes);
        let mut mask = Array2::zeros(values.raw_dim());
        for ((factor, value), pair) in mask.iter_mut().zip(values.iter_mut()).zip(bytes.chunks_exact(2)) {
            let keep = u16::from_le_bytes([pair[0], pair[1]]) >= threshold;
            *factor = if keep { kept } else { F::zero() };
            *value *= *factor;
        }
        Some(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masks_drop_the_share_and_keep_the_mean() {
        let mut values = Array2::<f64>::ones((500, 400));
        let mask = Dropout::new(0.3, 0.0, 1, 2).drop_inputs(&mut values).expect("a rate above zero");
        assert_eq!(mask, values);
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
        assert!((values.mean().unwrap() - 1.0).abs() < 0.01);
    }

    #[test]
    fn equal_seeds_drop_the_same() {
        let draw = |stream| {
            let mut values = Array2::<f32>::ones((10, 10));
            Dropout::new(0.0, 0.5, 1, stream).drop_features(&mut values);
            values
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
