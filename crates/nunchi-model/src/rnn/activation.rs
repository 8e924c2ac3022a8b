//! Sigmoid and tanh over whole slices.
//!
//! In `f64` the standard library's functions. In `f32` an exponential written so that the compiler can use vector
//! instructions (no branches, no calls): a few units in the last place from the exact value, which the tests hold.

/// Elementwise functions that a cell needs, over slices.
pub trait Activate: Sized {
    /// Replaces every value by `1 / (1 + e^-x)`.
    fn sigmoid_all(values: &mut [Self]);
    /// Replaces every value by its hyperbolic tangent.
    fn tanh_all(values: &mut [Self]);
}

impl Activate for f64 {
    fn sigmoid_all(values: &mut [f64]) {
        for value in values {
            *value = 1.0 / (1.0 + (-*value).exp());
        }
    }

    fn tanh_all(values: &mut [f64]) {
        for value in values {
            *value = value.tanh();
        }
    }
}

impl Activate for f32 {
    fn sigmoid_all(values: &mut [f32]) {
        for value in values {
            *value = 1.0 / (1.0 + exp(-*value));
        }
    }

    fn tanh_all(values: &mut [f32]) {
        for value in values {
            *value = tanh(*value);
        }
    }
}

/// `e^x` for |x| ≤ 87, beyond that the value at the bound. Cody and Waite's reduction to |r| ≤ ln 2 / 2 with the
/// polynomial of Cephes' `expf`; the power of two is put into the exponent's bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer without a rounding instruction.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let power = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - power * LN2_HIGH - power * LN2_LOW;
    let mut p = 1.987_569_1e-4_f32;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    // SSE2 has the conversion to i32; the clamp above keeps it in range.
    let exponent = (power as i32 + 127) << 23;
    p * f32::from_bits(exponent as u32)
}

/// Near zero the odd polynomial of Cephes' `tanhf` (the formula with the exponential cancels there), else
/// `1 - 2 / (e^2|x| + 1)` with the sign of `x`. Both are computed and one is chosen, so that nothing branches.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let far = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    p = p * square + 2.063_908_8e-2;
    p = p * square - 5.373_971_5e-2;
    p = p * square + 1.333_144_2e-1;
    p = p * square - 3.333_328e-1;
    let near = p * square * magnitude + magnitude;
    let value = if magnitude < 0.625 { near } else { far };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_agrees_with_double_everywhere() {
        let mut worst = [0.0_f64; 2];
        for step in -200_000..=200_000 {
            let x = step as f32 * 1e-3 * 0.5;
            let (mut s, mut t) = ([x], [x]);
            f32::sigmoid_all(&mut s);
            f32::tanh_all(&mut t);
            let exact = f64::from(x);
            let sigmoid = 1.0 / (1.0 + (-exact).exp());
            worst[0] = worst[0].max((f64::from(s[0]) - sigmoid).abs() / sigmoid.max(1e-30));
            worst[1] = worst[1].max((f64::from(t[0]) - exact.tanh()).abs() / exact.tanh().abs().max(1e-30));
        }
        assert!(worst[0] < 5e-7 && worst[1] < 5e-7, "relative errors of sigmoid and tanh: {worst:?}");
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        let mut values = [f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 0.0];
        f32::tanh_all(&mut values);
        assert_eq!(values, [1.0, -1.0, 1.0, -1.0, 0.0]);
        let mut values = [f32::INFINITY, 0.0];
        f32::sigmoid_all(&mut values);
        assert_eq!(values, [1.0, 0.5]);
        let mut nan = [f32::NAN];
        f32::sigmoid_all(&mut nan);
        assert!(nan[0].is_nan());
    }
}
