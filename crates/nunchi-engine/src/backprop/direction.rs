//! One direction of one recurrent layer, forward over a packed batch and back through time.

use super::gates;
use crate::kernel::{Matrix, PackedMatrix, ProductScratch, Products, Session};
use nunchi_model::rnn::{Batch, Cell, Direction};
use pulp::{Arch, NullaryFnOnce};
use std::ops::Range;

/// A direction's weights, packed for one step's passes.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// `[inputs, gates * hidden]`
    input: PackedMatrix,
    /// `[hidden, gates * hidden]`
    state: PackedMatrix,
    /// `[gates * hidden, inputs]`
    input_back: PackedMatrix,
    /// `[gates * hidden, hidden]`
    state_back: PackedMatrix,
}

/// One matrix to be packed.
pub(super) struct PackJob<'a> {
    matrix: Matrix<'a>,
    transposed: bool,
    packed: &'a mut PackedMatrix,
}

impl PackJob<'_> {
    pub(super) fn run(&mut self, products: &Products) {
        if self.transposed {
            products.pack_transposed(self.matrix, self.packed);
        } else {
            products.pack(self.matrix, self.packed);
        }
    }
}

impl Packed {
    /// What is to be done to hold `weights`.
    pub(super) fn jobs<'a>(&'a mut self, weights: &'a Direction<f32>) -> [PackJob<'a>; 4] {
        let (input, state) = (matrix(&weights.weight_ih), matrix(&weights.weight_hh));
        [
            PackJob { matrix: input, transposed: true, packed: &mut self.input },
            PackJob { matrix: state, transposed: true, packed: &mut self.state },
            PackJob { matrix: input, transposed: false, packed: &mut self.input_back },
            PackJob { matrix: state, transposed: false, packed: &mut self.state_back },
        ]
    }
}

fn matrix(array: &ndarray::Array2<f32>) -> Matrix<'_> {
    Matrix::new(array.as_slice().expect("weights are in standard layout"), array.ncols())
}

/// What a pass leaves for the backward pass; reused from pass to pass.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// `[tokens, hidden]`
    pub states: Vec<f32>,
    /// `[tokens, gates * hidden]`
    gates: Vec<f32>,
    /// `[tokens, hidden]`
    extra: Vec<f32>,
}

/// Memory of a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub products: ProductScratch,
    sums: Vec<f32>,
    carried: Vec<f32>,
    carried_cells: Vec<f32>,
    previous: Vec<f32>,
    zeros: Vec<f32>,
}

impl Scratch {
    /// Holds `count` zeros from now on.
    pub(super) fn zeros(&mut self, count: usize) {
        self.zeros.resize(count.max(self.zeros.len()), 0.0);
    }
}

/// What both passes need.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The proof that this thread is ready for the products.
    pub session: &'a Session,
    pub arch: Arch,
    pub products: &'a Products,
    pub cell: Cell,
    pub weights: &'a Direction<f32>,
    pub packed: &'a Packed,
    pub batch: &'a Batch,
    /// Whether the direction reads from the end.
    pub reverse: bool,
}

impl Context<'_> {
    fn hidden(&self) -> usize {
        self.weights.weight_hh.ncols()
    }

    fn width(&self) -> usize {
        self.weights.weight_hh.nrows()
    }

    /// Reads `input`, `[tokens, inputs]`.
    pub(super) fn forward(&self, input: &[f32], trace: &mut Trace, scratch: &mut Scratch) {
        let (hidden, width, batch) = (self.hidden(), self.width(), self.batch);
        let input_bias = slice(&self.weights.bias_ih);
        let state_bias = slice(&self.weights.bias_hh);
        let Trace { states, gates, extra } = trace;
        states.resize(batch.total * hidden, 0.0);
        gates.resize(batch.total * width, 0.0);
        extra.resize(batch.total * hidden, 0.0);
        scratch.sums.resize(batch.lengths.len() * width, 0.0);
        let inputs = self.weights.weight_ih.ncols();
        let input = Matrix::new(&input[..batch.total * inputs], inputs);
        self.products.times(
            self.session,
            input,
            &self.packed.input,
            Some(input_bias),
            gates,
            &mut scratch.products,
        );
        for step in batch.reading(self.reverse) {
            let (now, before) = (batch.at(step), batch.before(step, self.reverse));
            let continued = before.len();
            let (states_before, states) = apart(states, scaled(&before, hidden), scaled(&now, hidden));
            let (extra_before, extra) = apart(extra, scaled(&before, hidden), scaled(&now, hidden));
            let sums = &mut scratch.sums[..continued * width];
            self.products.times(
                self.session,
                Matrix::new(states_before, hidden),
                &self.packed.state,
                Some(state_bias),
                sums,
                &mut scratch.products,
            );
            self.arch.dispatch(gates::Forward {
                cell: self.cell,
                hidden,
                continued,
                gates: &mut gates[scaled(&now, width)],
                sums,
                bias: state_bias,
                before: states_before,
                cells_before: extra_before,
                states,
                extra,
            });
        }
    }

    /// Back through time. `arriving` is the gradient that reaches each state from above, `[tokens, hidden]`, rows `stride` apart;
    /// the weights' gradients are added to `gradient`, the input's goes to `of_input` (`[tokens, inputs]`), to which a direction that reads from the
    /// end adds.
    pub(super) fn backward(
        &self,
        input: &[f32],
        (arriving, stride): (&[f32], usize),
        trace: &mut Trace,
        gradient: &mut Direction<f32>,
        of_input: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (hidden, width, batch) = (self.hidden(), self.width(), self.batch);
        let Trace { states, gates, extra } = trace;
        let widest = batch.lengths.len();
        for buffer in [&mut scratch.carried, &mut scratch.carried_cells] {
            buffer.clear();
            buffer.resize(widest * hidden, 0.0);
        }
        scratch.sums.resize(widest * width, 0.0);
        for step in batch.reading(self.reverse).rev() {
            let (now, before) = (batch.at(step), batch.before(step, self.reverse));
            let (rows, continued) = (now.len(), before.len());
            let (extra_before, extra) = apart(extra, scaled(&before, hidden), scaled(&now, hidden));
            let gates = &mut gates[scaled(&now, width)];
            self.arch.dispatch(gates::Backward {
                cell: self.cell,
                hidden,
                continued,
                gates,
                extra,
                recurrent: &mut scratch.sums[..rows * width],
                states: &states[scaled(&now, hidden)],
                before: &states[scaled(&before, hidden)],
                cells_before: extra_before,
                arriving: &arriving[now.start * stride..],
                arriving_stride: stride,
                carried: &mut scratch.carried[..rows * hidden],
                carried_cells: &mut scratch.carried_cells[..rows * hidden],
            });
            // Only rows that continue an earlier state hand anything on; the others began here.
            let of_gates = if self.cell == Cell::Gru { &scratch.sums } else { &*gates };
            self.products.times(
                self.session,
                Matrix::new(&of_gates[..continued * width], width),
                &self.packed.state_back,
                None,
                &mut scratch.carried[..continued * hidden],
                &mut scratch.products,
            );
        }
        self.previous(states, &mut scratch.previous);
        let of_gates = Matrix::new(&gates[..batch.total * width], width);
        let inputs = self.weights.weight_ih.ncols();
        let input = Matrix::new(&input[..batch.total * inputs], inputs);
        let previous = Matrix::new(&scratch.previous, hidden);
        self.products.outer(
            self.session,
            of_gates,
            input,
            slice_mut(&mut gradient.weight_ih),
            &mut scratch.products,
        );
        column_sums(self.arch, of_gates, slice_mut(&mut gradient.bias_ih));
        let weight_hh = slice_mut(&mut gradient.weight_hh);
        let bias_hh = slice_mut(&mut gradient.bias_hh);
        if self.cell == Cell::Gru {
            // `n` has another gradient on the recurrent side, through the reset.
            let (gated, new) = weight_hh.split_at_mut(2 * hidden * hidden);
            let (of_gated, of_new) =
                (of_gates.columns(0..2 * hidden), Matrix::new(&extra[..batch.total * hidden], hidden));
            self.products.outer(self.session, of_gated, previous, gated, &mut scratch.products);
            self.products.outer(self.session, of_new, previous, new, &mut scratch.products);
            let (gated, new) = bias_hh.split_at_mut(2 * hidden);
            column_sums(self.arch, of_gated, gated);
            column_sums(self.arch, of_new, new);
        } else {
            self.products.outer(self.session, of_gates, previous, weight_hh, &mut scratch.products);
            column_sums(self.arch, of_gates, bias_hh);
        }
        // The first direction begins, the second one adds.
        let zeros = (!self.reverse).then_some(&scratch.zeros[..inputs]);
        self.products.times(
            self.session,
            of_gates,
            &self.packed.input_back,
            zeros,
            of_input,
            &mut scratch.products,
        );
    }

    /// For every packed row the state that it continued; zeros where a sequence began.
    fn previous(&self, states: &[f32], previous: &mut Vec<f32>) {
        let hidden = self.hidden();
        previous.resize(self.batch.total * hidden, 0.0);
        for step in self.batch.reading(self.reverse) {
            let (now, before) = (self.batch.at(step), self.batch.before(step, self.reverse));
            let (continued, begun) = previous[scaled(&now, hidden)].split_at_mut(before.len() * hidden);
            continued.copy_from_slice(&states[scaled(&before, hidden)]);
            begun.fill(0.0);
        }
    }
}

/// Adds the sum of every column of `matrix` to `sums`.
fn column_sums(arch: Arch, matrix: Matrix<'_>, sums: &mut [f32]) {
    arch.dispatch(ColumnSums { matrix, sums });
}

// A closure would not be inlined for certain where the CPU's vectors are switched on.
struct ColumnSums<'a> {
    matrix: Matrix<'a>,
    sums: &'a mut [f32],
}

impl NullaryFnOnce for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for row in 0..self.matrix.rows {
            let row = &self.matrix.data[row * self.matrix.stride..][..self.matrix.columns];
            for (sum, value) in self.sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

fn scaled(rows: &Range<usize>, columns: usize) -> Range<usize> {
    rows.start * columns..rows.end * columns
}

/// Two ranges of one buffer that do not overlap, the second one to be changed.
fn apart(data: &mut [f32], first: Range<usize>, second: Range<usize>) -> (&[f32], &mut [f32]) {
    if first.is_empty() {
        (&[], &mut data[second])
    } else if first.end <= second.start {
        let (low, high) = data.split_at_mut(second.start);
        (&low[first], &mut high[..second.len()])
    } else {
        let (low, high) = data.split_at_mut(first.start);
        (&high[..first.len()], &mut low[second])
    }
}

fn slice<D: ndarray::Dimension>(array: &ndarray::Array<f32, D>) -> &[f32] {
    array.as_slice().expect("weights are in standard layout")
}

fn slice_mut<D: ndarray::Dimension>(array: &mut ndarray::Array<f32, D>) -> &mut [f32] {
    array.as_slice_mut().expect("gradients are in standard layout")
}
