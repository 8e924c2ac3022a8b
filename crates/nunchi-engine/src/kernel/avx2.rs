//! The AVX2 kernel: vectors of 8, 12 of the 16 registers hold sums.

use super::KernelKind;
use super::blocked::Blocked;
use super::product_vectors::VectorProducts;
use super::quantized::{Dot, quantized_routines};
use super::simd::{ProductArgs, Simd, routines};
use std::arch::asm;
use std::arch::x86_64::*;

/// The kernel.
pub(super) static KERNEL: Blocked =
    Blocked { kind: KernelKind::Avx2, routines: &ROUTINES, quantized: None, available };

/// The kernel with 8-bit products (7 bits, in truth: see [`Dot`] below).
pub(super) static INT8: Blocked =
    Blocked { kind: KernelKind::Avx2Int8, routines: &ROUTINES, quantized: Some(&ROUTINES8), available };

/// Products for training.
pub(super) static PRODUCTS: VectorProducts = VectorProducts { routines: &ROUTINES, available };

fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

routines!(ROUTINES, Vector, "avx2,fma", [1 2 3 4 5 6], [1 2 3; product_4x3], [1 2 3]);

quantized_routines!(ROUTINES8, Vector, "avx2,fma", [1 2], [1 2], [1 2]);

/// The product of 4 rows with a GRU's panel, as [`super::simd::product`] computes it. It takes all 16 registers: 12 sums,
/// 3 vectors of weights, 1 input. The compiler's schedule wants a seventeenth, and the sum that it then keeps in memory
/// halves the speed.
#[target_feature(enable = "avx2,fma")]
unsafe fn product_4x3(args: &ProductArgs) {
    // SAFETY: AVX2 and FMA are on; memory is as `ProductArgs` says for 4 rows and 3 vectors of 8.
    unsafe {
        asm!(
            "vmovups ymm0, [{init}]",
            "vmovups ymm1, [{init} + 32]",
            "vmovups ymm2, [{init} + 64]",
            "vmovaps ymm3, ymm0",
            "vmovaps ymm4, ymm1",
            "vmovaps ymm5, ymm2",
            "vmovaps ymm6, ymm0",
            "vmovaps ymm7, ymm1",
            "vmovaps ymm8, ymm2",
            "vmovaps ymm9, ymm0",
            "vmovaps ymm10, ymm1",
            "vmovaps ymm11, ymm2",
            "test {k}, {k}",
            "jz 3f",
            ".p2align 5",
            "2:",
            "vmovups ymm12, [{w}]",
            "vmovups ymm13, [{w} + 32]",
            "vmovups ymm14, [{w} + 64]",
            "vbroadcastss ymm15, [{a}]",
            "vfmadd231ps ymm0, ymm15, ymm12",
            "vfmadd231ps ymm1, ymm15, ymm13",
            "vfmadd231ps ymm2, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + {stride}]",
            "vfmadd231ps ymm3, ymm15, ymm12",
            "vfmadd231ps ymm4, ymm15, ymm13",
            "vfmadd231ps ymm5, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + 2 * {stride}]",
            "vfmadd231ps ymm6, ymm15, ymm12",
            "vfmadd231ps ymm7, ymm15, ymm13",
            "vfmadd231ps ymm8, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + {stride3}]",
            "vfmadd231ps ymm9, ymm15, ymm12",
            "vfmadd231ps ymm10, ymm15, ymm13",
            "vfmadd231ps ymm11, ymm15, ymm14",
            "add {a}, 4",
            "add {w}, 96",
            "dec {k}",
            "jnz 2b",
            "3:",
            "vmovups [{out}], ymm0",
            "vmovups [{out} + 32], ymm1",
            "vmovups [{out} + 64], ymm2",
            "add {out}, {out_stride}",
            "vmovups [{out}], ymm3",
            "vmovups [{out} + 32], ymm4",
            "vmovups [{out} + 64], ymm5",
            "add {out}, {out_stride}",
            "vmovups [{out}], ymm6",
            "vmovups [{out} + 32], ymm7",
            "vmovups [{out} + 64], ymm8",
            "add {out}, {out_stride}",
            "vmovups [{out}], ymm9",
            "vmovups [{out} + 32], ymm10",
            "vmovups [{out} + 64], ymm11",
            init = in(reg) args.init,
            a = inout(reg) args.a => _,
            w = inout(reg) args.w => _,
            k = inout(reg) args.inputs => _,
            stride = in(reg) args.a_stride * 4,
            stride3 = in(reg) args.a_stride * 12,
            out = inout(reg) args.out => _,
            out_stride = in(reg) args.out_stride * 4,
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
            out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(nostack),
        );
    }
}

/// 8 elements.
#[derive(Clone, Copy)]
struct Vector(__m256);

// SAFETY of every function below: the trait says that the caller has AVX2 and FMA and, where there are pointers, 8 elements.
impl Simd for Vector {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_i16(from: *const i16) -> Self {
        // SAFETY: see above.
        unsafe {
            let narrow = _mm_loadu_si128(from.cast());
            Vector(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(narrow)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self, bound: f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_max_ps(_mm256_min_ps(self.0, _mm256_set1_ps(bound)), _mm256_set1_ps(-bound)) })
    }

    #[inline(always)]
    unsafe fn prefetch(from: *const i16) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
}

// `vpmaddubsw` multiplies unsigned with signed bytes and adds neighbors in 16 bits. Two of these are added before they
// are widened, so four products must fit: states have 7 bits (0 to 127), weights at most ±64: 4 · 127 · 64 = 32,512.
impl Dot for Vector {
    type Sums = __m256i;
    type Inputs = (__m256i, __m256i);
    type Weights = (__m256i, __m256i);
    const GROUPS: usize = 2;
    const LEVELS: f32 = 63.0;
    const OFFSET: u8 = 64;
    const LARGEST: f32 = 64.0;

    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(from: *const u8) -> Self::Inputs {
        // SAFETY: see above; 8 bytes are read.
        unsafe {
            let from = from.cast::<i32>();
            (_mm256_set1_epi32(from.read_unaligned()), _mm256_set1_epi32(from.add(1).read_unaligned()))
        }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> Self::Weights {
        // SAFETY: see above; 64 bytes are read.
        unsafe { (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, inputs: Self::Inputs, weights: Self::Weights) -> __m256i {
        // SAFETY: see above.
        unsafe {
            let first = _mm256_maddubs_epi16(inputs.0, weights.0);
            let second = _mm256_maddubs_epi16(inputs.1, weights.1);
            let four = _mm256_add_epi16(first, second);
            _mm256_add_epi32(sums, _mm256_madd_epi16(four, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn convert(sums: __m256i) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm256_cvtepi32_ps(sums) })
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: see above; 8 bytes are written.
        unsafe {
            let wide = _mm256_cvttps_epi32(self.0);
            let (low, high) = (_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
            let words = _mm_packus_epi32(low, high);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
}
