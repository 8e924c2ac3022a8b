//! Kernels: how one recurrent step is computed on this CPU. One small seam, one file a kernel.
//!
//! `unsafe` lives here and nowhere else. Every kernel is tested against [`nunchi_model::rnn`] on random shapes. Kernels are
//! chosen at start by what the CPU has; one that needs more is refused.
//!
//! Always holds: a row's new state depends on that row alone (bitwise for our own kernels, within 1e-6 where a library's
//! product is used), so a comment's score does not depend on its neighbors in the batch.

mod activation;
mod aligned;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx_layout;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocked;
mod curve;
mod kind;
mod layout;
mod matrix;
#[cfg(all(any(test, feature = "plain"), target_arch = "x86_64"))]
// Other crates' tests use products on plain tiles only, no kernel.
#[cfg_attr(not(test), allow(dead_code))]
mod plain;
#[cfg(all(any(test, feature = "plain"), target_arch = "x86_64"))]
mod plain_layout;
#[cfg(all(any(test, feature = "plain"), target_arch = "x86_64"))]
// Other crates' tests use its products only, not its kernel.
#[cfg_attr(not(test), allow(dead_code))]
mod plain_tiles;
mod portable;
mod product;
mod product_tiles;
mod product_vectors;
mod quantized;
mod session;
mod simd;
mod tile_gates;
mod tile_step;
mod tiled;
mod tiles;

pub(crate) use activation::{BOUND, P, Q};
pub(crate) use aligned::Aligned;
pub use kind::KernelKind;
pub(crate) use layout::{CellWeights, Source};
pub use product::{Matrix, PackedMatrix, ProductScratch, Products};
pub use session::Session;

use super::EngineError;
use nunchi_model::Precision;
use std::fmt::Debug;

/// A way to compute recurrent steps.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// What it is called.
    fn kind(&self) -> KernelKind;

    /// The precision of its products.
    fn precision(&self) -> Precision;

    /// Whether this CPU can run it.
    fn available(&self) -> bool;

    /// Elements of a state row for a layer of `hidden` units: these first, padded with zeros to whole vectors, then what the
    /// kernel keeps beside them.
    fn row(&self, cell: nunchi_model::rnn::Cell, hidden: usize) -> usize;

    /// Rows of a batch: enough to use the weights often while they are hot, few enough for states (of `row` elements) and table
    /// rows to stay near.
    fn batch_rows(&self, row: usize) -> usize {
        (16_384 / row.max(1)).clamp(32, 256)
    }

    /// Makes this thread ready for [`Recurrence::step`], until the session is dropped.
    fn enter(&self) -> Session {
        Session::default()
    }

    /// Packs one direction of one layer.
    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence>;
}

/// State rows come in multiples of this: memory behind the last row that is alive may be read, but means nothing.
pub(crate) const ROW_BLOCK: usize = 16;

/// One direction of one recurrent layer, packed for a kernel.
pub(crate) trait Recurrence: Debug + Send + Sync {
    /// One time step of `step.rows` rows. The kernel that packed the weights gave out the session, on this thread.
    fn step(&self, session: &Session, step: Step<'_>, scratch: &mut Scratch);
}

/// What the input contributes to a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// Each row's token, looked up in the layer's table, and the tokens that the next step will want.
    Tokens {
        /// One a row; all below the vocabulary's size.
        now: &'a [u32],
        /// The next step's tokens (there may be fewer), to be fetched while this step computes.
        ahead: &'a [u32],
    },
    /// The layer below's state rows, both directions of a row side by side; a multiple of [`ROW_BLOCK`] rows.
    States(&'a [f32]),
}

/// One time step of a batch.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// Rows that are alive.
    pub rows: usize,
    /// What the input contributes.
    pub input: Input<'a>,
    /// The state rows before, a multiple of [`ROW_BLOCK`]; `None` at the first step, where the state is zero and its
    /// product is left out.
    pub state: Option<&'a [f32]>,
    /// The LSTM's cell state, as far apart as state rows, updated in place; empty for other cells.
    pub cell: &'a mut [f32],
    /// The state rows after.
    pub out: &'a mut [f32],
}

/// Memory that kernels reuse from step to step.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Products that wait for the gates.
    sums: Aligned<f32>,
    /// The input's products, where they are made apart.
    inputs: Aligned<f32>,
    /// States as bytes.
    bytes: Aligned<u8>,
}

/// All kernels, best first.
fn all() -> Vec<&'static dyn Kernel> {
    let mut all: Vec<&'static dyn Kernel> = Vec::new();
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    all.push(&amx::KERNEL);
    #[cfg(target_arch = "x86_64")]
    all.extend([&avx512::VNNI as &dyn Kernel, &avx512::KERNEL, &avx2::INT8, &avx2::KERNEL]);
    all.push(&portable::Portable);
    all
}

/// The kernels that this CPU can run, best first.
pub(crate) fn kinds() -> Vec<KernelKind> {
    all().iter().filter(|kernel| kernel.available()).map(|kernel| kernel.kind()).collect()
}

/// Their names, as a list for messages.
fn names() -> String {
    kinds().iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// The kernels that this CPU can run, best first.
#[cfg(test)]
pub(crate) fn runnable() -> Vec<&'static dyn Kernel> {
    all().into_iter().filter(|kernel| kernel.available()).collect()
}

/// Kernels of plain arrays, each with the kernel of this CPU that must agree with it in every bit, if it has that.
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) fn plain() -> Vec<(&'static dyn Kernel, Option<&'static dyn Kernel>)> {
    let pairs: [(&'static dyn Kernel, &'static dyn Kernel); 4] = [
        (&plain::plain16::KERNEL, &avx512::KERNEL),
        (&plain::plain16::INT8, &avx512::VNNI),
        (&plain::plain8::KERNEL, &avx2::KERNEL),
        (&plain::plain8::INT8, &avx2::INT8),
    ];
    let mut pairs = pairs.to_vec();
    #[cfg(target_os = "linux")]
    pairs.push((&plain_tiles::KERNEL, &amx::KERNEL));
    pairs.into_iter().map(|(plain, real)| (plain, real.available().then_some(real))).collect()
}

/// The kernels of this CPU that may be chosen by default where `allows` says yes to their precision, best first; at least
/// one if it says yes to `f32`.
pub(crate) fn by_default(allows: impl Fn(Precision) -> bool) -> Vec<&'static dyn Kernel> {
    all().into_iter().filter(|kernel| kernel.available() && allows(kernel.precision())).collect()
}

/// The best kernel for this CPU that loses no precision, or the one named.
pub(crate) fn choose(kind: Option<KernelKind>) -> Result<&'static dyn Kernel, EngineError> {
    let Some(kind) = kind else {
        let best = by_default(|precision| precision == Precision::F32).into_iter().next();
        return Ok(best.expect("the portable kernel runs everywhere"));
    };
    // Kernels of other kinds of machines are not compiled in: they are as unavailable.
    let kernel = all().into_iter().find(|kernel| kernel.kind() == kind && kernel.available());
    kernel.ok_or_else(|| EngineError::KernelUnavailable(kind.name().to_owned(), names()))
}
