//! Laying matrices out for products on tiles, plainly: for tests, on any CPU.

// Loops over fixed arrays read better with an index.
#![allow(clippy::needless_range_loop)]

use super::product_tiles::{Matrix, RowsShape};
use super::tiles::{INPUTS, PANEL, ROWS, TILE};

fn row_of(matrix: Matrix<'_>, row: usize) -> &[f32] {
    &matrix.data[row * matrix.stride..][..matrix.columns]
}

/// The upper half of an f32, rounded to the nearest, ties to even: bf16.
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
}

/// Two numbers as a pair of bf16, the first in the lower half.
fn pair(first: f32, second: f32) -> u32 {
    (round(second) & 0xffff_0000) | (round(first) >> 16)
}

/// Lays `matrix` out as rows.
pub(super) fn to_rows(matrix: Matrix<'_>, shape: RowsShape, out: &mut [u16]) {
    for row in 0..matrix.rows {
        let (from, to) = (row_of(matrix, row), &mut out[row * shape.stride..][..shape.tiles * INPUTS]);
        let (elements, padding) = to.split_at_mut(from.len());
        for (to, &from) in elements.iter_mut().zip(from) {
            *to = (round(from) >> 16) as u16;
        }
        padding.fill(0);
    }
}

/// Pairs of rows of a matrix, `[inputs / 2, columns]`.
fn pairs(matrix: Matrix<'_>, row: usize, out: &mut [u32]) {
    let first = row_of(matrix, row);
    if row + 1 < matrix.rows {
        let second = row_of(matrix, row + 1);
        for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
            *out = pair(first, second);
        }
    } else {
        for (out, &first) in out.iter_mut().zip(first) {
            *out = pair(first, 0.0);
        }
    }
}

/// Lays the transposed `matrix` out as rows: its columns become rows. `scratch` holds 16 pairs of rows.
pub(super) fn to_rows_transposed(matrix: Matrix<'_>, shape: RowsShape, out: &mut [u16], scratch: &mut [u32]) {
    let width = matrix.columns;
    let out: &mut [u32] = bytemuck::cast_slice_mut(out);
    for tile in 0..shape.tiles {
        for line in 0..ROWS {
            let row = tile * INPUTS + 2 * line;
            let to = &mut scratch[line * width..][..width];
            if row < matrix.rows { pairs(matrix, row, to) } else { to.fill(0) }
        }
        let lines: [&[u32]; ROWS] = std::array::from_fn(|line| &scratch[line * width..][..width]);
        for column in 0..width {
            let at = (column * shape.stride + tile * INPUTS) / 2;
            let (to, _) = out[at..].split_first_chunk_mut::<ROWS>().expect("rows are padded to whole tiles");
            for line in 0..ROWS {
                to[line] = lines[line][column];
            }
        }
    }
}

/// Lays `matrix`, `[inputs, columns]`, out as panels.
pub(super) fn to_panels(matrix: Matrix<'_>, out: &mut [u16]) {
    let tiles = matrix.rows.div_ceil(INPUTS);
    let out: &mut [u32] = bytemuck::cast_slice_mut(out);
    let (lines, _) = out.as_chunks_mut::<ROWS>();
    for panel in 0..matrix.columns.div_ceil(PANEL) {
        for half in 0..2 {
            let column = (panel * PANEL + half * ROWS).min(matrix.columns);
            let width = (matrix.columns - column).min(ROWS);
            for tile in 0..tiles {
                let to = &mut lines[((panel * tiles + tile) * 2 + half) * ROWS..][..ROWS];
                for (line, to) in to.iter_mut().enumerate() {
                    let row = tile * INPUTS + 2 * line;
                    let at = row * matrix.stride + column;
                    if width == ROWS && row + 1 < matrix.rows {
                        let first = matrix.data[at..].first_chunk::<ROWS>();
                        let second = matrix.data[at + matrix.stride..].first_chunk::<ROWS>();
                        let (first, second) = first.zip(second).expect("a matrix holds its rows");
                        for lane in 0..ROWS {
                            to[lane] = pair(first[lane], second[lane]);
                        }
                    } else {
                        *to = [0; ROWS];
                        if row < matrix.rows && width > 0 {
                            pairs(matrix.columns(column..column + width), row, &mut to[..width]);
                        }
                    }
                }
            }
        }
    }
}

/// Lays the transposed `matrix`, `[columns, inputs]`, out as panels.
pub(super) fn to_panels_transposed(matrix: Matrix<'_>, out: &mut [u16]) {
    let (columns, inputs) = (matrix.rows, matrix.columns);
    let tiles = inputs.div_ceil(INPUTS);
    let out: &mut [u32] = bytemuck::cast_slice_mut(out);
    out.fill(0);
    for column in 0..columns {
        let from = row_of(matrix, column);
        let (panel, half, lane) = (column / PANEL, column / ROWS % 2, column % ROWS);
        for (tile, from) in from.chunks(INPUTS).enumerate() {
            let to = &mut out[((panel * tiles + tile) * 2 + half) * TILE / 2..][..TILE / 2];
            for (line, from) in from.chunks(2).enumerate() {
                to[line * ROWS + lane] = pair(from[0], from.get(1).copied().unwrap_or(0.0));
            }
        }
    }
}
