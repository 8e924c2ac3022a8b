//! The network at the machine's speed: weights packed once per load, comments of a batch sorted by length, each step
//! computed only for the rows that are still alive.
//!
//! Same answers as [`nunchi_model::rnn`] within 1e-4 (f32), whatever the neighbours in the batch. A kernel ([`kernels`]) is
//! chosen at start by what the CPU has.

pub mod backprop;
mod batch;
mod classifier;
mod engine;
mod error;
mod kernel;
mod loaded;
mod packed;
mod pool;
mod prediction;
pub mod score;
#[cfg(test)]
mod tests;

pub use classifier::{Classifier, Times};
pub use engine::Engine;
pub use error::EngineError;
pub use kernel::KernelKind;
pub use loaded::LoadedModel;
pub use nunchi_model::Precision;
pub use packed::{Packed, Scratch};
pub use prediction::Prediction;

/// The kernels that this CPU can run, best first.
pub fn kernels() -> Vec<KernelKind> {
    kernel::kinds()
}
