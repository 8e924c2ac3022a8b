//! Matrix products on tiles: 16-bit floats, summed in f32, written once over [`Tiles`].
//!
//! What is multiplied is laid out first. *Rows*: bf16 elements, a row after the other, as the left side of a product is read.
//! *Panels*: 32 columns side by side, pairs of inputs next to each other, as the right side is read. Both are padded with
//! zeros to whole tiles of inputs.
//!
//! Always holds: a row's sums do not depend on the number of rows computed together.

// Loops over fixed arrays are unrolled by the compiler; iterators over them are not, reliably.
#![allow(clippy::needless_range_loop)]

use super::Session;
use super::tiles::{BLOCK, INPUTS, PANEL, ROWS, SUMS, TILE, Tiles};

/// Most tiles of inputs that are summed before the sums are written: a block of rows of so many (16 kB) stays in L1 while all
/// panels pass.
const CHUNK: usize = 16;

/// The layout of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowsShape {
    /// Tiles of inputs in a row.
    pub tiles: usize,
    /// Elements from row to row.
    pub stride: usize,
}

impl RowsShape {
    /// Rows of `inputs` elements.
    pub fn new(inputs: usize) -> Self {
        let tiles = inputs.div_ceil(INPUTS);
        // One cache line more than needed: rows a power of two apart would fall into the same few sets of L1.
        RowsShape { tiles, stride: (tiles + 1) * INPUTS }
    }

    /// Elements that `rows` rows take.
    pub fn len(self, rows: usize) -> usize {
        rows.next_multiple_of(BLOCK) * self.stride
    }
}

/// A matrix of f32 elements, rows `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The elements, from the first row on.
    pub data: &'a [f32],
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Elements from the beginning of a row to that of the next.
    pub stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that follow each other.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        Matrix { data, rows: data.len() / columns.max(1), columns, stride: columns }
    }

    /// At most `rows` rows from `first` on.
    pub fn piece(self, first: usize, rows: usize) -> Self {
        Matrix { data: &self.data[first * self.stride..], rows: rows.min(self.rows - first), ..self }
    }

    /// Some of the columns.
    pub fn columns(self, range: std::ops::Range<usize>) -> Self {
        Matrix { data: &self.data[range.start.min(self.data.len())..], columns: range.len(), ..self }
    }
}

/// A product: `out = bias + a b`, or `out += a b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProductArgs {
    /// Rows, see [`RowsShape`].
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

/// Tiles of a CPU, and what makes a thread ready for them.
#[derive(Debug)]
pub(super) struct TileProducts {
    pub routines: &'static Routines,
    pub available: fn() -> bool,
    pub enter: fn() -> Session,
}

/// Elements that the panels of an `[inputs, columns]` matrix take.
pub(super) fn panels_len(inputs: usize, columns: usize) -> usize {
    columns.div_ceil(PANEL) * inputs.div_ceil(INPUTS) * 2 * TILE
}

/// See [`ProductArgs`].
///
/// A block of rows stays in L1 while all panels pass, which come from L2 (see [`Tiles::add`]): nothing is read from further away
/// twice.
#[inline(always)]
pub(super) unsafe fn product<T: Tiles>(args: &ProductArgs) {
    #[repr(align(64))]
    struct Sums([f32; SUMS]);
    let mut sums = Sums([0.0; SUMS]);
    let zeros = Sums([0.0; SUMS]);
    let mut tiles = T::new();
    let inputs = args.shape.tiles;
    for row in (0..args.rows).step_by(BLOCK) {
        let rows = (args.rows - row).min(BLOCK);
        let mut first = 0;
        while first < inputs || first == 0 {
            let chunk = (inputs - first).min(CHUNK);
            let add = args.add || first > 0;
            for column in (0..args.columns).step_by(PANEL) {
                let columns = (args.columns - column).min(PANEL);
                // SAFETY: as `ProductArgs` says; rows are padded to whole blocks and panels to whole tiles.
                unsafe {
                    tiles.begin(if add { zeros.0.as_ptr() } else { args.bias.add(column) });
                    let mut a = args.a.add(row * args.shape.stride + first * INPUTS);
                    let mut b = args.b.add((column / PANEL * inputs + first) * 2 * TILE);
                    for _ in 0..chunk {
                        tiles.add(a, args.shape.stride * 2, b, rows > ROWS);
                        a = a.add(INPUTS);
                        b = b.add(2 * TILE);
                    }
                    tiles.store(sums.0.as_mut_ptr(), rows > ROWS);
                    let out = args.out.add(row * args.out_stride + column);
                    write(&sums.0, rows, columns, out, args.out_stride, add);
                }
            }
            first += chunk.max(1);
        }
    }
}

/// Writes or adds a block's sums.
#[inline(always)]
unsafe fn write(sums: &[f32; SUMS], rows: usize, columns: usize, out: *mut f32, stride: usize, add: bool) {
    for row in 0..rows {
        for half in 0..columns.div_ceil(ROWS) {
            let width = (columns - half * ROWS).min(ROWS);
            let (sums, _) =
                sums[(half * BLOCK + row) * ROWS..].split_first_chunk::<ROWS>().expect("whole rows");
            // SAFETY: the caller has `rows` rows of `columns` elements, `stride` apart.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(row * stride + half * ROWS), width) };
            match (out.first_chunk_mut::<ROWS>(), add) {
                (Some(out), true) => {
                    for lane in 0..ROWS {
                        out[lane] += sums[lane];
                    }
                }
                // Of a fixed size: two instructions and not a call.
                (Some(out), false) => *out = *sums,
                (None, true) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                (None, false) => out.copy_from_slice(&sums[..width]),
            }
        }
    }
}
