//! How a process follows a store: what it needs, what it can be asked, what it answers.

use super::guard::CanaryThresholds;
use super::log::Log;
use super::tap::Tap;
use super::watch::{Watch, lower_priority};
use super::{RegistryError, Store, Version};
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use nunchi_engine::LoadedModel;
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::error;

/// The model that serves now. Whoever stores another one here changes the judge of every worker's next turn.
pub type ModelSlot = Arc<ArcSwap<LoadedModel>>;

/// Requests that may wait for the thread.
const WAITING: usize = 16;

/// What a look at the store did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum LookResult {
    /// The current version serves already.
    Unchanged {
        /// The version that serves.
        model: String,
    },
    /// Another version serves now.
    Swapped {
        /// The version that serves.
        model: String,
        /// The version that served until now.
        previous: String,
        /// The highest entry of the log.
        entry: u64,
        /// From the first byte asked for to the swap.
        seconds: f64,
    },
    /// The current version failed a check; what served serves on.
    Refused {
        /// The version that serves.
        model: String,
        /// The version that was refused.
        refused: String,
        /// Why.
        reason: String,
    },
    /// The store cannot be asked, or its log cannot be read; what served serves on.
    Away {
        /// The version that serves.
        model: String,
        /// Why.
        reason: String,
    },
}

/// What a follower needs.
#[derive(Debug)]
pub struct Follow {
    /// The store's URL.
    pub url: String,
    /// How often it is asked.
    pub interval: Duration,
    /// The kernel to pack for; the best one of this CPU unless named.
    pub kernel: Option<String>,
    /// Where swaps are counted.
    pub metrics: Metrics,
    /// How a version is watched after its promotion.
    pub bands: CanaryThresholds,
    /// A candidate that judges a share of the comments beside the current version: its name, and the share.
    pub shadow: Option<(String, f64)>,
    /// Who writes into the promotion log when a version is taken back.
    pub who: String,
}

/// Versions that are tried at a start: the current one, and what served before it.
const TRIED: usize = 4;

/// The current version of the store that `follow` names, warm, and the log that says so: how a process starts. Where the
/// current version is refused, a process that runs stays with what it has; one that starts takes the latest version that
/// served before and is sound, says so, and tries the current one again as a running process does.
///
/// # Errors
/// A store that cannot be used or asked, a store where nothing was promoted, a version that is refused while none before it
/// is sound.
pub fn first(follow: &Follow) -> Result<(LoadedModel, Log), RegistryError> {
    let store = Store::open(&follow.url)?;
    let log = store.log()?;
    let current = log.current().ok_or_else(|| RegistryError::NothingPromoted(store.url().to_owned()))?;
    let kernel = follow.kernel.as_deref();
    let refused = match warm(&store, current, kernel) {
        Ok(warm) => return Ok((warm, log)),
        Err(error) if error.is_away() || error.is_usage() => return Err(error),
        Err(error) => error,
    };
    follow.metrics.model_swaps.with_label_values(&["refused"]).inc();
    for before in log.served_before().into_iter().take(TRIED - 1) {
        if let Ok(warm) = warm(&store, before, kernel) {
            let (model, refused) = (before.as_str(), refused.to_string());
            error!(model, %current, refused, "the store's current version is refused; starting with what served before");
            return Ok((warm, log));
        }
    }
    Err(refused)
}

pub(super) fn warm(
    store: &Store,
    version: &Version,
    kernel: Option<&str>,
) -> Result<LoadedModel, RegistryError> {
    let model = store.load(version)?;
    LoadedModel::new(model, kernel).map_err(|error| RegistryError::Cold { version: version.clone(), error })
}

/// A running follower. Ends with its value, after the look that is under way.
#[derive(Debug)]
pub struct Follower {
    reload: Option<Reload>,
    tap: Tap,
}

/// Asks a follower to look now.
#[derive(Clone, Debug)]
pub struct Reload(SyncSender<oneshot::Sender<LookResult>>);

impl Reload {
    /// Asks for a look at the store and waits for what it did; `None` if too many wait already, or the process ends. A
    /// version that was refused is tried again.
    pub async fn now(&self) -> Option<LookResult> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        answered.await.ok()
    }

    /// As [`Reload::now`], for plain threads.
    pub fn now_blocking(&self) -> Option<LookResult> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).ok()?;
        answered.blocking_recv().ok()
    }
}

impl Follower {
    /// Follows the store from `log` on: `slot` holds what was current then. The thread ends when the follower and every
    /// [`Reload`] are gone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(follow: Follow, slot: ModelSlot, log: Log) -> std::io::Result<Self> {
        let (reload, requests) = sync_channel(WAITING);
        let (tap, samples) = Tap::new();
        let mut watch = Watch::new(follow, slot, log, (tap.clone(), samples));
        std::thread::Builder::new().name("nunchi-models".to_owned()).spawn(move || {
            lower_priority();
            watch.run(&requests);
        })?;
        Ok(Follower { reload: Some(Reload(reload)), tap })
    }

    /// What asks for a look now.
    pub fn reload(&self) -> Reload {
        self.reload.clone().expect("it is there until the follower ends")
    }

    /// Where workers leave comments to be judged a second time.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }
}
