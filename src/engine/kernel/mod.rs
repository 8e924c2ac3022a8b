//! Kernels: how one recurrent step is computed on this CPU. One small seam, one file a kernel.
//!
//! `unsafe` lives here and nowhere else. Every kernel is tested against [`crate::rnn`] on random shapes. Kernels are
//! chosen at start by what the CPU has; one that needs more is refused.
//!
//! Always holds: a row's new state depends on that row alone (bitwise for our own kernels, within 1e-6 where a library's
//! product is used), so a comment's score does not depend on its neighbours in the batch.

mod activation;
mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocked;
mod layout;
mod matrix;
#[cfg(all(test, target_arch = "x86_64"))]
mod plain;
mod portable;
mod quantised;
mod simd;

pub(crate) use aligned::Aligned;
pub(crate) use layout::{CellWeights, Source};

use super::EngineError;
use std::fmt::Debug;

/// A way to compute recurrent steps.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Its name on the command line and in metrics.
    fn name(&self) -> &'static str;

    /// The precision of its products: `f32`, `bf16` or `int8`.
    fn precision(&self) -> &'static str;

    /// Whether this CPU can run it.
    fn available(&self) -> bool;

    /// Whether it may be chosen unasked. One that loses precision must be asked for until it was measured on the model.
    fn by_default(&self) -> bool {
        true
    }

    /// The units that a state row has for a layer of `hidden` units: padded with zeros to whole vectors.
    fn units(&self, cell: crate::rnn::Cell, hidden: usize) -> usize;

    /// Packs one direction of one layer.
    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence>;
}

/// One direction of one recurrent layer, packed for a kernel. Rows are `units` apart, see [`Kernel::units`].
pub(crate) trait Recurrence: Debug + Send + Sync {
    /// Numbers in a row that [`Recurrence::input_product`] writes.
    fn columns(&self) -> usize;

    /// `out [rows, columns] = x [rows, inputs] · W_ih + b`, for layers that read another layer's states.
    fn input_product(&self, x: &[f32], rows: usize, out: &mut [f32], scratch: &mut Scratch);

    /// One time step of `step.rows` rows.
    fn step(&self, step: Step<'_>, scratch: &mut Scratch);
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
    /// Rows made by [`Recurrence::input_product`].
    Rows(&'a [f32]),
}

/// One time step of a batch.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// Rows that are alive.
    pub rows: usize,
    /// What the input contributes.
    pub input: Input<'a>,
    /// The state before, `[rows, units]`; `None` at the first step, where it is zero and its product is left out.
    pub state: Option<&'a [f32]>,
    /// The LSTM's cell state, `[rows, units]`, updated in place; empty for other cells.
    pub cell: &'a mut [f32],
    /// The state after, `[rows, units]`.
    pub out: &'a mut [f32],
}

/// Memory that kernels reuse from step to step.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Products that wait for the gates.
    sums: Aligned<f32>,
    /// States as bytes.
    bytes: Aligned<u8>,
}

/// All kernels, best first.
fn all() -> Vec<&'static dyn Kernel> {
    #[cfg(target_arch = "x86_64")]
    let own: [&'static dyn Kernel; 4] = [&avx512::VNNI, &avx512::KERNEL, &avx2::INT8, &avx2::KERNEL];
    #[cfg(not(target_arch = "x86_64"))]
    let own: [&'static dyn Kernel; 0] = [];
    own.into_iter().chain([&portable::Portable as &dyn Kernel]).collect()
}

/// The names of the kernels that this CPU can run, best first.
pub(crate) fn names() -> String {
    let names: Vec<_> =
        all().iter().filter(|kernel| kernel.available()).map(|kernel| kernel.name()).collect();
    names.join(", ")
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
    pairs.into_iter().map(|(plain, real)| (plain, real.available().then_some(real))).collect()
}

/// The best kernel for this CPU, or the one named.
pub(crate) fn choose(name: Option<&str>) -> Result<&'static dyn Kernel, EngineError> {
    let Some(name) = name else {
        let best = all().into_iter().find(|kernel| kernel.available() && kernel.by_default());
        return Ok(best.expect("the portable kernel runs everywhere"));
    };
    let kernel = all()
        .into_iter()
        .find(|kernel| kernel.name() == name)
        .ok_or_else(|| EngineError::KernelUnknown(name.to_owned(), names()))?;
    if !kernel.available() {
        return Err(EngineError::KernelUnavailable(name.to_owned(), names()));
    }
    Ok(kernel)
}
