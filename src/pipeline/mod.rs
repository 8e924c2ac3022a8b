//! The worker and what surrounds it: source, classifier, output, dead letters.
//!
//! A worker is a loop of five steps: poll, decode, classify, write, commit. It owns one consumer, one classifier and one
//! output, and shares nothing with the others but the model, which it reads from the slot at the beginning of every batch. There is no
//! channel, no lock and no timer between a comment and its verdict. There is this one loop: where records come from is a
//! `source::Source`, where they go an `output::Output`; a replay brings its own of both.

mod batch;
mod breaker;
mod classifier;
mod context;
mod corrupt;
mod corrupt_error;
mod decoded;
mod error;
mod halting;
mod halts;
mod model_pair;
pub(crate) mod output;
mod progress;
mod resuming;
mod scope;
mod setup;
mod source;
mod supervisor;
mod worker;

pub use crate::registry::ModelSlot;
pub use classifier::{ParallelClassifier, SlotClassifier};
pub use error::PipelineError;
pub(crate) use model_pair::{BatchClassifier, ModelPair};
pub use scope::LabelFilter;
pub(crate) use scope::Scope;
pub use setup::{Pipeline, worker_count};
pub use supervisor::Summary;
