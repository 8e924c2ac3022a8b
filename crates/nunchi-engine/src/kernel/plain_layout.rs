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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::product_tiles::panels_len;
    use nunchi_model::WeightFormat;

    /// Sizes with and without padding, and rows that are further apart than they are wide.
    const SIZES: [(usize, usize, usize); 6] =
        [(1, 1, 1), (32, 32, 32), (33, 17, 20), (70, 48, 48), (5, 100, 128), (64, 31, 31)];

    fn data(rows: usize, stride: usize) -> Vec<f32> {
        (0..rows * stride).map(|index| (index as f32 * 0.37).sin() * 3.0).collect()
    }

    /// An element as it must stand there, rounded by another library.
    fn element(matrix: &Matrix<'_>, row: usize, column: usize) -> u16 {
        if row >= matrix.rows || column >= matrix.columns {
            return 0;
        }
        let value = WeightFormat::Bf16.round(matrix.data[row * matrix.stride + column]);
        (value.to_bits() >> 16) as u16
    }

    /// The place of `input` and `column` in panels for a product with `tiles` tiles of inputs.
    fn place(tiles: usize, input: usize, column: usize) -> usize {
        let (panel, half, lane) = (column / PANEL, column / ROWS % 2, column % ROWS);
        let (tile, line, parity) = (input / INPUTS, input % INPUTS / 2, input % 2);
        ((panel * tiles + tile) * 2 + half) * TILE + line * 2 * ROWS + lane * 2 + parity
    }

    fn transposed(matrix: &Matrix<'_>) -> Vec<f32> {
        let elements = (0..matrix.columns)
            .flat_map(|column| (0..matrix.rows).map(move |row| (row, column)))
            .map(|(row, column)| matrix.data[row * matrix.stride + column]);
        elements.collect()
    }

    #[test]
    fn every_element_is_where_a_product_reads_it_and_the_padding_is_zero() {
        for (rows, columns, stride) in SIZES {
            let data = data(rows, stride);
            let matrix = Matrix { data: &data, rows, columns, stride };
            let shape = RowsShape::new(columns);
            let mut out = vec![0x707; shape.len(rows)];
            to_rows(matrix, shape, &mut out);
            for row in 0..rows {
                for column in 0..shape.tiles * INPUTS {
                    assert_eq!(
                        out[row * shape.stride + column],
                        element(&matrix, row, column),
                        "{row} {column}"
                    );
                }
            }
            let tiles = rows.div_ceil(INPUTS);
            let mut words = vec![7_u32; panels_len(rows, columns) / 2];
            let out: &mut [u16] = bytemuck::cast_slice_mut(&mut words);
            to_panels(matrix, out);
            for input in 0..tiles * INPUTS {
                for column in 0..columns.next_multiple_of(PANEL) {
                    let found = out[place(tiles, input, column)];
                    assert_eq!(
                        found,
                        element(&matrix, input, column),
                        "{input} {column} of {rows} by {columns}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_transposed_layout_is_the_layout_of_the_transposed_matrix() {
        for (rows, columns, stride) in SIZES {
            let data = data(rows, stride);
            let matrix = Matrix { data: &data, rows, columns, stride };
            let other = transposed(&matrix);
            let other = Matrix { data: &other, rows: columns, columns: rows, stride: rows };
            let shape = RowsShape::new(rows);
            let mut both = [vec![7_u32; shape.len(columns) / 2], vec![7_u32; shape.len(columns) / 2]];
            to_rows_transposed(
                matrix,
                shape,
                bytemuck::cast_slice_mut(&mut both[0]),
                &mut vec![0; ROWS * columns],
            );
            to_rows(other, shape, bytemuck::cast_slice_mut(&mut both[1]));
            for row in 0..columns {
                let line = row * shape.stride / 2..(row * shape.stride + shape.tiles * INPUTS) / 2;
                assert_eq!(both[0][line.clone()], both[1][line], "row {row} of {columns} by {rows}");
            }
            let len = panels_len(columns, rows) / 2;
            let mut both = [vec![7_u32; len], vec![7_u32; len]];
            to_panels_transposed(matrix, bytemuck::cast_slice_mut(&mut both[0]));
            to_panels(other, bytemuck::cast_slice_mut(&mut both[1]));
            assert_eq!(both[0], both[1], "panels of {columns} by {rows}");
        }
    }
}
