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
//! | [`training`] | data sets, trainer, evaluation |
//! | [`registry`] | versions of the model in a store: publish, promote, roll back, watch |
//! | [`engine`] | the network at the machine's speed: packed weights, length-sorted batches, kernels |
//! | [`model`] | the model file: read, write, verify, import, summarise |
//! | [`rnn`] | the mathematics, plainly: the readable reference of every kernel |
//! | [`text`] | from a comment to tokens: normalise, tokenise |
//! | [`record`] | what comes in and what goes out |
//! | [`config`] | settings: defaults, file, environment, flags |
//! | [`samples`] | comments to show and test with |
//! | [`telemetry`] | metrics and logs: every name in one place |
//!
//! `rnn` knows no Kafka; `pipeline` knows no matrix.

pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod model;
pub mod pipeline;
pub mod record;
pub mod registry;
pub mod retraining;
pub mod rnn;
pub mod samples;
pub mod telemetry;
pub mod text;
pub mod training;
