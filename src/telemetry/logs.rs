//! Logs: lines for people or JSON objects, to standard error. What is logged never holds a secret or a comment's text.

use crate::config::{Log, LogFormat};
use thiserror::Error;

/// Why logs cannot be set up.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("`log.level` must be {}", crate::config::LOG_LEVELS)]
    Filter,
    /// Logs are set up once a process.
    #[error("logs are set up already")]
    Twice,
}

/// Logs to standard error from now on.
///
/// # Errors
/// A filter that cannot be read; logs that are set up already.
pub fn init_logs(log: &Log) -> Result<(), LogError> {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(log.filter().ok_or(LogError::Filter)?)
        .with_writer(std::io::stderr);
    let done = match log.format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            logs.with_ansi(colours).try_init()
        }
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Twice)
}
