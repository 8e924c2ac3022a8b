//! The tile operations as plain arrays, for tests: packing, order of tiles, gates and tails run on any CPU, instructions
//! apart. Where a CPU has the instructions, both must agree in every bit.
//!
//! Source of the arithmetic: TDPBF16PS in Intel's Software Developer's Manual, volume 2: products of a pair's first and of its
//! second elements are summed apart, both sums are added, then added to the tile; denormals count as zero throughout.

use super::plain::plain16::Vector;
use super::product_tiles::TileProducts;
use super::tile_step::tile_routines;
use super::tiled::Tiled;
use super::tiles::{BLOCK, Narrow, ROWS, Tiles};
use super::{KernelKind, Session, plain_layout, product_tiles, simd::Simd};
use half::bf16;

/// The kernel.
pub(super) static KERNEL: Tiled =
    Tiled { kind: KernelKind::Plain, routines: &ROUTINES, available: || true, enter };

tile_routines!(ROUTINES, Plain, Vector, "sse2");

/// Products for training.
pub(super) static PRODUCTS: TileProducts =
    TileProducts { routines: &PRODUCT_ROUTINES, available: || true, enter };

static PRODUCT_ROUTINES: product_tiles::Routines = product_tiles::Routines {
    // SAFETY: no features are needed; memory is the caller's promise.
    product: |args| unsafe { product_tiles::product::<Plain>(args) },
    to_rows: plain_layout::to_rows,
    to_rows_transposed: plain_layout::to_rows_transposed,
    to_panels: plain_layout::to_panels,
    to_panels_transposed: plain_layout::to_panels_transposed,
};

/// Arrays need no state of the CPU, but their steps ask for the same proof as the others.
fn enter() -> Session {
    // SAFETY: there are no tiles to be configured.
    unsafe { Session::with_tiles(|| {}) }
}

/// Two tiles of rows by two tiles of columns.
struct Plain {
    sums: [[[[f32; 16]; ROWS]; 2]; 2],
}

/// Denormals count as zero.
fn flushed(value: f32) -> f32 {
    if value.is_subnormal() { 0.0f32.copysign(value) } else { value }
}

// SAFETY of every function below: no features are needed; the trait says that pointers have enough elements.
impl Tiles for Plain {
    fn new() -> Self {
        Plain { sums: [[[[0.0; 16]; ROWS]; 2]; 2] }
    }

    unsafe fn begin(&mut self, bias: *const f32) {
        for (row, sums) in self.sums.iter_mut().flatten().enumerate() {
            // SAFETY: see above. Tiles of columns alternate.
            *sums = [unsafe { bias.add(row % 2 * 16).cast::<[f32; 16]>().read_unaligned() }; ROWS];
        }
    }

    unsafe fn add(&mut self, a: *const u16, stride: usize, b: *const u16, two: bool) {
        for (rows, sums) in self.sums.iter_mut().enumerate().take(1 + usize::from(two)) {
            for (columns, sums) in sums.iter_mut().enumerate() {
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: see above.
                    let (a, b) = unsafe {
                        (a.byte_add((rows * ROWS + row) * stride).cast::<[u16; 32]>(), b.add(columns * 512))
                    };
                    // SAFETY: see above.
                    let (a, b) =
                        unsafe { (a.read_unaligned(), b.cast::<[[[u16; 2]; 16]; 16]>().read_unaligned()) };
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let mut apart = [0.0f32; 2];
                        for (pair, weights) in b.iter().enumerate() {
                            for (part, total) in apart.iter_mut().enumerate() {
                                let value = |bits| flushed(bf16::from_bits(bits).to_f32());
                                // The product of two values of 8 bits is exact: this rounds once, as the instruction does.
                                let product = value(a[2 * pair + part]) * value(weights[column][part]);
                                *total = flushed(*total + product);
                            }
                        }
                        *sum = flushed(*sum + flushed(apart[0] + apart[1]));
                    }
                }
            }
        }
    }

    unsafe fn store(&mut self, sums: *mut f32, two: bool) {
        for (rows, tiles) in self.sums.iter().enumerate().take(1 + usize::from(two)) {
            for (columns, tile) in tiles.iter().enumerate() {
                let place = (columns * BLOCK + rows * ROWS) * 16;
                // SAFETY: see above.
                unsafe { sums.add(place).cast::<[[f32; 16]; ROWS]>().write_unaligned(*tile) };
            }
        }
    }
}

impl Narrow for Vector {
    type Pairs = [i32; 16];

    unsafe fn load_pairs(from: *const i16) -> [i32; 16] {
        // SAFETY: see above.
        unsafe { from.cast::<[[i16; 2]; 16]>().read_unaligned() }
            .map(|[first, second]| i32::from(second) << 16 | i32::from(first as u16))
    }

    unsafe fn first(pairs: [i32; 16]) -> Self {
        Vector(pairs.map(|pair| (pair << 16) as f32))
    }

    unsafe fn second(pairs: [i32; 16]) -> Self {
        Vector(pairs.map(|pair| pair as f32))
    }

    unsafe fn within(self, bound: Self) -> Self {
        Vector(std::array::from_fn(|lane| self.0[lane].clamp(-bound.0[lane], bound.0[lane])))
    }

    unsafe fn entry(self, low: Self, high: Self) -> Self {
        Vector(self.0.map(|value| {
            let index = value.to_bits() as usize % 32;
            if index < 16 { low.0[index] } else { high.0[index - 16] }
        }))
    }

    unsafe fn store_bf16(self, next: Self, to: *mut u16) {
        let narrow = |value: f32| bf16::from_f32(flushed(value)).to_bits();
        // SAFETY: see above.
        unsafe {
            to.cast::<[u16; 16]>().write_unaligned(self.0.map(narrow));
            to.add(Self::LANES).cast::<[u16; 16]>().write_unaligned(next.0.map(narrow));
        }
    }
}
