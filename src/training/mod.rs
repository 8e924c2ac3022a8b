//! Data sets, trainer, schedule, evaluation.
//!
//! What is read: [`data`] (files), [`mapping`] (values to classes), [`gather`] (which comments go where), [`corpus`]
//! (comments on disk), [`examples`] (tokens in memory). What is done with it:
//! [`trainer`], step by step ([`step`], [`optimiser`], [`schedule`]), before it [`language`]; [`judge`], [`evaluation`] and [`metrics`] say how good it is. For a seed the trained network is the
//! same whatever the number of threads.

mod batches;
mod checkpoint;
pub mod corpus;
pub mod data;
pub mod evaluation;
pub mod examples;
pub mod gather;
pub mod golden;
mod guard;
pub mod judge;
pub mod language;
pub mod mapping;
pub mod metrics;
pub mod optimiser;
pub mod schedule;
mod spread;
pub mod step;
pub mod trainer;
