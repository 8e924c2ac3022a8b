//! The kernel for every CPU: products by the `gemm` library (which itself uses AVX2, AVX-512 or NEON where they are),
//! gates as plain loops that the compiler vectorizes, a table in full precision.

use super::activation::{sigmoid, tanh};
use super::layout::Layout;
use super::{Aligned, CellWeights, Input, Kernel, KernelKind, Recurrence, Scratch, Session, Step};
use nunchi_model::Precision;
use nunchi_model::rnn::Cell;

/// See the module.
#[derive(Debug)]
pub(super) struct Portable;

impl Kernel for Portable {
    fn kind(&self) -> KernelKind {
        KernelKind::Portable
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }

    fn available(&self) -> bool {
        true
    }

    fn row(&self, _cell: Cell, hidden: usize) -> usize {
        hidden
    }

    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence> {
        // One panel as wide as the layer: PyTorch's own order.
        let layout = Layout::new(weights, weights.hidden(), false);
        let (input_weights, inputs) = layout.pack_input(weights);
        Box::new(Packed {
            cell: weights.cell,
            state_weights: layout.pack_state(weights),
            state_bias: layout.state_bias(weights),
            input_weights,
            inputs,
            input_bias: layout.input_bias(weights),
            table: layout.table(weights),
            layout,
        })
    }
}

#[derive(Debug)]
struct Packed {
    cell: Cell,
    layout: Layout,
    /// `[hidden, gates * hidden]`
    state_weights: Aligned<f32>,
    state_bias: Aligned<f32>,
    /// `[inputs, gates * hidden]`
    input_weights: Aligned<f32>,
    inputs: usize,
    input_bias: Aligned<f32>,
    /// `[vocabulary, gates * hidden]`
    table: Aligned<f32>,
}

impl Recurrence for Packed {
    fn step(&self, _session: &Session, step: Step<'_>, scratch: &mut Scratch) {
        let (hidden, columns) = (self.layout.hidden, self.layout.columns());
        scratch.sums.resize(step.rows * columns);
        let Scratch { sums, inputs, .. } = scratch;
        if let Input::States(x) = step.input {
            inputs.resize(step.rows * columns);
            product(inputs, &self.input_bias, x, &self.input_weights, self.inputs);
        }
        match step.state {
            Some(state) => {
                product(sums, &self.state_bias, &state[..step.rows * hidden], &self.state_weights, hidden)
            }
            None => sums.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(&self.state_bias)),
        }
        for row in 0..step.rows {
            let input = match step.input {
                Input::Tokens { now, .. } => &self.table[now[row] as usize * columns..][..columns],
                Input::States(_) => &inputs[row * columns..][..columns],
            };
            let sums = &mut sums[row * columns..][..columns];
            let units = row * hidden..(row + 1) * hidden;
            let out = &mut step.out[units.clone()];
            match self.cell {
                Cell::Simple => simple(sums, input, out),
                Cell::Gru => gru(sums, input, step.state.map(|state| &state[units]), out),
                Cell::Lstm => lstm(sums, input, &mut step.cell[units], out),
                Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
            }
        }
    }
}

/// `h' = tanh(x + s)`
fn simple(sums: &[f32], input: &[f32], out: &mut [f32]) {
    for ((out, sum), x) in out.iter_mut().zip(sums).zip(input) {
        *out = tanh(sum + x);
    }
}

/// `r, z = σ(x + s)`, `n = tanh(x + r s)`, `h' = n + z (h - n)`
fn gru(sums: &mut [f32], input: &[f32], state: Option<&[f32]>, out: &mut [f32]) {
    let hidden = out.len();
    let (gates, candidate) = sums.split_at_mut(2 * hidden);
    for (gate, x) in gates.iter_mut().zip(input) {
        *gate = sigmoid(*gate + x);
    }
    let (reset, update) = gates.split_at(hidden);
    for ((candidate, reset), x) in candidate.iter_mut().zip(reset).zip(&input[2 * hidden..]) {
        *candidate = tanh(x + reset * *candidate);
    }
    match state {
        Some(state) => {
            for (((out, n), z), h) in out.iter_mut().zip(&*candidate).zip(update).zip(state) {
                *out = n + z * (h - n);
            }
        }
        None => {
            for ((out, n), z) in out.iter_mut().zip(&*candidate).zip(update) {
                *out = n - z * n;
            }
        }
    }
}

/// `i, f, o = σ(x + s)`, `g = tanh(x + s)`, `c' = f c + i g`, `h' = o tanh c'`
fn lstm(sums: &mut [f32], input: &[f32], cell: &mut [f32], out: &mut [f32]) {
    let hidden = out.len();
    for (index, (sum, x)) in sums.chunks_exact_mut(hidden).zip(input.chunks_exact(hidden)).enumerate() {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum = if index == 2 { tanh(*sum + x) } else { sigmoid(*sum + x) };
        }
    }
    let (input_gate, rest) = sums.split_at(hidden);
    let (forget, rest) = rest.split_at(hidden);
    let (candidate, output) = rest.split_at(hidden);
    for unit in 0..hidden {
        cell[unit] = forget[unit] * cell[unit] + input_gate[unit] * candidate[unit];
        out[unit] = output[unit] * tanh(cell[unit]);
    }
}

/// `out [rows, columns] = bias + a [rows, inner] · b [inner, columns]`, all row after row.
fn product(out: &mut [f32], bias: &[f32], a: &[f32], b: &[f32], inner: usize) {
    let columns = bias.len();
    let rows = out.len() / columns;
    assert!(out.len() == rows * columns && a.len() >= rows * inner && b.len() == inner * columns);
    out.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
    if cfg!(miri) {
        // Miri knows no vector instructions: the same product, plainly.
        for row in 0..rows {
            for k in 0..inner {
                for column in 0..columns {
                    out[row * columns + column] += a[row * inner + k] * b[k * columns + column];
                }
            }
        }
        return;
    }
    // SAFETY: the assertion above says that the three matrices lie within their slices with these strides, and `out` is
    // borrowed for writing, so it overlaps neither.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            true,
            a.as_ptr(),
            1,
            inner as isize,
            b.as_ptr(),
            1,
            columns as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
