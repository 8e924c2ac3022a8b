//! The worker and what surrounds it: source, sink, transactions, dead letters.
//!
//! A worker is a loop of five verbs: poll, decode, classify, produce, commit. It owns one consumer of the group, one
//! producer and one judge, and shares nothing with the others but the model, which it borrows anew at the top of
//! every turn. No channel, no lock and no timer stands between a comment and its verdict.

mod breaker;
pub(crate) mod classifier;
pub(crate) mod decoded;
pub(crate) mod error;
pub(crate) mod pacer;
pub(crate) mod process;
pub(crate) mod scope;
pub(crate) mod supervisor;
mod worker;

pub use crate::registry::ModelSlot;
pub use classifier::{ParallelClassifier, SlotClassifier};
pub use error::PipelineError;
pub use pacer::{Pace, Pacer};
pub use scope::{Counts, Scope};
pub use supervisor::{Pipeline, Summary, worker_count};
