//! Learning from history, every night or when told: collect labelled comments, train, prove, publish.
//!
//! [`retrain`] is one run. What it learns from: [`topics`] (comments with stars), [`corrections`] (people's), [`files`]. What
//! is learned and what is measured with: [`split`]. The candidate: [`train`]. Whether it may serve: [`gate`], with
//! [`measure`]. What is told of it: [`report`] and [`page`].
//!
//! Always holds: a candidate is promoted only if it passed the gate against the version that it replaces; whoever dies, is
//! stopped or runs out of disk on the way has published nothing. Never: a comment that is measured with is learned.

pub mod comment;
mod compare;
pub mod corrections;
mod error;
pub mod files;
pub mod gate;
pub mod measure;
pub mod page;
pub mod report;
mod request;
mod run;
pub mod schedule;
pub mod split;
mod start;
pub mod topics;
pub mod train;
mod training_data;

pub use error::RetrainError;
pub use request::Request;
pub use run::{RetrainOutcome, retrain};
