//! Metrics, health and logs: every name in one place.

mod health;
mod logs;
mod metrics;
mod worker;

pub use health::Health;
pub use logs::{LogError, init_logs, lost_log_lines};
pub use metrics::{ERROR_CLASSES, Metrics};
pub use worker::{BatchStats, Stage, WorkerMetrics};
