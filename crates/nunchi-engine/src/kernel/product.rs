//! Matrix products of training, f32 in and out: on tiles of 16-bit floats where the CPU has them, else in f32 by our kernels,
//! or by the library on CPUs that we have none for.
//!
//! Weights are packed once a step and shared by all threads; what a product needs beside them lies in a [`ProductScratch`]
//! of its thread. Sums are f32 in both; on tiles, inputs are rounded to bf16 (8 bits of precision), which training bears:
//! gradients are noisier than that.

use super::product_tiles::{ProductArgs, RowsShape, TileProducts, panels_len};
use super::product_vectors::{self, VectorProducts};
use super::tiles::PANEL;
use super::{Aligned, Session};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};
use nunchi_model::Precision;

pub use super::product_tiles::Matrix;

/// Rows of both sides of an outer product that are laid out together.
const OUTER_ROWS: usize = 256;

/// How products are computed.
#[derive(Clone, Copy, Debug)]
pub struct Products {
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// 16-bit floats on tiles.
    Tiles(&'static TileProducts),
    /// f32 by our kernels.
    Vectors(&'static VectorProducts),
    /// f32 by the library, on any CPU.
    Library,
}

/// The right side of a product, `[inputs, columns]`, laid out for it.
#[derive(Debug, Default)]
pub struct PackedMatrix {
    inputs: usize,
    columns: usize,
    panels: Aligned<u16>,
    vectors: Aligned<f32>,
    /// In f32, `[inputs, columns]`, or with `transposed` `[columns, inputs]`.
    wide: Vec<f32>,
    transposed: bool,
}

/// Memory that products reuse.
#[derive(Debug, Default)]
pub struct ProductScratch {
    rows: Aligned<u16>,
    panels: Aligned<u16>,
    pairs: Vec<u32>,
    bias: Aligned<f32>,
    vectors: product_vectors::Scratch,
}

impl Products {
    /// Tiles where the CPU has them.
    pub fn best() -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if (super::amx::PRODUCTS.available)() {
            return Products { way: Way::Tiles(&super::amx::PRODUCTS) };
        }
        Self::f32()
    }

    /// In f32, by our kernels where the CPU can run one.
    pub fn f32() -> Self {
        #[cfg(target_arch = "x86_64")]
        for products in [&super::avx512::PRODUCTS, &super::avx2::PRODUCTS] {
            if (products.available)() {
                return Products { way: Way::Vectors(products) };
            }
        }
        Self::library()
    }

    /// In f32 by AVX2, if this CPU has it, whatever else it has.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if (super::avx2::PRODUCTS.available)() {
            return Some(Products { way: Way::Vectors(&super::avx2::PRODUCTS) });
        }
        None
    }

    /// In f32 by the library.
    pub fn library() -> Self {
        Products { way: Way::Library }
    }

    /// Tiles of plain arrays.
    #[cfg(all(any(test, feature = "plain"), target_arch = "x86_64"))]
    pub fn plain_tiles() -> Self {
        Products { way: Way::Tiles(&super::plain_tiles::PRODUCTS) }
    }

    /// The precision of the products' inputs.
    pub fn precision(&self) -> Precision {
        if matches!(self.way, Way::Tiles(_)) { Precision::Bf16 } else { Precision::F32 }
    }

    /// Makes this thread ready, until the session is dropped.
    pub fn enter(&self) -> Session {
        match self.way {
            Way::Tiles(tiles) => (tiles.enter)(),
            _ => Session::default(),
        }
    }

    /// Packs `matrix`, `[inputs, columns]`, as a right side.
    pub fn pack(&self, matrix: Matrix<'_>, packed: &mut PackedMatrix) {
        packed.inputs = matrix.rows;
        packed.columns = matrix.columns;
        packed.transposed = false;
        match self.way {
            Way::Tiles(tiles) => {
                packed.panels.resize(panels_len(matrix.rows, matrix.columns));
                assert!((tiles.available)(), "products on tiles are chosen only where the CPU has them");
                // SAFETY: the CPU has what the routines need.
                unsafe { (tiles.routines.to_panels)(matrix, &mut packed.panels) }
            }
            Way::Vectors(vectors) => vectors.pack(matrix, false, &mut packed.vectors),
            Way::Library => packed.copy(matrix),
        }
    }

    /// Packs the transposed `matrix`, `[columns, inputs]`, as a right side.
    pub fn pack_transposed(&self, matrix: Matrix<'_>, packed: &mut PackedMatrix) {
        packed.inputs = matrix.columns;
        packed.columns = matrix.rows;
        packed.transposed = true;
        match self.way {
            Way::Tiles(tiles) => {
                packed.panels.resize(panels_len(matrix.columns, matrix.rows));
                assert!((tiles.available)(), "products on tiles are chosen only where the CPU has them");
                // SAFETY: the CPU has what the routines need.
                unsafe { (tiles.routines.to_panels_transposed)(matrix, &mut packed.panels) }
            }
            Way::Vectors(vectors) => vectors.pack(matrix, true, &mut packed.vectors),
            Way::Library => packed.copy(matrix),
        }
    }

    /// `out = bias + a b`, `[rows, columns]`; `out += a b` without a bias.
    pub fn times(
        &self,
        session: &Session,
        a: Matrix<'_>,
        b: &PackedMatrix,
        bias: Option<&[f32]>,
        out: &mut [f32],
        scratch: &mut ProductScratch,
    ) {
        assert!(a.columns == b.inputs && out.len() >= a.rows * b.columns, "products of matching dimensions");
        if a.rows == 0 {
            return;
        }
        match self.way {
            Way::Tiles(tiles) => {
                assert!(session.has_tiles(), "products on tiles need a session that has them");
                let shape = RowsShape::new(a.columns);
                let columns = b.columns.next_multiple_of(PANEL);
                scratch.rows.resize(shape.len(a.rows));
                scratch.bias.resize(columns);
                match bias {
                    Some(bias) => scratch.bias[..b.columns].copy_from_slice(bias),
                    None => scratch.bias.fill(0.0),
                }
                let args = ProductArgs {
                    a: scratch.rows.as_ptr(),
                    shape,
                    rows: a.rows,
                    b: b.panels.as_ptr(),
                    columns: b.columns,
                    bias: scratch.bias.as_ptr(),
                    add: bias.is_none(),
                    out: out.as_mut_ptr(),
                    out_stride: b.columns,
                };
                // SAFETY: the session proves that the CPU has tiles and this thread has entered; rows, panels, bias and `out` are as large as the arguments say.
                unsafe {
                    (tiles.routines.to_rows)(a, shape, &mut scratch.rows);
                    (tiles.routines.product)(&args);
                }
            }
            Way::Vectors(vectors) => {
                vectors.times(a, &b.vectors, (b.columns, bias), out, &mut scratch.vectors);
            }
            Way::Library => {
                let mut out = ArrayViewMut2::from_shape((a.rows, b.columns), &mut out[..a.rows * b.columns])
                    .expect("as long as rows times columns");
                if let Some(bias) = bias {
                    out.rows_mut().into_iter().for_each(|mut row| {
                        row.as_slice_mut().expect("rows are contiguous").copy_from_slice(bias);
                    });
                }
                general_mat_mul(1.0, &view(a), &b.view(), 1.0, &mut out);
            }
        }
    }

    /// `out += aᵀ b`, `[columns of a, columns of b]`: the gradient of weights from what went in (`b`) and the gradient of what
    /// came out (`a`), both with one row a token.
    pub fn outer(
        &self,
        session: &Session,
        a: Matrix<'_>,
        b: Matrix<'_>,
        out: &mut [f32],
        scratch: &mut ProductScratch,
    ) {
        assert!(a.rows == b.rows && out.len() == a.columns * b.columns, "products of matching dimensions");
        if a.rows == 0 {
            return;
        }
        match self.way {
            Way::Tiles(tiles) => {
                assert!(session.has_tiles(), "products on tiles need a session that has them");
                scratch.pairs.resize(super::tiles::ROWS * a.columns, 0);
                // In pieces that stay in L2, together with the sums.
                for first in (0..a.rows).step_by(OUTER_ROWS) {
                    let (a, b) = (a.piece(first, OUTER_ROWS), b.piece(first, OUTER_ROWS));
                    let shape = RowsShape::new(a.rows);
                    scratch.rows.resize(shape.len(a.columns));
                    scratch.panels.resize(panels_len(b.rows, b.columns));
                    let args = ProductArgs {
                        a: scratch.rows.as_ptr(),
                        shape,
                        rows: a.columns,
                        b: scratch.panels.as_ptr(),
                        columns: b.columns,
                        bias: std::ptr::null(),
                        add: true,
                        out: out.as_mut_ptr(),
                        out_stride: b.columns,
                    };
                    // SAFETY: the session proves that the CPU has tiles and this thread has entered; rows, panels and `out` are as
                    // large as the arguments say, and with `add` there is no bias.
                    unsafe {
                        (tiles.routines.to_rows_transposed)(a, shape, &mut scratch.rows, &mut scratch.pairs);
                        (tiles.routines.to_panels)(b, &mut scratch.panels);
                        (tiles.routines.product)(&args);
                    }
                }
            }
            Way::Vectors(vectors) => vectors.outer(a, b, out, &mut scratch.vectors),
            Way::Library => {
                let mut out = ArrayViewMut2::from_shape((a.columns, b.columns), out)
                    .expect("as long as rows times columns");
                general_mat_mul(1.0, &view(a).reversed_axes(), &view(b), 1.0, &mut out);
            }
        }
    }
}

impl PackedMatrix {
    fn copy(&mut self, matrix: Matrix<'_>) {
        self.wide.clear();
        for row in 0..matrix.rows {
            self.wide.extend_from_slice(&matrix.data[row * matrix.stride..][..matrix.columns]);
        }
    }

    fn view(&self) -> ArrayView2<'_, f32> {
        let dimensions =
            if self.transposed { (self.columns, self.inputs) } else { (self.inputs, self.columns) };
        let view = ArrayView2::from_shape(dimensions, &self.wide).expect("as long as rows times columns");
        if self.transposed { view.reversed_axes() } else { view }
    }
}

fn view(matrix: Matrix<'_>) -> ArrayView2<'_, f32> {
    let shape = (matrix.rows, matrix.columns).strides((matrix.stride, 1));
    ArrayView2::from_shape(shape, matrix.data).expect("a matrix holds its rows")
}
