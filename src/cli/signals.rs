//! SIGINT and SIGTERM: the first asks for a clean stop, the second ends the process at once.

use crate::stop::Stop;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// From now on SIGINT and SIGTERM request `stop`; a second one ends the process with 128 + its number.
///
/// # Errors
/// The operating system refuses a thread or the handlers.
pub fn stop_on_signals(stop: &Stop) -> io::Result<()> {
    let (asked, ask) = (stop.clone(), stop.clone());
    on_signals(move || asked.requested(), move || ask.request())
}

/// As [`stop_on_signals`], for what looks at a flag.
///
/// # Errors
/// As [`stop_on_signals`].
pub fn flag_on_signals() -> io::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    on_signals(|| STOP.load(Ordering::Relaxed), || STOP.store(true, Ordering::Relaxed))?;
    Ok(&STOP)
}

fn on_signals(
    requested: impl Fn() -> bool + Send + 'static,
    request: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                    _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                };
                if requested() {
                    std::process::exit(128 + number);
                }
                request();
            }
        });
    })?;
    Ok(())
}
