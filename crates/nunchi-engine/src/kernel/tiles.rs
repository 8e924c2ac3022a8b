//! What the recurrent step on tiles is made of: the operations of tiles and vectors, and the arguments of a step.
//!
//! 16-bit products of 16 rows, 16 columns and 32 inputs at once, summed in f32. [`super::tile_step`] computes a step,
//! [`super::tile_gates`] its gates.

use super::curve::Curve;
use super::simd::Simd;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Rows computed together: two tiles.
pub(super) const BLOCK: usize = 2 * ROWS;
/// Inputs of one product: a tile's row is 64 bytes.
pub(super) const INPUTS: usize = 32;
/// Units of a panel: two tiles of sums side by side, and 64 bytes of a state in 16 bits.
pub(super) const PANEL: usize = 32;
/// Elements of a tile of weights.
pub(super) const TILE: usize = INPUTS * ROWS;
/// Sums of a block of rows and one group of a panel's columns.
pub(super) const SUMS: usize = BLOCK * PANEL;
/// Most groups of columns of a panel.
pub(super) const GROUPS: usize = 4;
/// Most places where inputs come from: both directions below, and the state.
pub(super) const SEGMENTS: usize = 3;

/// The tile operations: sums of two tiles of rows by two tiles of columns.
///
/// # Safety
/// Every function needs a CPU and a thread that can use the tiles, and memory as it says.
pub(super) trait Tiles {
    /// A thread's tiles.
    fn new() -> Self;

    /// All rows' sums become the `PANEL` elements at `bias`.
    unsafe fn begin(&mut self, bias: *const f32);

    /// Adds the product of one tile of rows, or of `two`, with two tiles of weights: `ROWS` (or twice as many) rows of
    /// `INPUTS` bf16 elements at `a`, `stride` bytes apart; at `b` two tiles, each with 16 rows of 16 columns of 2 inputs.
    unsafe fn add(&mut self, a: *const u16, stride: usize, b: *const u16, two: bool);

    /// Stores the sums: `BLOCK` rows of the first 16 columns, then `BLOCK` rows of the others. Rows of the second tile
    /// only if `two`.
    unsafe fn store(&mut self, sums: *mut f32, two: bool);
}

/// What gates beside 16-bit products need of a vector of 16.
///
/// # Safety
/// As [`Simd`].
pub(super) trait Narrow: Simd {
    /// 16 pairs of 16-bit integers.
    type Pairs: Copy;
    /// Loads pairs; the first of each in the lower half.
    unsafe fn load_pairs(from: *const i16) -> Self::Pairs;
    /// The first of each pair, times 65,536.
    unsafe fn first(pairs: Self::Pairs) -> Self;
    /// The second of each pair, times 65,536, plus the first one's bits: what packs the pairs makes up for these.
    unsafe fn second(pairs: Self::Pairs) -> Self;
    /// Into `[-bound, bound]`.
    unsafe fn within(self, bound: Self) -> Self;
    /// Of 32 entries, the one that the lowest five bits name.
    unsafe fn entry(self, low: Self, high: Self) -> Self;
    /// Stores two vectors one after the other as bf16, rounded to the nearest.
    unsafe fn store_bf16(self, next: Self, to: *mut u16);
}

/// Inputs of a product: rows of bf16 elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The first row's elements.
    pub rows: *const u16,
    /// Bytes from row to row.
    pub stride: usize,
    /// Products: inputs / `INPUTS`.
    pub products: usize,
}

/// Columns of a panel that are summed together: a gate, or a part of one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    /// Its inputs: the segments `first..end`.
    pub first: usize,
    pub end: usize,
    /// Where its weights begin in a panel's.
    pub weights: usize,
}

/// A time step.
#[derive(Clone, Copy)]
pub(super) struct StepArgs<'a> {
    pub rows: usize,
    pub panels: usize,
    pub segments: &'a [Segment],
    pub groups: &'a [Group],
    /// All panels' weights, a panel's elements apart.
    pub weights: *const u16,
    pub panel_weights: usize,
    /// `[panels, groups, PANEL]`
    pub bias: *const f32,
    /// Room for two blocks' sums: `2 * groups * SUMS`.
    pub sums: *mut f32,
    /// `[vocabulary, panels, gates, PANEL]`, pairs of the same lane of a panel's two vectors; …
    pub table: *const i16,
    /// … the value of one unit divided by 65,536, `[panels, gates, PANEL]`; …
    pub scale: *const f32,
    /// … each row's token; and the tokens of the next step's first `ahead_rows` rows.
    pub tokens: *const u32,
    pub ahead: *const u32,
    pub ahead_rows: usize,
    /// Elements of a row of the table.
    pub columns: usize,
    /// The state before, rows `state_stride` apart (0: the same zeros for every row).
    pub state: *const f32,
    pub state_stride: usize,
    /// The cell state; the state after, in f32 and, `units` elements later, in bf16. Rows `row` apart.
    pub cell: *mut f32,
    pub out: *mut f32,
    pub row: usize,
    pub units: usize,
    pub sigmoid: &'a Curve,
    pub tanh: &'a Curve,
}

/// Computes a [`StepArgs`] for a fixed cell and source of inputs.
pub(super) type Run = unsafe fn(&StepArgs<'_>);

/// What a CPU's file hands to the driver: steps by cell (simple, GRU, LSTM) and by source (states, table).
#[derive(Debug)]
pub(super) struct Routines {
    pub steps: [[Run; 2]; 3],
}
