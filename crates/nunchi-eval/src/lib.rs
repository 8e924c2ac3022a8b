//! Measuring models on labelled comments, comparing them, and reporting on both.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

pub mod breakdown;
pub mod calibration;
pub mod comparison;
pub mod coverage;
pub mod drift;
pub mod evaluation;
pub mod history;
pub mod influence_decay;
pub mod metrics;
pub mod paired;
pub mod pairs;
pub mod report;
pub mod spacing;
mod top;

/// The example of the README is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The beginning of `text`, `max` characters of it; an ellipsis says that there is more.
fn excerpt(text: &str, max: usize) -> String {
    let cut: String = text.chars().take(max).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}
