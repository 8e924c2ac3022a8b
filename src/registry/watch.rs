//! Following a store: a thread of low priority asks what is current, makes it warm, and swaps it in.
//!
//! Workers know nothing of it: they borrow whatever the slot holds at the top of each turn. All that is slow (download,
//! verification, packing, golden comments, freeing the old model) happens here. Always holds: what is put into the slot is
//! warm and verified. Never: a store that is away or damaged changes what serves.

use super::log::Log;
use super::{RegistryError, Store, Version};
use crate::engine::Warm;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// The model that serves now. Whoever stores another one here changes the judge of every worker's next turn.
pub type ModelSlot = Arc<ArcSwap<Warm>>;

/// The thread's niceness: workers go first, and yet a full machine lets it finish.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// How often an old model is looked at, whether its last turn has ended.
const RETIRE: Duration = Duration::from_millis(200);
/// Requests that may wait for the thread.
const WAITING: usize = 16;

/// What a look at the store did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Looked {
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
}

/// The current version of the store that `follow` names, warm, and the log that says so: how a process starts.
///
/// # Errors
/// A store that cannot be used or asked, a store where nothing was promoted, a version that is refused.
pub fn first(follow: &Follow) -> Result<(Warm, Log), RegistryError> {
    let store = Store::open(&follow.url)?;
    let log = store.log()?;
    let current = log.current().ok_or_else(|| RegistryError::NothingPromoted(store.url().to_owned()))?;
    let warm = warm(&store, current, follow.kernel.as_deref())?;
    Ok((warm, log))
}

fn warm(store: &Store, version: &Version, kernel: Option<&str>) -> Result<Warm, RegistryError> {
    let model = store.load(version)?;
    Warm::new(model, kernel).map_err(|error| RegistryError::Cold { version: version.clone(), error })
}

/// A running follower. Ends with its value, after the look that is under way.
#[derive(Debug)]
pub struct Follower {
    reload: Option<Reload>,
    thread: Option<JoinHandle<()>>,
}

/// Asks a follower to look now.
#[derive(Clone, Debug)]
pub struct Reload(SyncSender<oneshot::Sender<Looked>>);

impl Reload {
    /// Asks for a look at the store and waits for what it did; `None` if too many wait already, or the process ends. A
    /// version that was refused is tried again.
    pub async fn now(&self) -> Option<Looked> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        answered.await.ok()
    }

    /// As [`Reload::now`], for plain threads.
    pub fn now_blocking(&self) -> Option<Looked> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).ok()?;
        answered.blocking_recv().ok()
    }
}

impl Follower {
    /// Follows the store from `log` on: `slot` holds what was current then.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(follow: Follow, slot: ModelSlot, log: Log) -> std::io::Result<Self> {
        let (reload, requests) = sync_channel(WAITING);
        let mut watch = Watch::new(follow, slot, log);
        let thread = std::thread::Builder::new().name("nunchi-models".to_owned()).spawn(move || {
            lower_priority();
            watch.run(&requests);
        })?;
        Ok(Follower { reload: Some(Reload(reload)), thread: Some(thread) })
    }

    /// What asks for a look now.
    pub fn reload(&self) -> Reload {
        self.reload.clone().expect("it is there until the follower ends")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Without a sender the thread ends; while clones are about (a request in flight) it ends with the process.
        self.reload = None;
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
        {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn lower_priority() {
    // On Linux niceness is a thread's own, and so is that of the threads that it starts.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        warn!(%error, "the thread that loads models keeps its priority");
    }
}

/// The thread's state.
struct Watch {
    follow: Follow,
    slot: ModelSlot,
    log: Log,
    /// Opened at the first look, and kept.
    store: Option<Store>,
    /// The log's end at which its current version was refused, and what was said of it.
    refused: Option<(u64, Looked)>,
    /// Why the store cannot be asked, while it cannot.
    away: Option<String>,
    /// Models that may still be in somebody's turn; freed here and not by a worker.
    retired: Vec<Arc<Warm>>,
}

impl Watch {
    fn new(follow: Follow, slot: ModelSlot, log: Log) -> Self {
        follow.metrics.set_store(true);
        Watch { follow, slot, log, store: None, refused: None, away: None, retired: Vec::new() }
    }

    fn run(&mut self, requests: &Receiver<oneshot::Sender<Looked>>) {
        let mut next = Instant::now() + self.follow.interval;
        loop {
            let until = next.saturating_duration_since(Instant::now());
            let wait = if self.retired.is_empty() { until } else { until.min(RETIRE) };
            match requests.recv_timeout(wait) {
                Ok(answer) => {
                    self.refused = None;
                    // From the beginning: somebody may have put another store in its place.
                    self.log = Log::default();
                    // Whoever asked may have gone.
                    let _ = answer.send(self.look());
                    next = Instant::now() + self.follow.interval;
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= next => {
                    self.look();
                    next = Instant::now() + self.follow.interval;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.retired.retain(|old| Arc::strong_count(old) > 1);
        }
    }

    /// Asks the store once, and does what it says.
    fn look(&mut self) -> Looked {
        let looked = match self.ask() {
            Ok(Some(version)) => self.take(&version),
            Ok(None) => Looked::Unchanged { model: self.serving() },
            Err(error) => self.is_away(&error),
        };
        let away = matches!(looked, Looked::Away { .. });
        self.follow.metrics.set_store(!away);
        if !away && self.away.take().is_some() {
            info!(store = self.follow.url, "the store of models answers again");
        }
        looked
    }

    /// The version that should serve and does not.
    fn ask(&mut self) -> Result<Option<Version>, RegistryError> {
        if self.store.is_none() {
            self.store = Some(Store::open(&self.follow.url)?);
        }
        let store = self.store.as_ref().expect("it was just opened");
        store.read_on(&mut self.log)?;
        let serving = self.serving();
        Ok(self.log.current().filter(|current| current.as_str() != serving).cloned())
    }

    /// Loads `version` and swaps it in, or refuses it.
    fn take(&mut self, version: &Version) -> Looked {
        if let Some((entry, looked)) = &self.refused
            && *entry == self.log.last()
        {
            return looked.clone();
        }
        let (start, model) = (Instant::now(), self.serving());
        let store = self.store.as_ref().expect("it has just been asked");
        match warm(store, version, self.follow.kernel.as_deref()) {
            Ok(warm) => self.swap(warm, start),
            Err(error) if error.is_away() => self.is_away(&error),
            Err(error) => {
                error!(model, refused = %version, %error, "the store's current version is refused; what serves stays");
                self.follow.metrics.model_swaps.with_label_values(&["refused"]).inc();
                let (refused, reason) = (version.to_string(), error.to_string());
                let looked = Looked::Refused { model, refused, reason };
                self.refused = Some((self.log.last(), looked.clone()));
                looked
            }
        }
    }

    fn swap(&mut self, warm: Warm, start: Instant) -> Looked {
        let (metrics, entry) = (&self.follow.metrics, self.log.last());
        let model = warm.model().version.clone();
        metrics.set_model(&model, warm.precision(), warm.kernel());
        let old = self.slot.swap(Arc::new(warm));
        metrics.model_swaps.with_label_values(&["succeeded"]).inc();
        let previous = old.model().version.clone();
        self.retired.push(old);
        self.refused = None;
        let seconds = start.elapsed().as_secs_f64();
        info!(model, previous, entry, seconds, "another model takes over with the next turns");
        Looked::Swapped { model, previous, entry, seconds }
    }

    /// Says so once, when it begins.
    fn is_away(&mut self, error: &RegistryError) -> Looked {
        let reason = error.to_string();
        if self.away.is_none() {
            warn!(model = self.serving(), reason, "the store of models cannot be read; what serves stays");
        }
        self.away = Some(reason.clone());
        Looked::Away { model: self.serving(), reason }
    }

    fn serving(&self) -> String {
        self.slot.load().model().version.clone()
    }
}
