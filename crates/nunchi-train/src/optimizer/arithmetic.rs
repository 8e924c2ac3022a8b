//! What happens to slices of floats in a step: sums, squares, AdamW itself and the moving average, over the CPU's vectors.

use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

pub(super) const BETA1: f32 = 0.9;
pub(super) const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// What one step needs beside the gradients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) rate: f32,
    pub(super) correction1: f32,
    pub(super) correction2: f32,
    /// The gradients are multiplied by this (clipping).
    pub(super) scale: f32,
    /// Weights are multiplied by this first (decay).
    pub(super) keep: f32,
}

/// One step on some weights.
struct Apply<'a> {
    step: Step,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Apply { step, weights, gradient, first, second } = self;
        let (w, w_tail) = S::as_mut_simd_f32s(weights);
        let (g, g_tail) = S::as_simd_f32s(gradient);
        let (m, m_tail) = S::as_mut_simd_f32s(first);
        let (v, v_tail) = S::as_mut_simd_f32s(second);
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            (*w, *m, *v) = adam(s, step, *w, *g, *m, *v);
        }
        if !w_tail.is_empty() {
            let (w, m, v) = adam(
                s,
                step,
                s.partial_load_f32s(w_tail),
                s.partial_load_f32s(g_tail),
                s.partial_load_f32s(m_tail),
                s.partial_load_f32s(v_tail),
            );
            s.partial_store_f32s(w_tail, w);
            s.partial_store_f32s(m_tail, m);
            s.partial_store_f32s(v_tail, v);
        }
    }
}

/// One vector of weights, gradient, first and second moments; the new weights and moments.
// A closure would not be inlined where the CPU's vectors are switched on.
#[inline(always)]
fn adam<S: Simd>(
    s: S,
    step: Step,
    w: S::f32s,
    g: S::f32s,
    m: S::f32s,
    v: S::f32s,
) -> (S::f32s, S::f32s, S::f32s) {
    let g = s.mul_f32s(g, s.splat_f32s(step.scale));
    let m = s.mul_add_e_f32s(m, s.splat_f32s(BETA1), s.mul_f32s(g, s.splat_f32s(1.0 - BETA1)));
    let v = s.mul_add_e_f32s(v, s.splat_f32s(BETA2), s.mul_f32s(s.mul_f32s(g, g), s.splat_f32s(1.0 - BETA2)));
    let root = s.sqrt_f32s(s.mul_f32s(v, s.splat_f32s(step.correction2)));
    let below = s.add_f32s(root, s.splat_f32s(EPSILON));
    let by = s.div_f32s(s.mul_f32s(m, s.splat_f32s(step.rate * step.correction1)), below);
    (s.sub_f32s(s.mul_f32s(w, s.splat_f32s(step.keep)), by), m, v)
}

/// A piece of one tensor to be changed.
pub(super) struct Change<'a> {
    pub(super) step: Step,
    pub(super) weights: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    pub(super) first: &'a mut [f32],
    pub(super) second: &'a mut [f32],
    pub(super) average: Option<&'a mut [f32]>,
}

impl Change<'_> {
    pub(super) fn apply(&mut self, arch: Arch, blend: f32) {
        let Change { step, weights, gradient, first, second, average } = self;
        arch.dispatch(Apply { step: *step, weights, gradient, first, second });
        if let Some(average) = average {
            let weights = &**weights;
            arch.dispatch(Towards(average, weights, blend));
        }
    }
}

pub(super) fn add(arch: Arch, sum: &mut [f32], term: &[f32]) {
    arch.dispatch(AddTo(sum, term));
}

/// `sum += term`.
struct AddTo<'a>(&'a mut [f32], &'a [f32]);

impl NullaryFnOnce for AddTo<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, &term) in self.0.iter_mut().zip(self.1) {
            *sum += term;
        }
    }
}

struct Square<'a>(&'a [f32]);

impl NullaryFnOnce for Square<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        square_of(self.0)
    }
}

/// `mean += share (weight - mean)`.
pub(super) struct Towards<'a>(pub(super) &'a mut [f32], pub(super) &'a [f32], pub(super) f32);

impl NullaryFnOnce for Towards<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (mean, &weight) in self.0.iter_mut().zip(self.1) {
            *mean += self.2 * (weight - *mean);
        }
    }
}

/// The sum of squares, in a fixed order.
pub(super) fn square(arch: Arch, values: &[f32]) -> f64 {
    arch.dispatch(Square(values))
}

#[inline(always)]
fn square_of(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for part in values.chunks(4_096) {
        let mut lanes = [0.0_f32; 16];
        let (whole, rest) = part.as_chunks::<16>();
        for values in whole {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value * value;
            }
        }
        let mut sum = 0.0;
        for value in lanes {
            sum += f64::from(value);
        }
        for &value in rest {
            sum += f64::from(value) * f64::from(value);
        }
        total += sum;
    }
    total
}
