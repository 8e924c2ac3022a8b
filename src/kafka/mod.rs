//! Everything that names librdkafka: client settings, consumer, transactional producer, topic checks, lag.

pub(crate) mod admin;
pub(crate) mod batch;
pub(crate) mod bounds;
mod client_properties;
mod commit_pace;
pub(crate) mod compacted_log;
pub(crate) mod consumer;
pub(crate) mod corruption;
mod credentials;
mod deliveries;
pub(crate) mod error;
mod events;
mod fencing;
pub(crate) mod group_start;
mod headers;
pub(crate) mod history;
pub(crate) mod lag;
mod library;
pub(crate) mod live_topics;
pub(crate) mod output;
mod pacer;
pub(crate) mod placement;
mod positions;
pub(crate) mod probe;
pub(crate) mod producer;
pub(crate) mod properties;
mod quiet_tails;
pub(crate) mod refusals;
pub(crate) mod resume;
pub(crate) mod rights;
mod settings_watch;
pub(crate) mod statistics;
pub(crate) mod target;
mod tls;
pub(crate) mod topic_monitor;
mod topic_settings;
pub(crate) mod topics;
mod transaction_limits;
mod warnings;
pub(crate) mod write_failures;

pub use client_properties::ClientProperties;
pub use error::{BrokerError, ClientError};
pub use library::library;
pub use pacer::{Pace, Pacer};

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds, as in the timestamps of records.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
