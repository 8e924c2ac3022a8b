//! Data sets, trainer, schedule, evaluation.
//!
//! What is read: [`data`] (files), [`mapping`] (values to classes), [`gather`] (which comments go where), [`corpus`]
//! (comments on disk), [`examples`] (tokens in memory). What is done with it:
//! [`trainer`] with [`optimiser`]; [`judge`], [`evaluation`] and [`metrics`] say how good it is. For a seed the trained network is the
//! same whatever the number of threads.

pub mod corpus;
pub mod data;
pub mod evaluation;
pub mod examples;
pub mod gather;
pub mod golden;
pub mod judge;
pub mod language;
pub mod mapping;
pub mod metrics;
pub mod optimiser;
mod spread;
pub mod step;
pub mod trainer;
