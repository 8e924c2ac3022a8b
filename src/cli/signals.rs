//! SIGINT and SIGTERM: the first asks for a clean stop, the second ends the process at once.

use crate::pipeline::Stop;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// From now on SIGINT and SIGTERM request `stop`; a second one ends the process with 128 + its number.
///
/// # Errors
/// The operating system refuses a thread or the handlers.
pub fn stop_on_signals(stop: &Stop) -> io::Result<()> {
    let stop = stop.clone();
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
                if stop.requested() {
                    std::process::exit(128 + number);
                }
                stop.request();
            }
        });
    })?;
    Ok(())
}
