//! Products in 8 bits: states as unsigned bytes, weights as signed ones with a scale for each column, sums in 32 bits.
//!
//! States lie within ±1; they are stored as `round(h · LEVELS) + OFFSET`. What the offset adds to a sum depends on the
//! weights alone and is what the sums start from. Gates, tables and biases stay as they are in f32.
//!
//! Sums of integers are exact: a row's result is bitwise the same in every batch.

#![allow(clippy::needless_range_loop)]

use super::Aligned;
use super::layout::Layout;
use super::matrix::{Block, Matrix};
use super::simd::Simd;

/// A vector with products of bytes.
///
/// # Safety
/// As [`Simd`].
pub(super) trait Dot: Simd {
    /// 32-bit sums, `LANES` of them.
    type Sums: Copy;
    /// `4 * GROUPS` inputs, spread over all lanes.
    type Inputs: Copy;
    /// `4 * GROUPS` weights of each lane.
    type Weights: Copy;
    /// How many times 4 inputs one [`Dot::dot`] takes.
    const GROUPS: usize;
    /// A state of 1 has this many levels above [`Dot::OFFSET`].
    const LEVELS: f32;
    /// A state of 0.
    const OFFSET: u8;
    /// The largest weight of a column gets this value.
    const LARGEST: f32;
    unsafe fn load_sums(from: *const i32) -> Self::Sums;
    unsafe fn spread(from: *const u8) -> Self::Inputs;
    unsafe fn load_weights(from: *const i8) -> Self::Weights;
    unsafe fn dot(sums: Self::Sums, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sums;
    unsafe fn convert(sums: Self::Sums) -> Self;
    /// Stores `LANES` bytes: the integers below `self`, which lie within a byte.
    unsafe fn store_bytes(self, to: *mut u8);
}

/// A product of some rows with one panel: `out[r][c] = bias[c] + scale[c] (start[c] + Σ_k a[r][k] w[k][c])`.
#[derive(Clone, Copy)]
pub(super) struct ProductArgs {
    /// Rows of inputs, `a_stride` apart.
    pub a: *const u8,
    pub a_stride: usize,
    /// Inputs / 4 / GROUPS.
    pub steps: usize,
    /// The panel: by step, vector, group, lane and 4 inputs.
    pub w: *const i8,
    pub start: *const i32,
    pub scale: *const f32,
    pub bias: *const f32,
    pub out: *mut f32,
    pub out_stride: usize,
}

/// Computes a [`ProductArgs`] for a fixed number of rows and vectors.
pub(super) type Product = unsafe fn(&ProductArgs);

/// Quantizes states to bytes: from, to, and how many vectors.
pub(super) type Quantize = unsafe fn(*const f32, *mut u8, usize);

/// What a CPU's file hands to the driver.
#[derive(Debug)]
pub(super) struct Routines {
    /// Products of `index + 1` rows with panels of 2, 3 and 4 vectors (simple, GRU, LSTM).
    pub products: [&'static [Product]; 3],
    pub quantize: Quantize,
    pub lanes: usize,
    pub groups: usize,
    pub levels: f32,
    pub offset: u8,
    pub largest: f32,
}

/// See [`ProductArgs`].
#[inline(always)]
pub(super) unsafe fn product<V: Dot, const R: usize, const C: usize>(args: &ProductArgs) {
    // SAFETY: the caller has the features of `V`, and memory as `ProductArgs` says for R rows and C vectors.
    unsafe {
        let mut sums = [[V::load_sums(args.start); C]; R];
        for c in 1..C {
            let start = V::load_sums(args.start.add(c * V::LANES));
            for r in 0..R {
                sums[r][c] = start;
            }
        }
        let (mut a, mut w) = (args.a, args.w);
        for _ in 0..args.steps {
            if R > C {
                let mut weights = [V::load_weights(w); C];
                for c in 1..C {
                    weights[c] = V::load_weights(w.add(c * V::GROUPS * V::LANES * 4));
                }
                for r in 0..R {
                    let inputs = V::spread(a.add(r * args.a_stride));
                    for c in 0..C {
                        sums[r][c] = V::dot(sums[r][c], inputs, weights[c]);
                    }
                }
            } else {
                let mut inputs = [V::spread(a); R];
                for r in 1..R {
                    inputs[r] = V::spread(a.add(r * args.a_stride));
                }
                for c in 0..C {
                    let weights = V::load_weights(w.add(c * V::GROUPS * V::LANES * 4));
                    for r in 0..R {
                        sums[r][c] = V::dot(sums[r][c], inputs[r], weights);
                    }
                }
            }
            a = a.add(4 * V::GROUPS);
            w = w.add(C * V::GROUPS * V::LANES * 4);
        }
        for c in 0..C {
            let scale = V::load(args.scale.add(c * V::LANES));
            let bias = V::load(args.bias.add(c * V::LANES));
            for r in 0..R {
                let sum = V::convert(sums[r][c]).mul_add(scale, bias);
                sum.store(args.out.add(r * args.out_stride + c * V::LANES));
            }
        }
    }
}

/// See [`Quantize`].
#[inline(always)]
pub(super) unsafe fn quantize<V: Dot>(from: *const f32, to: *mut u8, vectors: usize) {
    // SAFETY: the caller has the features of `V`, and as many vectors at both places.
    unsafe {
        let (levels, offset) = (V::splat(V::LEVELS), V::splat(f32::from(V::OFFSET) + 0.5));
        for vector in 0..vectors {
            let state = V::load(from.add(vector * V::LANES)).clamp(1.0);
            state.mul_add(levels, offset).store_bytes(to.add(vector * V::LANES));
        }
    }
}

/// Defines a CPU's [`Routines`], as `simd::routines!` does.
macro_rules! quantized_routines {
    ($name:ident, $vector:ty, $features:literal, [$($r2:literal)*], [$($r3:literal)*], [$($r4:literal)*]) => {
        #[target_feature(enable = $features)]
        unsafe fn product8<const R: usize, const C: usize>(args: &$crate::kernel::quantized::ProductArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::quantized::product::<$vector, R, C>(args) }
        }

        #[target_feature(enable = $features)]
        unsafe fn quantize8(from: *const f32, to: *mut u8, vectors: usize) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::quantized::quantize::<$vector>(from, to, vectors) }
        }

        /// Products of bytes; to be called only where the CPU has the features.
        pub(super) static $name: $crate::kernel::quantized::Routines =
            $crate::kernel::quantized::Routines {
                products: [
                    &[$(product8::<$r2, 2>),*],
                    &[$(product8::<$r3, 3>),*],
                    &[$(product8::<$r4, 4>),*],
                ],
                quantize: quantize8,
                lanes: <$vector as $crate::kernel::simd::Simd>::LANES,
                groups: <$vector as $crate::kernel::quantized::Dot>::GROUPS,
                levels: <$vector as $crate::kernel::quantized::Dot>::LEVELS,
                offset: <$vector as $crate::kernel::quantized::Dot>::OFFSET,
                largest: <$vector as $crate::kernel::quantized::Dot>::LARGEST,
            };
    };
}
pub(super) use quantized_routines;

/// A matrix in 8 bits.
#[derive(Debug)]
pub(super) struct Quantized {
    routines: &'static Routines,
    products: &'static [Product],
    /// Panels, each as for [`ProductArgs::w`].
    weights: Aligned<i8>,
    /// What the offset of the states adds, taken away: by column.
    start: Aligned<i32>,
    /// Where there are no inputs there is nothing to take away.
    nothing: Aligned<i32>,
    scale: Aligned<f32>,
    bias: Aligned<f32>,
    inputs: usize,
    panel: usize,
}

impl Quantized {
    /// Rounds `weights`, which are laid out as [`Layout::pack`] does. `kind` is the cell's place in [`Routines`].
    pub(super) fn new(
        routines: &'static Routines,
        kind: usize,
        layout: &Layout,
        weights: &[f32],
        bias: Aligned<f32>,
        inputs: usize,
    ) -> Self {
        let (columns, panel) = (layout.columns(), layout.panel());
        let step = 4 * routines.groups;
        assert!(inputs.is_multiple_of(step) && panel.is_multiple_of(routines.lanes));
        assert!(weights.len() == inputs * columns && bias.len() == columns);
        let mut new = Quantized {
            routines,
            products: routines.products[kind],
            weights: Aligned::zeros(weights.len()),
            start: Aligned::zeros(columns),
            nothing: Aligned::zeros(panel),
            scale: Aligned::zeros(columns),
            bias,
            inputs,
            panel,
        };
        for column in 0..columns {
            let first = column / panel * panel * inputs;
            let at = |k: usize| weights[first + k * panel + column % panel];
            let largest = (0..inputs).map(|k| at(k).abs()).fold(0.0f32, f32::max);
            let per_weight = if largest > 0.0 { routines.largest / largest } else { 0.0 };
            new.scale[column] = largest / routines.largest / routines.levels;
            let (vector, lane) = (column % panel / routines.lanes, column % routines.lanes);
            let mut sum = 0i32;
            for k in 0..inputs {
                let weight = (at(k) * per_weight).round() as i8;
                sum += i32::from(weight);
                let group = (k / step * (panel / routines.lanes) + vector) * routines.groups + k % step / 4;
                new.weights[first + (group * routines.lanes + lane) * 4 + k % 4] = weight;
            }
            new.start[column] = -sum * i32::from(routines.offset);
        }
        new
    }
}

impl Matrix for Quantized {
    type Element = u8;

    fn most_rows(&self) -> usize {
        self.products.len()
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn prepare<'a>(&self, states: &'a [f32], memory: &'a mut Aligned<u8>) -> &'a [u8] {
        assert!(states.len().is_multiple_of(self.routines.lanes));
        memory.resize(states.len());
        let vectors = states.len() / self.routines.lanes;
        // SAFETY: a matrix is packed only where the CPU has the features; both places hold as many vectors.
        unsafe { (self.routines.quantize)(states.as_ptr(), memory.as_mut_ptr(), vectors) };
        memory
    }

    unsafe fn multiply(&self, block: Block<'_, u8>) {
        assert!(block.panels == 1 && block.a.is_none_or(|a| a.len() >= block.rows * self.inputs));
        let columns = block.panel * self.panel..(block.panel + 1) * self.panel;
        let start = if block.a.is_some() { &self.start[columns.clone()] } else { &self.nothing[..] };
        let args = ProductArgs {
            a: block.a.map_or(std::ptr::null(), <[u8]>::as_ptr),
            a_stride: self.inputs,
            steps: if block.a.is_some() { self.inputs / 4 / self.routines.groups } else { 0 },
            w: self.weights[block.panel * self.panel * self.inputs..][..self.panel * self.inputs].as_ptr(),
            start: start.as_ptr(),
            scale: self.scale[columns.clone()].as_ptr(),
            bias: self.bias[columns].as_ptr(),
            out: block.out,
            out_stride: block.out_stride,
        };
        // SAFETY: the caller promises features and room; the inputs were checked, everything else is one panel.
        unsafe { self.products[block.rows - 1](&args) }
    }
}
