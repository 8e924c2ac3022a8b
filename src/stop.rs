//! The wish to stop, shared by everything that loops.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A token that says once and for all that the process is to stop. Clones are the same token.
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
    /// A token that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop: workers finish their turn, commit it and leave the group.
    pub fn request(&self) {
        *self.shared.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        *self.shared.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `time`, or less if a stop is asked for; whether it was.
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
    fn a_sleeper_wakes_when_a_stop_is_asked_for() {
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
