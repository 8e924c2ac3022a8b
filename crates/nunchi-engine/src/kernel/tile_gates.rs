//! The gates of a step on tiles: what the recurrent cells make of a block's sums, on vectors of 16.

use super::curve::Curve;
use super::tiles::{BLOCK, Narrow, PANEL, SUMS, StepArgs};

/// A [`Curve`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Lookup<V> {
    reach: V,
    per_unit: V,
    round: V,
    coefficients: [[V; 2]; 3],
}

impl<V: Narrow> Lookup<V> {
    #[inline(always)]
    pub(super) unsafe fn new(curve: &Curve) -> Self {
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
pub(super) struct Pending<V> {
    /// What the tangent is to be taken of: a state, a GRU's candidate, an LSTM's cell.
    tangent: [V; 2],
    /// A GRU's update gate, an LSTM's output gate.
    gate: [V; 2],
}

/// Gates of one panel of a block of rows.
pub(super) struct Gates<'a, V> {
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
    pub(super) unsafe fn new<const CELL: usize, const TABLE: bool>(
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
    pub(super) unsafe fn begin<const CELL: usize, const TABLE: bool>(&self, row: usize) -> Pending<V> {
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
    pub(super) unsafe fn end<const CELL: usize>(&self, row: usize, pending: Pending<V>) {
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
