//! The recurrent step on tiles: 16-bit products of 16 rows, 16 columns and 32 inputs at once, summed in f32, and gates
//! on vectors of 16, written once over [`Tiles`] and [`Narrow`].
//!
//! Products and gates run on different parts of the core: while the gates of one block of rows are computed, the products of the
//! next one are issued between them, a few after each row, so that both are busy.
//!
//! Always holds: a row's sums are added in the order of the inputs, whatever the number of rows computed together; a
//! row's result is bitwise the same in every batch.

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
/// Numbers of a tile of weights.
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

    /// All rows' sums become the `PANEL` numbers at `bias`.
    unsafe fn begin(&mut self, bias: *const f32);

    /// Adds the product of one tile of rows, or of `two`, with two tiles of weights: `ROWS` (or twice as many) rows of
    /// `INPUTS` bf16 numbers at `a`, `stride` bytes apart; at `b` two tiles, each with 16 rows of 16 columns of 2 inputs.
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

/// Inputs of a product: rows of bf16 numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The first row's numbers.
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
    /// All panels' weights, a panel's numbers apart.
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
    /// Numbers of a row of the table.
    pub columns: usize,
    /// The state before, rows `state_stride` apart (0: the same zeros for every row).
    pub state: *const f32,
    pub state_stride: usize,
    /// The cell state; the state after, in f32 and, `units` numbers later, in bf16. Rows `row` apart.
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

/// Products of one block of rows with one panel, done one by one.
struct Products<'a> {
    args: &'a StepArgs<'a>,
    first_row: usize,
    two: bool,
    bias: *const f32,
    panel: *const u16,
    sums: *mut f32,
    /// The next operation: begin a group, add a product, store the group's sums.
    group: usize,
    begun: bool,
    segment: usize,
    done: usize,
    a: *const u16,
    b: *const u16,
}

impl<'a> Products<'a> {
    /// The products of `rows` rows from `first_row` on with panel `panel`.
    #[inline(always)]
    unsafe fn new(args: &'a StepArgs<'a>, panel: usize, first_row: usize, rows: usize, half: usize) -> Self {
        // SAFETY: as `StepArgs` says.
        unsafe {
            Products {
                args,
                first_row,
                two: rows > ROWS,
                bias: args.bias.add(panel * args.groups.len() * PANEL),
                panel: args.weights.add(panel * args.panel_weights),
                sums: args.sums.add(half * args.groups.len() * SUMS),
                group: 0,
                begun: false,
                segment: 0,
                done: 0,
                a: std::ptr::null(),
                b: std::ptr::null(),
            }
        }
    }

    /// How many operations there are for any block of rows.
    #[inline(always)]
    fn operations(args: &StepArgs<'_>) -> usize {
        let products = |group: &Group| {
            args.segments[group.first..group.end].iter().map(|segment| segment.products).sum::<usize>()
        };
        args.groups.iter().map(|group| 2 + products(group)).sum()
    }

    #[inline(always)]
    unsafe fn segment(&mut self) {
        let segment = &self.args.segments[self.segment];
        self.done = 0;
        // SAFETY: the segment has as many rows as the step, a multiple of `ROWS`.
        self.a = unsafe { segment.rows.byte_add(self.first_row * segment.stride) };
    }

    /// Does the next operation.
    #[inline(always)]
    unsafe fn advance<T: Tiles>(&mut self, tiles: &mut T) {
        let group = &self.args.groups[self.group];
        // SAFETY: pointers stay within what `StepArgs` promises: as many rows, groups and products.
        unsafe {
            if !self.begun {
                tiles.begin(self.bias);
                self.begun = true;
                self.b = self.panel.add(group.weights);
                self.segment = group.first;
                if self.segment < group.end {
                    self.segment();
                }
            } else if self.segment < group.end {
                let segment = &self.args.segments[self.segment];
                tiles.add(self.a, segment.stride, self.b, self.two);
                self.a = self.a.add(INPUTS);
                self.b = self.b.add(2 * TILE);
                self.done += 1;
                if self.done == segment.products {
                    self.segment += 1;
                    if self.segment < group.end {
                        self.segment();
                    }
                }
            } else {
                tiles.store(self.sums, self.two);
                self.sums = self.sums.add(SUMS);
                self.bias = self.bias.add(PANEL);
                self.group += 1;
                self.begun = false;
            }
        }
    }
}

/// A [`Curve`] in registers.
#[derive(Clone, Copy)]
struct Lookup<V> {
    reach: V,
    per_unit: V,
    round: V,
    coefficients: [[V; 2]; 3],
}

impl<V: Narrow> Lookup<V> {
    #[inline(always)]
    unsafe fn new(curve: &Curve) -> Self {
        // SAFETY: the caller has the features of `V`; a curve has two vectors of each coefficient.
        unsafe {
            let halves = |power: usize| {
                let from = curve.coefficients[power].as_ptr();
                [V::load(from), V::load(from.add(V::LANES))]
            };
            Lookup {
                reach: V::splat(curve.reach),
                per_unit: V::splat(curve.per_unit),
                round: V::splat(curve.round),
                coefficients: [halves(0), halves(1), halves(2)],
            }
        }
    }

    /// The values at two vectors, side by side: their chains of instructions are long and wait for each other less.
    #[inline(always)]
    unsafe fn of(&self, x: [V; 2]) -> [V; 2] {
        // SAFETY: the caller has the features of `V`.
        unsafe {
            let x = [x[0].within(self.reach), x[1].within(self.reach)];
            let index = [x[0].mul_add(self.per_unit, self.round), x[1].mul_add(self.per_unit, self.round)];
            let [c0, c1, c2] = self.coefficients;
            let square = [index[0].entry(c2[0], c2[1]), index[1].entry(c2[0], c2[1])];
            let slope = [index[0].entry(c1[0], c1[1]), index[1].entry(c1[0], c1[1])];
            let value = [index[0].entry(c0[0], c0[1]), index[1].entry(c0[0], c0[1])];
            let slope = [square[0].mul_add(x[0], slope[0]), square[1].mul_add(x[1], slope[1])];
            [slope[0].mul_add(x[0], value[0]), slope[1].mul_add(x[1], value[1])]
        }
    }
}

/// A row whose gates are half computed: two vectors of units.
#[derive(Clone, Copy)]
struct Pending<V> {
    /// What the tangent is to be taken of: a state, a GRU's candidate, an LSTM's cell.
    tangent: [V; 2],
    /// A GRU's update gate, an LSTM's output gate.
    gate: [V; 2],
}

/// Gates of one panel of a block of rows.
struct Gates<'a, V> {
    args: &'a StepArgs<'a>,
    sigmoid: Lookup<V>,
    tanh: Lookup<V>,
    first_row: usize,
    /// This panel's: sums, part of the table and of its units; of the first row: states before and after, cell state.
    sums: *const f32,
    table: *const i16,
    scale: *const f32,
    state: *const f32,
    cell: *mut f32,
    out: *mut f32,
    narrow: *mut u16,
}

impl<'a, V: Narrow> Gates<'a, V> {
    /// The gates of panel `panel` for the rows from `first_row` on.
    #[inline(always)]
    unsafe fn new<const CELL: usize, const TABLE: bool>(
        args: &'a StepArgs<'a>,
        curves: (Lookup<V>, Lookup<V>),
        panel: usize,
        first_row: usize,
        half: usize,
    ) -> Self {
        let unit = panel * PANEL;
        // Only where there is one.
        let table = if TABLE { panel * [1, 3, 4][CELL] * PANEL } else { 0 };
        let cell = if CELL == 2 { first_row * args.row + unit } else { 0 };
        // SAFETY: as `StepArgs` says.
        unsafe {
            Gates {
                args,
                sigmoid: curves.0,
                tanh: curves.1,
                first_row,
                sums: args.sums.add(half * args.groups.len() * SUMS),
                table: args.table.add(table),
                scale: args.scale.add(table),
                state: args.state.add(first_row * args.state_stride + unit),
                cell: args.cell.add(cell),
                out: args.out.add(first_row * args.row + unit),
                narrow: args.out.add(first_row * args.row + args.units).cast::<u16>().add(unit),
            }
        }
    }

    /// The product sums of a group.
    #[inline(always)]
    unsafe fn sum(&self, row: usize, group: usize) -> [V; 2] {
        // SAFETY: as `StepArgs` says.
        unsafe {
            let sums = self.sums.add(group * SUMS + row * V::LANES);
            [V::load(sums), V::load(sums.add(BLOCK * V::LANES))]
        }
    }

    /// `sum` plus, with `TABLE`, the input's part of a gate, whose part of the table is at `from`.
    #[inline(always)]
    unsafe fn input<const TABLE: bool>(&self, from: *const i16, gate: usize, sum: [V; 2]) -> [V; 2] {
        if !TABLE {
            return sum;
        }
        // SAFETY: as `StepArgs` says.
        unsafe {
            let pairs = V::load_pairs(from.add(gate * PANEL));
            let scale = self.scale.add(gate * PANEL);
            let (first, second) = (V::first(pairs), V::second(pairs));
            [first.mul_add(V::load(scale), sum[0]), second.mul_add(V::load(scale.add(V::LANES)), sum[1])]
        }
    }

    /// The first half of a row: `CELL` 0 is simple, 1 a GRU, 2 an LSTM; with `TABLE` the input's part comes from the
    /// table, else it is in the sums already (a GRU's candidate has a group of its own for it).
    #[inline(always)]
    unsafe fn begin<const CELL: usize, const TABLE: bool>(&self, row: usize) -> Pending<V> {
        let (args, index) = (self.args, self.first_row + row);
        // SAFETY: as `StepArgs` says: `index` is below the rows, tokens are below the vocabulary's size.
        unsafe {
            let mut from = self.table;
            if TABLE {
                from = self.table.add(*args.tokens.add(index) as usize * args.columns);
                if index < args.ahead_rows {
                    let next = self.table.add(*args.ahead.add(index) as usize * args.columns);
                    for gate in 0..[1, 3, 4][CELL] {
                        V::prefetch(next.add(gate * PANEL));
                    }
                }
            }
            let input = |gate: usize, sum: [V; 2]| self.input::<TABLE>(from, gate, sum);
            match CELL {
                0 => Pending { tangent: input(0, self.sum(row, 0)), gate: [V::splat(0.0); 2] },
                1 => {
                    let reset = self.sigmoid.of(input(0, self.sum(row, 0)));
                    let update = self.sigmoid.of(input(1, self.sum(row, 1)));
                    let candidate = if TABLE {
                        let kept = self.sum(row, 2);
                        input(2, [reset[0].mul(kept[0]), reset[1].mul(kept[1])])
                    } else {
                        let (x, kept) = (self.sum(row, 2), self.sum(row, 3));
                        [reset[0].mul_add(kept[0], x[0]), reset[1].mul_add(kept[1], x[1])]
                    };
                    Pending { tangent: candidate, gate: update }
                }
                _ => {
                    let new = self.sigmoid.of(input(0, self.sum(row, 0)));
                    let kept = self.sigmoid.of(input(1, self.sum(row, 1)));
                    let candidate = self.tanh.of(input(2, self.sum(row, 2)));
                    let output = self.sigmoid.of(input(3, self.sum(row, 3)));
                    let at = self.cell.add(row * args.row);
                    let cell = [V::load(at), V::load(at.add(V::LANES))];
                    let cell = [
                        kept[0].mul_add(cell[0], new[0].mul(candidate[0])),
                        kept[1].mul_add(cell[1], new[1].mul(candidate[1])),
                    ];
                    cell[0].store(at);
                    cell[1].store(at.add(V::LANES));
                    Pending { tangent: cell, gate: output }
                }
            }
        }
    }

    /// The second half of a row.
    #[inline(always)]
    unsafe fn end<const CELL: usize>(&self, row: usize, pending: Pending<V>) {
        let (args, gate) = (self.args, pending.gate);
        // SAFETY: as `StepArgs` says.
        unsafe {
            let tangent = self.tanh.of(pending.tangent);
            let new = match CELL {
                0 => tangent,
                1 => {
                    let state = self.state.add(row * args.state_stride);
                    let state = [V::load(state), V::load(state.add(V::LANES))];
                    let left = [state[0].sub(tangent[0]), state[1].sub(tangent[1])];
                    [gate[0].mul_add(left[0], tangent[0]), gate[1].mul_add(left[1], tangent[1])]
                }
                _ => [gate[0].mul(tangent[0]), gate[1].mul(tangent[1])],
            };
            let out = self.out.add(row * args.row);
            new[0].store(out);
            new[1].store(out.add(V::LANES));
            new[0].store_bf16(new[1], self.narrow.add(row * 2 * args.row));
        }
    }
}

/// See [`StepArgs`].
#[inline(always)]
pub(super) unsafe fn step<T: Tiles, V: Narrow, const CELL: usize, const TABLE: bool>(args: &StepArgs<'_>) {
    // SAFETY: the caller has tiles and features, and memory as `StepArgs` says.
    unsafe {
        let mut tiles = T::new();
        let (sigmoid, tanh) = (Lookup::<V>::new(args.sigmoid), Lookup::<V>::new(args.tanh));
        let blocks = args.rows.div_ceil(BLOCK);
        let block = |index: usize| {
            let (panel, first_row) = (index / blocks, index % blocks * BLOCK);
            (panel, first_row, (args.rows - first_row).min(BLOCK))
        };
        let operations = Products::operations(args);
        let total = args.panels * blocks;
        for index in 0..=total {
            // The products of block `index` beside the gates of the one before.
            let mut products = None;
            if index < total {
                let (panel, first_row, rows) = block(index);
                products = Some(Products::new(args, panel, first_row, rows, index % 2));
            }
            let mut left = if products.is_some() { operations } else { 0 };
            if index > 0 {
                let (panel, first_row, rows) = block(index - 1);
                let gates =
                    Gates::new::<CELL, TABLE>(args, (sigmoid, tanh), panel, first_row, (index - 1) % 2);
                // Half a row ahead: the second half of a row finds its first half done.
                let mut pending = gates.begin::<CELL, TABLE>(0);
                let mut credit = 0;
                for row in 0..rows {
                    let next = if row + 1 < rows { gates.begin::<CELL, TABLE>(row + 1) } else { pending };
                    gates.end::<CELL>(row, pending);
                    pending = next;
                    if let Some(products) = &mut products {
                        credit += operations;
                        while credit >= rows {
                            products.advance(&mut tiles);
                            credit -= rows;
                            left -= 1;
                        }
                    }
                }
            }
            if let Some(products) = &mut products {
                for _ in 0..left {
                    products.advance(&mut tiles);
                }
            }
        }
    }
}

/// Defines a CPU's [`Routines`]: `tile_routines!(NAME, Tiles, Vector, "features")`.
macro_rules! tile_routines {
    ($name:ident, $tiles:ty, $vector:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn step<const CELL: usize, const TABLE: bool>(
            args: &$crate::engine::kernel::tiles::StepArgs<'_>,
        ) {
            // SAFETY: the features are on; tiles and memory are the caller's promise.
            unsafe { $crate::engine::kernel::tiles::step::<$tiles, $vector, CELL, TABLE>(args) }
        }

        /// Everything the driver needs; to be called only where the CPU has the features and the tiles.
        pub(super) static $name: $crate::engine::kernel::tiles::Routines =
            $crate::engine::kernel::tiles::Routines {
                steps: [
                    [step::<0, false>, step::<0, true>],
                    [step::<1, false>, step::<1, true>],
                    [step::<2, false>, step::<2, true>],
                ],
            };
    };
}
pub(super) use tile_routines;
