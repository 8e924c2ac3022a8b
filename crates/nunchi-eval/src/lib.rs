//! Measuring models on labelled comments, comparing them, and reporting on both.

#![forbid(unsafe_code)]

pub mod calibration;
pub mod drift;
pub mod evaluation;
pub mod history;
pub mod metrics;
pub mod paired;
pub mod pairs;
pub mod report;
pub mod spacing;
pub mod top;
