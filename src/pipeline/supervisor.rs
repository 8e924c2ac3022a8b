//! Starts the workers, and ends all of them when one ends or cannot start.

use super::PipelineError;
use crate::stop::Stop;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tracing::{error, info};

/// How often the supervisor checks whether a stop was requested.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// What the workers did until they stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Verdicts, tombstones and dead letters that were committed.
    pub records: u64,
}

/// How a worker ended: its number, and the records that it committed.
pub(super) type Ended = (usize, Result<u64, PipelineError>);

/// Starts `workers` workers and waits for all of them to end. `start` starts the thread of one, which has to send its
/// result. The first worker that fails or cannot start stops the others; a stop that takes longer than `stop_seconds` is an
/// error too.
pub(super) fn supervise(
    workers: usize,
    stop: &Stop,
    stop_seconds: u64,
    mut start: impl FnMut(usize, mpsc::Sender<Ended>) -> io::Result<()>,
) -> Result<Summary, PipelineError> {
    let (sender, ended) = mpsc::channel();
    let (mut running, mut failure) = (0, None);
    for worker in 0..workers {
        if let Err(reason) = start(worker, sender.clone()) {
            error!(worker, %reason, "a worker cannot start; the others stop");
            failure = Some(PipelineError::Thread { worker, reason });
            stop.request();
            break;
        }
        running += 1;
    }
    drop(sender);
    wait(running, failure, stop, stop_seconds, &ended)
}

/// Waits until the `running` workers have ended. `failure` is the error that stops them, if something failed already.
fn wait(
    running: usize,
    mut failure: Option<PipelineError>,
    stop: &Stop,
    stop_seconds: u64,
    ended: &mpsc::Receiver<Ended>,
) -> Result<Summary, PipelineError> {
    let mut summary = Summary::default();
    let mut deadline: Option<Instant> = None;
    let mut left = running;
    while left > 0 {
        if stop.requested() && deadline.is_none() {
            deadline = Some(Instant::now() + Duration::from_secs(stop_seconds));
        }
        match ended.recv_timeout(STOP_INTERVAL) {
            Ok((_, Ok(records))) => {
                summary.records += records;
                left -= 1;
            }
            Ok((worker, Err(error))) => {
                error!(worker, %error, "a worker failed; the process ends");
                failure.get_or_insert(error);
                left -= 1;
                stop.request();
            }
            Err(_) if deadline.is_some_and(|deadline| Instant::now() > deadline) => {
                return Err(failure.unwrap_or(PipelineError::StopDeadline(stop_seconds)));
            }
            Err(_) => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None => {
            info!(records = summary.records, "all workers stopped");
            Ok(summary)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A worker that runs until it is stopped.
    fn worker(number: usize, stop: &Stop, stopped: &Arc<AtomicUsize>, ended: mpsc::Sender<Ended>) {
        let (stop, stopped) = (stop.clone(), Arc::clone(stopped));
        std::thread::spawn(move || {
            if stop.sleep(Duration::from_secs(60)) {
                stopped.fetch_add(1, Ordering::SeqCst);
            }
            ended.send((number, Ok(10))).expect("the supervisor waits");
        });
    }

    #[test]
    fn a_worker_that_cannot_start_stops_those_that_run() {
        let (stop, stopped) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
        let result = supervise(4, &stop, 30, |number, ended| {
            if number == 2 {
                return Err(io::Error::from(io::ErrorKind::WouldBlock));
            }
            worker(number, &stop, &stopped, ended);
            Ok(())
        });
        assert!(matches!(result, Err(PipelineError::Thread { worker: 2, .. })), "{result:?}");
        assert_eq!(stopped.load(Ordering::SeqCst), 2, "both were stopped before the error was reported");
    }

    #[test]
    fn a_worker_that_fails_stops_the_others_and_its_error_is_reported() {
        let (stop, stopped) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
        let result = supervise(3, &stop, 30, |number, ended| {
            match number {
                1 => ended.send((1, Err(PipelineError::Panicked(1)))).expect("the supervisor waits"),
                _ => worker(number, &stop, &stopped, ended),
            }
            Ok(())
        });
        assert!(matches!(result, Err(PipelineError::Panicked(1))), "{result:?}");
        assert_eq!(stopped.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn records_of_all_workers_add_up() {
        let (stop, stopped) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
        stop.request();
        let result = supervise(3, &stop, 30, |number, ended| {
            worker(number, &stop, &stopped, ended);
            Ok(())
        });
        assert_eq!(result.expect("nobody failed"), Summary { records: 30 });
    }

    #[test]
    fn a_stop_that_takes_too_long_is_an_error() {
        let stop = Stop::new();
        stop.request();
        let mut kept = Vec::new();
        let result = supervise(1, &stop, 0, |_, ended| {
            kept.push(ended);
            Ok(())
        });
        assert!(matches!(result, Err(PipelineError::StopDeadline(0))), "{result:?}");
    }
}
