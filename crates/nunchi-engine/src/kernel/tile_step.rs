//! The recurrent step on tiles: 16-bit products of 16 rows, 16 columns and 32 inputs at once, summed in f32, and gates
//! on vectors of 16, written once over [`Tiles`] and [`Narrow`].
//!
//! Products and gates run on different parts of the core: while the gates of one block of rows are computed, the products of the
//! next one are issued between them, a few after each row, so that both are busy.
//!
//! Always holds: a row's sums are added in the order of the inputs, whatever the number of rows computed together; a
//! row's result is bitwise the same in every batch.

use super::tile_gates::{Gates, Lookup};
use super::tiles::{BLOCK, Group, INPUTS, Narrow, PANEL, ROWS, SUMS, StepArgs, TILE, Tiles};

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
        unsafe fn step<const CELL: usize, const TABLE: bool>(args: &$crate::kernel::tiles::StepArgs<'_>) {
            // SAFETY: the features are on; tiles and memory are the caller's promise.
            unsafe { $crate::kernel::tile_step::step::<$tiles, $vector, CELL, TABLE>(args) }
        }

        /// Everything the driver needs; to be called only where the CPU has the features and the tiles.
        pub(super) static $name: $crate::kernel::tiles::Routines = $crate::kernel::tiles::Routines {
            steps: [
                [step::<0, false>, step::<0, true>],
                [step::<1, false>, step::<1, true>],
                [step::<2, false>, step::<2, true>],
            ],
        };
    };
}
pub(super) use tile_routines;
