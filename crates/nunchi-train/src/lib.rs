//! Training of recurrent text classifiers: from files of comments to the weights of a network.
//!
//! - [`dataset`]: files become a [`corpus`] on disk and development sets in memory that share no comment.
//! - [`trainer`]: epochs, checkpoints, divergence; made of `batches`, [`step`], [`optimizer`] and [`schedule`].
//! - `language`: the objective of the stage before, predicting next tokens.
//! - `augmentation` and [`contrast`]: comments typed otherwise, and synthetic sentences in which one word decides the label.
//! - [`opinion`]: the output that says whether a comment holds an opinion, learned on a finished network.
//! - [`golden`]: the comments whose scores every trained model carries.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

mod augmentation;
mod batches;
pub mod contrast;
pub mod corpus;
pub mod dataset;
pub mod golden;
mod hangul;
mod language;
pub mod opinion;
pub mod optimizer;
pub mod schedule;
pub mod step;
pub mod trainer;
