//! Training: corpus, optimizer, trainer, checkpoints, augmentation.

#![forbid(unsafe_code)]

mod batches;
mod checkpoint;
pub mod contrast;
pub mod corpus;
pub mod gather;
pub mod golden;
mod guard;
mod hangul;
pub mod language;
pub mod optimiser;
pub mod schedule;
pub mod step;
pub mod trainer;
mod variation;
