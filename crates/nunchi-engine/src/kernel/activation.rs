//! The sigmoid and the hyperbolic tangent as a quotient of two polynomials.
//!
//! `tanh x ≈ P(x) / Q(x)` with `P(x) = x (p0 + p1 x² + p2 x⁴ + p3 x⁶)` and `Q(x) = q0 + q1 x² + q2 x⁴ + q3 x⁶` for
//! |x| ≤ 7, and the value at 7 beyond. The coefficients are the minimax fit on [0, 7] (Lawson's iteration on 4,000
//! Chebyshev points). **Error: at most 2e-6 for the tangent** (1.2e-6 by the fit, 1.7e-6 of it where the tangent is cut
//! off), **at most 1e-6 for the sigmoid** `½ + ½ tanh(x/2)`. |P| < Q always, so no gate leaves (-1, 1) or (0, 1).
//!
//! Numerator and denominator are handed out apart: a cell's update then needs one division where it would need three.

/// Arguments beyond this are cut off: `tanh 7 = 1 - 1.7e-6`.
pub(crate) const BOUND: f32 = 7.0;
/// Coefficients of P, from the lowest power.
pub(crate) const P: [f32; 4] = [0.999_995_7, 0.123_021_84, 0.002_276_99, 3.930_019e-6];
/// Coefficients of Q, from the lowest power.
pub(crate) const Q: [f32; 4] = [1.0, 0.456_340_3, 0.021_072_185, 0.000_142_350_98];

/// The hyperbolic tangent, within 2e-6.
#[inline]
pub(super) fn tanh(x: f32) -> f32 {
    let x = x.clamp(-BOUND, BOUND);
    let y = x * x;
    let p = x * (P[0] + y * (P[1] + y * (P[2] + y * P[3])));
    let q = Q[0] + y * (Q[1] + y * (Q[2] + y * Q[3]));
    p / q
}

/// The logistic function, within 1e-6.
#[inline]
pub(super) fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_error_bounds_hold() {
        let mut worst = (0.0f64, 0.0f64);
        for step in -1_200_000..=1_200_000 {
            let x = step as f32 * 1e-5;
            let tangent = (f64::from(tanh(x)) - f64::from(x).tanh()).abs();
            let logistic = (f64::from(sigmoid(x)) - 1.0 / (1.0 + (-f64::from(x)).exp())).abs();
            worst = (worst.0.max(tangent), worst.1.max(logistic));
        }
        assert!(worst.0 <= 2e-6, "tanh is off by {}", worst.0);
        assert!(worst.1 <= 1e-6, "sigmoid is off by {}", worst.1);
    }

    #[test]
    fn activations_stay_inside_their_range() {
        for x in [f32::MIN, -100.0, -7.1, -7.0, 7.0, 7.1, 100.0, f32::MAX] {
            assert!(tanh(x).abs() < 1.0 && (0.0..1.0).contains(&sigmoid(x)), "{x}");
        }
    }
}
