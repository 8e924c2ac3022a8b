//! Data sets, trainer, schedule, evaluation.
//!
//! What is read: [`data`] (files), [`mapping`] (values to classes), [`examples`] (tokens); [`contrast`] makes sentences up. What is
//! done with it: [`trainer`] with [`optimiser`]. [`judge`], [`evaluation`] and [`metrics`] say how good it is, [`behaviour`] what it
//! understood, [`spacing`] what it makes of comments with other spaces. For a seed the trained network is the same whatever the
//! number of threads.

pub mod behaviour;
pub mod contrast;
pub mod data;
pub mod evaluation;
pub mod examples;
pub mod golden;
pub mod judge;
pub mod mapping;
pub mod metrics;
pub mod optimiser;
pub mod spacing;
pub mod trainer;
