//! The vectors of the other kernels as plain arrays, for tests: the same driver, packing, panels and tails on any CPU,
//! instructions apart. Where a CPU has the instructions, both must agree in every bit.

use super::KernelKind;
use super::blocked::Blocked;
use super::quantized::{Dot, quantized_routines};
use super::simd::{Simd, routines};

macro_rules! plain {
    ($module:ident, $lanes:literal, $groups:literal, $levels:literal, $offset:literal, $largest:literal) => {
        pub(super) mod $module {
            use super::*;

            /// In full precision.
            pub(in super::super) static KERNEL: Blocked =
                Blocked { kind: KernelKind::Plain, routines: &ROUTINES, quantized: None, available: || true };
            /// In 8 bits.
            pub(in super::super) static INT8: Blocked = Blocked {
                kind: KernelKind::Plain,
                routines: &ROUTINES,
                quantized: Some(&ROUTINES8),
                available: || true,
            };

            routines!(ROUTINES, Vector, "sse2", [1 2 3 4 5 6 7], [1 2 3 4 5], [1 2 3]);
            quantized_routines!(ROUTINES8, Vector, "sse2", [1 2 3 4 5 6 7], [1 2 3 4 5], [1 2 3]);

            #[derive(Clone, Copy)]
            pub(in super::super) struct Vector(pub(in super::super) [f32; $lanes]);

            impl Vector {
                fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
                    Vector(std::array::from_fn(|lane| f(self.0[lane], b.0[lane])))
                }
            }

            // SAFETY of every function below: no features are needed; the trait says that pointers have enough elements.
            impl Simd for Vector {
                const LANES: usize = $lanes;

                unsafe fn splat(value: f32) -> Self {
                    Vector([value; $lanes])
                }

                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: see above.
                    Vector(unsafe { from.cast::<[f32; $lanes]>().read_unaligned() })
                }

                unsafe fn load_i16(from: *const i16) -> Self {
                    // SAFETY: see above.
                    Vector(unsafe { from.cast::<[i16; $lanes]>().read_unaligned() }.map(f32::from))
                }

                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: see above.
                    unsafe { to.cast::<[f32; $lanes]>().write_unaligned(self.0) }
                }

                unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                    Vector(std::array::from_fn(|lane| self.0[lane].mul_add(b.0[lane], c.0[lane])))
                }

                unsafe fn add(self, b: Self) -> Self {
                    self.zip(b, |a, b| a + b)
                }

                unsafe fn sub(self, b: Self) -> Self {
                    self.zip(b, |a, b| a - b)
                }

                unsafe fn mul(self, b: Self) -> Self {
                    self.zip(b, |a, b| a * b)
                }

                unsafe fn div(self, b: Self) -> Self {
                    self.zip(b, |a, b| a / b)
                }

                unsafe fn clamp(self, bound: f32) -> Self {
                    Vector(self.0.map(|value| value.clamp(-bound, bound)))
                }

                unsafe fn prefetch(_from: *const i16) {}
            }

            impl Dot for Vector {
                type Sums = [i32; $lanes];
                type Inputs = [u8; 4 * $groups];
                type Weights = [i8; 4 * $groups * $lanes];
                const GROUPS: usize = $groups;
                const LEVELS: f32 = $levels;
                const OFFSET: u8 = $offset;
                const LARGEST: f32 = $largest;

                unsafe fn load_sums(from: *const i32) -> Self::Sums {
                    // SAFETY: see above.
                    unsafe { from.cast::<Self::Sums>().read_unaligned() }
                }

                unsafe fn spread(from: *const u8) -> Self::Inputs {
                    // SAFETY: see above.
                    unsafe { from.cast::<Self::Inputs>().read_unaligned() }
                }

                unsafe fn load_weights(from: *const i8) -> Self::Weights {
                    // SAFETY: see above.
                    unsafe { from.cast::<Self::Weights>().read_unaligned() }
                }

                unsafe fn dot(sums: Self::Sums, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sums {
                    std::array::from_fn(|lane| {
                        let product = |group: usize, k: usize| {
                            let weight = weights[(group * $lanes + lane) * 4 + k];
                            i32::from(inputs[group * 4 + k]) * i32::from(weight)
                        };
                        sums[lane] + (0..$groups * 4).map(|k| product(k / 4, k % 4)).sum::<i32>()
                    })
                }

                unsafe fn convert(sums: Self::Sums) -> Self {
                    Vector(sums.map(|sum| sum as f32))
                }

                unsafe fn store_bytes(self, to: *mut u8) {
                    // SAFETY: see above.
                    unsafe { to.cast::<[u8; $lanes]>().write_unaligned(self.0.map(|value| value as u8)) }
                }
            }
        }
    };
}

plain!(plain16, 16, 1, 127.0, 128, 127.0);
plain!(plain8, 8, 2, 63.0, 64, 64.0);
