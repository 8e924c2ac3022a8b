//! The matrix products of the network, in one place.

use super::Real;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};

/// `out += a b`.
pub(super) fn multiply<F: Real>(a: ArrayView2<'_, F>, b: ArrayView2<'_, F>, mut out: ArrayViewMut2<'_, F>) {
    if a.nrows() > 0 {
        general_mat_mul(F::one(), &a, &b, F::one(), &mut out);
    }
}

/// `out += a bᵀ`.
pub(super) fn multiply_transposed<F: Real>(
    a: ArrayView2<'_, F>,
    b: ArrayView2<'_, F>,
    out: ArrayViewMut2<'_, F>,
) {
    multiply(a, b.reversed_axes(), out);
}

/// `a bᵀ`.
pub(super) fn product_with_transposed<F: Real>(a: ArrayView2<'_, F>, b: ArrayView2<'_, F>) -> Array2<F> {
    let mut out = Array2::zeros((a.nrows(), b.nrows()));
    multiply_transposed(a, b, out.view_mut());
    out
}

/// Adds `bias` to every row.
pub(super) fn add_bias<F: Real>(matrix: &mut Array2<F>, bias: &Array1<F>) {
    *matrix += bias;
}

/// Adds the sum of every column of `matrix` to `sums`.
pub(super) fn add_column_sums<F: Real>(matrix: ArrayView2<'_, F>, mut sums: ArrayViewMut1<'_, F>) {
    for row in matrix.axis_iter(Axis(0)) {
        sums += &row;
    }
}
