//! How weights, biases and input products are laid out for a kernel: in panels.
//!
//! A panel holds `width` neighboring units, all gates of them side by side: `[gate 0: width | gate 1: width | …]`. A
//! product of one panel thus yields everything that the panel's gates need while it is hot. Columns count through the
//! panels; weights are stored panel after panel, each `[inputs, gates * width]`.

use super::Aligned;
use ndarray::{Array2, ArrayView2};
use nunchi_model::rnn::{Cell, Direction};

/// Where a layer's input comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// Tokens, by their embeddings `[vocabulary, embedding]`: the product becomes a table.
    Tokens(ArrayView2<'a, f32>),
    /// The states of the layer below: as many directions, each of `hidden` units in a row of `row` elements.
    States {
        /// Directions of the layer below.
        directions: usize,
        /// Elements of one direction's state row.
        row: usize,
    },
}

/// One direction of one layer as it is handed to a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellWeights<'a> {
    /// The kind of cell.
    pub cell: Cell,
    /// Its weights.
    pub weights: &'a Direction<f32>,
    /// Where its input comes from.
    pub source: Source<'a>,
}

impl CellWeights<'_> {
    /// Units without padding.
    pub(super) fn hidden(&self) -> usize {
        self.weights.weight_hh.ncols()
    }

    /// The bias that may be added to the input's product: all of it, but of a GRU's candidate only the input's part
    /// (what the reset gate multiplies contains the rest).
    fn input_bias(&self, row: usize) -> f32 {
        let candidate = self.cell == Cell::Gru && row >= 2 * self.hidden();
        self.weights.bias_ih[row] + if candidate { 0.0 } else { self.weights.bias_hh[row] }
    }

    /// The bias that has to be added to the state's product.
    fn state_bias(&self, row: usize) -> f32 {
        let candidate = self.cell == Cell::Gru && row >= 2 * self.hidden();
        if candidate { self.weights.bias_hh[row] } else { 0.0 }
    }

    /// The first layer's input product of every token, `[vocabulary, gates * hidden]`, in PyTorch's order.
    fn token_products(&self, embedding: &ArrayView2<'_, f32>) -> Array2<f32> {
        let mut products = embedding.dot(&self.weights.weight_ih.t());
        for mut row in products.rows_mut() {
            for (index, value) in row.iter_mut().enumerate() {
                *value += self.input_bias(index);
            }
        }
        products
    }
}

/// The panels of one layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Gates of the cell.
    pub gates: usize,
    /// Units without padding.
    pub hidden: usize,
    /// Units with padding: a multiple of `width`.
    pub units: usize,
    /// Units of a panel.
    pub width: usize,
    /// Sigmoid gates are stored halved: `σ(x) = ½ + ½ tanh(x/2)` then needs no multiplication.
    pub halved: bool,
    cell: Cell,
}

impl Layout {
    /// A layout with panels of `width` units.
    pub(super) fn new(weights: &CellWeights<'_>, width: usize, halved: bool) -> Self {
        let hidden = weights.hidden();
        let units = hidden.next_multiple_of(width);
        Layout { gates: weights.cell.gates(), hidden, units, width, halved, cell: weights.cell }
    }

    /// All columns.
    pub(super) fn columns(&self) -> usize {
        self.gates * self.units
    }

    /// Columns of a panel.
    pub(super) fn panel(&self) -> usize {
        self.gates * self.width
    }

    /// The column of a gate's unit.
    pub(super) fn column(&self, gate: usize, unit: usize) -> usize {
        (unit / self.width) * self.panel() + gate * self.width + unit % self.width
    }

    /// Visits every real (not padded) column: `(row of PyTorch's matrices, column, factor)`.
    pub(super) fn each(&self, mut visit: impl FnMut(usize, usize, f32)) {
        for gate in 0..self.gates {
            let tangent = matches!((self.cell, gate), (Cell::Simple, _) | (Cell::Gru | Cell::Lstm, 2));
            let factor = if self.halved && !tangent { 0.5 } else { 1.0 };
            for unit in 0..self.hidden {
                visit(gate * self.hidden + unit, self.column(gate, unit), factor);
            }
        }
    }

    /// The rows of `matrix` (PyTorch's `[gates * hidden, inputs]`) as panels. `input(k)` tells which of its columns
    /// feeds input `k` of `inputs`, or none where that is padding.
    pub(super) fn pack(
        &self,
        matrix: &Array2<f32>,
        inputs: usize,
        input: impl Fn(usize) -> Option<usize>,
    ) -> Aligned<f32> {
        let mut packed = Aligned::zeros(inputs * self.columns());
        let panel = self.panel();
        self.each(|row, column, factor| {
            let start = (column / panel) * panel * inputs + column % panel;
            for k in 0..inputs {
                if let Some(source) = input(k) {
                    packed[start + k * panel] = matrix[[row, source]] * factor;
                }
            }
        });
        packed
    }

    /// `W_hh` as panels.
    pub(super) fn pack_state(&self, weights: &CellWeights<'_>) -> Aligned<f32> {
        let hidden = self.hidden;
        self.pack(&weights.weights.weight_hh, self.units, |k| (k < hidden).then_some(k))
    }

    /// `W_ih` as panels and its number of inputs, for layers that read states; nothing for layers that read tokens.
    pub(super) fn pack_input(&self, weights: &CellWeights<'_>) -> (Aligned<f32>, usize) {
        let Source::States { directions, row } = weights.source else { return (Aligned::zeros(0), 0) };
        let hidden = weights.weights.weight_ih.ncols() / directions;
        let input = |k: usize| (k % row < hidden).then_some(k / row * hidden + k % row);
        (self.pack(&weights.weights.weight_ih, directions * row, input), directions * row)
    }

    /// The bias that the input's product starts from, by column.
    pub(super) fn input_bias(&self, weights: &CellWeights<'_>) -> Aligned<f32> {
        let mut bias = Aligned::zeros(self.columns());
        self.each(|row, column, factor| bias[column] = weights.input_bias(row) * factor);
        bias
    }

    /// The bias that the state's product starts from, by column.
    pub(super) fn state_bias(&self, weights: &CellWeights<'_>) -> Aligned<f32> {
        let mut bias = Aligned::zeros(self.columns());
        self.each(|row, column, factor| bias[column] = weights.state_bias(row) * factor);
        bias
    }

    /// The input product of every token in full precision, `[vocabulary, columns]`; empty for layers that read states.
    pub(super) fn table(&self, weights: &CellWeights<'_>) -> Aligned<f32> {
        let Source::Tokens(embedding) = weights.source else { return Aligned::zeros(0) };
        let products = weights.token_products(&embedding);
        let mut table = Aligned::zeros(embedding.nrows() * self.columns());
        for (row, products) in table.chunks_exact_mut(self.columns()).zip(products.rows()) {
            self.each(|index, column, factor| row[column] = products[index] * factor);
        }
        table
    }

    /// The same in 16 bits: fixed-point numbers and the value of one unit by column. A column's error is at most its
    /// largest magnitude / 65,534; half-precision numbers of magnitude 1 to 2 would be off by 1 / 2,048 of 1.
    pub(super) fn table16(&self, weights: &CellWeights<'_>) -> (Aligned<i16>, Aligned<f32>) {
        let Source::Tokens(embedding) = weights.source else { return (Aligned::zeros(0), Aligned::zeros(0)) };
        let products = weights.token_products(&embedding);
        let mut largest = vec![0.0f32; products.ncols()];
        for row in products.rows() {
            for (largest, value) in largest.iter_mut().zip(row) {
                *largest = largest.max(value.abs());
            }
        }
        let limit = f32::from(i16::MAX);
        let mut scale = Aligned::zeros(self.columns());
        self.each(|index, column, factor| scale[column] = largest[index] / limit * factor);
        let per_value: Vec<f32> =
            largest.iter().map(|&largest| if largest > 0.0 { limit / largest } else { 0.0 }).collect();
        let mut table = Aligned::zeros(embedding.nrows() * self.columns());
        for (row, products) in table.chunks_exact_mut(self.columns()).zip(products.rows()) {
            self.each(|index, column, _| row[column] = (products[index] * per_value[index]).round() as i16);
        }
        (table, scale)
    }
}
