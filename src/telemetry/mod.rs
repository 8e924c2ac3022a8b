//! Metrics, health and logs: every name in one place.

mod health;
mod json;
mod logs;
mod metrics;
mod worker;

pub use health::Health;
pub use logs::{
    LogError, init_logs, lost_log_lines, message, messages_are_json, report_panics, set_message_format,
};
pub use metrics::{ERROR_CLASSES, Metrics};
pub use worker::{BatchStats, REVIEW_REASONS, ReviewLeftOut, Stage, WorkerMetrics, latency_seconds};
