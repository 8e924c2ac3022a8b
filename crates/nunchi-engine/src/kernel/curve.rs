//! A smooth step (the sigmoid, the hyperbolic tangent) as a parabola on each of 31 intervals, looked up in registers.
//!
//! The intervals are equally wide and symmetric about zero; beyond the outermost ones the value at their end holds. An
//! interval's parabola passes through the function at its three Chebyshev nodes. Looking up needs no division and a third
//! fewer instructions than the quotients of [`super::activation`]; the price is precision, which fits 16-bit products:
//! **error at most 1.5e-4 for the sigmoid, 3e-4 for the tangent.**

/// Entries of a lookup: as many as two vectors of 16 hold.
pub(super) const ENTRIES: usize = 32;
/// The middle interval's entry.
const MIDDLE: f32 = 16.0;
/// Added to a small number, this leaves the nearest integer, plus [`MIDDLE`], in the lowest bits.
const ROUND: f32 = 12_582_912.0 + MIDDLE;
/// Half of 31 intervals, a little less: the outermost arguments still round to the outermost intervals.
const HALF: f32 = 15.499;

/// A function by its parabolas.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Arguments are cut off at ± this.
    pub reach: f32,
    /// Intervals in an argument of 1.
    pub per_unit: f32,
    /// What to add to `x * per_unit` to find the entry of `x` in the lowest five bits.
    pub round: f32,
    /// `[c0, c1, c2]` by entry: `f(x) ≈ c0 + c1 x + c2 x²`. Entry 0 is not used.
    pub coefficients: [[f32; ENTRIES]; 3],
}

impl Curve {
    /// The logistic function, cut off at ±9.
    pub(super) fn sigmoid() -> Self {
        Self::fit(9.0, |x| 1.0 / (1.0 + (-x).exp()))
    }

    /// The hyperbolic tangent, cut off at ±4.5.
    pub(super) fn tanh() -> Self {
        Self::fit(4.5, f64::tanh)
    }

    fn fit(reach: f64, function: impl Fn(f64) -> f64) -> Self {
        let per_unit = f64::from(HALF) / reach;
        let parabola = |entry: usize| {
            let center = (entry as f64 - f64::from(MIDDLE)) / per_unit;
            // The outer Chebyshev nodes of three, from the center.
            let node = 3f64.sqrt() / 2.0 * 0.5 / per_unit;
            let [before, at, after] = [center - node, center, center + node].map(&function);
            let slope = (after - before) / (2.0 * node);
            let bend = (after - 2.0 * at + before) / (2.0 * node * node);
            [at - slope * center + bend * center * center, slope - 2.0 * bend * center, bend]
        };
        let coefficients = std::array::from_fn(|power| {
            std::array::from_fn(|entry| if entry == 0 { 0.0 } else { parabola(entry)[power] as f32 })
        });
        Curve { reach: reach as f32, per_unit: per_unit as f32, round: ROUND, coefficients }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernels compute, one number at a time.
    fn value(curve: &Curve, x: f32) -> f32 {
        let x = x.clamp(-curve.reach, curve.reach);
        let entry = (x.mul_add(curve.per_unit, curve.round).to_bits() & 31) as usize;
        assert_ne!(entry, 0, "{x}");
        let [c0, c1, c2] = curve.coefficients.map(|coefficients| coefficients[entry]);
        c2.mul_add(x, c1).mul_add(x, c0)
    }

    #[test]
    fn the_stated_error_bounds_hold() {
        let (sigmoid, tangent) = (Curve::sigmoid(), Curve::tanh());
        let mut worst = (0.0f64, 0.0f64);
        for step in -1_200_000..=1_200_000 {
            let x = step as f32 * 1e-5;
            let exact = f64::from(x);
            let logistic = 1.0 / (1.0 + (-exact).exp());
            worst.0 = worst.0.max((f64::from(value(&sigmoid, x)) - logistic).abs());
            worst.1 = worst.1.max((f64::from(value(&tangent, x)) - exact.tanh()).abs());
        }
        assert!(worst.0 <= 1.5e-4, "sigmoid is off by {}", worst.0);
        assert!(worst.1 <= 3e-4, "tanh is off by {}", worst.1);
    }

    #[test]
    fn values_stay_inside_their_range_and_zero_is_kept() {
        for x in [f32::MIN, -100.0, -9.0, -4.5, 4.5, 9.0, 100.0, f32::MAX] {
            assert!(value(&Curve::tanh(), x).abs() < 1.0, "{x}");
            assert!((0.0..1.0).contains(&value(&Curve::sigmoid(), x)), "{x}");
        }
        assert_eq!(value(&Curve::tanh(), 0.0), 0.0);
        assert_eq!(value(&Curve::sigmoid(), 0.0), 0.5);
    }
}
