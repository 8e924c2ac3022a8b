//! A weight matrix as panels, and its products with some rows: in full precision here, in 8 bits in [`super::quantized`].

use super::Aligned;
use super::layout::Layout;
use super::simd::{Product, ProductArgs, Routines, TOGETHER};
use std::fmt::Debug;

/// A weight matrix packed for a CPU's products.
pub(super) trait Matrix: Debug + Send + Sync {
    /// The form in which products read their inputs.
    type Element: Copy;

    /// Most rows of one product.
    fn most_rows(&self) -> usize;

    /// Panels of a product with a single row; 1 where it has no advantage.
    fn together(&self) -> usize {
        1
    }

    /// Inputs of a row.
    fn inputs(&self) -> usize;

    /// States (within ±1) in the form that products read.
    fn prepare<'a>(&self, states: &'a [f32], memory: &'a mut Aligned<u8>) -> &'a [Self::Element];

    /// The sums of some rows with one panel, or of a single row with several.
    ///
    /// # Safety
    /// The CPU has the features that the matrix was packed for; `block.out` has room for its rows.
    unsafe fn multiply(&self, block: Block<'_, Self::Element>);
}

/// Rows of a product.
#[derive(Debug)]
pub(super) struct Block<'a, E> {
    /// The (first) panel of the matrix.
    pub panel: usize,
    /// 1, or for a single row [`Matrix::together`].
    pub panels: usize,
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
    single: Product,
    together: usize,
    /// Panels of `[inputs, panel]`.
    weights: Aligned<f32>,
    bias: Aligned<f32>,
    inputs: usize,
    panel: usize,
}

impl Full {
    /// `weights` as [`Layout::pack`] lays them out, `bias` by column; `kind` is the cell's place in [`Routines`].
    pub(super) fn new(
        routines: &'static Routines,
        kind: usize,
        layout: &Layout,
        weights: Aligned<f32>,
        bias: Aligned<f32>,
        inputs: usize,
    ) -> Self {
        assert!(weights.len() == inputs * layout.columns() && bias.len() == layout.columns());
        let (products, single, together) = (routines.products[kind], routines.singles[kind], TOGETHER[kind]);
        Full { products, single, together, weights, bias, inputs, panel: layout.panel() }
    }
}

impl Matrix for Full {
    type Element = f32;

    fn most_rows(&self) -> usize {
        self.products.len()
    }

    fn together(&self) -> usize {
        self.together
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn prepare<'a>(&self, states: &'a [f32], _memory: &'a mut Aligned<u8>) -> &'a [f32] {
        states
    }

    unsafe fn multiply(&self, block: Block<'_, f32>) {
        assert!(block.a.is_none_or(|a| a.len() >= block.rows * self.inputs));
        assert!(block.panels == 1 || block.rows == 1 && block.panels == self.together);
        let elements = self.panel * block.panels;
        let args = ProductArgs {
            a: block.a.map_or(std::ptr::null(), <[f32]>::as_ptr),
            a_stride: self.inputs,
            inputs: if block.a.is_some() { self.inputs } else { 0 },
            w: self.weights[block.panel * self.panel * self.inputs..][..elements * self.inputs].as_ptr(),
            init: self.bias[block.panel * self.panel..][..elements].as_ptr(),
            out: block.out,
            out_stride: block.out_stride,
        };
        let product = if block.panels > 1 { self.single } else { self.products[block.rows - 1] };
        // SAFETY: the caller promises features and room; the inputs were checked, weights and bias are `panels` panels.
        unsafe { product(&args) }
    }
}
