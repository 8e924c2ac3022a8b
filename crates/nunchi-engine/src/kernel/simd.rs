//! The register-blocked product and the gates, written once over a vector type.
//!
//! [`Simd`] is a vector of elements; the functions here are inlined into functions that switch the CPU's features on
//! (`routines!`), and only there become instructions. A plain array is a vector too: tests run the same code on any CPU.
//!
//! Always holds: a row's sums are added in the order of the inputs, one fused multiply-add each, whatever the number of
//! rows computed together; a row's result is bitwise the same in every batch.

// Loops over registers are unrolled by the compiler; iterators over them are not, reliably.
#![allow(clippy::needless_range_loop)]

use super::activation::{BOUND, P, Q};

/// A vector of `LANES` elements.
///
/// # Safety
/// Every function needs the CPU features of its implementation; those with pointers need `LANES` elements there.
pub(super) trait Simd: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// 16-bit integers, as floating-point numbers.
    unsafe fn load_i16(from: *const i16) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self * b + c`, rounded once.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn div(self, b: Self) -> Self;
    /// Into `[-bound, bound]`.
    unsafe fn clamp(self, bound: f32) -> Self;
    /// Asks for a cache line; any address is allowed.
    unsafe fn prefetch(from: *const i16);
}

/// A product of some rows with one panel: `out[r][c] = init[c] + Σ_k a[r][k] w[k][c]`.
#[derive(Clone, Copy)]
pub(super) struct ProductArgs {
    /// Rows of inputs, `a_stride` apart.
    pub a: *const f32,
    pub a_stride: usize,
    /// How many inputs.
    pub inputs: usize,
    /// The panel, `[inputs, C vectors]`.
    pub w: *const f32,
    /// What the sums start from, `[C vectors]`.
    pub init: *const f32,
    /// The sums, rows `out_stride` apart.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// Computes a [`ProductArgs`] for a fixed number of rows and vectors.
pub(super) type Product = unsafe fn(&ProductArgs);

/// One panel's gates for some rows.
#[derive(Clone, Copy)]
pub(super) struct GateArgs {
    pub rows: usize,
    /// Sums of the state's product, `[rows, C vectors]`.
    pub sums: *const f32,
    /// The input's product: either this panel of the table's first row, …
    pub table: *const i16,
    /// … the value of one unit of each of the panel's columns, …
    pub scale: *const f32,
    /// … each row's token, and the tokens of the next step's first `ahead_rows` rows; …
    pub tokens: *const u32,
    pub ahead: *const u32,
    pub ahead_rows: usize,
    /// … or this panel of the first row itself.
    pub x: *const f32,
    /// Elements from one row of the table or of `x` to the next.
    pub columns: usize,
    /// This panel's units of the state before; rows `state_stride` apart (0: the same zeros for every row).
    pub state: *const f32,
    pub state_stride: usize,
    /// This panel's units of the cell state and of the state after; rows `units` apart.
    pub cell: *mut f32,
    pub out: *mut f32,
    pub units: usize,
}

/// Computes a [`GateArgs`] for a fixed cell and source of inputs.
pub(super) type Gates = unsafe fn(&GateArgs);

/// See [`ProductArgs`].
#[inline(always)]
pub(super) unsafe fn product<V: Simd, const R: usize, const C: usize>(args: &ProductArgs) {
    // SAFETY: the caller has the features of `V`, and memory as `ProductArgs` says for R rows and C vectors.
    unsafe {
        let mut sums = [[V::splat(0.0); C]; R];
        for c in 0..C {
            let init = V::load(args.init.add(c * V::LANES));
            for r in 0..R {
                sums[r][c] = init;
            }
        }
        let (mut a, mut w) = (args.a, args.w);
        for _ in 0..args.inputs {
            if R >= C {
                // The weights stay in registers, one input at a time is spread over a vector.
                let mut weights = [V::splat(0.0); C];
                for c in 0..C {
                    weights[c] = V::load(w.add(c * V::LANES));
                }
                for r in 0..R {
                    let input = V::splat(*a.add(r * args.a_stride));
                    for c in 0..C {
                        sums[r][c] = input.mul_add(weights[c], sums[r][c]);
                    }
                }
            } else {
                let mut inputs = [V::splat(0.0); R];
                for r in 0..R {
                    inputs[r] = V::splat(*a.add(r * args.a_stride));
                }
                for c in 0..C {
                    let weights = V::load(w.add(c * V::LANES));
                    for r in 0..R {
                        sums[r][c] = inputs[r].mul_add(weights, sums[r][c]);
                    }
                }
            }
            a = a.add(1);
            w = w.add(C * V::LANES);
        }
        for r in 0..R {
            for c in 0..C {
                sums[r][c].store(args.out.add(r * args.out_stride + c * V::LANES));
            }
        }
    }
}

/// The product of a single row with `P` neighboring panels, whose biases and sums follow each other: as many sums at once as
/// it takes to hide the latency of an addition. The same bits as [`product`].
#[inline(always)]
pub(super) unsafe fn single<V: Simd, const C: usize, const P: usize>(args: &ProductArgs) {
    // SAFETY: the caller has the features of `V`, and memory as `ProductArgs` says for one row and P panels of C vectors.
    unsafe {
        let mut sums = [[V::splat(0.0); C]; P];
        for p in 0..P {
            for c in 0..C {
                sums[p][c] = V::load(args.init.add((p * C + c) * V::LANES));
            }
        }
        let to_next_panel = args.inputs * C * V::LANES;
        let mut w = args.w;
        for k in 0..args.inputs {
            let input = V::splat(*args.a.add(k));
            for p in 0..P {
                for c in 0..C {
                    let weights = V::load(w.add(p * to_next_panel + c * V::LANES));
                    sums[p][c] = input.mul_add(weights, sums[p][c]);
                }
            }
            w = w.add(C * V::LANES);
        }
        for p in 0..P {
            for c in 0..C {
                sums[p][c].store(args.out.add((p * C + c) * V::LANES));
            }
        }
    }
}

/// Panels that [`single`] takes at once, by cell (simple, GRU, LSTM).
pub(super) const TOGETHER: [usize; 3] = [4, 4, 3];

/// Numerator and denominator of tanh, see [`super::activation`].
#[inline(always)]
unsafe fn tanh<V: Simd>(x: V) -> (V, V) {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let x = x.clamp(BOUND);
        let y = x.mul(x);
        let p = V::splat(P[3]).mul_add(y, V::splat(P[2]));
        let p = p.mul_add(y, V::splat(P[1])).mul_add(y, V::splat(P[0]));
        let q = V::splat(Q[3]).mul_add(y, V::splat(Q[2]));
        let q = q.mul_add(y, V::splat(Q[1])).mul_add(y, V::splat(Q[0]));
        (p.mul(x), q)
    }
}

/// What a row of a panel is made of: pointers to its sums and its input.
struct Row<'a> {
    args: &'a GateArgs,
    index: usize,
}

impl Row<'_> {
    /// The input's part of vector `c`, added to `sum`.
    #[inline(always)]
    unsafe fn input<V: Simd, const TABLE: bool>(&self, c: usize, sum: V) -> V {
        let args = self.args;
        // SAFETY: as `GateArgs` says; tokens are below the vocabulary's size.
        unsafe {
            if TABLE {
                let token = *args.tokens.add(self.index) as usize;
                let x = V::load_i16(args.table.add(token * args.columns + c * V::LANES));
                x.mul_add(V::load(args.scale.add(c * V::LANES)), sum)
            } else {
                V::load(args.x.add(self.index * args.columns + c * V::LANES)).add(sum)
            }
        }
    }

    /// The state's part of vector `c`.
    #[inline(always)]
    unsafe fn sum<V: Simd, const C: usize>(&self, c: usize) -> V {
        // SAFETY: as `GateArgs` says.
        unsafe { V::load(self.args.sums.add((self.index * C + c) * V::LANES)) }
    }

    /// Both parts.
    #[inline(always)]
    unsafe fn both<V: Simd, const C: usize, const TABLE: bool>(&self, c: usize) -> V {
        // SAFETY: as `GateArgs` says.
        unsafe { self.input::<V, TABLE>(c, self.sum::<V, C>(c)) }
    }

    /// Fetches this panel of the row's next token while this step computes.
    #[inline(always)]
    unsafe fn prefetch<V: Simd, const C: usize>(&self) {
        let args = self.args;
        if self.index < args.ahead_rows {
            // SAFETY: there are `ahead_rows` tokens ahead; their rows lie in the table.
            unsafe {
                let row = args.table.add(*args.ahead.add(self.index) as usize * args.columns);
                V::prefetch(row);
                if C * V::LANES * 2 > 64 {
                    V::prefetch(row.wrapping_add(32));
                }
            }
        }
    }
}

/// `h' = tanh(x + s)` for `C` vectors of units.
#[inline(always)]
pub(super) unsafe fn simple<V: Simd, const C: usize, const TABLE: bool>(args: &GateArgs) {
    for index in 0..args.rows {
        let row = Row { args, index };
        // SAFETY: the caller has the features of `V`, and memory as `GateArgs` says.
        unsafe {
            if TABLE {
                row.prefetch::<V, C>();
            }
            for c in 0..C {
                let (p, q) = tanh(row.both::<V, C, TABLE>(c));
                p.div(q).store(args.out.add(index * args.units + c * V::LANES));
            }
        }
    }
}

/// `r, z = σ(x + s)`, `n = tanh(x + r s)`, `h' = n + z (h - n)` for one vector of units. With the fractions of tanh
/// `n = np / nq` and `z = (zq + zp) / 2 zq`, the last is `(h nq (zq + zp) + np (zq - zp)) / 2 zq nq`: one division.
#[inline(always)]
pub(super) unsafe fn gru<V: Simd, const TABLE: bool>(args: &GateArgs) {
    // SAFETY: the caller has the features of `V`, and memory as `GateArgs` says.
    unsafe {
        let half = V::splat(0.5);
        for index in 0..args.rows {
            let row = Row { args, index };
            if TABLE {
                row.prefetch::<V, 3>();
            }
            let (rp, rq) = tanh(row.both::<V, 3, TABLE>(0));
            let r = rp.div(rq).mul_add(half, half);
            let (zp, zq) = tanh(row.both::<V, 3, TABLE>(1));
            let (np, nq) = tanh(row.input::<V, TABLE>(2, r.mul(row.sum::<V, 3>(2))));
            let h = V::load(args.state.add(index * args.state_stride));
            let kept = h.mul(nq).mul(zq.add(zp));
            let new = np.mul_add(zq.sub(zp), kept);
            let both = zq.mul(nq);
            new.div(both.add(both)).store(args.out.add(index * args.units));
        }
    }
}

/// `i, f, o = σ(x + s)`, `g = tanh(x + s)`, `c' = f c + i g`, `h' = o tanh c'` for one vector of units, with two
/// divisions: all fractions of `c'` on one denominator, both of `h'` on another.
#[inline(always)]
pub(super) unsafe fn lstm<V: Simd, const TABLE: bool>(args: &GateArgs) {
    // SAFETY: the caller has the features of `V`, and memory as `GateArgs` says.
    unsafe {
        for index in 0..args.rows {
            let row = Row { args, index };
            if TABLE {
                row.prefetch::<V, 4>();
            }
            let (ip, iq) = tanh(row.both::<V, 4, TABLE>(0));
            let (fp, fq) = tanh(row.both::<V, 4, TABLE>(1));
            let (gp, gq) = tanh(row.both::<V, 4, TABLE>(2));
            let (op, oq) = tanh(row.both::<V, 4, TABLE>(3));
            let cell = args.cell.add(index * args.units);
            let shared = iq.mul(gq);
            let kept = V::load(cell).mul(fq.add(fp)).mul(shared);
            let new = iq.add(ip).mul(gp).mul_add(fq, kept);
            let below = fq.mul(shared);
            let c = new.div(below.add(below));
            c.store(cell);
            let (tp, tq) = tanh(c);
            let below = oq.mul(tq);
            oq.add(op).mul(tp).div(below.add(below)).store(args.out.add(index * args.units));
        }
    }
}

/// What a CPU's file hands to the driver: products by rows for each cell's panel width, and gates.
#[derive(Debug)]
pub(super) struct Routines {
    /// Elements of a vector.
    pub lanes: usize,
    /// Products of `index + 1` rows with panels of 2, 3 and 4 vectors (simple, GRU, LSTM).
    pub products: [&'static [Product]; 3],
    /// Products of a single row with [`TOGETHER`] panels.
    pub singles: [Product; 3],
    /// Gates by cell (simple, GRU, LSTM); by source: rows, table.
    pub gates: [[Gates; 2]; 3],
}

/// Defines a CPU's [`Routines`]: `routines!(NAME, Vector, "features", [rows…], [rows…], [rows…])` with the numbers of rows
/// that products may have, from 1 up, for each panel width, and after `;` products of one row more written by hand.
macro_rules! routines {
    (
        $name:ident, $vector:ty, $features:literal,
        [$($r2:literal)*], [$($r3:literal)* $(; $own3:path)?], [$($r4:literal)*]
    ) => {
        #[target_feature(enable = $features)]
        unsafe fn product<const R: usize, const C: usize>(args: &$crate::kernel::simd::ProductArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::simd::product::<$vector, R, C>(args) }
        }

        #[target_feature(enable = $features)]
        unsafe fn single<const C: usize, const P: usize>(args: &$crate::kernel::simd::ProductArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::simd::single::<$vector, C, P>(args) }
        }

        #[target_feature(enable = $features)]
        unsafe fn simple<const TABLE: bool>(args: &$crate::kernel::simd::GateArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::simd::simple::<$vector, 2, TABLE>(args) }
        }

        #[target_feature(enable = $features)]
        unsafe fn gru<const TABLE: bool>(args: &$crate::kernel::simd::GateArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::simd::gru::<$vector, TABLE>(args) }
        }

        #[target_feature(enable = $features)]
        unsafe fn lstm<const TABLE: bool>(args: &$crate::kernel::simd::GateArgs) {
            // SAFETY: the features are on; memory is the caller's promise.
            unsafe { $crate::kernel::simd::lstm::<$vector, TABLE>(args) }
        }

        /// Everything the driver needs; to be called only where the CPU has the features.
        pub(super) static $name: $crate::kernel::simd::Routines = $crate::kernel::simd::Routines {
            lanes: <$vector as $crate::kernel::simd::Simd>::LANES,
            products: [
                &[$(product::<$r2, 2>),*],
                &[$(product::<$r3, 3>,)* $($own3)?],
                &[$(product::<$r4, 4>),*],
            ],
            singles: [
                single::<2, { $crate::kernel::simd::TOGETHER[0] }>,
                single::<3, { $crate::kernel::simd::TOGETHER[1] }>,
                single::<4, { $crate::kernel::simd::TOGETHER[2] }>,
            ],
            gates: [
                [simple::<false>, simple::<true>],
                [gru::<false>, gru::<true>],
                [lstm::<false>, lstm::<true>],
            ],
        };
    };
}
pub(super) use routines;
