//! The handle of the thread that follows a store.

use super::follow::{FollowSettings, ModelSlot, RefreshOutcome};
use super::log::Log;
use super::mirror::TrafficMirror;
use super::refresh::{Refresher, lower_priority};
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Requests that may wait for the thread.
const MAX_QUEUED: usize = 16;

/// A running follower. Ends with its value, after the refresh that is under way.
#[derive(Debug)]
pub struct Follower {
    reload: Reload,
    mirror: TrafficMirror,
}

/// Asks a follower to refresh now.
#[derive(Clone, Debug)]
pub struct Reload(SyncSender<oneshot::Sender<RefreshOutcome>>);

impl Reload {
    /// Asks for a refresh and waits for its outcome; `None` if too many wait already, or the process ends. A version that was
    /// refused is tried again.
    pub async fn now(&self) -> Option<RefreshOutcome> {
        let (sender, outcome) = oneshot::channel();
        self.0.try_send(sender).ok()?;
        outcome.await.ok()
    }

    /// As [`Reload::now`], for plain threads.
    pub fn now_blocking(&self) -> Option<RefreshOutcome> {
        let (sender, outcome) = oneshot::channel();
        self.0.send(sender).ok()?;
        outcome.blocking_recv().ok()
    }
}

impl Follower {
    /// Follows the store from `log` on: `slot` holds what was current then. The thread ends when the follower and every
    /// [`Reload`] are gone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(settings: FollowSettings, slot: ModelSlot, log: Log) -> std::io::Result<Self> {
        let (reload, requests) = sync_channel(MAX_QUEUED);
        let (mirror, batches) = TrafficMirror::new();
        let mut refresher = Refresher::new(settings, slot, log, (mirror.clone(), batches));
        std::thread::Builder::new().name("nunchi-models".to_owned()).spawn(move || {
            lower_priority();
            refresher.run(&requests);
        })?;
        Ok(Follower { reload: Reload(reload), mirror })
    }

    /// What asks for a refresh now.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Where workers leave copies of what they classify.
    pub fn mirror(&self) -> TrafficMirror {
        self.mirror.clone()
    }
}
