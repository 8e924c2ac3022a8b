//! Metrics and logs: every name in one place.

mod metrics;

pub use metrics::Metrics;
