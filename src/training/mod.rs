//! Data sets, trainer, schedule, evaluation.
//!
//! What is read: [`data`] (files), [`mapping`] (values to classes), [`examples`] (tokens). What is done with it:
//! [`trainer`] with [`optimiser`]; [`judge`], [`evaluation`] and [`metrics`] say how good it is, [`history`] how it
//! got there, [`report`] shows both. For a seed the trained network is the same whatever the number of threads.

pub mod data;
pub mod evaluation;
pub mod examples;
pub mod golden;
pub mod history;
pub mod judge;
pub mod mapping;
pub mod metrics;
pub mod optimiser;
pub mod report;
pub mod trainer;
