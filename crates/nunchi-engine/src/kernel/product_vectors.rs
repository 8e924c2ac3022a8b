//! Matrix products in f32 by the register-blocked kernels of [`super::simd`], for CPUs without tiles.

use super::Aligned;
use super::product_tiles::Matrix;
use super::simd::{ProductArgs, Routines};

/// Vectors of a panel, as a GRU's three gates have: the kernels for it use the registers best.
const VECTORS: usize = 3;
/// Rows of both sides of an outer product that are laid out together.
const OUTER_ROWS: usize = 256;

/// A CPU's kernels, and whether this CPU can run them.
#[derive(Debug)]
pub(super) struct VectorProducts {
    pub routines: &'static Routines,
    pub available: fn() -> bool,
}

/// Memory that products reuse.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    across: Vec<f32>,
    panels: Aligned<f32>,
    bias: Aligned<f32>,
    sums: Aligned<f32>,
}

impl VectorProducts {
    fn width(&self) -> usize {
        VECTORS * self.routines.lanes
    }

    /// Lays `matrix` out as panels: `[panels, inputs, width]`, padded with zeros. `transposed` says that it is `[columns, inputs]`.
    pub fn pack(&self, matrix: Matrix<'_>, transposed: bool, panels: &mut Aligned<f32>) {
        let width = self.width();
        let (inputs, columns) =
            if transposed { (matrix.columns, matrix.rows) } else { (matrix.rows, matrix.columns) };
        panels.resize(columns.div_ceil(width) * inputs * width);
        for (panel, to) in panels.chunks_exact_mut((inputs * width).max(1)).enumerate() {
            let first = panel * width;
            let count = (columns - first).min(width);
            if transposed {
                for column in 0..count {
                    let from = &matrix.data[(first + column) * matrix.stride..][..inputs];
                    for (to, &from) in to[column..].iter_mut().step_by(width).zip(from) {
                        *to = from;
                    }
                }
                for row in to.chunks_exact_mut(width) {
                    row[count..].fill(0.0);
                }
            } else {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    to[..count].copy_from_slice(&matrix.data[row * matrix.stride + first..][..count]);
                    to[count..].fill(0.0);
                }
            }
        }
    }

    /// `out = bias + a b`, or without a bias `out += a b`; `b` as [`VectorProducts::pack`] laid it out.
    pub fn times(
        &self,
        a: Matrix<'_>,
        b: &[f32],
        (columns, bias): (usize, Option<&[f32]>),
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        assert!((self.available)(), "products are chosen only where the CPU can run them");
        let width = self.width();
        let padded = columns.div_ceil(width) * width;
        assert!(b.len() >= padded * a.columns && out.len() >= a.rows * columns, "matching dimensions");
        assert!(
            a.rows == 0 || a.data.len() >= (a.rows - 1) * a.stride + a.columns,
            "a matrix holds its rows"
        );
        let kernels = self.routines.products[VECTORS - 2];
        scratch.bias.resize(padded);
        scratch.bias.fill(0.0);
        if let Some(bias) = bias {
            scratch.bias[..columns].copy_from_slice(bias);
        }
        scratch.sums.resize(kernels.len() * width);
        for first in (0..columns).step_by(width) {
            let count = (columns - first).min(width);
            let direct = bias.is_some() && count == width;
            for row in (0..a.rows).step_by(kernels.len()) {
                let rows = (a.rows - row).min(kernels.len());
                let (to, out_stride) = match direct {
                    true => (out[row * columns + first..].as_mut_ptr(), columns),
                    false => (scratch.sums.as_mut_ptr(), width),
                };
                let args = ProductArgs {
                    a: a.data[row * a.stride..].as_ptr(),
                    a_stride: a.stride,
                    inputs: a.columns,
                    w: b[first * a.columns..].as_ptr(),
                    init: scratch.bias[first..].as_ptr(),
                    out: to,
                    out_stride,
                };
                // SAFETY: the CPU can run it; there are `rows` rows of inputs, a panel of weights and of bias, and room for the
                // sums (all asserted above).
                unsafe { kernels[rows - 1](&args) };
                if !direct {
                    for (sums, row) in scratch.sums.chunks_exact(width).zip(row..row + rows) {
                        let out = &mut out[row * columns + first..][..count];
                        match bias {
                            Some(_) => out.copy_from_slice(&sums[..count]),
                            None => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                        }
                    }
                }
            }
        }
    }

    /// `out += aᵀ b`, in pieces that stay in L2.
    pub fn outer(&self, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], scratch: &mut Scratch) {
        for first in (0..a.rows).step_by(OUTER_ROWS) {
            let (a, b) = (a.piece(first, OUTER_ROWS), b.piece(first, OUTER_ROWS));
            let mut panels = std::mem::take(&mut scratch.panels);
            let mut across = std::mem::take(&mut scratch.across);
            self.pack(b, false, &mut panels);
            transpose(a, &mut across);
            self.times(Matrix::new(&across, a.rows), &panels, (b.columns, None), out, scratch);
            (scratch.panels, scratch.across) = (panels, across);
        }
    }
}

/// The columns of `matrix` as rows, in blocks that stay in L1.
fn transpose(matrix: Matrix<'_>, out: &mut Vec<f32>) {
    const BLOCK: usize = 16;
    out.resize(matrix.rows * matrix.columns, 0.0);
    for row in (0..matrix.rows).step_by(BLOCK) {
        for column in 0..matrix.columns {
            let to = &mut out[column * matrix.rows + row..][..(matrix.rows - row).min(BLOCK)];
            for (to, row) in to.iter_mut().zip(row..) {
                *to = matrix.data[row * matrix.stride + column];
            }
        }
    }
}
