//! The thread that follows a store: it reads the current version, loads it, and swaps it in; and it runs the canary phase.
//!
//! Workers are independent of it: they read the slot at the beginning of each batch. All slow work (download,
//! verification, packing, golden comments, freeing the old model) happens here. Always holds: a model in the slot is
//! loaded and verified. Never: a store that is unavailable or damaged changes the serving model.

use super::canary::Canary;
use super::compare::Comparison;
use super::follow::{FollowSettings, ModelSlot, RefreshOutcome, load};
use super::log::Log;
use super::mirror::{MirroredBatch, TrafficMirror};
use super::rollback::PendingRollback;
use super::{RegistryError, Store, Version};
use nunchi_engine::LoadedModel;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// Niceness above the workers': they are scheduled first, but the thread still finishes on a busy machine.
#[cfg(target_os = "linux")]
const NICE: i32 = 15;
/// How often mirrored batches are taken, and retired models are checked for remaining users.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// Mirrored batches that are classified before requests are handled again.
const MAX_BATCHES: usize = 8;

/// Where the other model is, in a message on two models with one VERSION.
const SERVING: &str = "the model that serves";

/// Lowers the priority of this thread.
pub(super) fn lower_priority() {
    // On Linux niceness is a thread's own, and so is that of the threads that it starts.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        warn!(%error, "the thread that loads models keeps its priority");
    }
}

/// The thread's state.
pub(super) struct Refresher {
    settings: FollowSettings,
    slot: ModelSlot,
    log: Log,
    /// Opened at the first refresh, and kept.
    store: Option<Store>,
    /// The log's end at which its current version was refused, and the outcome.
    refused: Option<(u64, RefreshOutcome)>,
    /// Whether the store is unavailable, and that was logged.
    unavailable: bool,
    /// Models that a worker's batch may still use; freed here, not by a worker.
    retired: Vec<Arc<LoadedModel>>,
    mirror: TrafficMirror,
    batches: Receiver<MirroredBatch>,
    canary: Option<Canary>,
    shadow: Option<Comparison>,
    /// Whether the candidate cannot be loaded, and that was logged.
    shadow_refused: bool,
    rollback: Option<PendingRollback>,
}

impl Refresher {
    pub(super) fn new(
        settings: FollowSettings,
        slot: ModelSlot,
        log: Log,
        (mirror, batches): (TrafficMirror, Receiver<MirroredBatch>),
    ) -> Self {
        settings.metrics.set_store_available(true);
        Refresher {
            settings,
            slot,
            log,
            store: None,
            refused: None,
            unavailable: false,
            retired: Vec::new(),
            mirror,
            batches,
            canary: None,
            shadow: None,
            shadow_refused: false,
            rollback: None,
        }
    }

    pub(super) fn run(&mut self, requests: &Receiver<oneshot::Sender<RefreshOutcome>>) {
        self.load_shadow();
        let mut next = Instant::now() + self.settings.interval;
        loop {
            let until = next.saturating_duration_since(Instant::now());
            let busy = self.canary.is_some() || self.shadow.is_some() || !self.retired.is_empty();
            match requests.recv_timeout(if busy { until.min(TICK_INTERVAL) } else { until }) {
                Ok(sender) => {
                    self.refused = None;
                    // The requester may have disconnected.
                    let _ = sender.send(self.refresh());
                    next = Instant::now() + self.settings.interval;
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= next => {
                    self.refresh();
                    self.load_shadow();
                    next = Instant::now() + self.settings.interval;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.compare();
            self.retired.retain(|old| Arc::strong_count(old) > 1);
        }
    }

    /// Reads the store once, and swaps the model if the current version changed.
    fn refresh(&mut self) -> RefreshOutcome {
        let outcome = match self.read_store() {
            Ok(Some(version)) => self.serve(&version),
            Ok(None) => RefreshOutcome::Unchanged { model: self.serving() },
            Err(error) => self.report_unavailable(&error),
        };
        let available = !matches!(outcome, RefreshOutcome::Unavailable { .. });
        self.settings.metrics.set_store_available(available);
        if available && std::mem::take(&mut self.unavailable) {
            info!(store = self.settings.url, "the model store is available again");
        }
        outcome
    }

    /// The current version, if it does not serve yet.
    fn read_store(&mut self) -> Result<Option<Version>, RegistryError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.settings.url)?,
        };
        let store = self.store.insert(store);
        store.read_on(&mut self.log)?;
        self.follow_log()
    }

    /// As [`Refresher::read_store`], of the log as far as it was read.
    fn follow_log(&mut self) -> Result<Option<Version>, RegistryError> {
        self.record_rollback()?;
        let serving = self.serving();
        let checksum = self.slot.load().model().checksum.clone();
        let serves = |current: &Version| {
            current.as_str() == serving && self.log.check(current, &checksum, SERVING).is_ok()
        };
        let current = self.log.current().filter(|current| !serves(current));
        // The block of a version that was rolled back here may not be in the log yet: another writer's entry, about another
        // version, was written first.
        let withheld = |current: &Version| {
            self.rollback.as_ref().is_some_and(|rollback| rollback.withholds(current, &self.log))
        };
        Ok(current.filter(|current| !withheld(current)).cloned())
    }

    fn record_rollback(&mut self) -> Result<(), RegistryError> {
        let Some(rollback) = &self.rollback else { return Ok(()) };
        let store = self.store.as_ref().expect("the store was opened before its log was read");
        let serving: Version = self.slot.load().model().version.parse()?;
        if rollback.record(store, &mut self.log, &serving, &self.settings.actor)? {
            self.rollback = None;
        }
        Ok(())
    }

    /// Loads `version` and swaps it in, or refuses it.
    fn serve(&mut self, version: &Version) -> RefreshOutcome {
        if let Some((entry, outcome)) = &self.refused
            && *entry == self.log.last()
        {
            return outcome.clone();
        }
        let start = Instant::now();
        if let Some(canary) = &self.canary
            && canary.previous().model().version == version.as_str()
            && self.log.check(version, &canary.previous().model().checksum, SERVING).is_ok()
        {
            // The previous model is still loaded.
            let previous = Arc::clone(canary.previous());
            return self.swap(previous, start);
        }
        let store = self.store.as_ref().expect("the store was opened before its log was read");
        let model = self.serving();
        let loaded = load(store, version, &self.log, self.settings.kernel.as_deref(), self.settings.decision);
        match loaded.and_then(|loaded| self.not_confused(loaded)) {
            Ok(loaded) => self.swap(Arc::new(loaded), start),
            Err(error) if error.is_unavailable() => self.report_unavailable(&error),
            Err(error) => {
                error!(model, refused = %version, %error, "the store's current version is refused; the serving model stays");
                self.settings.metrics.model_swaps.with_label_values(&["refused"]).inc();
                let (refused, reason) = (version.to_string(), error.to_string());
                let outcome = RefreshOutcome::Refused { model, refused, reason };
                self.refused = Some((self.log.last(), outcome.clone()));
                outcome
            }
        }
    }

    /// Refuses a model that has the VERSION of the serving one but is another: verdicts and metrics name a model by its
    /// VERSION, so that nobody could tell which of the two gave them.
    fn not_confused(&self, loaded: LoadedModel) -> Result<LoadedModel, RegistryError> {
        let (serving, new) = (self.slot.load_full(), loaded.model());
        if serving.model().version != new.version || serving.model().checksum == new.checksum {
            return Ok(loaded);
        }
        Err(RegistryError::Ambiguous {
            version: new.version.parse()?,
            found: new.checksum.clone(),
            here: "the store".to_owned(),
            other: serving.model().checksum.clone(),
            there: SERVING.to_owned(),
        })
    }

    /// Puts `loaded` into the slot; if it was promoted, its canary phase begins.
    fn swap(&mut self, loaded: Arc<LoadedModel>, start: Instant) -> RefreshOutcome {
        let (metrics, entry) = (self.settings.metrics.clone(), self.log.last());
        let model = loaded.model().version.clone();
        metrics.set_model(&model, loaded.precision().name(), loaded.kernel().name());
        let old = self.slot.swap(Arc::clone(&loaded));
        metrics.model_swaps.with_label_values(&["succeeded"]).inc();
        let previous = old.model().version.clone();
        self.refused = None;
        self.end_canary();
        let same_labels = old.model().labels == loaded.model().labels;
        let thresholds = &self.settings.thresholds;
        if self.log.is_plain_promotion() && same_labels && !thresholds.duration.is_zero() {
            self.canary = Some(Canary::new(thresholds, &model, Arc::clone(&old), &metrics));
            self.set_mirror_share();
        }
        self.retire(old);
        let seconds = start.elapsed().as_secs_f64();
        info!(model, previous, entry, seconds, "another model takes over with the next batches");
        RefreshOutcome::Swapped { model, previous, entry, seconds }
    }

    /// Classifies mirrored batches a second time, and rolls a canary back that is out of bounds.
    fn compare(&mut self) {
        // At most what the queue holds: requests must be handled too.
        for batch in self.batches.try_iter().take(MAX_BATCHES) {
            if let Some(canary) = &mut self.canary {
                canary.add(&batch, &self.settings.metrics);
            }
            if let Some(shadow) = &mut self.shadow
                && !Arc::ptr_eq(shadow.loaded(), &batch.model)
            {
                shadow.add(&batch, &self.settings.metrics);
            }
        }
        let Some(canary) = &mut self.canary else { return };
        if let Some(reason) = canary.out_of_bounds(&self.settings.metrics) {
            self.roll_back(reason);
        } else if canary.is_over() {
            let (model, comparison) = (canary.version.clone(), canary.summary());
            info!(model, comparison, "the canary phase is over: the version stays");
            self.end_canary();
        }
    }

    /// Rolls the canary back: in this process at once, then in the log, so that other processes follow.
    fn roll_back(&mut self, reason: String) {
        let Some(canary) = self.canary.take() else { return };
        let (version, previous) = (canary.version.clone(), Arc::clone(canary.previous()));
        let back = previous.model().version.clone();
        let metrics = &self.settings.metrics;
        metrics.set_model(&back, previous.precision().name(), previous.kernel().name());
        let rolled_back = self.slot.swap(previous);
        metrics.model_swaps.with_label_values(&["rolled_back"]).inc();
        error!(
            model = back,
            withdrawn = version,
            why = reason,
            "rolled back: the promoted version is out of bounds; it will be blocked in the promotion log"
        );
        self.retire(rolled_back);
        self.rollback = Some(PendingRollback::new(version, reason, &self.log));
        self.set_mirror_share();
        // `refresh` logs errors of the store, and later ones try again.
        self.refresh();
    }

    fn end_canary(&mut self) {
        if let Some(canary) = self.canary.take() {
            self.retire(Arc::clone(canary.previous()));
        }
        self.set_mirror_share();
    }

    /// Keeps a model that does not serve any more until its last user has dropped it.
    fn retire(&mut self, old: Arc<LoadedModel>) {
        let serves = Arc::ptr_eq(&old, &self.slot.load());
        if !serves && !self.retired.iter().any(|known| Arc::ptr_eq(known, &old)) {
            self.retired.push(old);
        }
    }

    /// The larger of the shares that the canary phase and the candidate need.
    fn set_mirror_share(&self) {
        let canary = if self.canary.is_some() { self.settings.thresholds.share } else { 0.0 };
        let shadow = self.settings.shadow.as_ref().filter(|_| self.shadow.is_some());
        self.mirror.set_share(canary.max(shadow.map_or(0.0, |(_, share)| *share)));
    }

    /// Loads the candidate, if one is configured and not loaded.
    fn load_shadow(&mut self) {
        let Some((name, share)) = &self.settings.shadow else { return };
        if self.shadow.is_some() {
            return;
        }
        let loaded = Store::open(&self.settings.url).and_then(|store| {
            let version = store.resolve(name)?;
            // Only labels and scores of it are compared.
            load(&store, &version, &store.log()?, self.settings.kernel.as_deref(), None)
        });
        match loaded {
            Ok(loaded) => {
                info!(
                    candidate = loaded.model().version,
                    share, "a shadow candidate classifies beside the current model"
                );
                self.shadow = Some(Comparison::new(Arc::new(loaded), "candidate"));
                self.set_mirror_share();
            }
            Err(error) if !self.shadow_refused => {
                warn!(candidate = name, %error, "the shadow candidate cannot be loaded; retrying");
                self.shadow_refused = true;
            }
            Err(_) => {}
        }
    }

    /// Logged once, when it becomes unavailable.
    fn report_unavailable(&mut self, error: &RegistryError) -> RefreshOutcome {
        let (model, reason) = (self.serving(), error.to_string());
        if !std::mem::replace(&mut self.unavailable, true) {
            warn!(model, reason, "the model store cannot be read; the serving model stays");
        }
        RefreshOutcome::Unavailable { model, reason }
    }

    fn serving(&self) -> String {
        self.slot.load().model().version.clone()
    }
}

#[cfg(test)]
mod tests;
