//! Laying matrices out for products on tiles, with AVX-512: what [`super::product_tiles`] does plainly, and to the same bits but for
//! denormals, which count as zero here.
//!
//! A training step rounds and rearranges as many elements as it multiplies rows by columns: this must not take longer than the
//! products.

use super::product_tiles::{Matrix, RowsShape};
use super::tiles::{INPUTS, PANEL, ROWS, TILE};
use std::arch::x86_64::*;

/// Lays `matrix` out as rows.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn to_rows(matrix: Matrix<'_>, shape: RowsShape, out: &mut [u16]) {
    for row in 0..matrix.rows {
        let from = &matrix.data[row * matrix.stride..][..matrix.columns];
        let to = &mut out[row * shape.stride..][..shape.tiles * INPUTS];
        for (from, to) in from.chunks(INPUTS).zip(to.chunks_exact_mut(INPUTS)) {
            // SAFETY: masked loads read no more than the chunk; the store writes a tile's row, which is there.
            unsafe {
                let (low, high) = (from.len().min(ROWS), from.len().saturating_sub(ROWS));
                let first = _mm512_maskz_loadu_ps(mask(low), from.as_ptr());
                let second = _mm512_maskz_loadu_ps(mask(high), from.as_ptr().wrapping_add(ROWS));
                let both = _mm512_cvtne2ps_pbh(second, first);
                _mm512_storeu_si512(to.as_mut_ptr().cast(), std::mem::transmute::<__m512bh, __m512i>(both));
            }
        }
    }
}

/// Lays `matrix`, `[inputs, columns]`, out as panels.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn to_panels(matrix: Matrix<'_>, out: &mut [u16]) {
    let tiles = matrix.rows.div_ceil(INPUTS);
    assert!(out.len() >= matrix.columns.div_ceil(PANEL) * tiles * 2 * TILE, "panels have room");
    for tile in 0..tiles {
        for line in 0..ROWS {
            let row = tile * INPUTS + 2 * line;
            for half in 0..matrix.columns.div_ceil(PANEL) * 2 {
                let place = ((half / 2 * tiles + tile) * 2 + half % 2) * TILE + line * 2 * ROWS;
                // SAFETY: `pair` reads what the matrix has; the place lies in the panels, see above.
                unsafe {
                    let both = pair(&matrix, row, half * ROWS);
                    _mm512_storeu_si512(out.as_mut_ptr().add(place).cast(), both);
                }
            }
        }
    }
}

/// Lays the transposed `matrix` out as rows: its columns become rows.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn to_rows_transposed(
    matrix: Matrix<'_>,
    shape: RowsShape,
    out: &mut [u16],
    _scratch: &mut [u32],
) {
    assert!(out.len() >= shape.len(matrix.columns), "rows have room");
    for tile in 0..shape.tiles {
        for column in (0..matrix.columns).step_by(ROWS) {
            // SAFETY: `pair` reads what the matrix has; rows are padded to whole blocks, and a row to whole tiles.
            unsafe {
                let mut lines = [_mm512_setzero_si512(); ROWS];
                for (line, pairs) in lines.iter_mut().enumerate() {
                    *pairs = pair(&matrix, tile * INPUTS + 2 * line, column);
                }
                transpose(&mut lines);
                for (index, pairs) in lines.into_iter().enumerate() {
                    let place = (column + index) * shape.stride + tile * INPUTS;
                    _mm512_storeu_si512(out.as_mut_ptr().add(place).cast(), pairs);
                }
            }
        }
    }
}

/// Lays the transposed `matrix`, `[columns, inputs]`, out as panels.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn to_panels_transposed(matrix: Matrix<'_>, out: &mut [u16]) {
    let (columns, inputs) = (matrix.rows, matrix.columns);
    let tiles = inputs.div_ceil(INPUTS);
    assert!(out.len() >= columns.div_ceil(PANEL) * tiles * 2 * TILE, "panels have room");
    for half in 0..columns.div_ceil(PANEL) * 2 {
        for tile in 0..tiles {
            // SAFETY: masked loads read no more than a row; the tile lies in the panels, see above.
            unsafe {
                let mut lines = [_mm512_setzero_si512(); ROWS];
                for (lane, pairs) in lines.iter_mut().enumerate() {
                    let column = half * ROWS + lane;
                    if column < columns {
                        let from = &matrix.data[column * matrix.stride..][..inputs][tile * INPUTS..];
                        let (low, high) = (from.len().min(ROWS), from.len().saturating_sub(ROWS).min(ROWS));
                        let first = _mm512_maskz_loadu_ps(mask(low), from.as_ptr());
                        let second = _mm512_maskz_loadu_ps(mask(high), from.as_ptr().wrapping_add(ROWS));
                        *pairs = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
                    }
                }
                transpose(&mut lines);
                let place = ((half / 2 * tiles + tile) * 2 + half % 2) * TILE;
                for (line, pairs) in lines.into_iter().enumerate() {
                    _mm512_storeu_si512(out.as_mut_ptr().add(place + line * 2 * ROWS).cast(), pairs);
                }
            }
        }
    }
}

/// The first `count` lanes.
#[inline(always)]
fn mask(count: usize) -> __mmask16 {
    (0xffff_u32 >> (ROWS - count)) as u16
}

/// Pairs of two neighboring rows' elements, 16 from `column` on; what the matrix does not have is zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pair(matrix: &Matrix<'_>, row: usize, column: usize) -> __m512i {
    let wanted = mask(matrix.columns.saturating_sub(column).min(ROWS));
    // SAFETY: lanes and rows that the matrix does not have are not wanted.
    unsafe {
        let first = narrow(matrix, row, column, if row < matrix.rows { wanted } else { 0 });
        let second = narrow(matrix, row + 1, column, if row + 1 < matrix.rows { wanted } else { 0 });
        _mm512_or_si512(first, _mm512_slli_epi32::<16>(second))
    }
}

/// 16 elements as bf16 in the lower halves of 32 bits; those not wanted are zero.
// No closures here: they would not be inlined where the CPU's features are switched on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn narrow(matrix: &Matrix<'_>, row: usize, column: usize, wanted: __mmask16) -> __m512i {
    // SAFETY: a masked load reads only lanes that are wanted, which the caller says are there.
    unsafe {
        let from = matrix.data.as_ptr().wrapping_add(row * matrix.stride + column);
        let narrow = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(wanted, from));
        _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(narrow))
    }
}

/// Transposes 16 by 16 pairs: within quarters of vectors first, then the quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(lines: &mut [__m512i; ROWS]) {
    let mut step = [_mm512_setzero_si512(); ROWS];
    for i in 0..ROWS / 2 {
        step[2 * i] = _mm512_unpacklo_epi32(lines[2 * i], lines[2 * i + 1]);
        step[2 * i + 1] = _mm512_unpackhi_epi32(lines[2 * i], lines[2 * i + 1]);
    }
    for i in 0..ROWS / 4 {
        let [a, b, c, d] = [step[4 * i], step[4 * i + 1], step[4 * i + 2], step[4 * i + 3]];
        lines[4 * i] = _mm512_unpacklo_epi64(a, c);
        lines[4 * i + 1] = _mm512_unpackhi_epi64(a, c);
        lines[4 * i + 2] = _mm512_unpacklo_epi64(b, d);
        lines[4 * i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    // `lines[4 g + c]` holds, quarter by quarter q, column 4 q + c of rows 4 g to 4 g + 3.
    for c in 0..4 {
        let [a, b, e, f] = [lines[c], lines[4 + c], lines[8 + c], lines[12 + c]];
        let low = _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
        let high = _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
        let other_low = _mm512_shuffle_i32x4::<0b01_00_01_00>(e, f);
        let other_high = _mm512_shuffle_i32x4::<0b11_10_11_10>(e, f);
        step[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(low, other_low);
        step[4 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(low, other_low);
        step[8 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(high, other_high);
        step[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(high, other_high);
    }
    *lines = step;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{plain_layout as plain, product_tiles::panels_len};

    /// Every layout is the plain one's, on matrices with and without padding.
    #[test]
    fn layouts_are_the_plain_ones() {
        if !(is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")) {
            eprintln!("not tested: laying out with AVX-512 and bf16, which this CPU does not have");
            return;
        }
        for (rows, columns, stride) in
            [(1, 1, 1), (32, 32, 32), (33, 17, 20), (70, 48, 48), (5, 100, 128), (64, 31, 31)]
        {
            let data: Vec<f32> = (0..rows * stride).map(|index| (index as f32 * 0.37).sin() * 3.0).collect();
            let matrix = Matrix { data: &data, rows, columns, stride };
            let shape = RowsShape::new(columns);
            let across = RowsShape::new(rows);
            let mut pairs = vec![0; ROWS * columns];
            let check = |name: &str,
                         len: usize,
                         own: &mut dyn FnMut(&mut [u16]),
                         plain: &mut dyn FnMut(&mut [u16])| {
                // What lies beyond the matrix's rows means nothing.
                let mut both = [vec![7_u32; len / 2], vec![7_u32; len / 2]];
                own(bytemuck::cast_slice_mut(&mut both[0]));
                plain(bytemuck::cast_slice_mut(&mut both[1]));
                let differing =
                    both[0].iter().zip(&both[1]).filter(|(own, plain)| own != plain && **plain != 7).count();
                assert_eq!(differing, 0, "{name} of {rows} by {columns}");
            };
            // SAFETY: the CPU has the features, see above.
            unsafe {
                check("rows", shape.len(rows), &mut |out| to_rows(matrix, shape, out), &mut |out| {
                    plain::to_rows(matrix, shape, out);
                });
                check("panels", panels_len(rows, columns), &mut |out| to_panels(matrix, out), &mut |out| {
                    plain::to_panels(matrix, out);
                });
                let mut scratch = pairs.clone();
                check(
                    "transposed rows",
                    across.len(columns),
                    &mut |out| to_rows_transposed(matrix, across, out, &mut scratch),
                    &mut |out| plain::to_rows_transposed(matrix, across, out, &mut pairs),
                );
                check(
                    "transposed panels",
                    panels_len(columns, rows),
                    &mut |out| to_panels_transposed(matrix, out),
                    &mut |out| plain::to_panels_transposed(matrix, out),
                );
            }
        }
    }
}
