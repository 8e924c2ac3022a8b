//! The AVX-512 kernel: vectors of 16, up to 24 of the 32 registers hold sums.

use super::KernelKind;
use super::blocked::Blocked;
use super::product_vectors::VectorProducts;
use super::quantized::{Dot, quantized_routines};
use super::simd::{Simd, routines};
use super::tiles::Narrow;
use std::arch::x86_64::*;

/// The kernel.
pub(super) static KERNEL: Blocked =
    Blocked { kind: KernelKind::Avx512, routines: &ROUTINES, quantized: None, available };

/// The kernel with 8-bit products.
pub(super) static VNNI: Blocked = Blocked {
    kind: KernelKind::Avx512Vnni,
    routines: &ROUTINES,
    quantized: Some(&ROUTINES8),
    available: || available() && is_x86_feature_detected!("avx512vnni"),
};

/// Products for training.
pub(super) static PRODUCTS: VectorProducts = VectorProducts { routines: &ROUTINES, available };

fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma")
}

routines!(ROUTINES, Vector, "avx512f,avx2,fma", [1 2 3 4 5 6 7 8 9 10 11 12], [1 2 3 4 5 6 7 8], [1 2 3 4 5 6]);

quantized_routines!(ROUTINES8, Vector, "avx512f,avx512vnni,avx2,fma", [1 2 3 4 5 6 7 8 9 10 11 12], [1 2 3 4 5 6 7 8], [1 2 3 4 5 6]);

/// 16 elements.
#[derive(Clone, Copy)]
pub(super) struct Vector(__m512);

// SAFETY of every function below: the trait says that the caller has AVX-512F and, where there are pointers, 16 elements.
impl Simd for Vector {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_i16(from: *const i16) -> Self {
        // SAFETY: see above.
        unsafe {
            let narrow = _mm256_loadu_si256(from.cast());
            Vector(_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(narrow)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self, bound: f32) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_max_ps(_mm512_min_ps(self.0, _mm512_set1_ps(bound)), _mm512_set1_ps(-bound)) })
    }

    #[inline(always)]
    unsafe fn prefetch(from: *const i16) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}

// VNNI multiplies 4 unsigned with 4 signed bytes and adds all to a 32-bit sum, exactly.
impl Dot for Vector {
    type Sums = __m512i;
    type Inputs = __m512i;
    type Weights = __m512i;
    const GROUPS: usize = 1;
    const LEVELS: f32 = 127.0;
    const OFFSET: u8 = 128;
    const LARGEST: f32 = 127.0;

    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(from: *const u8) -> __m512i {
        // SAFETY: see above; 4 bytes are read.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> __m512i {
        // SAFETY: see above; 64 bytes are read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, inputs: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: see above; the features include VNNI.
        unsafe { _mm512_dpbusd_epi32(sums, inputs, weights) }
    }

    #[inline(always)]
    unsafe fn convert(sums: __m512i) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_cvtepi32_ps(sums) })
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: see above; 16 bytes are written.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(self.0))) }
    }
}

impl Narrow for Vector {
    type Pairs = __m512i;

    #[inline(always)]
    unsafe fn load_pairs(from: *const i16) -> __m512i {
        // SAFETY: see above; 64 bytes are read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn first(pairs: __m512i) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_cvtepi32_ps(_mm512_slli_epi32::<16>(pairs)) })
    }

    #[inline(always)]
    unsafe fn second(pairs: __m512i) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_cvtepi32_ps(pairs) })
    }

    #[inline(always)]
    unsafe fn within(self, bound: Self) -> Self {
        // SAFETY: see above; the features include AVX-512DQ. The smaller magnitude, with the sign of `self`.
        Vector(unsafe { _mm512_range_ps::<0b0010>(self.0, bound.0) })
    }

    #[inline(always)]
    unsafe fn entry(self, low: Self, high: Self) -> Self {
        // SAFETY: see above.
        Vector(unsafe { _mm512_permutex2var_ps(low.0, _mm512_castps_si512(self.0), high.0) })
    }

    #[inline(always)]
    unsafe fn store_bf16(self, next: Self, to: *mut u16) {
        // SAFETY: see above; the features include AVX-512BF16; 64 bytes are written.
        unsafe {
            let both = _mm512_cvtne2ps_pbh(next.0, self.0);
            _mm512_storeu_si512(to.cast(), std::mem::transmute::<__m512bh, __m512i>(both));
        }
    }
}
