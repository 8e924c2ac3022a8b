//! The worker and what surrounds it: source, sink, transactions, dead letters.
//!
//! A worker is a loop of five verbs: poll, decode, classify, produce, commit. It owns one consumer of the group, one
//! producer and one judge, and shares nothing with the others but the model, which it borrows anew at the top of
//! every turn. No channel, no lock and no timer stands between a comment and its verdict.

mod answer;
mod batch;
mod breaker;
mod decoded;
mod deliveries;
mod error;
mod judge;
mod kafka;
mod lag;
mod pacer;
pub mod replay;
mod scope;
mod sink;
mod source;
mod stop;
mod supervisor;
mod topics;
mod turn;
mod watch;
mod worker;

pub use crate::registry::ModelSlot;
pub use error::PipelineError;
pub use judge::{Classifier, ParallelClassifier, SlotClassifier};
pub use pacer::{Pace, Pacer};
pub use scope::{Counts, Scope};
pub use stop::Stop;
pub use supervisor::{Pipeline, Summary, worker_count};
