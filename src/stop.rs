//! The stop token that is shared by all loops of the process.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A token that requests the end of the process; a request is final. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requested: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// A token without a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests a stop: workers finish their batch, commit it and leave the group.
    pub fn request(&self) {
        *self.shared.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
    }

    /// Whether a stop was requested.
    pub fn requested(&self) -> bool {
        *self.shared.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `time`, or until a stop is requested; whether it was.
    pub fn sleep(&self, time: Duration) -> bool {
        let requested = self.shared.requested.lock().unwrap_or_else(PoisonError::into_inner);
        let (requested, _) = self
            .shared
            .changed
            .wait_timeout_while(requested, time, |requested| !*requested)
            .unwrap_or_else(PoisonError::into_inner);
        *requested
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_request_wakes_a_sleeping_thread() {
        let stop = Stop::new();
        assert!(!stop.sleep(Duration::from_millis(1)));
        let sleeper = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let start = Instant::now();
                assert!(stop.sleep(Duration::from_secs(60)));
                start.elapsed()
            }
        });
        stop.request();
        assert!(sleeper.join().unwrap() < Duration::from_secs(30));
        assert!(stop.requested());
    }
}
