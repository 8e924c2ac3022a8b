//! The gates of one time step, forward and back, over vectors of the CPU's own width.
//!
//! The mathematics is that of [`nunchi_model::rnn`]; sigmoid and tangent are the quotients of [`crate`]'s kernels (within
//! 2e-6). `pulp` chooses the width at start; a tail narrower than a vector is loaded and stored in part.

use crate::kernel::{BOUND, P, Q};
use nunchi_model::rnn::Cell;
use pulp::{Simd, WithSimd};

/// One time step of some rows, on the way forward. Rows from `continued` on begin here: their state before is zero.
pub(super) struct Forward<'a> {
    pub cell: Cell,
    pub hidden: usize,
    pub continued: usize,
    /// The input's part with its bias comes in, the gates go out, `[rows, gates * hidden]`.
    pub gates: &'a mut [f32],
    /// The state's part with its bias, `[continued, gates * hidden]`; of rows that begin here it is the bias.
    pub sums: &'a [f32],
    /// `[gates * hidden]`
    pub bias: &'a [f32],
    /// States before, `[continued, hidden]`.
    pub before: &'a [f32],
    /// An LSTM's cells before, `[continued, hidden]`.
    pub cells_before: &'a [f32],
    /// States after, `[rows, hidden]`.
    pub states: &'a mut [f32],
    /// A GRU's recurrent part of `n`, an LSTM's cells, `[rows, hidden]`.
    pub extra: &'a mut [f32],
}

/// One time step of some rows, in the backward pass.
pub(super) struct Backward<'a> {
    pub cell: Cell,
    pub hidden: usize,
    pub continued: usize,
    /// The gates come in, the gradients of what they were computed from go out, `[rows, gates * hidden]`.
    pub gates: &'a mut [f32],
    /// As [`Forward::extra`]; of a GRU the gradient of `n`'s recurrent part goes out.
    pub extra: &'a mut [f32],
    /// For a GRU: the gradients of the recurrent side, `[rows, gates * hidden]`.
    pub recurrent: &'a mut [f32],
    /// `[rows, hidden]`
    pub states: &'a [f32],
    pub before: &'a [f32],
    pub cells_before: &'a [f32],
    /// The gradient that reaches each state from above; rows `arriving_stride` apart.
    pub arriving: &'a [f32],
    pub arriving_stride: usize,
    /// The gradient of the states comes in; what of the states before does not pass through the weights goes out.
    pub carried: &'a mut [f32],
    /// The same of an LSTM's cells.
    pub carried_cells: &'a mut [f32],
}

#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32], at: usize) -> S::f32s {
    let rest = &from[at..];
    match rest.get(..S::F32_LANES) {
        Some(whole) => S::as_simd_f32s(whole).0[0],
        None => s.partial_load_f32s(rest),
    }
}

#[inline(always)]
fn store<S: Simd>(s: S, to: &mut [f32], at: usize, value: S::f32s) {
    let rest = &mut to[at..];
    if rest.len() >= S::F32_LANES {
        S::as_mut_simd_f32s(&mut rest[..S::F32_LANES]).0[0] = value;
    } else {
        s.partial_store_f32s(rest, value);
    }
}

/// The hyperbolic tangent, within 2e-6.
#[inline(always)]
fn tanh<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let c = |value: f32| s.splat_f32s(value);
    let x = s.max_f32s(s.min_f32s(x, c(BOUND)), c(-BOUND));
    let y = s.mul_f32s(x, x);
    let p = s.mul_add_e_f32s(s.mul_add_e_f32s(s.mul_add_e_f32s(c(P[3]), y, c(P[2])), y, c(P[1])), y, c(P[0]));
    let q = s.mul_add_e_f32s(s.mul_add_e_f32s(s.mul_add_e_f32s(c(Q[3]), y, c(Q[2])), y, c(Q[1])), y, c(Q[0]));
    s.div_f32s(s.mul_f32s(p, x), q)
}

/// The logistic function, within 1e-6.
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let half = s.splat_f32s(0.5);
    s.mul_add_e_f32s(tanh(s, s.mul_f32s(x, half)), half, half)
}

/// `x (1 - x)`: the slope of the logistic function at value `x`.
#[inline(always)]
fn slope<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    s.sub_f32s(x, s.mul_f32s(x, x))
}

/// `1 - x²`: the slope of the tangent at value `x`.
#[inline(always)]
fn tanh_slope<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    s.sub_f32s(s.splat_f32s(1.0), s.mul_f32s(x, x))
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (h, cell) = (self.hidden, self.cell);
        let width = cell.gates() * h;
        let zeros = [0.0; 16];
        for row in 0..self.states.len() / h {
            let continues = row < self.continued;
            let gates = &mut self.gates[row * width..][..width];
            let sums = if continues { &self.sums[row * width..][..width] } else { self.bias };
            let units = row * h..(row + 1) * h;
            let state = &mut self.states[units.clone()];
            let before = if continues { &self.before[units.clone()] } else { &zeros[..] };
            let at_before = |unit: usize| if continues { unit } else { 0 };
            match cell {
                Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
                Cell::Simple => {
                    for u in (0..h).step_by(S::F32_LANES) {
                        let value = tanh(s, s.add_f32s(load(s, gates, u), load(s, sums, u)));
                        store(s, gates, u, value);
                        store(s, state, u, value);
                    }
                }
                Cell::Gru => {
                    let (r, rest) = gates.split_at_mut(h);
                    let (z, n) = rest.split_at_mut(h);
                    let (sum_r, sum_z, sum_n) = (&sums[..h], &sums[h..2 * h], &sums[2 * h..3 * h]);
                    let extra = &mut self.extra[units];
                    for u in (0..h).step_by(S::F32_LANES) {
                        let reset = sigmoid(s, s.add_f32s(load(s, r, u), load(s, sum_r, u)));
                        let update = sigmoid(s, s.add_f32s(load(s, z, u), load(s, sum_z, u)));
                        let kept = load(s, sum_n, u);
                        let new = tanh(s, s.mul_add_e_f32s(reset, kept, load(s, n, u)));
                        let old = load(s, before, at_before(u));
                        store(s, r, u, reset);
                        store(s, z, u, update);
                        store(s, n, u, new);
                        store(s, extra, u, kept);
                        store(s, state, u, s.mul_add_e_f32s(update, s.sub_f32s(old, new), new));
                    }
                }
                Cell::Lstm => {
                    let (i, rest) = gates.split_at_mut(h);
                    let (f, rest) = rest.split_at_mut(h);
                    let (g, o) = rest.split_at_mut(h);
                    let cells = &mut self.extra[units.clone()];
                    let cells_before = if continues { &self.cells_before[units] } else { &zeros[..] };
                    for u in (0..h).step_by(S::F32_LANES) {
                        let input = sigmoid(s, s.add_f32s(load(s, i, u), load(s, &sums[..h], u)));
                        let forget = sigmoid(s, s.add_f32s(load(s, f, u), load(s, &sums[h..2 * h], u)));
                        let new = tanh(s, s.add_f32s(load(s, g, u), load(s, &sums[2 * h..3 * h], u)));
                        let output = sigmoid(s, s.add_f32s(load(s, o, u), load(s, &sums[3 * h..4 * h], u)));
                        let old = load(s, cells_before, at_before(u));
                        let value = s.mul_add_e_f32s(forget, old, s.mul_f32s(input, new));
                        store(s, i, u, input);
                        store(s, f, u, forget);
                        store(s, g, u, new);
                        store(s, o, u, output);
                        store(s, cells, u, value);
                        store(s, state, u, s.mul_f32s(output, tanh(s, value)));
                    }
                }
            }
        }
    }
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (h, cell) = (self.hidden, self.cell);
        let width = cell.gates() * h;
        let zeros = [0.0; 16];
        for row in 0..self.states.len() / h {
            let continues = row < self.continued;
            let gates = &mut self.gates[row * width..][..width];
            let units = row * h..(row + 1) * h;
            let arriving = &self.arriving[row * self.arriving_stride..][..h];
            let (state, carried) = (&self.states[units.clone()], &mut self.carried[units.clone()]);
            let before = if continues { &self.before[units.clone()] } else { &zeros[..] };
            let at_before = |unit: usize| if continues { unit } else { 0 };
            match cell {
                Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
                Cell::Simple => {
                    for u in (0..h).step_by(S::F32_LANES) {
                        let gradient = s.add_f32s(load(s, carried, u), load(s, arriving, u));
                        let value = load(s, state, u);
                        store(s, gates, u, s.mul_f32s(gradient, tanh_slope(s, value)));
                        store(s, carried, u, s.splat_f32s(0.0));
                    }
                }
                Cell::Gru => {
                    let (r, rest) = gates.split_at_mut(h);
                    let (z, n) = rest.split_at_mut(h);
                    let extra = &mut self.extra[units];
                    let recurrent = &mut self.recurrent[row * width..][..width];
                    let (own_r, rest) = recurrent.split_at_mut(h);
                    let (own_z, own_n) = rest.split_at_mut(h);
                    for u in (0..h).step_by(S::F32_LANES) {
                        let gradient = s.add_f32s(load(s, carried, u), load(s, arriving, u));
                        let (reset, update, new) = (load(s, r, u), load(s, z, u), load(s, n, u));
                        let old = load(s, before, at_before(u));
                        let kept = s.mul_f32s(gradient, update);
                        let of_new = s.mul_f32s(s.sub_f32s(gradient, kept), tanh_slope(s, new));
                        let of_update =
                            s.mul_f32s(s.mul_f32s(gradient, s.sub_f32s(old, new)), slope(s, update));
                        let of_reset = s.mul_f32s(s.mul_f32s(of_new, load(s, extra, u)), slope(s, reset));
                        let of_kept = s.mul_f32s(of_new, reset);
                        store(s, r, u, of_reset);
                        store(s, z, u, of_update);
                        store(s, n, u, of_new);
                        store(s, own_r, u, of_reset);
                        store(s, own_z, u, of_update);
                        store(s, own_n, u, of_kept);
                        store(s, extra, u, of_kept);
                        store(s, carried, u, kept);
                    }
                }
                Cell::Lstm => {
                    let (i, rest) = gates.split_at_mut(h);
                    let (f, rest) = rest.split_at_mut(h);
                    let (g, o) = rest.split_at_mut(h);
                    let cells = &self.extra[units.clone()];
                    let carried_cells = &mut self.carried_cells[units.clone()];
                    let cells_before = if continues { &self.cells_before[units] } else { &zeros[..] };
                    for u in (0..h).step_by(S::F32_LANES) {
                        let gradient = s.add_f32s(load(s, carried, u), load(s, arriving, u));
                        let (input, forget, new, output) =
                            (load(s, i, u), load(s, f, u), load(s, g, u), load(s, o, u));
                        let squashed = tanh(s, load(s, cells, u));
                        let of_cell = s.mul_add_e_f32s(
                            s.mul_f32s(gradient, output),
                            tanh_slope(s, squashed),
                            load(s, carried_cells, u),
                        );
                        let old = load(s, cells_before, at_before(u));
                        let of_output = s.mul_f32s(s.mul_f32s(gradient, squashed), slope(s, output));
                        store(s, o, u, of_output);
                        store(s, i, u, s.mul_f32s(s.mul_f32s(of_cell, new), slope(s, input)));
                        store(s, f, u, s.mul_f32s(s.mul_f32s(of_cell, old), slope(s, forget)));
                        store(s, g, u, s.mul_f32s(s.mul_f32s(of_cell, input), tanh_slope(s, new)));
                        store(s, carried_cells, u, s.mul_f32s(of_cell, forget));
                        store(s, carried, u, s.splat_f32s(0.0));
                    }
                }
            }
        }
    }
}
