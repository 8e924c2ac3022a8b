//! Retraining from history, scheduled or on demand: collect labelled comments, train, evaluate, publish.
//!
//! [`retrain`] is one run. Its data: [`topics`] (comments with stars), [`corrections`] (by people), [`files`]. Training,
//! dev and test sets: [`split`]. The candidate: [`train`]. Whether it may serve: [`gate`], with [`measure`]. The report:
//! [`report`] and [`page`].
//!
//! Always holds: a candidate is promoted only if it passed the gate against the version that it replaces; a run that fails,
//! is stopped or runs out of disk space publishes nothing. Never: a comment of the test set is trained on.

pub mod comment;
mod compare;
pub mod corrections;
mod error;
mod extension;
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
