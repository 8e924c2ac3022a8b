//! nunchi reads product comments from Kafka, classifies each one with a recurrent neural network, and writes the verdicts to
//! another topic exactly once.
//!
//! # Layout
//!
//! Modules form layers, from the top down; each imports from lower layers only (`tests/import_order.rs`). The network, its
//! training and its evaluation are crates of their own, below all of them.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line: one file a command, one table of exit statuses, one printer |
//! | [`http`] | the admin server: metrics, probes, classification on request |
//! | [`retraining`] | collect, split, train, gate, publish |
//! | [`replay`] | ranges of history: plan, pace, targets |
//! | [`dead_letters`] | list, show, redrive |
//! | [`pipeline`] | the loop: consume, decode, classify, write, commit |
//! | [`kafka`] | everything that names librdkafka |
//! | [`registry`] | versions of the model in a store: publish, promote, canary, roll back |
//! | [`record`] | what comes in and what goes out |
//! | [`telemetry`] | metrics, health and logs: every name in one place |
//! | [`config`] | settings: defaults, file, environment, flags |
//! | [`samples`], [`stop`] | the sample comments; the request to stop |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_macros))]

#[cfg(all(feature = "dynamic-librdkafka", feature = "vendored"))]
compile_error!(
    "choose one of the features `dynamic-librdkafka` and `vendored`: the system's librdkafka would find the OpenSSL that is \
     compiled in beside the one that it was built with"
);

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
