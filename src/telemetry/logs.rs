//! Logs: text lines or JSON objects, to standard error. A line never holds a secret or a comment's text.

use super::json::{JsonLines, message_line};
use crate::config::{Log, LogFormat};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{Location, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(|| Lossy(io::stderr()));
    let filter = log.filter().ok_or(LogError::Filter)?;
    let done = match log.format {
        LogFormat::Text => {
            let colors = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            logs.with_ansi(colors).finish().with(filter).try_init()
        }
        LogFormat::Json => logs.with_ansi(false).event_format(JsonLines).finish().with(filter).try_init(),
    };
    set_message_format(log.format);
    done.map_err(|_| LogError::Twice)
}

/// Whether messages beside the log are JSON too.
static JSON: AtomicBool = AtomicBool::new(false);

/// The form of what [`message`] writes from now on: a log that is read by a program must be readable to its last line.
pub fn set_message_format(format: LogFormat) {
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Whether [`message`] writes JSON.
pub fn messages_are_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Writes text for people to standard error, beside the log. With `log.format = "json"` it becomes a line of the log: of
/// level error if it begins with `nunchi: `, as the last words of a command do, else of level info. What cannot be written
/// is counted, as log lines are.
pub fn message(text: &str) {
    let mut errors = Lossy(io::stderr());
    // `write` fails never; one call, so that lines of several threads and processes stay whole.
    let _ = if messages_are_json() {
        let text = text.trim_matches(['\r', '\n']);
        let (level, text) = text.strip_prefix("nunchi: ").map_or(("INFO", text), |text| ("ERROR", text));
        if text.is_empty() { Ok(0) } else { errors.write(message_line(level, text).as_bytes()) }
    } else {
        errors.write(text.as_bytes())
    };
}

/// Panics are reported as messages from now on: in the form of the log, and without values. A panic's text may hold a part
/// of a comment (`str` quotes the text that it was to cut), so that only texts from the source code are repeated; the place
/// says the rest. Unlike the standard library's hook this one cannot panic if standard error is closed.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name");
        let backtrace = Backtrace::capture();
        let mut text = panic_message(thread, panic.location(), panic.payload());
        if backtrace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("\n{backtrace}"));
        }
        message(&format!("nunchi: {text}\n"));
    }));
}

fn panic_message(thread: &str, place: Option<&Location<'_>>, payload: &(dyn Any + Send)) -> String {
    let what = payload.downcast_ref::<&'static str>().copied();
    let what = what.unwrap_or("(the message may contain data and is not shown)");
    let place = place.map_or_else(|| "an unknown place".to_owned(), Location::to_string);
    format!("thread `{thread}` panicked at {place}: {what}")
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
    fn a_panic_is_told_without_its_values() {
        let text = String::from("a secret comment");
        let told =
            |payload: Box<dyn Any + Send>| panic_message("worker-0", Some(Location::caller()), &*payload);
        let told = [told(Box::new(format!("not a boundary in `{text}`"))), told(Box::new("no such key"))];
        assert!(!told[0].contains("secret") && told[0].contains("logs.rs:"), "{}", told[0]);
        assert!(told[1].starts_with("thread `worker-0` panicked at ") && told[1].ends_with(": no such key"));
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
