//! Logs: text lines or JSON objects, to standard error. A line never holds a secret or a comment's text.

use crate::config::{Log, LogFormat};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
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
        .with_writer(|| Lossy(io::stderr()));
    let done = match log.format {
        LogFormat::Text => {
            let colors = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            logs.with_ansi(colors).try_init()
        }
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Twice)
}

/// Log lines of this process that could not be written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Log lines that could not be written so far: standard error was closed, or its disk is full.
pub fn lost_log_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Discards what cannot be written. The error is not returned: `tracing-subscriber` reports it with `eprintln!`, which panics
/// if standard error is what failed, and librdkafka's callbacks log too: a panic must not pass through C.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    /// One event comes as one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.write_all(line).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is lost was counted when it was written.
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_no_error() {
        let mut kept = Lossy(Vec::new());
        kept.write_all(b"a line\n").unwrap();
        assert_eq!(kept.0, b"a line\n");
        // Nothing else in this process logs through a writer that fails.
        let before = lost_log_lines();
        let mut lossy = Lossy(Full);
        lossy.write_all(b"a line\n").unwrap();
        lossy.flush().unwrap();
        assert_eq!(lost_log_lines(), before + 1);
    }
}
