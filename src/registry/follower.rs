//! The handle of the thread that follows a store.

use super::follow::{FollowSettings, ModelSlot, RefreshOutcome};
use super::log::Log;
use super::mirror::TrafficMirror;
use super::refresh::{Refresher, lower_priority};
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Requests that may wait for the thread.
const MAX_QUEUED: usize = 16;

/// A running follower. Dropping it ends the thread after the current refresh.
#[derive(Debug)]
pub struct Follower {
    reload: Reload,
    mirror: TrafficMirror,
}

/// Requests a refresh from a follower.
#[derive(Clone, Debug)]
pub struct Reload(SyncSender<oneshot::Sender<RefreshOutcome>>);

impl Reload {
    /// Requests a refresh and waits for its outcome; `None` if the queue is full, or the process ends. A version that was
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
    /// [`Reload`] are dropped.
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

    /// A handle that requests refreshes.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// The mirror for copies of classified comments.
    pub fn mirror(&self) -> TrafficMirror {
        self.mirror.clone()
    }
}
