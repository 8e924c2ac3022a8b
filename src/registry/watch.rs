//! Following a store: a thread of low priority asks what is current, makes it warm, and swaps it in.
//!
//! Workers know nothing of it: they borrow whatever the slot holds at the top of each turn. All that is slow (download,
//! verification, packing, golden comments, freeing the old model) happens here. Always holds: what is put into the slot is
//! warm and verified. Never: a store that is away or damaged changes what serves.

use super::compare::Comparison;
use super::follow::{Follow, LookResult, ModelSlot, warm};
use super::guard::Guard;
use super::log::Log;
use super::tap::{Sample, Tap};
use super::{RegistryError, Remark, Store, Version};
use nunchi_engine::LoadedModel;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// How much nicer the thread is than the workers: they go first, and yet a full machine lets it finish.
#[cfg(target_os = "linux")]
const NICER: i32 = 15;
/// How often samples are taken, and old models looked at, whether their last turn has ended.
const TICK: Duration = Duration::from_millis(100);
/// Samples that are judged before requests are looked at again.
const SAMPLES: usize = 8;

/// Lets other threads go first.
pub(super) fn lower_priority() {
    // On Linux niceness is a thread's own, and so is that of the threads that it starts.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        warn!(%error, "the thread that loads models keeps its priority");
    }
}

/// The thread's state.
pub(super) struct Watch {
    follow: Follow,
    slot: ModelSlot,
    log: Log,
    /// Opened at the first look, and kept.
    store: Option<Store>,
    /// The log's end at which its current version was refused, and what was said of it.
    refused: Option<(u64, LookResult)>,
    /// Why the store cannot be asked, while it cannot.
    away: Option<String>,
    /// Models that may still be in somebody's turn; freed here and not by a worker.
    retired: Vec<Arc<LoadedModel>>,
    tap: Tap,
    samples: Receiver<Sample>,
    guard: Option<Guard>,
    shadow: Option<Comparison>,
    /// Why the candidate cannot be had, once that was said.
    no_shadow: bool,
    /// A version that this process took back, until the log says so too.
    withdrawn: Option<Withdrawn>,
}

/// A version that was taken back here.
struct Withdrawn {
    version: String,
    why: String,
    /// The log's end when it was decided: a later promotion counts again.
    entry: u64,
}

impl Watch {
    pub(super) fn new(
        follow: Follow,
        slot: ModelSlot,
        log: Log,
        (tap, samples): (Tap, Receiver<Sample>),
    ) -> Self {
        follow.metrics.set_store(true);
        Watch {
            follow,
            slot,
            log,
            store: None,
            refused: None,
            away: None,
            retired: Vec::new(),
            tap,
            samples,
            guard: None,
            shadow: None,
            no_shadow: false,
            withdrawn: None,
        }
    }

    pub(super) fn run(&mut self, requests: &Receiver<oneshot::Sender<LookResult>>) {
        self.find_shadow();
        let mut next = Instant::now() + self.follow.interval;
        loop {
            let until = next.saturating_duration_since(Instant::now());
            let busy = self.guard.is_some() || self.shadow.is_some() || !self.retired.is_empty();
            match requests.recv_timeout(if busy { until.min(TICK) } else { until }) {
                Ok(answer) => {
                    self.refused = None;
                    // Whoever asked may have gone.
                    let _ = answer.send(self.look());
                    next = Instant::now() + self.follow.interval;
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= next => {
                    self.look();
                    self.find_shadow();
                    next = Instant::now() + self.follow.interval;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.compare();
            self.retired.retain(|old| Arc::strong_count(old) > 1);
        }
    }

    /// Asks the store once, and does what it says.
    fn look(&mut self) -> LookResult {
        let looked = match self.ask() {
            Ok(Some(version)) => self.take(&version),
            Ok(None) => LookResult::Unchanged { model: self.serving() },
            Err(error) => self.is_away(&error),
        };
        let away = matches!(looked, LookResult::Away { .. });
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
        self.follow_log()
    }

    /// As [`Watch::ask`], of the log as far as it was read.
    fn follow_log(&mut self) -> Result<Option<Version>, RegistryError> {
        self.write_withdrawal()?;
        let serving = self.serving();
        let current = self.log.current().filter(|current| current.as_str() != serving);
        // Its block may not be in the log yet: somebody else's entry, about another version, was written first.
        Ok(current.filter(|current| !self.is_withdrawn(current)).cloned())
    }

    /// Whether this process took `version` back, and nobody has promoted it since.
    fn is_withdrawn(&self, version: &Version) -> bool {
        self.withdrawn.as_ref().is_some_and(|withdrawn| {
            withdrawn.version == version.as_str()
                && !self.log.promoted_after(&withdrawn.version, withdrawn.entry)
        })
    }

    /// Loads `version` and swaps it in, or refuses it.
    fn take(&mut self, version: &Version) -> LookResult {
        if let Some((entry, looked)) = &self.refused
            && *entry == self.log.last()
        {
            return looked.clone();
        }
        let start = Instant::now();
        if let Some(guard) = &self.guard
            && guard.previous().model().version == version.as_str()
        {
            // Back to what is still warm.
            let previous = Arc::clone(guard.previous());
            return self.swap(previous, start);
        }
        let (store, model) = (self.store.as_ref().expect("it has just been asked"), self.serving());
        match warm(store, version, self.follow.kernel.as_deref()) {
            Ok(warm) => self.swap(Arc::new(warm), start),
            Err(error) if error.is_away() => self.is_away(&error),
            Err(error) => {
                error!(model, refused = %version, %error, "the store's current version is refused; what serves stays");
                self.follow.metrics.model_swaps.with_label_values(&["refused"]).inc();
                let (refused, reason) = (version.to_string(), error.to_string());
                let looked = LookResult::Refused { model, refused, reason };
                self.refused = Some((self.log.last(), looked.clone()));
                looked
            }
        }
    }

    /// Puts `warm` into the slot; if it was promoted, the watch begins.
    fn swap(&mut self, warm: Arc<LoadedModel>, start: Instant) -> LookResult {
        let (metrics, entry) = (self.follow.metrics.clone(), self.log.last());
        let model = warm.model().version.clone();
        metrics.set_model(&model, warm.precision(), warm.kernel());
        let old = self.slot.swap(Arc::clone(&warm));
        metrics.model_swaps.with_label_values(&["succeeded"]).inc();
        let previous = old.model().version.clone();
        self.refused = None;
        self.end_watch();
        let same_labels = old.model().labels == warm.model().labels;
        if self.log.is_plain_promotion() && same_labels && !self.follow.bands.time.is_zero() {
            self.guard = Some(Guard::new(&self.follow.bands, &model, Arc::clone(&old), &metrics));
            self.open_tap();
        }
        self.retire(old);
        let seconds = start.elapsed().as_secs_f64();
        info!(model, previous, entry, seconds, "another model takes over with the next turns");
        LookResult::Swapped { model, previous, entry, seconds }
    }

    /// Judges samples a second time, and takes the watched version back if it strays.
    fn compare(&mut self) {
        // Not more than the tap holds: requests wait.
        for sample in self.samples.try_iter().take(SAMPLES) {
            if let Some(guard) = &mut self.guard {
                guard.add(&sample, &self.follow.metrics);
            }
            if let Some(shadow) = &mut self.shadow
                && !Arc::ptr_eq(shadow.warm(), &sample.judge)
            {
                shadow.add(&sample, &self.follow.metrics);
            }
        }
        let Some(guard) = &mut self.guard else { return };
        if let Some(why) = guard.verdict(&self.follow.metrics) {
            self.take_back(why);
        } else if guard.is_over() {
            let (model, seen) = (guard.model.clone(), guard.summary());
            info!(model, seen, "the watch after the promotion is over: the version stays");
            self.end_watch();
        }
    }

    /// The watched version goes: here at once, then in the log, so that other processes follow.
    fn take_back(&mut self, why: String) {
        let Some(guard) = self.guard.take() else { return };
        let (version, previous) = (guard.model.clone(), Arc::clone(guard.previous()));
        let back = previous.model().version.clone();
        let metrics = &self.follow.metrics;
        metrics.set_model(&back, previous.precision(), previous.kernel());
        let strayed = self.slot.swap(previous);
        metrics.model_swaps.with_label_values(&["rolled_back"]).inc();
        error!(
            model = back,
            withdrawn = version,
            why,
            "rolled back: the promoted version strays; it is to be blocked"
        );
        self.retire(strayed);
        self.withdrawn = Some(Withdrawn { version, why, entry: self.log.last() });
        self.open_tap();
        // What the store says to it, `look` tells and tries again.
        self.look();
    }

    /// Brings a version that was taken back here into the log: blocked, and rolled back to what serves.
    fn write_withdrawal(&mut self) -> Result<(), RegistryError> {
        let Some(Withdrawn { why, .. }) = &self.withdrawn else { return Ok(()) };
        let current = self.log.current().filter(|current| self.is_withdrawn(current)).cloned();
        if let Some(bad) = current {
            let store = self.store.as_ref().expect("it was just opened");
            let back: Version = self.slot.load().model().version.parse()?;
            let remark = Remark { who: self.follow.who.clone(), why: why.clone() };
            match write_withdrawal(store, &mut self.log, &bad, &back, remark) {
                Ok(number) => info!(withdrawn = %bad, entry = number, "the promotion log says so too"),
                // The winner's entry may do the same, or be about another version: the next look decides.
                Err(RegistryError::LostRace(_)) => {
                    store.read_on(&mut self.log)?;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.withdrawn = None;
        Ok(())
    }

    fn end_watch(&mut self) {
        if let Some(guard) = self.guard.take() {
            self.retire(Arc::clone(guard.previous()));
        }
        self.open_tap();
    }

    /// Keeps a model that does not serve any more until nobody else has it.
    fn retire(&mut self, old: Arc<LoadedModel>) {
        let serves = Arc::ptr_eq(&old, &self.slot.load());
        if !serves && !self.retired.iter().any(|known| Arc::ptr_eq(known, &old)) {
            self.retired.push(old);
        }
    }

    /// As far as somebody wants samples.
    fn open_tap(&self) {
        let watch = if self.guard.is_some() { self.follow.bands.share } else { 0.0 };
        let shadow = self.follow.shadow.as_ref().filter(|_| self.shadow.is_some());
        self.tap.set_share(watch.max(shadow.map_or(0.0, |(_, share)| *share)));
    }

    /// Makes the candidate warm, if there is to be one and it is not.
    fn find_shadow(&mut self) {
        let Some((name, share)) = &self.follow.shadow else { return };
        if self.shadow.is_some() {
            return;
        }
        let found = Store::open(&self.follow.url).and_then(|store| {
            let version = store.resolve(name)?;
            warm(&store, &version, self.follow.kernel.as_deref())
        });
        match found {
            Ok(warm) => {
                info!(candidate = warm.model().version, share, "a candidate judges beside the current model");
                self.shadow = Some(Comparison::new(Arc::new(warm), "candidate"));
                self.open_tap();
            }
            Err(error) if !self.no_shadow => {
                warn!(candidate = name, %error, "the candidate cannot be had; it is looked for again");
                self.no_shadow = true;
            }
            Err(_) => {}
        }
    }

    /// Says so once, when it begins.
    fn is_away(&mut self, error: &RegistryError) -> LookResult {
        let reason = error.to_string();
        if self.away.is_none() {
            warn!(model = self.serving(), reason, "the store of models cannot be read; what serves stays");
        }
        self.away = Some(reason.clone());
        LookResult::Away { model: self.serving(), reason }
    }

    fn serving(&self) -> String {
        self.slot.load().model().version.clone()
    }
}

/// Blocks `bad` and rolls back to `back`; the number of the last entry.
fn write_withdrawal(
    store: &Store,
    log: &mut Log,
    bad: &Version,
    back: &Version,
    remark: Remark,
) -> Result<u64, RegistryError> {
    match store.withdraw(log, Some(back), remark.clone()) {
        Ok((entry, _)) => Ok(entry.number),
        Err(error @ RegistryError::LostRace(_)) => Err(error),
        Err(error) if error.is_away() => Err(error),
        // `back` serves here from memory; only its copy in the store is unusable. What `bad` did is no less true for that,
        // and a block needs no version to go back to.
        Err(error) => {
            error!(version = %back, %error, "the version to go back to cannot be had from the store; only a block is written");
            let entry = store.block_after(log, bad, remark)?;
            let number = entry.number;
            log.add(entry);
            Ok(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::guard::CanaryThresholds;
    use super::super::{Action, Draft, first};
    use super::*;
    use crate::config::Registry;
    use crate::telemetry::Metrics;
    use arc_swap::ArcSwap;
    use nunchi_engine::Engine;
    use nunchi_model::rnn::Cell;
    use nunchi_model::{Model, Precision};
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A process that has followed its store to a version that says the opposite of the one before.
    struct Fleet {
        _folder: TempDir,
        path: PathBuf,
        store: Store,
        good: Version,
        bad: Version,
        process: Watch,
        metrics: Metrics,
    }

    fn publish(store: &Store, model: &Model) -> Version {
        let content = model.to_bytes(Precision::F32).unwrap().0;
        store.publish(content, Draft::default()).unwrap().manifest.version
    }

    impl Fleet {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("store");
            let url = path.to_str().unwrap().to_owned();
            let store = Store::open_or_make(&url).unwrap();
            let model = nunchi_model::testing::model(Cell::Gru, 1);
            let mut contrary = model.clone();
            contrary.network.head.weight.mapv_inplace(|weight| -weight);
            contrary.network.head.bias.mapv_inplace(|bias| -bias);
            let (good, bad) = (publish(&store, &model), publish(&store, &contrary));
            store.promote(&good, Remark::default(), false).unwrap();
            let metrics = Metrics::new();
            let bands = CanaryThresholds {
                time: Duration::from_secs(600),
                share: 1.0,
                comments: 10,
                ..CanaryThresholds::from(&Registry::default())
            };
            let follow = Follow {
                url,
                interval: Duration::from_secs(600),
                kernel: None,
                metrics: metrics.clone(),
                bands,
                shadow: None,
                who: "this process".to_owned(),
            };
            let (warm, log) = first(&follow).unwrap();
            let mut process = Watch::new(follow, Arc::new(ArcSwap::from_pointee(warm)), log, Tap::new());
            store.promote(&bad, Remark::default(), false).unwrap();
            assert!(matches!(process.look(), LookResult::Swapped { .. }));
            Fleet { _folder: folder, path, store, good, bad, process, metrics }
        }

        /// The comments of one batch: enough to decide.
        fn classify(&mut self) {
            let serving = self.process.slot.load_full();
            let (comments, mut predictions) = (["배송이 빨라요"; 20], Vec::new());
            Engine::new(Arc::clone(&serving)).classify(&comments, &mut predictions);
            self.process.tap.offer(&serving, &comments, &predictions, &mut 0);
            self.process.compare();
        }

        fn log(&self) -> Vec<(Action, Version)> {
            let log = self.store.log().unwrap();
            log.entries().iter().map(|entry| (entry.action, entry.version.clone())).collect()
        }
    }

    #[test]
    fn a_version_that_was_rolled_back_here_does_not_serve_again_after_a_lost_race_about_another_one() {
        let mut it = Fleet::new();
        let other = publish(&it.store, &nunchi_model::testing::model(Cell::Gru, 3));
        // The rollback cannot be written yet.
        let away = it.path.with_extension("away");
        std::fs::rename(&it.path, &away).unwrap();
        it.classify();
        assert_eq!(it.process.serving(), it.good.as_str());
        std::fs::rename(&away, &it.path).unwrap();

        // Somebody writes between this process's reading of the log and its own entry.
        it.store.block(&other, Remark::default()).unwrap();
        assert_eq!(
            it.process.follow_log().unwrap(),
            None,
            "the log's current version is the one rolled back"
        );
        assert_eq!(it.process.look(), LookResult::Unchanged { model: it.good.to_string() });
        let expected = [
            (Action::Promote, it.good.clone()),
            (Action::Promote, it.bad.clone()),
            (Action::Block, other),
            (Action::Block, it.bad.clone()),
            (Action::Rollback, it.good.clone()),
        ];
        assert_eq!(it.log(), expected);
    }

    #[test]
    fn a_version_that_somebody_promotes_again_serves_also_after_a_lost_race() {
        let mut it = Fleet::new();
        let away = it.path.with_extension("away");
        std::fs::rename(&it.path, &away).unwrap();
        it.classify();
        std::fs::rename(&away, &it.path).unwrap();
        it.store.promote(&it.good, Remark::default(), false).unwrap();
        it.store.promote(&it.bad, Remark::default(), false).unwrap();
        assert_eq!(it.process.follow_log().unwrap().as_ref(), Some(&it.bad));
    }

    #[test]
    fn a_damaged_version_to_go_back_to_is_no_unreachable_store() {
        let mut it = Fleet::new();
        let damaged = it.path.join(format!("versions/{}/model.safetensors", it.good));
        std::fs::write(damaged, b"half").unwrap();
        it.classify();
        assert_eq!(it.process.serving(), it.good.as_str(), "from memory");
        assert_eq!(it.metrics.registry_stale.get(), 0);
        assert_eq!(it.process.look(), LookResult::Unchanged { model: it.good.to_string() });
        assert_eq!(it.log()[2..], [(Action::Block, it.bad.clone())]);
        assert_eq!(it.store.log().unwrap().current(), Some(&it.good));
    }
}
