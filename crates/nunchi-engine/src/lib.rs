//! Batched inference for recurrent text classifiers on CPUs: weights packed once a load, comments of a batch sorted by length,
//! each step computed only for the rows that are still alive.
//!
//! ```
//! use nunchi_engine::Engine;
//!
//! let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
//! let mut engine = Engine::load(format!("{models}/nunchi-ko.safetensors"))?;
//! let predictions = engine.classify(&["배송이 빨라서 정말 좋아요", "최악이에요. 환불해 주세요", "돈이 아까워요"])?;
//! let labels: Vec<&str> = predictions.iter()
//!     .map(|prediction| engine.loaded().model().labels[prediction.label].as_str())
//!     .collect();
//! assert_eq!(labels, ["positive", "negative", "negative"]);
//! # Ok::<(), nunchi_engine::EngineError>(())
//! ```
//!
//! Same scores as [`nunchi_model::rnn`] within 1e-4 (f32), whatever the neighbors in the batch. A kernel ([`kernels`]) is
//! chosen at start by what the CPU has.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]

pub mod backprop;
mod batch;
mod buffers;
mod classifier;
mod decision;
mod engine;
mod error;
mod kernel;
mod loaded;
mod packed;
mod pool;
mod prediction;
pub mod score;
mod sentences;
#[cfg(test)]
mod tests;
mod unsure;

pub use classifier::{Classifier, Times};
pub use decision::{Decision, DecisionPolicy};
pub use engine::Engine;
pub use error::EngineError;
pub use kernel::KernelKind;
pub use loaded::LoadedModel;
pub use nunchi_model::Precision;
pub use packed::{Packed, Scratch};
pub use prediction::Prediction;
pub use sentences::{Sentence, Sentences};
pub use unsure::{Unsure, is_plainly_foreign};

/// The kernels that this CPU can run, best first.
pub fn kernels() -> Vec<KernelKind> {
    kernel::kinds()
}
