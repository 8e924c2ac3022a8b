//! Parts of arrays along one axis.
//!
//! Why not `ndarray::s!`: it expands to an `unsafe` block, and this crate forbids `unsafe`.

use super::Real;
use ndarray::{ArrayRef, ArrayView, ArrayViewMut, Axis, Dimension, RemoveAxis, Slice};
use std::ops::Range;

/// The part of `array` whose indices along its first axis lie in `range`: rows of a matrix, elements of a vector.
pub(super) fn rows<F: Real, D: RemoveAxis>(
    array: &ArrayRef<F, D>,
    range: Range<usize>,
) -> ArrayView<'_, F, D> {
    array.slice_axis(Axis(0), Slice::from(range))
}

/// As [`rows`], to write to.
pub(super) fn rows_mut<F: Real, D: RemoveAxis>(
    array: &mut ArrayRef<F, D>,
    range: Range<usize>,
) -> ArrayViewMut<'_, F, D> {
    array.slice_axis_mut(Axis(0), Slice::from(range))
}

/// The part of `array` whose indices along its last axis lie in `range`: columns of a matrix, elements of a vector.
pub(super) fn columns<F: Real, D: Dimension>(
    array: &ArrayRef<F, D>,
    range: Range<usize>,
) -> ArrayView<'_, F, D> {
    array.slice_axis(Axis(array.ndim() - 1), Slice::from(range))
}
