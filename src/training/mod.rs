//! Data sets, trainer, schedule, evaluation.
//!
//! What is read: [`data`] (files), [`mapping`] (values to classes), [`gather`] (which comments go where), [`corpus`] (comments on
//! disk), [`examples`] (tokens in memory); [`contrast`] makes sentences up, `variation` types them otherwise. What is done with it: [`trainer`], step by step
//! ([`step`], [`optimiser`], [`schedule`]), before it [`language`]. [`judge`], [`evaluation`] and [`metrics`] say how good it is, [`history`] how it got there,
//! [`behaviour`] what it understood, [`spacing`] what it makes of comments with other spaces; [`report`] shows all of it. For a seed
//! the trained network is the same whatever the number of threads.

mod batches;
pub mod behaviour;
mod checkpoint;
pub mod contrast;
pub mod corpus;
pub mod data;
pub mod evaluation;
pub mod examples;
pub mod gather;
pub mod golden;
mod guard;
mod hangul;
pub mod history;
pub mod judge;
pub mod language;
pub mod mapping;
pub mod metrics;
pub mod optimiser;
pub mod report;
pub mod schedule;
pub mod spacing;
pub mod step;
pub mod trainer;
mod variation;
