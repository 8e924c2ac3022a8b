//! The driver of our own kernels: panel by panel, a few rows at a time, product then gates while the sums are in L1.
//!
//! Products and gates are functions apart: together the compiler runs out of registers and the product falls to a third.

use super::layout::Layout;
use super::matrix::{Block, Full, Matrix};
use super::quantized::{self, Quantized};
use super::simd::{GateArgs, Gates, Routines};
use super::{Aligned, CellWeights, Input, Kernel, KernelKind, Recurrence, Scratch, Session, Source, Step};
use nunchi_model::Precision;
use nunchi_model::rnn::Cell;

/// A kernel that is made of a CPU's [`Routines`].
#[derive(Debug)]
pub(super) struct Blocked {
    pub kind: KernelKind,
    pub routines: &'static Routines,
    /// Products of bytes instead of those in full precision.
    pub quantized: Option<&'static quantized::Routines>,
    pub available: fn() -> bool,
}

impl Kernel for Blocked {
    fn kind(&self) -> KernelKind {
        self.kind
    }

    fn precision(&self) -> Precision {
        if self.quantized.is_some() { Precision::Int8 } else { Precision::F32 }
    }

    fn available(&self) -> bool {
        (self.available)()
    }

    fn row(&self, cell: Cell, hidden: usize) -> usize {
        hidden.next_multiple_of(self.width(cell))
    }

    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence> {
        // The routines below are called on the strength of this.
        assert!(self.available(), "a kernel is chosen only where the CPU can run it");
        let layout = Layout::new(weights, self.width(weights.cell), true);
        let kind = kind(weights.cell);
        let (state_weights, state_bias) = (layout.pack_state(weights), layout.state_bias(weights));
        let ((input_weights, inputs), input_bias) = (layout.pack_input(weights), layout.input_bias(weights));
        let gates = self.routines.gates[kind];
        match self.quantized {
            None => {
                let routines = self.routines;
                let state = Full::new(routines, kind, &layout, state_weights, state_bias, layout.units);
                let input = Full::new(routines, kind, &layout, input_weights, input_bias, inputs);
                Box::new(Packed::new(weights, layout, gates, state, input))
            }
            Some(routines) => {
                let state = Quantized::new(routines, kind, &layout, &state_weights, state_bias, layout.units);
                let input = Quantized::new(routines, kind, &layout, &input_weights, input_bias, inputs);
                Box::new(Packed::new(weights, layout, gates, state, input))
            }
        }
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

/// One direction of one layer.
#[derive(Debug)]
struct Packed<M> {
    layout: Layout,
    gates: [Gates; 2],
    has_cell: bool,
    /// `W_hh`
    state: M,
    /// `W_ih`; without inputs where the table stands for it.
    input: M,
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

/// Splits `panels` into groups to be computed at once: of `together` for a single row, else of one: `(first, panels)`.
fn groups(panels: usize, rows: usize, together: usize) -> impl Iterator<Item = (usize, usize)> {
    let together = if rows == 1 { together } else { 1 };
    let whole = panels / together;
    let grouped = (0..whole).map(move |group| (group * together, together));
    grouped.chain((whole * together..panels).map(|panel| (panel, 1)))
}

impl<M: Matrix> Packed<M> {
    fn new(weights: &CellWeights<'_>, layout: Layout, gates: [Gates; 2], state: M, input: M) -> Self {
        let (table, scale) = layout.table16(weights);
        let vocabulary = match weights.source {
            Source::Tokens(embedding) => embedding.nrows(),
            Source::States { .. } => 0,
        };
        let has_cell = weights.cell == Cell::Lstm;
        let zeros = Aligned::zeros(layout.width);
        Packed { layout, gates, has_cell, state, input, table, scale, vocabulary, zeros }
    }

    /// What the routines rely on.
    fn check(&self, step: &Step<'_>) {
        let elements = step.rows * self.layout.units;
        assert!(step.out.len() >= elements && step.state.is_none_or(|state| state.len() >= elements));
        assert!(!self.has_cell || step.cell.len() >= elements);
        match step.input {
            Input::Tokens { now, ahead } => {
                assert!(now.len() >= step.rows);
                let largest = now.iter().chain(ahead).copied().max().unwrap_or(0) as usize;
                assert!(largest < self.vocabulary, "token {largest} is not in the vocabulary");
            }
            Input::States(x) => assert!(x.len() >= step.rows * self.input.inputs()),
        }
    }

    /// `out [rows, columns] = x [rows, inputs] · W_ih + b`, for layers that read another layer's states.
    fn input_product(&self, x: &[f32], rows: usize, out: &mut Aligned<f32>, bytes: &mut Aligned<u8>) {
        let (inputs, columns, panel) = (self.input.inputs(), self.layout.columns(), self.layout.panel());
        out.resize(rows * columns);
        let x = self.input.prepare(&x[..rows * inputs], bytes);
        for (index, panels) in groups(columns / panel, rows, self.input.together()) {
            for (row, count) in blocks(rows, self.input.most_rows()) {
                let out = out[row * columns + index * panel..].as_mut_ptr();
                let a = Some(&x[row * inputs..]);
                let block = Block { panel: index, panels, rows: count, a, out, out_stride: columns };
                // SAFETY: `pack` saw that the CPU has the features; `count` rows from `row` lie in `out`.
                unsafe { self.input.multiply(block) };
            }
        }
    }

    /// The gates of panel `index` for `rows` rows from `row` on; their sums are at `sums`, their inputs' products, unless a table
    /// has them, in `inputs`.
    fn gate_args(
        &self,
        step: &mut Step<'_>,
        index: usize,
        row: usize,
        rows: usize,
        sums: *const f32,
        inputs: &[f32],
    ) -> GateArgs {
        let (units, panel, columns) = (self.layout.units, self.layout.panel(), self.layout.columns());
        let first = row * units + index * self.layout.width;
        let (state, state_stride) = match step.state {
            Some(state) => (state[first..].as_ptr(), units),
            None => (self.zeros.as_ptr(), 0),
        };
        let mut args = GateArgs {
            rows,
            sums,
            table: std::ptr::null(),
            scale: std::ptr::null(),
            tokens: std::ptr::null(),
            ahead: std::ptr::null(),
            ahead_rows: 0,
            x: std::ptr::null(),
            columns,
            state,
            state_stride,
            cell: if self.has_cell { step.cell[first..].as_mut_ptr() } else { std::ptr::null_mut() },
            out: step.out[first..].as_mut_ptr(),
            units,
        };
        match step.input {
            Input::Tokens { now, ahead } => {
                let ahead = ahead.get(row..).unwrap_or_default();
                args.table = self.table[index * panel..].as_ptr();
                args.scale = self.scale[index * panel..].as_ptr();
                args.tokens = now[row..].as_ptr();
                args.ahead = ahead.as_ptr();
                args.ahead_rows = ahead.len().min(rows);
            }
            Input::States(_) => args.x = inputs[row * columns + index * panel..].as_ptr(),
        }
        args
    }
}

impl<M: Matrix> Recurrence for Packed<M> {
    fn step(&self, _session: &Session, mut step: Step<'_>, scratch: &mut Scratch) {
        self.check(&step);
        if let Input::States(x) = step.input {
            self.input_product(x, step.rows, &mut scratch.inputs, &mut scratch.bytes);
        }
        let (units, panel) = (self.layout.units, self.layout.panel());
        let (rows, most) = (step.rows, self.state.most_rows());
        let gates = self.gates[usize::from(matches!(step.input, Input::Tokens { .. }))];
        scratch.sums.resize(most.max(self.state.together()) * panel);
        let sums = scratch.sums.as_mut_ptr();
        let state = step.state.map(|state| self.state.prepare(&state[..rows * units], &mut scratch.bytes));
        for (index, panels) in groups(units / self.layout.width, rows, self.state.together()) {
            for (row, count) in blocks(rows, most) {
                let a = state.map(|state| &state[row * units..]);
                let block = Block { panel: index, panels, rows: count, a, out: sums, out_stride: panel };
                // SAFETY: `pack` saw that the CPU has the features; `sums` has room for the largest block.
                unsafe { self.state.multiply(block) };
                for offset in 0..panels {
                    let sums = sums.wrapping_add(offset * panel);
                    let args = self.gate_args(&mut step, index + offset, row, count, sums, &scratch.inputs);
                    // SAFETY: as above; `check` saw that all rows lie in their slices and all tokens in the table.
                    unsafe { gates(&args) };
                }
            }
        }
    }
}
