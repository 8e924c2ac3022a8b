//! The AVX2 kernel: vectors of 8, 12 of the 16 registers hold sums.

use super::blocked::Blocked;
use super::simd::{Simd, routines};
use std::arch::x86_64::*;

/// The kernel.
pub(super) static KERNEL: Blocked = Blocked { name: "avx2", routines: &ROUTINES, available };

fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

routines!(ROUTINES, Vector, "avx2,fma", [1 2 3 4 5 6], [1 2 3 4], [1 2 3]);

/// 8 numbers.
#[derive(Clone, Copy)]
struct Vector(__m256);

// SAFETY of every function below: the trait says that the caller has AVX2 and FMA and, where there are pointers, 8 numbers.
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
