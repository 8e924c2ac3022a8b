//! nunchi reads product comments from Kafka, judges each one with a recurrent network that stays warm, and writes the
//! verdicts to another topic exactly once.
//!
//! # Layout
//!
//! One folder a stage, one file an idea. Imports run downwards only:
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line, one file a command |
//! | [`http`] | admin server: metrics, probes, classification on request |
//! | [`retraining`] | learns from history: collect, train, gate, publish, report |
//! | [`pipeline`] | the worker: poll, decode, classify, produce, commit |
//! | [`registry`] | versions of the model in a store: publish, promote, roll back, watch |
//! | [`record`] | what comes in and what goes out |
//! | [`config`] | settings: defaults, file, environment, flags |
//! | [`samples`] | comments to show and test with |
//! | [`telemetry`] | metrics and logs: every name in one place |
//!
//! `rnn` knows no Kafka; `pipeline` knows no matrix.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_macros))]

pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod http;
pub mod kafka;
pub mod pipeline;
pub mod record;
pub mod registry;
pub mod replay;
pub mod retraining;
pub mod samples;
pub mod stop;
pub mod telemetry;

#[cfg(test)]
#[path = "../crates/nunchi-eval/src/report/well_formed.rs"]
mod well_formed;
