//! Measuring models on labelled comments: metrics, calibration, comparison, reports.

#![forbid(unsafe_code)]

pub mod calibration;
pub mod evaluation;
pub mod history;
pub mod metrics;
pub mod pairs;
pub mod report;
pub mod spacing;
