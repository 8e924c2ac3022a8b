//! The driver of our own f32 kernels: panel by panel, a few rows at a time, product then gates while the sums are in L1.
//!
//! Products and gates are functions apart: together the compiler runs out of registers and the product falls to a third.

use super::layout::Layout;
use super::simd::{GateArgs, Gates, Product, ProductArgs, Routines};
use super::{Aligned, CellWeights, Input, Kernel, Recurrence, Scratch, Source, Step};
use crate::rnn::Cell;

/// A kernel that is made of a CPU's [`Routines`].
#[derive(Debug)]
pub(super) struct Blocked {
    pub name: &'static str,
    pub routines: &'static Routines,
    pub available: fn() -> bool,
}

impl Kernel for Blocked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn precision(&self) -> &'static str {
        "f32"
    }

    fn available(&self) -> bool {
        (self.available)()
    }

    fn units(&self, cell: Cell, hidden: usize) -> usize {
        hidden.next_multiple_of(self.width(cell))
    }

    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence> {
        // The routines below are called on the strength of this.
        assert!(self.available(), "a kernel is chosen only where the CPU can run it");
        let layout = Layout::new(weights, self.width(weights.cell), true);
        let (input_weights, inputs) = layout.pack_input(weights);
        let (table, scale) = layout.table16(weights);
        let kind = kind(weights.cell);
        let vocabulary = match weights.source {
            Source::Tokens(embedding) => embedding.nrows(),
            Source::States { .. } => 0,
        };
        Box::new(Packed {
            products: self.routines.products[kind],
            gates: self.routines.gates[kind],
            has_cell: weights.cell == Cell::Lstm,
            state_weights: layout.pack_state(weights),
            state_bias: layout.state_bias(weights),
            input_weights,
            inputs,
            input_bias: layout.input_bias(weights),
            table,
            scale,
            vocabulary,
            zeros: Aligned::zeros(layout.width),
            layout,
        })
    }
}

impl Blocked {
    /// Units of a panel: one vector for each gate, two for the cell that has no gates.
    fn width(&self, cell: Cell) -> usize {
        self.routines.lanes * if cell == Cell::Simple { 2 } else { 1 }
    }
}

/// A cell's place in [`Routines`].
fn kind(cell: Cell) -> usize {
    match cell {
        Cell::Simple => 0,
        Cell::Gru => 1,
        Cell::Lstm => 2,
        Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
    }
}

#[derive(Debug)]
struct Packed {
    layout: Layout,
    products: &'static [Product],
    gates: [Gates; 2],
    has_cell: bool,
    /// Panels of `[units, panel]`.
    state_weights: Aligned<f32>,
    state_bias: Aligned<f32>,
    /// Panels of `[inputs, panel]`.
    input_weights: Aligned<f32>,
    inputs: usize,
    input_bias: Aligned<f32>,
    /// `[vocabulary, columns]`, in units of `scale`.
    table: Aligned<i16>,
    scale: Aligned<f32>,
    vocabulary: usize,
    /// The state before the first step, for one panel.
    zeros: Aligned<f32>,
}

/// Splits `rows` into as few blocks of at most `most` as there can be, as even as can be: `(first row, rows)`.
fn blocks(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(most);
    (0..count).map(move |block| {
        let first = rows * block / count;
        (first, rows * (block + 1) / count - first)
    })
}

impl Recurrence for Packed {
    fn columns(&self) -> usize {
        self.layout.columns()
    }

    fn input_product(&self, x: &[f32], rows: usize, out: &mut [f32], _scratch: &mut Scratch) {
        let (inputs, columns, panel) = (self.inputs, self.columns(), self.layout.panel());
        assert!(x.len() >= rows * inputs && out.len() >= rows * columns);
        for (index, first) in (0..columns).step_by(panel).enumerate() {
            let w = &self.input_weights[index * panel * inputs..][..panel * inputs];
            for (row, count) in blocks(rows, self.products.len()) {
                let args = ProductArgs {
                    a: x[row * inputs..].as_ptr(),
                    a_stride: inputs,
                    inputs,
                    w: w.as_ptr(),
                    init: self.input_bias[first..][..panel].as_ptr(),
                    out: out[row * columns + first..].as_mut_ptr(),
                    out_stride: columns,
                };
                // SAFETY: `pack` saw that the CPU has the features. By the assertion above, `count` rows from `row` lie in `x` and
                // `out`; `w` and `init` are one panel.
                unsafe { self.products[count - 1](&args) };
            }
        }
    }

    fn step(&self, step: Step<'_>, scratch: &mut Scratch) {
        let Step { rows, input, state, cell, out } = step;
        let (units, panel, width) = (self.layout.units, self.layout.panel(), self.layout.width);
        self.check(rows, &input, state, cell, out);
        scratch.sums.resize(self.products.len() * panel);
        let sums = scratch.sums.as_mut_ptr();
        let (state_start, state_stride) = match state {
            Some(state) => (state.as_ptr(), units),
            None => (self.zeros.as_ptr(), 0),
        };
        for index in 0..units / width {
            let w = &self.state_weights[index * panel * units..][..panel * units];
            for (row, count) in blocks(rows, self.products.len()) {
                let args = ProductArgs {
                    a: state_start.wrapping_add(row * state_stride),
                    a_stride: state_stride,
                    inputs: if state.is_some() { units } else { 0 },
                    w: w.as_ptr(),
                    init: self.state_bias[index * panel..][..panel].as_ptr(),
                    out: sums,
                    out_stride: panel,
                };
                let state_units = if state.is_some() { index * width } else { 0 };
                let mut gates = GateArgs {
                    rows: count,
                    sums,
                    table: std::ptr::null(),
                    scale: std::ptr::null(),
                    tokens: std::ptr::null(),
                    ahead: std::ptr::null(),
                    ahead_rows: 0,
                    x: std::ptr::null(),
                    columns: self.columns(),
                    state: state_start.wrapping_add(row * state_stride + state_units),
                    state_stride,
                    cell: cell.as_mut_ptr().wrapping_add(row * units + index * width),
                    out: out.as_mut_ptr().wrapping_add(row * units + index * width),
                    units,
                };
                let from_table = match input {
                    Input::Tokens { now, ahead } => {
                        gates.table = self.table[index * panel..].as_ptr();
                        gates.scale = self.scale[index * panel..].as_ptr();
                        gates.tokens = now[row..].as_ptr();
                        let ahead = ahead.get(row..).unwrap_or_default();
                        gates.ahead = ahead.as_ptr();
                        gates.ahead_rows = ahead.len().min(count);
                        true
                    }
                    Input::Rows(x) => {
                        gates.x = x[row * self.columns() + index * panel..].as_ptr();
                        false
                    }
                };
                // SAFETY: `pack` saw that the CPU has the features. `check` saw that all rows lie in their slices and all tokens in
                // the table; `sums` has room for the largest block; `w` and `init` are one panel.
                unsafe {
                    self.products[count - 1](&args);
                    self.gates[usize::from(from_table)](&gates);
                }
            }
        }
    }
}

impl Packed {
    /// What the routines rely on.
    fn check(&self, rows: usize, input: &Input<'_>, state: Option<&[f32]>, cell: &[f32], out: &[f32]) {
        let numbers = rows * self.layout.units;
        assert!(out.len() >= numbers && state.is_none_or(|state| state.len() >= numbers));
        assert!(!self.has_cell || cell.len() >= numbers);
        match input {
            Input::Tokens { now, ahead } => {
                assert!(now.len() >= rows);
                let largest = now.iter().chain(*ahead).copied().max().unwrap_or(0) as usize;
                assert!(largest < self.vocabulary, "token {largest} is not in the vocabulary");
            }
            Input::Rows(x) => assert!(x.len() >= rows * self.columns()),
        }
    }
}
