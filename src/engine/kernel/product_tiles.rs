//! Matrix products on tiles: 16-bit numbers, summed in f32, written once over [`Tiles`].
//!
//! What is multiplied is laid out first. *Rows*: bf16 numbers, a row after the other, as the left side of a product is read.
//! *Panels*: 32 columns side by side, pairs of inputs next to each other, as the right side is read. Both are padded with
//! zeros to whole tiles of inputs.
//!
//! Always holds: a row's sums do not depend on the number of rows computed together.

use super::tiles::{BLOCK, INPUTS, PANEL, ROWS, SUMS, TILE, Tiles};

/// Most tiles of inputs that are summed before the sums are written: a panel of so many stays in L1 while all rows pass.
const CHUNK: usize = 16;

/// The layout of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowsShape {
    /// Tiles of inputs in a row.
    pub tiles: usize,
    /// Numbers from row to row.
    pub stride: usize,
}

impl RowsShape {
    /// Rows of `inputs` numbers.
    pub fn new(inputs: usize) -> Self {
        let tiles = inputs.div_ceil(INPUTS);
        // One cache line more than needed: rows a power of two apart would fall into the same few sets of L1.
        RowsShape { tiles, stride: (tiles + 1) * INPUTS }
    }

    /// Numbers that `rows` rows take.
    pub fn len(self, rows: usize) -> usize {
        rows.next_multiple_of(BLOCK) * self.stride
    }
}

/// A matrix of f32 numbers, rows `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that follow each other.
    pub(crate) fn new(data: &'a [f32], columns: usize) -> Self {
        Matrix { data, rows: data.len() / columns.max(1), columns, stride: columns }
    }

    /// Some of the columns.
    pub(crate) fn columns(self, range: std::ops::Range<usize>) -> Self {
        Matrix { data: &self.data[range.start.min(self.data.len())..], columns: range.len(), ..self }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.columns]
    }
}

/// A product: `out = bias + a b`, or `out += a b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProductArgs {
    /// Rows, as [`RowsShape`] says.
    pub a: *const u16,
    pub shape: RowsShape,
    pub rows: usize,
    /// Panels: `[panels, tiles of inputs, 2 tiles]`.
    pub b: *const u16,
    pub columns: usize,
    /// What the sums start from, `[columns, padded to whole panels]`.
    pub bias: *const f32,
    /// Whether to add to what is there; `bias` must be zeros then.
    pub add: bool,
    /// `[rows, columns]`, `out_stride` apart.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// What a CPU's file hands out.
#[derive(Debug)]
pub(super) struct Routines {
    pub product: unsafe fn(&ProductArgs),
    pub to_rows: unsafe fn(Matrix<'_>, RowsShape, &mut [u16]),
    pub to_rows_transposed: unsafe fn(Matrix<'_>, RowsShape, &mut [u16], &mut [u32]),
    pub to_panels: unsafe fn(Matrix<'_>, &mut [u16]),
    pub to_panels_transposed: unsafe fn(Matrix<'_>, &mut [u16]),
}

/// Numbers that the panels of an `[inputs, columns]` matrix take.
pub(super) fn panels_len(inputs: usize, columns: usize) -> usize {
    columns.div_ceil(PANEL) * inputs.div_ceil(INPUTS) * 2 * TILE
}

/// See [`ProductArgs`].
#[inline(always)]
pub(super) unsafe fn product<T: Tiles>(args: &ProductArgs) {
    #[repr(align(64))]
    struct Sums([f32; SUMS]);
    let mut sums = Sums([0.0; SUMS]);
    let zeros = Sums([0.0; SUMS]);
    let mut tiles = T::new();
    let inputs = args.shape.tiles;
    let mut first = 0;
    while first < inputs || first == 0 {
        let chunk = (inputs - first).min(CHUNK);
        for panel in 0..args.columns.div_ceil(PANEL) {
            let column = panel * PANEL;
            let columns = (args.columns - column).min(PANEL);
            let mut row = 0;
            while row < args.rows {
                let rows = (args.rows - row).min(BLOCK);
                let add = args.add || first > 0;
                // SAFETY: as `ProductArgs` says; rows are padded to whole blocks and panels to whole tiles.
                unsafe {
                    tiles.begin(if add { zeros.0.as_ptr() } else { args.bias.add(column) });
                    let mut a = args.a.add(row * args.shape.stride + first * INPUTS);
                    let mut b = args.b.add((panel * inputs + first) * 2 * TILE);
                    for _ in 0..chunk {
                        tiles.add(a, args.shape.stride * 2, b, rows > ROWS);
                        a = a.add(INPUTS);
                        b = b.add(2 * TILE);
                    }
                    tiles.store(sums.0.as_mut_ptr(), rows > ROWS);
                    let out = args.out.add(row * args.out_stride + column);
                    write(&sums.0, rows, columns, out, args.out_stride, add);
                }
                row += BLOCK;
            }
        }
        first += chunk.max(1);
    }
}

/// Writes or adds a block's sums.
#[inline(always)]
unsafe fn write(sums: &[f32; SUMS], rows: usize, columns: usize, out: *mut f32, stride: usize, add: bool) {
    for row in 0..rows {
        for half in 0..columns.div_ceil(ROWS) {
            let width = (columns - half * ROWS).min(ROWS);
            let sums = &sums[(half * BLOCK + row) * ROWS..][..ROWS];
            // SAFETY: the caller has `rows` rows of `columns` numbers, `stride` apart.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(row * stride + half * ROWS), width) };
            match (add, width == ROWS) {
                (true, true) => (0..ROWS).for_each(|lane| out[lane] += sums[lane]),
                (false, true) => out.copy_from_slice(sums),
                (true, false) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                (false, false) => out.copy_from_slice(&sums[..width]),
            }
        }
    }
}

/// The upper half of an f32, rounded to the nearest, ties to even: bf16.
#[inline(always)]
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
}

/// Two numbers as a pair of bf16, the first in the lower half.
#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    (round(second) & 0xffff_0000) | (round(first) >> 16)
}

/// Lays `matrix` out as rows.
#[inline(always)]
pub(super) fn to_rows(matrix: Matrix<'_>, shape: RowsShape, out: &mut [u16]) {
    for row in 0..matrix.rows {
        let (from, to) = (matrix.row(row), &mut out[row * shape.stride..][..shape.tiles * INPUTS]);
        let (numbers, padding) = to.split_at_mut(from.len());
        for (to, &from) in numbers.iter_mut().zip(from) {
            *to = (round(from) >> 16) as u16;
        }
        padding.fill(0);
    }
}

/// Pairs of rows of a matrix, `[inputs / 2, columns]`.
#[inline(always)]
fn pairs(matrix: Matrix<'_>, row: usize, out: &mut [u32]) {
    let first = matrix.row(row);
    if row + 1 < matrix.rows {
        let second = matrix.row(row + 1);
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
#[inline(always)]
pub(super) fn to_rows_transposed(matrix: Matrix<'_>, shape: RowsShape, out: &mut [u16], scratch: &mut [u32]) {
    let width = matrix.columns;
    for tile in 0..shape.tiles {
        for line in 0..ROWS {
            let row = tile * INPUTS + 2 * line;
            let to = &mut scratch[line * width..][..width];
            if row < matrix.rows { pairs(matrix, row, to) } else { to.fill(0) }
        }
        for column in 0..width {
            let to = &mut out[column * shape.stride + tile * INPUTS..][..INPUTS];
            for line in 0..ROWS {
                let pair = scratch[line * width + column];
                to[2 * line] = pair as u16;
                to[2 * line + 1] = (pair >> 16) as u16;
            }
        }
    }
}

/// Lays `matrix`, `[inputs, columns]`, out as panels.
#[inline(always)]
pub(super) fn to_panels(matrix: Matrix<'_>, out: &mut [u16]) {
    let tiles = matrix.rows.div_ceil(INPUTS);
    for panel in 0..matrix.columns.div_ceil(PANEL) {
        for half in 0..2 {
            let column = (panel * PANEL + half * ROWS).min(matrix.columns);
            let width = (matrix.columns - column).min(ROWS);
            let narrow = matrix.columns(column..column + width);
            for tile in 0..tiles {
                let to = &mut out[((panel * tiles + tile) * 2 + half) * TILE..][..TILE];
                for (line, to) in to.chunks_exact_mut(2 * ROWS).enumerate() {
                    let row = tile * INPUTS + 2 * line;
                    let mut both = [0_u32; ROWS];
                    if row < matrix.rows && width > 0 {
                        pairs(narrow, row, &mut both[..width]);
                    }
                    for (to, pair) in to.chunks_exact_mut(2).zip(both) {
                        to[0] = pair as u16;
                        to[1] = (pair >> 16) as u16;
                    }
                }
            }
        }
    }
}

/// Lays the transposed `matrix`, `[columns, inputs]`, out as panels.
#[inline(always)]
pub(super) fn to_panels_transposed(matrix: Matrix<'_>, out: &mut [u16]) {
    let (columns, inputs) = (matrix.rows, matrix.columns);
    let tiles = inputs.div_ceil(INPUTS);
    out.fill(0);
    for column in 0..columns {
        let from = matrix.row(column);
        let (panel, half, lane) = (column / PANEL, column / ROWS % 2, column % ROWS);
        for (tile, from) in from.chunks(INPUTS).enumerate() {
            let to = &mut out[((panel * tiles + tile) * 2 + half) * TILE..][..TILE];
            for (input, &value) in from.iter().enumerate() {
                to[input / 2 * 2 * ROWS + lane * 2 + input % 2] = (round(value) >> 16) as u16;
            }
        }
    }
}

/// Defines a CPU's [`Routines`]: `product_routines!(NAME, Tiles, "features")`.
macro_rules! product_routines {
    ($name:ident, $tiles:ty, $features:literal) => {
        /// Products for training; to be called only where the CPU has the features and the tiles.
        pub(super) static $name: $crate::engine::kernel::product_tiles::Routines = {
            use $crate::engine::kernel::product_tiles as own;

            #[target_feature(enable = $features)]
            unsafe fn product(args: &own::ProductArgs) {
                // SAFETY: the features are on; tiles and memory are the caller's promise.
                unsafe { own::product::<$tiles>(args) }
            }
            #[target_feature(enable = $features)]
            unsafe fn to_rows(matrix: own::Matrix<'_>, shape: own::RowsShape, out: &mut [u16]) {
                own::to_rows(matrix, shape, out);
            }
            #[target_feature(enable = $features)]
            unsafe fn to_rows_transposed(
                matrix: own::Matrix<'_>,
                shape: own::RowsShape,
                out: &mut [u16],
                scratch: &mut [u32],
            ) {
                own::to_rows_transposed(matrix, shape, out, scratch);
            }
            #[target_feature(enable = $features)]
            unsafe fn to_panels(matrix: own::Matrix<'_>, out: &mut [u16]) {
                own::to_panels(matrix, out);
            }
            #[target_feature(enable = $features)]
            unsafe fn to_panels_transposed(matrix: own::Matrix<'_>, out: &mut [u16]) {
                own::to_panels_transposed(matrix, out);
            }
            own::Routines { product, to_rows, to_rows_transposed, to_panels, to_panels_transposed }
        };
    };
}
pub(super) use product_routines;
