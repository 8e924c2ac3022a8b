//! One direction of one recurrent layer: forward over a packed batch, and back through time.
//!
//! The input product of all time steps is one large product; what remains a step is one product with the recurrent
//! weights over the rows that are alive, and the gates.

use super::batch::Batch;
use super::product::{add_bias, add_column_sums, multiply, multiply_transposed, product_with_transposed};
use super::slice::{columns, rows, rows_mut};
use super::{Cell, Direction, Real};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// What a direction's forward pass leaves for the backward pass. One row a token, packed as [`Batch`] says.
#[derive(Clone, Debug)]
pub(super) struct Trace<F: Real> {
    /// Hidden states, `[tokens, hidden]`.
    pub states: Array2<F>,
    /// Gates after their activation, `[tokens, gates * hidden]`.
    gates: Array2<F>,
    /// A GRU's recurrent part of `n` before the reset; an LSTM's cell states; nothing for a simple cell.
    /// `[tokens, hidden]` or `[tokens, 0]`.
    extra: Array2<F>,
}

/// Reads `input` (`[tokens, inputs]`, packed) from the first token to the last, or the other way round.
pub(super) fn forward<F: Real>(
    cell: Cell,
    weights: &Direction<F>,
    input: ArrayView2<'_, F>,
    batch: &Batch,
    backward: bool,
) -> Trace<F> {
    let hidden = weights.weight_hh.ncols();
    let mut gates = product_with_transposed(input, weights.weight_ih.view());
    add_bias(&mut gates, &weights.bias_ih);
    let mut trace = Trace {
        states: Array2::zeros((batch.total, hidden)),
        gates,
        extra: Array2::zeros((batch.total, if cell == Cell::Simple { 0 } else { hidden })),
    };
    let widest = batch.lengths.len();
    let mut previous = Array2::<F>::zeros((widest, hidden));
    let mut previous_cells = Array2::<F>::zeros((widest, trace.extra.ncols()));
    let mut recurrent = Array2::<F>::zeros((widest, weights.weight_hh.nrows()));
    for step in batch.reading(backward) {
        let now = batch.at(step);
        let before = batch.before(step, backward);
        let (alive, continued) = (now.len(), before.len());
        recall(&mut previous, &trace.states, before.clone(), alive);
        if cell == Cell::Lstm {
            recall(&mut previous_cells, &trace.extra, before, alive);
        }
        let mut recurrent = rows_mut(&mut recurrent, 0..alive);
        recurrent.assign(&weights.bias_hh);
        multiply_transposed(
            rows(&previous, 0..continued),
            weights.weight_hh.view(),
            rows_mut(&mut recurrent, 0..continued),
        );
        for row in 0..alive {
            let packed = now.start + row;
            let unit = Unit {
                gates: row_of(&mut trace.gates, packed),
                extra: row_of(&mut trace.extra, packed),
                state: row_of(&mut trace.states, packed),
                recurrent: recurrent.row(row).to_slice().expect("rows are contiguous"),
                previous: previous.row(row).to_slice().expect("rows are contiguous"),
                previous_cell: previous_cells.row(row).to_slice().expect("rows are contiguous"),
            };
            match cell {
                Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
                Cell::Simple => unit.simple(),
                Cell::Gru => unit.gru(),
                Cell::Lstm => unit.lstm(),
            }
        }
    }
    trace
}

/// One row at one time step: a sequence's layer of `hidden` units. `gates` comes in as the input's part.
struct Unit<'a, F> {
    gates: &'a mut [F],
    extra: &'a mut [F],
    state: &'a mut [F],
    recurrent: &'a [F],
    previous: &'a [F],
    previous_cell: &'a [F],
}

impl<F: Real> Unit<'_, F> {
    /// `h' = tanh(W x + b + U h + c)`.
    fn simple(self) {
        add(self.gates, self.recurrent);
        F::tanh_all(self.gates);
        self.state.copy_from_slice(self.gates);
    }

    /// `r, z` are sigmoids, `n = tanh(W x + b + r (U h + c))`, `h' = (1 - z) n + z h` (Cho et al. 2014, in cuDNN's
    /// form: linear before reset).
    fn gru(self) {
        let hidden = self.state.len();
        let (rz, n) = self.gates.split_at_mut(2 * hidden);
        let (recurrent_rz, recurrent_n) = self.recurrent.split_at(2 * hidden);
        add(rz, recurrent_rz);
        F::sigmoid_all(rz);
        let (r, z) = rz.split_at(hidden);
        self.extra.copy_from_slice(recurrent_n);
        for ((n, &r), &recurrent) in n.iter_mut().zip(r).zip(recurrent_n) {
            *n += r * recurrent;
        }
        F::tanh_all(n);
        for (((state, &n), &z), &previous) in self.state.iter_mut().zip(&*n).zip(z).zip(self.previous) {
            *state = n + z * (previous - n);
        }
    }

    /// `i, f, o` are sigmoids, `g` a tanh; `c' = f c + i g`, `h' = o tanh c'` (Hochreiter and Schmidhuber 1997, with
    /// the forget gate of Gers et al. 2000).
    fn lstm(self) {
        let hidden = self.state.len();
        add(self.gates, self.recurrent);
        let (input_forget, rest) = self.gates.split_at_mut(2 * hidden);
        let (g, o) = rest.split_at_mut(hidden);
        F::sigmoid_all(input_forget);
        F::tanh_all(g);
        F::sigmoid_all(o);
        let (i, f) = input_forget.split_at(hidden);
        for ((((cell, &before), &f), &i), &g) in
            self.extra.iter_mut().zip(self.previous_cell).zip(f).zip(i).zip(&*g)
        {
            *cell = f * before + i * g;
        }
        self.state.copy_from_slice(self.extra);
        F::tanh_all(self.state);
        for (state, &o) in self.state.iter_mut().zip(&*o) {
            *state *= o;
        }
    }
}

/// Back through time. `arriving` is the gradient that reaches each state from above (`[tokens, hidden]`, packed);
/// the weights' gradients are added to `gradient`. Returns the gradient of the input, `[tokens, inputs]`.
pub(super) fn backward<F: Real>(
    cell: Cell,
    weights: &Direction<F>,
    input: ArrayView2<'_, F>,
    batch: &Batch,
    pass: Pass<'_, F>,
    gradient: &mut Direction<F>,
) -> Array2<F> {
    let Pass { mut trace, arriving, backward } = pass;
    let hidden = weights.weight_hh.ncols();
    let previous = all_previous(&trace.states, batch, backward);
    let previous_cells = if cell == Cell::Lstm {
        all_previous(&trace.extra, batch, backward)
    } else {
        Array2::zeros((batch.total, 0))
    };
    // What flows from a step to the one read before it: the gradients of its state and of its LSTM cell.
    let mut carried = Array2::<F>::zeros((batch.lengths.len(), hidden));
    let mut carried_cell = Array2::<F>::zeros((batch.lengths.len(), hidden));
    for step in batch.reading(backward).rev() {
        let now = batch.at(step);
        for (row, packed) in now.clone().enumerate() {
            let carried = row_of(&mut carried, row);
            add(carried, arriving.row(packed).to_slice().expect("rows are contiguous"));
            let unit = UnitBack {
                gates: row_of(&mut trace.gates, packed),
                extra: row_of(&mut trace.extra, packed),
                state: trace.states.row(packed).to_slice().expect("rows are contiguous"),
                previous: previous.row(packed).to_slice().expect("rows are contiguous"),
                previous_cell: previous_cells.row(packed).to_slice().expect("rows are contiguous"),
                carried,
                carried_cell: row_of(&mut carried_cell, row),
            };
            match cell {
                Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
                Cell::Simple => unit.simple(),
                Cell::Gru => unit.gru(),
                Cell::Lstm => unit.lstm(),
            }
        }
        // Only rows that continue an earlier state hand anything on; the others began here.
        let continued = batch.before(step, backward).len();
        let span = now.start..now.start + continued;
        let mut carried = rows_mut(&mut carried, 0..continued);
        for part in recurrent_parts(cell, hidden) {
            multiply(
                part.of(&trace, span.clone()),
                rows(&weights.weight_hh, part.rows.clone()),
                carried.view_mut(),
            );
        }
    }
    gradient_of_weights(cell, &trace, previous.view(), input, gradient);
    let mut of_input = Array2::zeros((batch.total, weights.weight_ih.ncols()));
    multiply(trace.gates.view(), weights.weight_ih.view(), of_input.view_mut());
    of_input
}

/// What [`backward`] needs of the forward pass.
pub(super) struct Pass<'a, F: Real> {
    /// What the forward pass left; the gates' gradients take the place of the gates.
    pub trace: Trace<F>,
    /// The gradient that reaches each state from above, `[tokens, hidden]`.
    pub arriving: ArrayView2<'a, F>,
    /// Whether the direction reads from the end.
    pub backward: bool,
}

/// A block of gates whose recurrent gradient stands in one matrix.
struct Part {
    rows: std::ops::Range<usize>,
    in_extra: bool,
}

impl Part {
    fn of<'a, F: Real>(&self, trace: &'a Trace<F>, span: std::ops::Range<usize>) -> ArrayView2<'a, F> {
        if self.in_extra {
            rows(&trace.extra, span)
        } else {
            columns(&trace.gates, self.rows.clone()).slice_axis_move(Axis(0), span.into())
        }
    }
}

/// A GRU's `n` has another gradient on the recurrent side (through the reset), which [`UnitBack::gru`] leaves in
/// `extra`; all other gates have the same on both sides.
fn recurrent_parts(cell: Cell, hidden: usize) -> Vec<Part> {
    match cell {
        Cell::Gru => vec![
            Part { rows: 0..2 * hidden, in_extra: false },
            Part { rows: 2 * hidden..3 * hidden, in_extra: true },
        ],
        _ => vec![Part { rows: 0..cell.gates() * hidden, in_extra: false }],
    }
}

fn gradient_of_weights<F: Real>(
    cell: Cell,
    trace: &Trace<F>,
    previous: ArrayView2<'_, F>,
    input: ArrayView2<'_, F>,
    gradient: &mut Direction<F>,
) {
    let hidden = trace.states.ncols();
    multiply(trace.gates.t(), input, gradient.weight_ih.view_mut());
    add_column_sums(trace.gates.view(), gradient.bias_ih.view_mut());
    for part in recurrent_parts(cell, hidden) {
        let of_gates = part.of(trace, 0..trace.states.nrows());
        multiply(of_gates.t(), previous, rows_mut(&mut gradient.weight_hh, part.rows.clone()));
        add_column_sums(of_gates, rows_mut(&mut gradient.bias_hh, part.rows.clone()));
    }
}

/// One row at one time step in the backward pass. `carried` comes in as the gradient of the state and goes out as the part
/// of the previous state's gradient that does not pass through the recurrent weights.
struct UnitBack<'a, F> {
    gates: &'a mut [F],
    extra: &'a mut [F],
    state: &'a [F],
    previous: &'a [F],
    previous_cell: &'a [F],
    carried: &'a mut [F],
    carried_cell: &'a mut [F],
}

impl<F: Real> UnitBack<'_, F> {
    fn simple(self) {
        for ((gate, carried), &state) in self.gates.iter_mut().zip(self.carried).zip(self.state) {
            *gate = *carried * (F::one() - state * state);
            *carried = F::zero();
        }
    }

    fn gru(self) {
        let hidden = self.state.len();
        let (r, rest) = self.gates.split_at_mut(hidden);
        let (z, n) = rest.split_at_mut(hidden);
        let previous = &self.previous[..hidden];
        let (carried, extra) = (&mut self.carried[..hidden], &mut self.extra[..hidden]);
        for unit in 0..hidden {
            let (gradient, rv, zv, nv) = (carried[unit], r[unit], z[unit], n[unit]);
            let of_n = gradient * (F::one() - zv) * (F::one() - nv * nv);
            z[unit] = gradient * (previous[unit] - nv) * zv * (F::one() - zv);
            r[unit] = of_n * extra[unit] * rv * (F::one() - rv);
            n[unit] = of_n;
            extra[unit] = of_n * rv;
            carried[unit] = gradient * zv;
        }
    }

    fn lstm(self) {
        let hidden = self.state.len();
        let (i, rest) = self.gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        let (previous_cell, state) = (&self.previous_cell[..hidden], &self.state[..hidden]);
        let (carried, carried_cell) = (&mut self.carried[..hidden], &mut self.carried_cell[..hidden]);
        let mut squashed = self.extra.to_vec();
        F::tanh_all(&mut squashed);
        for unit in 0..hidden {
            let (gradient, iv, fv, gv, ov) = (carried[unit], i[unit], f[unit], g[unit], o[unit]);
            let of_cell = carried_cell[unit] + gradient * ov * (F::one() - squashed[unit] * squashed[unit]);
            // state = o tanh c, so gradient * tanh c * o (1 - o) = gradient * state * (1 - o).
            o[unit] = gradient * state[unit] * (F::one() - ov);
            i[unit] = of_cell * gv * iv * (F::one() - iv);
            f[unit] = of_cell * previous_cell[unit] * fv * (F::one() - fv);
            g[unit] = of_cell * iv * (F::one() - gv * gv);
            carried_cell[unit] = of_cell * fv;
            carried[unit] = F::zero();
        }
    }
}

/// Copies the states of packed rows `before` to the top of `previous` and clears the rest up to `alive` rows.
fn recall<F: Real>(
    previous: &mut Array2<F>,
    states: &Array2<F>,
    before: std::ops::Range<usize>,
    alive: usize,
) {
    let continued = before.len();
    rows_mut(previous, 0..continued).assign(&rows(states, before));
    rows_mut(previous, continued..alive).fill(F::zero());
}

/// For every packed row the state that it continued; zeros where a sequence began.
fn all_previous<F: Real>(states: &Array2<F>, batch: &Batch, backward: bool) -> Array2<F> {
    let mut previous = Array2::zeros(states.raw_dim());
    for step in 0..batch.steps() {
        let before = batch.before(step, backward);
        let now = batch.at(step).start;
        let mut target: ArrayViewMut2<'_, F> = rows_mut(&mut previous, now..now + before.len());
        target.assign(&rows(states, before));
    }
    previous
}

fn row_of<F>(matrix: &mut Array2<F>, row: usize) -> &mut [F] {
    matrix.index_axis_mut(Axis(0), row).into_slice().expect("rows are contiguous")
}

fn add<F: Real>(sum: &mut [F], term: &[F]) {
    for (sum, &term) in sum.iter_mut().zip(term) {
        *sum += term;
    }
}
