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
mod material;
pub mod measure;
pub mod page;
pub mod report;
mod run;
pub mod schedule;
pub mod split;
pub mod topics;
pub mod train;

pub use error::RetrainError;
pub use run::{Finished, Request, retrain};
