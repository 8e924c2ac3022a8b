//! A weight matrix as panels, and its products with some rows: in full precision here, in 8 bits in [`super::quantised`].

use super::Aligned;
use super::layout::Layout;
use super::simd::{Product, ProductArgs};
use std::fmt::Debug;

/// A weight matrix packed for a CPU's products.
pub(super) trait Matrix: Debug + Send + Sync {
    /// The form in which products read their inputs.
    type Element: Copy;

    /// Most rows of one product.
    fn most_rows(&self) -> usize;

    /// Inputs of a row.
    fn inputs(&self) -> usize;

    /// States (within ±1) in the form that products read.
    fn prepare<'a>(&self, states: &'a [f32], memory: &'a mut Aligned<u8>) -> &'a [Self::Element];

    /// One panel's sums of some rows.
    ///
    /// # Safety
    /// The CPU has the features that the matrix was packed for; `block.out` has room for its rows.
    unsafe fn multiply(&self, block: Block<'_, Self::Element>);
}

/// Rows of a product.
#[derive(Debug)]
pub(super) struct Block<'a, E> {
    /// The panel of the matrix.
    pub panel: usize,
    /// At least 1, at most `most_rows`.
    pub rows: usize,
    /// Their inputs, one row after the other; none where they are zero.
    pub a: Option<&'a [E]>,
    /// The sums, rows `out_stride` apart.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// A matrix in full precision.
#[derive(Debug)]
pub(super) struct Full {
    products: &'static [Product],
    /// Panels of `[inputs, panel]`.
    weights: Aligned<f32>,
    bias: Aligned<f32>,
    inputs: usize,
    panel: usize,
}

impl Full {
    /// `weights` as [`Layout::pack`] lays them out, `bias` by column.
    pub(super) fn new(
        products: &'static [Product],
        layout: &Layout,
        weights: Aligned<f32>,
        bias: Aligned<f32>,
        inputs: usize,
    ) -> Self {
        assert!(weights.len() == inputs * layout.columns() && bias.len() == layout.columns());
        Full { products, weights, bias, inputs, panel: layout.panel() }
    }
}

impl Matrix for Full {
    type Element = f32;

    fn most_rows(&self) -> usize {
        self.products.len()
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn prepare<'a>(&self, states: &'a [f32], _memory: &'a mut Aligned<u8>) -> &'a [f32] {
        states
    }

    unsafe fn multiply(&self, block: Block<'_, f32>) {
        assert!(block.a.is_none_or(|a| a.len() >= block.rows * self.inputs));
        let args = ProductArgs {
            a: block.a.map_or(std::ptr::null(), <[f32]>::as_ptr),
            a_stride: self.inputs,
            inputs: if block.a.is_some() { self.inputs } else { 0 },
            w: self.weights[block.panel * self.panel * self.inputs..][..self.panel * self.inputs].as_ptr(),
            init: self.bias[block.panel * self.panel..][..self.panel].as_ptr(),
            out: block.out,
            out_stride: block.out_stride,
        };
        // SAFETY: the caller promises features and room; the inputs were checked, weights and bias are one panel.
        unsafe { self.products[block.rows - 1](&args) }
    }
}
