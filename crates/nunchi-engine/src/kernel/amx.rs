//! The AMX kernel: products of 16-bit floats on tiles, gates on AVX-512.
//!
//! Rust has no stable intrinsics for tiles, but it has inline assembly. The tile registers live from one piece of assembly to
//! the next: the compiler has no use for them unless the feature is on, which it never is here.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 (programming with AMX);
//! for the permission, the Linux kernel's Documentation/arch/x86/xstate.rst.

use super::avx512::Vector;
use super::product_tiles::TileProducts;
use super::tile_step::tile_routines;
use super::tiled::Tiled;
use super::tiles::{ROWS, Tiles};
use super::{KernelKind, Session, amx_layout, product_tiles};
use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::Cell;
use std::sync::LazyLock;

/// The kernel.
pub(super) static KERNEL: Tiled = Tiled { kind: KernelKind::Amx, routines: &ROUTINES, available, enter };

tile_routines!(ROUTINES, Amx, Vector, "avx512f,avx512bw,avx512dq,avx512bf16,avx2,fma");

/// Products for training.
pub(super) static PRODUCTS: TileProducts = TileProducts { routines: &PRODUCT_ROUTINES, available, enter };

static PRODUCT_ROUTINES: product_tiles::Routines = product_tiles::Routines {
    product,
    to_rows: amx_layout::to_rows,
    to_rows_transposed: amx_layout::to_rows_transposed,
    to_panels: amx_layout::to_panels,
    to_panels_transposed: amx_layout::to_panels_transposed,
};

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16,avx2,fma")]
unsafe fn product(args: &product_tiles::ProductArgs) {
    // SAFETY: the features are on; tiles and memory are the caller's promise.
    unsafe { product_tiles::product::<Amx>(args) }
}

/// Bytes of a tile's row.
const ROW_BYTES: usize = 64;

/// Whether the CPU has tiles and bf16 products, and the system lets this process use them.
fn available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        let vectors = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("fma");
        vectors && tiles() && permitted()
    });
    *AVAILABLE
}

/// Whether CPUID names AMX-TILE and AMX-BF16.
fn tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    if __cpuid(0).eax < 7 {
        return false;
    }
    __cpuid_count(7, 0).edx & (AMX_BF16 | AMX_TILE) == AMX_BF16 | AMX_TILE
}

/// Asks Linux for the permission to use tiles, for all threads of this process.
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// The configuration of all tiles: 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

thread_local! {
    /// Sessions of this thread that are alive: the first one configures the tiles, the last one releases them.
    static SESSIONS: Cell<usize> = const { Cell::new(0) };
}

/// Configures this thread's tiles; when its last session ends they are released, so that the system need not save them (8 KiB
/// with every switch of threads) and the core may lower its power again.
fn enter() -> Session {
    assert!(available(), "a kernel is entered only where the CPU can run it");
    if SESSIONS.replace(SESSIONS.get() + 1) == 0 {
        configure();
    }
    // SAFETY: the tiles are configured, and only the last session of this thread releases them.
    unsafe { Session::with_tiles(leave) }
}

fn leave() {
    if SESSIONS.replace(SESSIONS.get() - 1) == 1 {
        // SAFETY: the thread has entered, so that the CPU has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }
}

fn configure() {
    let mut configuration =
        Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    configuration.row_bytes[..8].fill(ROW_BYTES as u16);
    configuration.rows[..8].fill(ROWS as u8);
    // SAFETY: the CPU has tiles and the process may use them; the configuration is one of palette 1.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
}

/// The sums are tiles 0 to 3 (rows by columns: 0 1 / 2 3), the inputs 4 and 5, the weights 6 and 7.
struct Amx;

// SAFETY of every function below: the trait says that the thread has its tiles (see `enter`) and the memory is there.
impl Tiles for Amx {
    #[inline(always)]
    fn new() -> Self {
        Amx
    }

    #[inline(always)]
    unsafe fn begin(&mut self, bias: *const f32) {
        // SAFETY: see above. With a stride of 0 every row of a tile is the same 64 bytes.
        unsafe {
            asm!(
                "tileloadd tmm0, [{bias} + {zero}*1]",
                "tileloadd tmm1, [{bias} + {zero}*1 + 64]",
                "tileloadd tmm2, [{bias} + {zero}*1]",
                "tileloadd tmm3, [{bias} + {zero}*1 + 64]",
                bias = in(reg) bias,
                zero = in(reg) 0usize,
                options(nostack, readonly, preserves_flags),
            );
        }
    }

    // Weights are read once for every block of rows and bypass L1 (the `t1`), so that the block's inputs stay there.
    #[inline(always)]
    unsafe fn add(&mut self, a: *const u16, stride: usize, b: *const u16, two: bool) {
        // SAFETY: see above.
        unsafe {
            if two {
                asm!(
                    "tileloaddt1 tmm6, [{b} + {row}*1]",
                    "tileloadd tmm4, [{a} + {stride}*1]",
                    "tileloaddt1 tmm7, [{b} + {row}*1 + 1024]",
                    "tileloadd tmm5, [{next} + {stride}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    a = in(reg) a,
                    next = in(reg) a.byte_add(ROWS * stride),
                    stride = in(reg) stride,
                    b = in(reg) b,
                    row = in(reg) ROW_BYTES,
                    options(nostack, readonly, preserves_flags),
                );
            } else {
                asm!(
                    "tileloaddt1 tmm6, [{b} + {row}*1]",
                    "tileloadd tmm4, [{a} + {stride}*1]",
                    "tileloaddt1 tmm7, [{b} + {row}*1 + 1024]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    a = in(reg) a,
                    stride = in(reg) stride,
                    b = in(reg) b,
                    row = in(reg) ROW_BYTES,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }
    }

    #[inline(always)]
    unsafe fn store(&mut self, sums: *mut f32, two: bool) {
        // SAFETY: see above: 16 rows of the first columns, 16 of the second tile of rows, then the same of the others.
        unsafe {
            asm!(
                "tilestored [{sums} + {row}*1], tmm0",
                "tilestored [{sums} + {row}*1 + 2048], tmm1",
                sums = in(reg) sums,
                row = in(reg) ROW_BYTES,
                options(nostack, preserves_flags),
            );
            if two {
                asm!(
                    "tilestored [{sums} + {row}*1 + 1024], tmm2",
                    "tilestored [{sums} + {row}*1 + 3072], tmm3",
                    sums = in(reg) sums,
                    row = in(reg) ROW_BYTES,
                    options(nostack, preserves_flags),
                );
            }
        }
    }
}
