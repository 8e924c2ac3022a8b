//! Dropout without masks: whether a value is dropped is computed from its place, in the forward pass and again in
//! the backward pass.

use pulp::{Arch, NullaryFnOnce};

/// Dropout masks of one pass: a share of the embeddings' values and a share of the values between layers and before the head
/// (Srivastava et al. 2014).
#[derive(Clone, Copy, Debug, Default)]
pub struct DropoutMasks {
    /// Share of the embeddings' values, in `0..1`.
    pub inputs: f32,
    /// Share of the values between layers and before the head.
    pub features: f32,
    /// The key of the masks; equal keys give equal masks.
    pub key: u64,
}

impl DropoutMasks {
    /// Drops values of place `place` (a layer's index): the same ones in every call.
    pub fn apply(&self, arch: Arch, place: u32, share: f32, values: &mut [f32]) {
        if share <= 0.0 {
            return;
        }
        let threshold = (f64::from(share) * 4_294_967_296.0) as u32;
        let factor = (1.0 / (1.0 - f64::from(share))) as f32;
        let (low, high) = (self.key as u32, (self.key >> 32) as u32);
        let key = mix(low ^ mix(high ^ mix(place.wrapping_add(0x9e37_79b9))));
        arch.dispatch(Apply { key, threshold, factor, values });
    }
}

// A closure would not be inlined for certain where the CPU's vectors are switched on.
struct Apply<'a> {
    key: u32,
    threshold: u32,
    factor: f32,
    values: &'a mut [f32],
}

impl NullaryFnOnce for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut index = 0_u32;
        for value in self.values {
            let keep = mix(index ^ self.key) >= self.threshold;
            *value = if keep { *value * self.factor } else { 0.0 };
            index = index.wrapping_add(1);
        }
    }
}

/// A bijection of 32-bit integers whose bits all depend on all bits ("lowbias32" of C. Wellons' hash prospector): good enough to
/// choose by, and vector instructions have all of it.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masks_drop_the_share_and_keep_the_mean() {
        let dropout = DropoutMasks { inputs: 0.3, features: 0.0, key: 7 };
        let mut values = vec![1.0_f32; 200_000];
        dropout.apply(Arch::new(), 0, dropout.inputs, &mut values);
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        assert!((dropped - 0.3).abs() < 0.005 && (mean - 1.0).abs() < 0.01, "{dropped} {mean}");
    }

    #[test]
    fn places_and_keys_choose() {
        let draw = |key, place| {
            let mut values = vec![1.0_f32; 300];
            DropoutMasks { inputs: 0.5, features: 0.5, key }.apply(Arch::new(), place, 0.5, &mut values);
            values
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(1 << 40, 0));
    }
}
