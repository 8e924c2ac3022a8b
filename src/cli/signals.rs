//! SIGINT and SIGTERM, for all commands: the first requests a clean stop, the second ends the process at once.

use super::exit::ExitStatus;
use crate::stop::Stop;
use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// SIGTERMs that come closer together are one.
const REPEAT: Duration = Duration::from_secs(1);

/// The first signal of this process. Signals belong to the process, so there is one.
static FIRST: OnceLock<Signal> = OnceLock::new();

/// A signal that requests a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: an orchestrator, or `kill`.
    Terminate,
}

impl Signal {
    /// The status of work that this signal ended before it was finished.
    fn status(self) -> ExitStatus {
        match self {
            Signal::Interrupt => ExitStatus::Interrupted,
            Signal::Terminate => ExitStatus::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        })
    }
}

/// The status of work that was stopped before it was finished.
pub(super) fn interrupted() -> ExitStatus {
    FIRST.get().map_or(ExitStatus::Interrupted, |signal| signal.status())
}

/// Whether `another` signal, so long after the `first` one, is only the first one again. Orchestrators and the shells and
/// supervisors between them each pass a SIGTERM on: two within a second are one, and must not cut the drain short. Who
/// presses Ctrl-C twice means it.
fn is_repeated(first: Signal, another: Signal, after: Duration) -> bool {
    first == Signal::Terminate && another == Signal::Terminate && after < REPEAT
}

/// From now on the first signal requests `stop`; a second one ends the process with 128 + its number.
///
/// # Errors
/// The operating system refuses a thread or the handlers.
pub(super) fn stop_on_signals(stop: &Stop) -> io::Result<()> {
    let stop = stop.clone();
    on_signals(move |_| stop.request(), Signal::status)
}

/// As [`stop_on_signals`], for code that polls a flag.
///
/// # Errors
/// As [`stop_on_signals`].
pub(super) fn flag_on_signals() -> io::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    on_signals(|_| STOP.store(true, Ordering::Relaxed), Signal::status)?;
    Ok(&STOP)
}

/// From now on the first signal calls `first`; a second one calls `second` and ends the process with its status.
///
/// # Errors
/// The operating system refuses a thread or the handlers.
pub(super) fn on_signals(
    first: impl FnOnce(Signal) + Send + 'static,
    second: impl FnOnce(Signal) -> ExitStatus + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // Installed before this returns: a signal that comes right after it is not lost.
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut next = || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                }
            })
        };
        let signal = next();
        let at = Instant::now();
        // Another listener of this process may have received one before.
        let _ = FIRST.set(signal);
        first(signal);
        let another = loop {
            let another = next();
            if !is_repeated(signal, another, at.elapsed()) {
                break another;
            }
        };
        std::process::exit(second(another) as i32);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sigterms_within_a_second_are_one() {
        use Signal::{Interrupt, Terminate};
        let ms = Duration::from_millis;
        assert!(is_repeated(Terminate, Terminate, ms(999)));
        assert!(!is_repeated(Terminate, Terminate, ms(1_000)));
        assert!(!is_repeated(Interrupt, Interrupt, ms(1)));
        assert!(!is_repeated(Terminate, Interrupt, ms(1)));
    }
}
